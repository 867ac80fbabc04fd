//! The sections of the configuration as written. Names are pattoo's where pattoo has them.

mod store;

use std::path::PathBuf;

use collectors::datapoint::{Label, LabelKind};
use collectors::decode::Problem;
use collectors::period::Period;
use collectors::secret::Secret;
use collectors::web::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rates::Rate;
pub use store::{S3, Store};

/// How often runs happen when the configuration does not say.
const DEFAULT_INTERVAL: Period = Period::from_secs(300);
/// Delivery has a fifth of the run when the configuration does not say, and at most this.
const LONGEST_DEFAULT_RESERVE: Period = Period::from_secs(30);

/// `main`: folders.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Main {
    /// Where the log of runs is kept; without it there is none but standard error.
    pub log_directory: Option<PathBuf>,
    /// Where what lasts is kept: the agent's id, the spool, the embedded store.
    pub daemon_directory: Option<PathBuf>,
}

/// `polling`: how often, and to which pattoo server.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Polling {
    /// How often a run happens; it should match the crontab. Seconds, or a text such as `5m`. Default: 300.
    pub polling_interval: Option<Period>,
    /// The pattoo server's name or address; it implies the output `pattoo`.
    pub ip_address: Option<String>,
    /// The pattoo server's port. Default: 20201.
    pub ip_bind_port: Option<u16>,
}

/// `agent`: who collects, and the run's bounds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Agent {
    /// The program's name in what is sent.
    pub program: String,
    /// The host's name in what is sent; by default the machine's own, fully qualified where it is known.
    pub hostname: Option<String>,
    /// Whether each run adds datapoints about itself: its jobs, what waits, and what became of the run before.
    pub run_metrics: bool,
    /// How long a run may take. Default: four fifths of the polling interval, so that it has ended when the next begins.
    pub timeout: Option<Period>,
    /// How much of the run's time is kept for delivery; jobs have the rest. Default: a fifth, 30 s at most.
    pub delivery_reserve: Option<Period>,
    /// How many jobs run at once, at most.
    pub threads: u16,
    /// Delay a run by up to this, by always the same on one machine, so that a fleet does not knock at once. Not with
    /// `--once` and `--at`. Default: none.
    pub splay: Option<Period>,
    /// How long a secret from AWS is used before it is fetched again, where one process sees several runs.
    pub secrets_ttl: Period,
    /// Whether a Lambda invocation fails when a job does. By default only data that waits or is lost makes it fail, and
    /// its answer names the jobs.
    pub fail_on_job_failure: bool,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            program: "collector".into(),
            hostname: None,
            run_metrics: true,
            timeout: None,
            delivery_reserve: None,
            threads: 64,
            splay: None,
            secrets_ttl: Period::from_secs(300),
            fail_on_job_failure: false,
        }
    }
}

/// `heartbeat`: a service that raises the alarm when runs fail or stop, in the style of healthchecks.io.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// Where to say that a run went well; with `/start` that it begins, with `/fail` that its exit status is not 0.
    /// A run in which no job is due says nothing, nor does one with `--only` or `--dry-run`.
    pub url: Secret,
    /// How long the end of a run waits for the service.
    #[serde(default = "Heartbeat::default_timeout")]
    pub timeout: Period,
}

/// `pattoo`: folders, as pattoo's releases since 0.0.72 name them.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pattoo {
    /// As `main.log_directory`.
    pub log_directory: Option<PathBuf>,
    /// Where pattoo's own agents keep what they could not send; not used, the spool lies in the daemon directory.
    pub cache_directory: Option<PathBuf>,
    /// As `main.daemon_directory`.
    pub daemon_directory: Option<PathBuf>,
    /// Not used: `-v` and `COLLECTOR_LOG` set the level.
    pub log_level: Option<String>,
    /// Not used: there is one language.
    pub language: Option<String>,
    /// Not used: there is no daemon.
    pub system_daemon_directory: Option<PathBuf>,
}

/// `pattoo_agent_api`: the server, as pattoo's releases since 0.0.72 name it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PattooAgentApi {
    /// The pattoo server's name or address. Default: localhost.
    pub ip_address: Option<String>,
    /// The pattoo server's port. Default: 20201.
    pub ip_bind_port: Option<u16>,
}

