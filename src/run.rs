//! One run: collect, make the payload, deliver it, report.
//!
//! There is no `Result`: once a plan exists, everything that goes wrong is reported, not thrown.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use collectors::{Context, Sink};

use crate::config::{Config, Environment};
use crate::delivery::{self, Consignment};
use crate::outputs::Surroundings;
use crate::payload::{Agent, JobBatch, Payload};
use crate::plan::{Plan, PlannedJob, PlannedOutput};
use crate::report::{self, JobReport, JobResult, OutputReport, Report, chain, metrics};
use crate::runner::{self, Ending, Event, Limits, Outcome, Task};
use crate::secrets;
use crate::store::lock::{Lock, NotLocked};
use crate::store::{self, Store, fallback_agent_id};

/// The variables that a job's child process may see.
const CHILD_VARIABLES: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Collects and delivers.
pub fn run(plan: Plan, environment: Environment<'_>, watch: &mut dyn FnMut(Event)) -> Report {
    let collected = collect(plan, environment, watch, Keep::Lasting);
    let consignments = collected.outputs.iter().map(|output| Consignment {
        id: output.id.clone(),
        kind: output.kind,
        output: Arc::clone(&output.output),
        payload: collected.payload_for(output),
        spool: collected.store.as_ref().map(|store| store.spool(&output.id, output.kind)),
        unready: unready(&output.output.secrets(), environment, &collected.surroundings),
        unencodable: collected.anonymous.clone().filter(|_| output.output.names_agent()),
    });
    let outputs = delivery::deliver(
        consignments.collect(),
        &collected.run,
        &collected.surroundings,
        collected.deadline,
    );
    collected.report(outputs)
}

/// Collects and writes what would be delivered: for each output method, URL, headers and the exact body. Sends
/// nothing and saves nothing.
///
/// # Errors
/// Those of `to`.
pub fn rehearse(
    plan: Plan,
    environment: Environment<'_>,
    watch: &mut dyn FnMut(Event),
    to: &mut dyn Write,
) -> io::Result<Report> {
    let collected = collect(plan, environment, watch, Keep::Nothing);
    let mut reports = Vec::new();
    for output in &collected.outputs {
        let destination = output.output.destination(&collected.surroundings);
        writeln!(to, "# output `{}`\n{} {}", output.id, destination.method, destination.url)?;
        for (name, value) in destination.headers {
            writeln!(to, "{name}: {value}")?;
        }
        writeln!(to)?;
        let payload = collected.payload_for(output);
        let encoded = if payload.is_empty() {
            crate::payload::Encoded::default()
        } else {
            output.output.encode(&payload, to)?
        };
        writeln!(to)?;
        let mut report = OutputReport {
            output: output.id.clone(),
            kind: output.kind.to_owned(),
            ..OutputReport::default()
        };
        report.count(encoded);
        reports.push(report);
    }
    Ok(collected.report(reports))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Lasting,
    Nothing,
}

/// A run whose jobs have ended.
struct Collected {
    run: String,
    payload: Payload,
    jobs: Vec<JobReport>,
    planned: Vec<PlannedJob>,
    outputs: Vec<PlannedOutput>,
    store: Option<Store>,
    surroundings: Arc<Surroundings>,
    deadline: std::time::Instant,
    started: std::time::Instant,
    warnings: Vec<String>,
    /// Why the agent's id is not known, though there is one.
    anonymous: Option<String>,
}

/// Takes the lock of the daemon directory, if there is one; [`run`] tells what is wrong with it.
///
/// # Errors
/// [`NotLocked::Held`] when another run has it until `deadline`.
pub fn enter(
    config: &Config,
    environment: Environment<'_>,
    deadline: Instant,
) -> Result<Option<Lock>, NotLocked> {
    let configured = config.main.daemon_directory.as_deref();
    let directory = daemon_directory(&config.directory, configured, environment);
    let Some(store) = directory.and_then(|directory| Store::open(&directory).ok()) else {
        return Ok(None);
    };
    match store.lock(deadline) {
        Ok(lock) => Ok(Some(lock)),
        Err(held @ NotLocked::Held { .. }) => Err(held),
        Err(error @ NotLocked::Impossible(_)) => {
            log::warn!("{}", chain(&error));
            Ok(None)
        }
    }
}

