//! What a function stands on: who it is, and a folder.
//!
//! Without a store (`store: {s3: …}`) and without a daemon directory that lasts (`main.daemon_directory` on EFS, say), what
//! a run keeps lies in `/tmp`. That lasts as long as one instance of the function, which AWS ends when it likes: bodies
//! that wait there go out with the next event that meets the same instance, and are lost with it. So they are never
//! spoken of as safe. The agent's id is made from the function's ARN, and is the same in every instance.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::failure::Failure;
use crate::config::{Config, Environment};
use crate::outputs::Surroundings;
use crate::payload::Agent;
use crate::plan::Plan;
use crate::report::Report;
use crate::run::Entrance;
use crate::store::{Store, derived_agent_id};

/// What keeps what a function must not lose.
const LASTS: &str = "a bucket keeps them (`store: {s3: {bucket: NAME}}`), or `main.daemon_directory` on a file system \
     that lasts";

/// Where a run keeps what it keeps.
pub(super) struct Ground {
    /// A folder that ends with this instance; `None` where the configuration or the environment names another.
    fleeting: Option<PathBuf>,
    /// Whether what waits is kept elsewhere.
    has_store: bool,
    /// The agent's id, made from the function's ARN. A bucket may hold another.
    id: String,
}

impl Ground {
    /// The ground for a configuration of the function of that ARN.
    pub(super) fn new(
        config: &Config,
        environment: Environment<'_>,
        arn: &str,
    ) -> Result<Self, Failure> {
        let program = collectors::datapoint::trim(&config.agent.program);
        // An ARN may end in a version or an alias, which are the same function.
        let function: Vec<&str> = arn.split(':').take(7).collect();
        let id = derived_agent_id(program, &function.join(":"));
        let is_named = config.main.daemon_directory.is_some()
            || environment("STATE_DIRECTORY").is_some_and(|folder| !folder.is_empty());
        if is_named {
            return Ok(Self { fleeting: None, has_store: config.store.is_some(), id });
        }
        let temporary = environment("TMPDIR").filter(|folder| !folder.is_empty());
        let temporary = temporary.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let folder = temporary.join("collector");
        let store = Store::open(&folder).map_err(Failure::Storage)?;
        store.adopt_agent_id(program, &id).map_err(Failure::Storage)?;
        let ground = Self { fleeting: Some(folder), has_store: config.store.is_some(), id };
        ground.tell_once();
        Ok(ground)
    }

    /// Says at an instance's first invocation what ends with it.
    fn tell_once(&self) {
        static TOLD: Once = Once::new();
        let Some(folder) = self.fleeting.as_deref().filter(|_| !self.has_store) else { return };
        TOLD.call_once(|| {
            log::info!(
                "no store is configured: the state of the jobs with its cursors and counters, what waits, what is in \
                 quarantine and the history are in `{}`, and end with this instance of the function; {LASTS}",
                folder.display()
            );
        });
    }

    /// The environment of a run that stands here.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        match (&self.fleeting, name) {
            (Some(folder), "STATE_DIRECTORY") => Some(folder.clone().into()),
            _ => std::env::var_os(name),
        }
    }

    /// An output that would keep its data where they end with this instance is no output.
    pub(super) fn check(&self, plan: &Plan) -> Result<(), Failure> {
        let Some(folder) = &self.fleeting else { return Ok(()) };
        let surroundings = Surroundings {
            agent: Agent {
                id: self.id.clone(),
                program: plan.program.clone(),
                hostname: plan.hostname.clone().unwrap_or_default(),
            },
            config_directory: plan.config_directory.clone(),
            daemon_directory: Some(folder.clone()),
            now_ms: plan.now_ms,
        };
        let ends = |url: &str| Path::new(url).starts_with(folder.parent().unwrap_or(folder));
        let lost = plan.outputs.iter().find(|one| ends(&one.output.destination(&surroundings).url));
        let Some(lost) = lost else { return Ok(()) };
        Err(Failure::Configuration(format!(
            "the output `{}` would keep its data in `{}`, which ends with this instance of the function; configure another, \
             or a folder that lasts as `main.daemon_directory`",
            lost.id,
            lost.output.destination(&surroundings).url
        )))
    }

    /// Says that the agent's id is a guess where the bucket, which may hold another, could not be asked.
    pub(super) fn doubt(&self, entrance: &Entrance, program: &str) -> Option<String> {
        let is_unasked = self.has_store && matches!(entrance.store(), Some(Err(_)));
        let folder = self.fleeting.as_deref().filter(|_| is_unasked)?;
        let known = Store::at(folder).known_agent_id(program).ok().flatten()?;
        (known == self.id).then(|| {
            "the agent's id is the one made from the function's ARN: whether the bucket holds another, from before it was a \
             function, cannot be asked now"
                .to_owned()
        })
    }

    /// Says what it means that something waits here, or was set aside here.
    pub(super) fn warn(&self, report: &mut Report) {
        let Some(folder) = self.fleeting.as_deref().filter(|_| !self.has_store) else { return };
        let folder = folder.display();
        let waiting: u64 = report.outputs.iter().map(|output| output.waiting).sum();
        if waiting > 0 {
            report.warnings.push(format!(
                "{waiting} datapoints wait in `{folder}`: they go out with an event that meets this instance of the \
                 function, and are lost when AWS ends it first; {LASTS}"
            ));
        }
        let quarantined: u64 = report.outputs.iter().map(|output| output.quarantined).sum();
        if quarantined > 0 {
            report.warnings.push(format!(
                "{quarantined} datapoints were set aside in `{folder}`, where nobody can look at them or send them again, \
                 and are lost with this instance of the function; {LASTS}"
            ));
        }
    }
}