/// What every job has beside its collector.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct JobSettings {
    /// The job's name, unique in the configuration.
    pub id: String,
    /// What is polled, where a datapoint does not say; by default what the collector reads, or this host.
    #[serde(default)]
    pub target: Option<String>,
    /// How often the job runs, in runs that a scheduler starts at least as often. Default: `polling.polling_interval`.
    #[serde(default)]
    pub every: Option<Period>,
    /// How long the job may take. Default: 30 s.
    #[serde(default)]
    pub timeout: Option<Period>,
    /// Labels for each of its datapoints; part of the series' identity.
    #[serde(default)]
    pub labels: Labels,
    /// The ids of the outputs that it feeds. Default: all.
    #[serde(default)]
    pub outputs: Option<Vec<String>>,
    /// Whether it runs at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Rates or differences of its counters across runs.
    #[serde(default)]
    pub rates: Vec<Rate>,
    /// What the job fails without.
    #[serde(default)]
    pub expect: Expect,
    /// Say nothing of a failure on standard error until the job has failed so many times in a row; the exit status and
    /// the report still tell. Default: 1.
    #[serde(default)]
    pub alert_after: Option<u32>,
}

/// What a job must bring; otherwise it has failed, whatever its collector says. What it brought is delivered all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Expect {
    /// At least so many datapoints.
    pub min_points: Option<u64>,
    /// A datapoint that is at most so old.
    pub max_age: Option<Period>,
}

/// What every output has beside its options.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OutputSettings {
    /// The output's name, unique in the configuration. Default: its kind.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether anything is sent to it.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// How much may wait for it.
    #[serde(default)]
    pub spool: SpoolCaps,
}

/// How much may wait for an output. What is beyond is lost, the oldest first, and counted as lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpoolCaps {
    /// All bodies together, in bytes.
    pub max_bytes: u64,
    /// How long a body may wait.
    pub max_age: Period,
}

impl Default for SpoolCaps {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_age: Period::from_secs(7 * 86_400) }
    }
}

fn yes() -> bool {
    true
}

/// Names and values in the order given; numbers are taken as text.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Labels(pub serde_json::Map<String, serde_json::Value>);

/// Whether a job that names these outputs, or none, feeds the one of that id.
pub fn feeds(named: Option<&[String]>, output: &str) -> bool {
    named.is_none_or(|ids| ids.iter().any(|id| id == output))
}

impl JobSettings {
    /// The keys, so that a job can be taken apart without making a schema.
    pub(super) const NAMES: &'static [&'static str] = &[
        "id",
        "target",
        "every",
        "timeout",
        "labels",
        "outputs",
        "enabled",
        "rates",
        "expect",
        "alert_after",
    ];

    /// Whether the job's datapoints go to the output of that id.
    pub fn feeds(&self, output: &str) -> bool {
        feeds(self.outputs.as_deref(), output)
    }

    /// A job of that id with the defaults.
    pub(super) fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            target: None,
            every: None,
            timeout: None,
            labels: Labels::default(),
            outputs: None,
            enabled: true,
            rates: Vec::new(),
            expect: Expect::default(),
            alert_after: None,
        }
    }

    /// Settings that cannot be, at paths below the job.
    pub(super) fn conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.id.trim().is_empty() {
            problems.push(Problem::at(&["id"], "the id is empty"));
        } else if self.id.chars().any(char::is_control) {
            problems.push(Problem::at(&["id"], "the id has control characters"));
        }
        for (name, period) in [("every", self.every), ("timeout", self.timeout)] {
            if period.is_some_and(|period| period.get().is_zero()) {
                problems.push(Problem::at(&[name], format!("`{name}` is zero")));
            }
        }
        if self.expect.max_age.is_some_and(|age| age.get().is_zero()) {
            problems.push(Problem::at(&["expect", "max_age"], "no datapoint is that young"));
        }
        if self.alert_after == Some(0) {
            let hint = "1 tells of each failure";
            problems.push(Problem::at(&["alert_after"], "`alert_after` is zero").hint(hint));
        }
        if self.outputs.as_ref().is_some_and(Vec::is_empty) {
            let hint = "leave `outputs` out for all of them, or say `enabled: false`";
            problems.push(Problem::at(&["outputs"], "the job feeds no output").hint(hint));
        }
        let mut names: Vec<String> = Vec::new();
        for (name, value) in &self.labels.0 {
            let message = match Label::from_json(name, value, LabelKind::Identity) {
                Err(flaw) => format!("label `{name}`: {flaw}"),
                Ok(label) if names.iter().any(|known| known == label.name()) => {
                    format!("label `{name}` is there twice: names are lower case")
                }
                Ok(label) if label.name().contains("pattoo") => {
                    format!("label `{name}`: names with `pattoo` in them are its protocol's own")
                }
                Ok(label) => {
                    names.push(label.name().to_owned());
                    continue;
                }
            };
            problems.push(Problem::at(&["labels", name], message));
        }
        problems
    }
}