fn collect(
    plan: Plan,
    environment: Environment<'_>,
    watch: &mut dyn FnMut(Event),
    keep: Keep,
) -> Collected {
    let mut warnings = Vec::new();
    let hostname = plan.hostname.clone().unwrap_or_else(crate::host::fully_qualified_name);
    let directory =
        daemon_directory(&plan.config_directory, plan.daemon_directory.as_deref(), environment);
    let Lasting { directory, store, id } =
        find_lasting(&plan.program, directory, keep, &mut warnings);
    let anonymous = id.as_ref().err().map(|error| {
        let error = chain(error);
        format!("{error}; under another id every series would begin anew, so nothing is sent")
    });
    warnings.extend(anonymous.clone());
    if let Some(store) = &store {
        warnings.extend(abandoned(store, &plan.outputs));
    }
    let id = id.ok().flatten().unwrap_or_else(|| fallback_agent_id(&plan.program, &hostname));
    let surroundings = Arc::new(Surroundings {
        agent: Agent { id, program: plan.program.clone(), hostname: hostname.clone() },
        config_directory: plan.config_directory.clone(),
        daemon_directory: directory,
        now_ms: plan.now_ms,
    });
    let tasks = plan.jobs.iter().map(|job| Task {
        id: Arc::clone(&job.id),
        collector: Arc::clone(&job.collector),
        sink: Sink::new(
            job.target.clone().unwrap_or_else(|| hostname.clone()),
            job.labels.clone(),
            plan.now_ms,
        ),
        timeout: job.timeout,
        unready: unready(&job.collector.secrets(), environment, &surroundings),
    });
    let variables = CHILD_VARIABLES
        .iter()
        .filter_map(|name| environment(name).map(|value| ((*name).to_owned(), value)));
    let context = Context {
        job: "".into(),
        now_ms: plan.now_ms,
        deadline: plan.collect_deadline,
        directory: Arc::from(plan.config_directory.as_path()),
        environment: variables.collect(),
    };
    let limits = Limits { threads: plan.threads, deadline: plan.collect_deadline, context };
    let outcomes = runner::run(tasks.collect(), limits, watch);
    let (jobs, mut batches): (Vec<_>, Vec<_>) =
        plan.jobs.iter().zip(outcomes).map(|(job, outcome)| take(job, outcome)).unzip();
    if plan.run_metrics {
        let batch = metrics::of_run(&jobs, &hostname, plan.now_ms);
        batches.push(JobBatch { job: metrics::JOB.into(), batch: Arc::new(batch) });
    }
    let payload = Payload {
        agent: surroundings.agent.clone(),
        timestamp_ms: plan.now_ms,
        polling_interval: plan.polling_interval,
        batches,
    };
    Collected {
        run: run_id(plan.now_ms),
        payload,
        jobs,
        planned: plan.jobs,
        outputs: plan.outputs,
        store,
        surroundings,
        deadline: plan.deadline,
        started: plan.started,
        warnings,
        anonymous,
    }
}

impl Collected {
    /// What the jobs that feed this output have brought.
    fn payload_for(&self, output: &PlannedOutput) -> Payload {
        self.payload.only(|id| {
            let job = self.planned.iter().find(|job| *job.id == *id);
            job.is_none_or(|job| job.feeds(&output.id))
        })
    }

    fn report(self, outputs: Vec<OutputReport>) -> Report {
        Report {
            run: self.run,
            version: env!("CARGO_PKG_VERSION"),
            timestamp_ms: self.payload.timestamp_ms,
            duration: self.started.elapsed(),
            status: report::status(&self.jobs, &outputs),
            jobs: self.jobs,
            outputs,
            warnings: self.warnings,
        }
    }
}

/// Where what lasts is kept, if there is such a place.
pub fn daemon_directory(
    config_directory: &Path,
    configured: Option<&Path>,
    environment: Environment<'_>,
) -> Option<PathBuf> {
    match configured {
        Some(directory) => Some(config_directory.join(directory)),
        None => Store::default_directory(environment, rustix::process::getuid().is_root()),
    }
}

/// What lasts, as far as it can be had.
struct Lasting {
    /// The folder; `None` when there is none that is safe to use.
    directory: Option<PathBuf>,
    store: Option<Store>,
    /// The agent's id, if it has one; an error when it seems to have one that cannot be used.
    id: Result<Option<String>, store::Error>,
}

/// Opens what lasts. Without it the run goes on.
fn find_lasting(
    program: &str,
    directory: Option<PathBuf>,
    keep: Keep,
    warnings: &mut Vec<String>,
) -> Lasting {
    const NOTHING_KEPT: &str = "nothing that is not accepted now can be kept";
    let Some(path) = directory.as_deref() else {
        let hint = "set `main.daemon_directory`, or HOME";
        warnings.push(format!("there is no daemon directory ({hint}); {NOTHING_KEPT}"));
        return Lasting { directory, store: None, id: Ok(None) };
    };
    let known = Store::at(path).known_agent_id(program);
    if keep == Keep::Nothing {
        return Lasting { directory, store: None, id: known };
    }
    match Store::open(path) {
        Ok(store) => {
            let id = store.agent_id(program).map(Some).or_else(|error| match known {
                // A new agent that cannot keep an id: the one made from the machine's serves.
                Ok(None) => {
                    warnings.push(chain(&error));
                    Ok(None)
                }
                _ => Err(error),
            });
            Lasting { directory, store: Some(store), id }
        }
        Err(error) => {
            warnings.push(format!("{}; {NOTHING_KEPT}", chain(&error)));
            match error {
                store::Error::Directory { .. } => Lasting { directory, store: None, id: known },
                // An id that others may have put there is not ours to use, nor may another stand in for it.
                _ => {
                    let id = if matches!(known, Ok(None)) { Ok(None) } else { Err(error) };
                    Lasting { directory: None, store: None, id }
                }
            }
        }
    }
}

