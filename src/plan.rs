//! What this run will do: which jobs, until when, to which outputs. No I/O, and no clock but the one it is given.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collectors::Collector;
use collectors::datapoint::{Label, LabelKind};
use collectors::decode::nearest;
use collectors::period::Period;

use crate::config::sections::{Expect, Polling, SpoolCaps, feeds};
use crate::config::{Config, JobEntry};
use crate::outputs::Output;
use crate::rates::Rate;
use crate::schedule::Turn;
use crate::shard::Shard;
use crate::state::{JobState, State};
use crate::store::spool::Caps;

/// How long a job may take when it does not say.
pub const DEFAULT_JOB_TIMEOUT: Period = Period::from_secs(30);

/// What the person or machine that starts the run asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The run's clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// The moment at which the run began.
    pub started: Instant,
    /// The ids of the jobs to run; empty for all.
    pub only: Vec<String>,
    /// Whether jobs run whose turn is later, too.
    pub once: bool,
    /// The shard whose jobs are run; `None` for all.
    pub shard: Option<Shard>,
    /// When the run must have ended, whatever the configuration says.
    pub ends_by: Option<Instant>,
}

impl Request {
    /// A run of all jobs whose turn it is, for as long as the configuration allows.
    pub fn for_all(now_ms: i64, started: Instant) -> Self {
        Self { now_ms, started, only: Vec::new(), once: false, shard: None, ends_by: None }
    }
}

/// One run, decided.
pub struct Plan {
    /// The run's clock, in milliseconds since 1970.
    pub now_ms: i64,
    /// The moment at which the run began.
    pub started: Instant,
    /// When collecting ends, so that there is time left to deliver.
    pub collect_deadline: Instant,
    /// When the run ends.
    pub deadline: Instant,
    /// How often runs are meant to happen.
    pub polling_interval: Duration,
    /// The agent's program name.
    pub program: String,
    /// The host's name, where the configuration gives one.
    pub hostname: Option<String>,
    /// How many jobs run at once, at most.
    pub threads: usize,
    /// Whether the run adds datapoints about itself.
    pub run_metrics: bool,
    /// How long a secret that was fetched from afar is used before it is fetched again.
    pub secrets_ttl: Duration,
    /// Where relative paths of the configuration start.
    pub config_directory: PathBuf,
    /// Where the log of runs is kept.
    pub log_directory: Option<PathBuf>,
    /// Where what lasts is kept, where the configuration says.
    pub daemon_directory: Option<PathBuf>,
    /// The jobs that run, in the order of the configuration.
    pub jobs: Vec<PlannedJob>,
    /// The enabled jobs that do not run.
    pub others: Vec<OtherJob>,
    /// When the first turn of the others comes, in milliseconds since 1970; `None` when there are no others.
    pub next_ms: Option<i64>,
    /// Whether outputs are left alone for as long as they have asked for.
    pub heeds_pauses: bool,
    /// The outputs, in the order of the configuration.
    pub outputs: Vec<PlannedOutput>,
}

/// One job of this run.
pub struct PlannedJob {
    /// Its id.
    pub id: Arc<str>,
    /// Its collector's name.
    pub kind: &'static str,
    /// The collector.
    pub collector: Arc<dyn Collector>,
    /// What is polled where a datapoint does not say; `None`: this host.
    pub target: Option<String>,
    /// Labels for each datapoint.
    pub labels: Vec<Label<'static>>,
    /// How long it may take.
    pub timeout: Duration,
    /// The outputs it feeds; `None`: all.
    pub outputs: Option<Vec<String>>,
    /// How often it is meant to run.
    pub every: Duration,
    /// How many runs are missing since the last one; `None` where nobody keeps to the interval.
    pub missed_runs: Option<u64>,
    /// What its last run left.
    pub before: JobState,
    /// Rates or differences of its counters.
    pub rates: Vec<Rate>,
    /// What it fails without.
    pub expect: Expect,
    /// From which failure in a row on it is told.
    pub alert_after: u32,
}

/// An enabled job that is not of this run.
pub struct OtherJob {
    /// Its id.
    pub id: String,
    /// The outputs it feeds; `None`: all.
    pub outputs: Option<Vec<String>>,
}

