//! What starts collector by the clock: a crontab, or a systemd service with its timer; and logrotate. Pure: from a
//! configuration to files as text.

pub mod clock;
pub mod cron;
pub mod systemd;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use collectors::secret::Reference;

use collectors::period::Period;

use crate::config::Config;
use crate::outputs::Surroundings;
use crate::payload::Agent;

/// Where the log of runs is when the configuration does not say; there is none then, and nothing to rotate.
const LOGS: &str = "/var/log/collector";
/// Where what lasts is when the configuration does not say.
const STATE: &str = "/var/lib/collector";
/// How much later than the run itself whoever started it gives up.
const MARGIN: Duration = Duration::from_secs(30);

/// A path that cannot be written down.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot stand in a crontab or unit: it is no plain text", .0.display())]
pub struct Flaw(PathBuf);

/// A file to be put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it belongs, from the system's root.
    pub path: &'static str,
    /// What it holds.
    pub text: String,
}

/// What was made of a configuration.
#[derive(Debug)]
pub struct Made {
    /// The files.
    pub files: Vec<Target>,
    /// What a person must know or do.
    pub notes: Vec<String>,
    /// The command that lets them take effect, where one is needed.
    pub next: Option<&'static str>,
}

/// What the files depend on.
#[derive(Debug)]
pub struct Setup {
    binary: PathBuf,
    config: PathBuf,
    /// The jobs, and how often each is meant to run.
    intervals: Vec<(String, Duration)>,
    start_timeout: Duration,
    stop_timeout: Duration,
    state: PathBuf,
    logs: Option<PathBuf>,
    /// Outputs that are files, and where.
    written: Vec<(String, PathBuf)>,
    /// What references to secrets name, by their kind.
    credentials: BTreeSet<String>,
    variables: BTreeSet<String>,
    secret_files: BTreeSet<String>,
}

impl Setup {
    /// What a configuration needs. `binary` and `config_path` are as they will be on the system whose root is `root`.
    pub fn of(config: &Config, config_path: PathBuf, binary: PathBuf, root: &Path) -> Self {
        let place = |path: &Path| inside(root, &config.directory.join(path));
        let jobs = || config.jobs.iter().filter(|job| job.settings.enabled);
        let outputs = || config.outputs.iter().filter(|output| output.enabled);
        let interval = config.polling.interval();
        let timeout = config.agent.timeout(&config.polling).get();
        let splay = config.agent.splay.map(Period::get).unwrap_or_default();
        let heartbeat = config.heartbeat.as_ref();
        let told = heartbeat.map(|heartbeat| heartbeat.timeout.get()).unwrap_or_default();
        let reserve = config.agent.delivery_reserve(&config.polling).get();
        let state = config.main.daemon_directory.as_deref().map_or(STATE.into(), place);
        let secrets = jobs()
            .flat_map(|job| job.collector.secrets())
            .chain(outputs().flat_map(|output| output.output.secrets()))
            .chain(heartbeat.map(|heartbeat| &heartbeat.url));
        let surroundings = Surroundings {
            agent: Agent { id: String::new(), program: String::new(), hostname: String::new() },
            config_directory: config.directory.clone(),
            daemon_directory: Some(root.join(state.strip_prefix("/").unwrap_or(&state))),
            now_ms: 0,
        };
        let written = outputs().filter_map(|output| {
            let path = PathBuf::from(output.output.destination(&surroundings).url);
            let is_file = path.is_absolute() && !path.starts_with("/dev");
            is_file.then(|| (output.id.clone(), inside(root, &path)))
        });
        let mut setup = Self {
            binary,
            config: config_path,
            intervals: jobs()
                .map(|job| (job.settings.id.clone(), job.settings.every.unwrap_or(interval).get()))
                .collect(),
            start_timeout: timeout.saturating_add(splay).saturating_add(told) + MARGIN,
            stop_timeout: reserve.saturating_add(told) + MARGIN,
            written: written.collect(),
            logs: config.main.log_directory.as_deref().map(place),
            state,
            credentials: BTreeSet::new(),
            variables: BTreeSet::new(),
            secret_files: BTreeSet::new(),
        };
        for reference in secrets.filter_map(|secret| secret.reference()) {
            match reference {
                Reference::Credential(name) => setup.credentials.insert(name.clone()),
                Reference::Env(name) => setup.variables.insert(name.clone()),
                Reference::File(path) => setup.secret_files.insert(path.clone()),
                // Fetched over the network, so nothing needs to be put anywhere.
                Reference::Ssm(_) | Reference::SecretsManager(_) => false,
            };
        }
        // Nothing else can be a credential's name, and the run says so of the job that needs it.
        let is_name =
            |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        setup.credentials.retain(is_name);
        setup
    }
}

/// A path as it is called on the system whose root is `root`.
pub fn inside(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).map_or_else(|_| path.to_owned(), |below| Path::new("/").join(below))
}

/// What rotates the log of runs.
fn logrotate(setup: &Setup) -> Result<Target, Flaw> {
    let logs = plain(setup.logs.as_deref().unwrap_or(Path::new(LOGS)))?;
    let logs = logs.replace('\\', r"\\").replace('"', r#"\""#);
    let text = format!(
        "# Made by `collector install`. It rotates the log of runs, where `main.log_directory` asks for one. Each run opens
# the file anew, so that nobody needs to be told.
\"{logs}/*.log\" {{
    weekly
    maxsize 10M
    rotate 8
    compress
    missingok
    notifempty
    nocreate
}}
"
    );
    Ok(Target { path: "/etc/logrotate.d/collector", text })
}

fn plain(path: &Path) -> Result<&str, Flaw> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| Flaw(path.to_owned()))
}