/// A warning for each spool that none of the outputs empties.
fn abandoned(store: &Store, outputs: &[PlannedOutput]) -> Vec<String> {
    let used = outputs.iter().map(|output| (output.id.as_str(), output.kind));
    match store.abandoned(used) {
        Ok(found) => found
            .iter()
            .map(|(path, bodies)| {
                format!("{bodies} bodies wait in `{}`, for no output of this run", path.display())
            })
            .collect(),
        Err(error) => vec![chain(&error)],
    }
}

/// Resolves secrets; the reason why that failed, if it did.
fn unready(
    secrets: &[&collectors::secret::Secret],
    environment: Environment<'_>,
    surroundings: &Surroundings,
) -> Option<String> {
    secrets::resolve(secrets, environment, &surroundings.config_directory)
        .err()
        .map(|error| chain(&error))
}

/// A job's outcome as report and datapoints.
fn take(job: &PlannedJob, outcome: Outcome) -> (JobReport, JobBatch) {
    let Outcome { ending, collected, duration } = outcome;
    let reported = collected.errors.first().map(|first| match collected.errors.len() {
        1 => first.clone(),
        more => format!("{first} (and {} more errors)", more - 1),
    });
    let mut result = JobResult::from(&ending);
    if result == JobResult::Ok && reported.is_some() {
        result = JobResult::Failed;
    }
    let note = match ending {
        Ending::Done => reported,
        Ending::Absent(what) => Some(what),
        Ending::Failed(why) | Ending::Panicked(why) => Some(why),
        Ending::Late(ran) => Some(format!("not done after {}", report::table::short(ran))),
        Ending::NotStarted => Some("the run's time was over before its turn came".to_owned()),
    };
    for (level, line) in &collected.log {
        log::log!(target: "job", log_level(*level), "{}: {line}", job.id);
    }
    let refusals = collected.refusals.iter().map(|r| format!("`{}`: {}", r.what, r.reason));
    let report = JobReport {
        job: job.id.to_string(),
        collector: job.kind.to_owned(),
        result,
        datapoints: collected.batch.len() as u64,
        refused: collected.refused,
        refusals: refusals.collect(),
        labels_dropped: collected.labels_dropped,
        duration,
        note,
        log: collected.log.iter().map(|(_, line)| line.clone()).collect(),
    };
    (report, JobBatch { job: Arc::clone(&job.id), batch: Arc::new(collected.batch) })
}

fn log_level(level: collectors::sink::Level) -> log::Level {
    use collectors::sink::Level;
    match level {
        Level::Error => log::Level::Error,
        Level::Warn => log::Level::Warn,
        Level::Info => log::Level::Info,
        Level::Debug => log::Level::Debug,
    }
}

/// A name for the run that sorts by time and differs between two runs of the same moment.
fn run_id(now_ms: i64) -> String {
    format!("{now_ms:x}{:06x}", std::process::id())
}

/// What came of trying a job or an output.
pub struct Attempt {
    /// `job `id`` or `output `id``.
    pub what: String,
    /// What it said, or why it failed.
    pub result: Result<String, String>,
}

/// Tries every job (whose collectors are expected to log what they found) and every output; delivers nothing.
pub fn attempt(plan: Plan, environment: Environment<'_>) -> Vec<Attempt> {
    let collected = collect(plan, environment, &mut |_| {}, Keep::Nothing);
    let jobs = collected.jobs.iter().map(|job| Attempt {
        what: format!("job `{}`", job.job),
        result: match (job.result.is_success(), &job.note) {
            (true, Some(note)) => Ok(note.clone()),
            (true, None) => Ok(job.log.last().cloned().unwrap_or_default()),
            (false, note) => Err(note.clone().unwrap_or_default()),
        },
    });
    let mut attempts: Vec<Attempt> = jobs.collect();
    for output in &collected.outputs {
        let result = match unready(&output.output.secrets(), environment, &collected.surroundings) {
            Some(reason) => Err(reason),
            None => output.output.check(&collected.surroundings, collected.deadline),
        };
        attempts.push(Attempt { what: format!("output `{}`", output.id), result });
    }
    attempts
}