/// One output of this run.
pub struct PlannedOutput {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
    /// The output.
    pub output: Arc<dyn Output>,
    /// How much may wait for it.
    pub caps: Caps,
}

/// A job with its turn, whether it is now or later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled<'a> {
    /// The job's id.
    pub id: &'a str,
    /// Its collector's name.
    pub kind: &'static str,
    /// How often it is meant to run.
    pub every: Period,
    /// When it last started, in milliseconds since 1970.
    pub last_start_ms: Option<i64>,
    /// When its turn is.
    pub turn: Turn,
}

impl PlannedJob {
    /// Whether the job's datapoints go to the output of that id.
    pub fn feeds(&self, output: &str) -> bool {
        feeds(self.outputs.as_deref(), output)
    }
}

impl OtherJob {
    /// Whether the job's datapoints go to the output of that id.
    pub fn feeds(&self, output: &str) -> bool {
        feeds(self.outputs.as_deref(), output)
    }
}

/// A request that the configuration cannot meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `--only` names a job that is not there.
    #[error("there is no job `{id}`{}", .meant.as_ref().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default())]
    NoSuchJob {
        /// What was asked for.
        id: String,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// `--only` names a job that is turned off.
    #[error("the job `{0}` is not enabled")]
    NotEnabled(String),
}

/// Every enabled job's turn at `now_ms`, in the order of the configuration.
pub fn schedule<'a>(config: &'a Config, state: &State, now_ms: i64) -> Vec<Scheduled<'a>> {
    let jobs = config.jobs.iter().filter(|job| job.settings.enabled);
    jobs.map(|job| scheduled(job, &config.polling, state, now_ms)).collect()
}

/// Which of the enabled jobs are in a shard, in the order of the configuration; all without one.
pub fn in_shard(config: &Config, shard: Option<Shard>) -> Vec<bool> {
    let jobs = config.jobs.iter().filter(|job| job.settings.enabled);
    let Some(shard) = shard else { return jobs.map(|_| true).collect() };
    shard.takes(jobs.map(|job| {
        let every = job.settings.every.unwrap_or_else(|| config.polling.interval());
        (job.settings.id.as_str(), every.get())
    }))
}

/// When the enabled jobs that are asked for last started, in milliseconds since 1970.
pub fn last_starts(
    config: &Config,
    only: &[String],
    shard: Option<Shard>,
    state: &State,
) -> Vec<i64> {
    let jobs = config.jobs.iter().filter(|job| job.settings.enabled);
    jobs.zip(in_shard(config, shard))
        .filter(|(job, is_in_shard)| *is_in_shard && is_asked_for(&job.settings.id, only))
        .filter_map(|(job, _)| state.jobs.get(&job.settings.id)?.last_start_ms)
        .collect()
}

/// Whether a job is among those that are asked for; none by name: all are.
fn is_asked_for(id: &str, only: &[String]) -> bool {
    only.is_empty() || only.iter().any(|only| only == id)
}

fn scheduled<'a>(
    job: &'a JobEntry,
    polling: &Polling,
    state: &State,
    now_ms: i64,
) -> Scheduled<'a> {
    let id = job.settings.id.as_str();
    let every = job.settings.every.unwrap_or_else(|| polling.interval());
    let last_start_ms = state.jobs.get(id).and_then(|job| job.last_start_ms);
    let turn = Turn::of(last_start_ms, every.get(), now_ms);
    Scheduled { id, kind: job.kind, every, last_start_ms, turn }
}