impl OutputSettings {
    /// The keys, so that an output can be taken apart without making a schema.
    pub(super) const NAMES: &'static [&'static str] = &["id", "enabled", "spool"];
}

impl Polling {
    /// How often a run happens.
    pub fn interval(&self) -> Period {
        self.polling_interval.unwrap_or(DEFAULT_INTERVAL)
    }

    /// What cannot be, at paths from the configuration's root.
    pub(super) fn conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.interval().get().is_zero() {
            problems.push(Problem::at(&["polling", "polling_interval"], "the interval is zero"));
        }
        if let Some(address) = &self.ip_address
            && let Err(message) = crate::outputs::pattoo::check_address(address)
        {
            problems.push(Problem::at(&["polling", "ip_address"], message));
        }
        if self.ip_bind_port == Some(0) {
            problems.push(Problem::at(&["polling", "ip_bind_port"], "no server listens on port 0"));
        }
        problems
    }
}

impl Heartbeat {
    const fn default_timeout() -> Period {
        Period::from_secs(5)
    }

    /// What cannot be, at paths from the configuration's root.
    pub(super) fn conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.url.reference().is_none()
            && let Err(error) = Url::parse(self.url.expose().unwrap_or_default())
        {
            problems.push(Problem::at(&["heartbeat", "url"], error.to_string()));
        }
        if self.timeout.get().is_zero() {
            problems.push(Problem::at(&["heartbeat", "timeout"], "no service answers in no time"));
        }
        problems
    }
}

impl Agent {
    /// What cannot be, at paths from the configuration's root.
    pub(super) fn conflicts(&self, polling: &Polling) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.program.trim().is_empty() {
            problems.push(Problem::at(&["agent", "program"], "the program's name is empty"));
        } else if self.program.contains('/') || self.program.chars().any(char::is_control) {
            let message = format!("`{}` cannot be part of a file name", self.program);
            problems.push(Problem::at(&["agent", "program"], message));
        } else if self.program.len() > 255 - ".agent_id".len() {
            problems.push(Problem::at(&["agent", "program"], "the program's name is too long"));
        }
        if self.threads == 0 {
            problems.push(Problem::at(&["agent", "threads"], "no job can run on 0 threads"));
        }
        let timeout = self.timeout(polling);
        if self.timeout.is_some_and(|timeout| timeout.get().is_zero()) {
            problems.push(Problem::at(&["agent", "timeout"], "a run cannot be done in no time"));
        } else if self.delivery_reserve.is_some_and(|reserve| reserve >= timeout) {
            let message = format!("nothing is left to collect in: a run may take {timeout}");
            let hint = "`agent.timeout` says how long, else `polling.polling_interval`";
            problems.push(Problem::at(&["agent", "delivery_reserve"], message).hint(hint));
        }
        if self.splay.is_some_and(|splay| splay >= polling.interval()) {
            let message = format!(
                "a run would come later than the next: the interval is {}",
                polling.interval()
            );
            problems.push(Problem::at(&["agent", "splay"], message));
        }
        if self.hostname.as_ref().is_some_and(|name| name.trim().is_empty()) {
            problems.push(Problem::at(&["agent", "hostname"], "the host's name is empty"));
        }
        problems
    }

    /// How long a run may take.
    pub fn timeout(&self, polling: &Polling) -> Period {
        self.timeout.unwrap_or_else(|| Period::of(polling.interval().get() * 4 / 5))
    }

    /// How much of that is kept for delivery.
    pub fn delivery_reserve(&self, polling: &Polling) -> Period {
        let fifth = Period::of(self.timeout(polling).get() / 5);
        self.delivery_reserve.unwrap_or_else(|| fifth.min(LONGEST_DEFAULT_RESERVE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names<T: JsonSchema>() -> Vec<String> {
        let schema = schemars::schema_for!(T).to_value();
        schema["properties"].as_object().map(|m| m.keys().cloned().collect()).unwrap_or_default()
    }

    #[test]
    fn the_lists_of_names_are_those_of_the_types() {
        assert_eq!(names::<JobSettings>(), JobSettings::NAMES);
        assert_eq!(names::<OutputSettings>(), OutputSettings::NAMES);
    }
}