impl Plan {
    /// Decides a run.
    ///
    /// # Errors
    /// [`Error`] for every name in the request that the configuration has not.
    pub fn new(config: Config, request: Request, state: &State) -> Result<Self, Vec<Error>> {
        check_names(&config, &request.only)?;
        let in_shard = in_shard(&config, request.shard);
        let polling = &config.polling;
        let agent = config.agent;
        let configured = agent.timeout(polling).get();
        let given = request.ends_by.map(|end| end.saturating_duration_since(request.started));
        let timeout = given.map_or(configured, |given| given.min(configured));
        let mut reserve = agent.delivery_reserve(polling).get().min(timeout);
        if timeout < configured {
            // It was chosen for more time than there is.
            reserve = reserve.min(timeout / 5);
        }
        let interval = polling.interval().get();
        let (mut jobs, mut others) = (Vec::new(), Vec::new());
        let other = |job: JobEntry| OtherJob { id: job.settings.id, outputs: job.settings.outputs };
        let mut next_ms: Option<i64> = None;
        let enabled = config.jobs.into_iter().filter(|job| job.settings.enabled);
        for (job, is_in_shard) in enabled.zip(in_shard) {
            if !is_in_shard || !is_asked_for(&job.settings.id, &request.only) {
                others.push(other(job));
                continue;
            }
            let Scheduled { every, last_start_ms, turn, .. } =
                scheduled(&job, polling, state, request.now_ms);
            let missed_runs = match turn {
                _ if request.once => None,
                Turn::Due { missed } => last_start_ms.map(|_| missed),
                Turn::Later { next_ms: next } => {
                    next_ms = Some(next_ms.map_or(next, |first| first.min(next)));
                    others.push(other(job));
                    continue;
                }
            };
            let settings = job.settings;
            jobs.push(PlannedJob {
                target: settings.target.or_else(|| job.collector.default_target()),
                before: state.jobs.get(&settings.id).cloned().unwrap_or_default(),
                id: settings.id.into(),
                kind: job.kind,
                collector: job.collector.into(),
                labels: labels(&settings.labels.0),
                timeout: settings.timeout.unwrap_or(DEFAULT_JOB_TIMEOUT).get(),
                outputs: settings.outputs,
                every: every.get(),
                missed_runs,
                rates: settings.rates,
                expect: settings.expect,
                alert_after: settings.alert_after.unwrap_or(1),
            });
        }
        let outputs = config.outputs.into_iter().filter(|output| output.enabled).map(|output| {
            let SpoolCaps { max_bytes, max_age } = output.spool;
            PlannedOutput {
                id: output.id,
                kind: output.kind,
                output: output.output.into(),
                caps: Caps { bytes: max_bytes, age: max_age.get() },
            }
        });
        Ok(Self {
            now_ms: request.now_ms,
            started: request.started,
            collect_deadline: request.started + (timeout - reserve),
            deadline: request.started + timeout,
            polling_interval: interval,
            program: collectors::datapoint::trim(&agent.program).to_owned(),
            hostname: agent.hostname,
            threads: usize::from(agent.threads),
            run_metrics: agent.run_metrics,
            secrets_ttl: agent.secrets_ttl.get(),
            config_directory: config.directory,
            log_directory: config.main.log_directory,
            daemon_directory: config.main.daemon_directory,
            jobs,
            others,
            next_ms,
            heeds_pauses: true,
            outputs: outputs.collect(),
        })
    }
}

/// Whether the configuration has all these jobs, enabled.
///
/// # Errors
/// [`Error`] for every one that it has not.
pub fn check_names(config: &Config, only: &[String]) -> Result<(), Vec<Error>> {
    let missing = missing(config, only);
    if missing.is_empty() { Ok(()) } else { Err(missing) }
}

fn missing(config: &Config, only: &[String]) -> Vec<Error> {
    let ids = || config.jobs.iter().map(|job| job.settings.id.as_str());
    let find = |id: &String| config.jobs.iter().find(|job| job.settings.id == *id);
    only.iter()
        .filter_map(|id| match find(id) {
            None => {
                let meant = nearest(id, ids()).map(str::to_owned);
                Some(Error::NoSuchJob { id: id.clone(), meant })
            }
            Some(job) if !job.settings.enabled => Some(Error::NotEnabled(id.clone())),
            Some(_) => None,
        })
        .collect()
}

/// The configuration has refused what is no label.
fn labels(map: &serde_json::Map<String, serde_json::Value>) -> Vec<Label<'static>> {
    map.iter()
        .filter_map(|(name, value)| Label::from_json(name, value, LabelKind::Identity).ok())
        .map(Label::into_owned)
        .collect()
}
