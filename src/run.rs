//! One run: collect, make the payload, deliver it, report.
//!
//! There is no `Result`: once a plan exists, everything that goes wrong is reported, not thrown.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use collectors::{Context, Sink};

use crate::config::Environment;
use crate::delivery::{self, Consignment};
use crate::outputs::Surroundings;
use crate::payload::{Agent, JobBatch, Payload};
use crate::plan::{Plan, PlannedJob, PlannedOutput};
use crate::report::{self, JobReport, JobResult, OutputReport, Report, chain, metrics};
use crate::runner::{self, Ending, Event, Limits, Outcome, Task};
use crate::secrets;
use crate::store::{Store, fallback_agent_id};

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
        spool: collected.store.as_ref().map(|store| store.spool(&output.id)),
        unready: unready(&output.output.secrets(), environment, &collected.surroundings),
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
}

fn collect(
    plan: Plan,
    environment: Environment<'_>,
    watch: &mut dyn FnMut(Event),
    keep: Keep,
) -> Collected {
    let mut warnings = Vec::new();
    let hostname = plan.hostname.clone().unwrap_or_else(crate::host::fully_qualified_name);
    let directory = daemon_directory(&plan, environment);
    let (store, id) = identify(&plan.program, &hostname, &directory, keep, &mut warnings);
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

/// Where what lasts is kept.
pub fn daemon_directory(plan: &Plan, environment: Environment<'_>) -> PathBuf {
    match &plan.daemon_directory {
        Some(directory) => plan.config_directory.join(directory),
        None => Store::default_directory(environment, rustix::process::getuid().is_root()),
    }
}

/// The store and the agent's id. Without a store the run goes on: the id is then made from the machine's.
fn identify(
    program: &str,
    hostname: &str,
    directory: &Path,
    keep: Keep,
    warnings: &mut Vec<String>,
) -> (Option<Store>, String) {
    let fallback = || fallback_agent_id(program, hostname);
    if keep == Keep::Nothing {
        return match Store::at(directory).known_agent_id(program) {
            Ok(id) => (None, id.unwrap_or_else(fallback)),
            Err(error) => {
                warnings.push(chain(&error));
                (None, fallback())
            }
        };
    }
    let store = match Store::open(directory) {
        Ok(store) => store,
        Err(error) => {
            let error = chain(&error);
            warnings.push(format!("{error}; nothing that is not accepted now can be kept"));
            return (None, fallback());
        }
    };
    let id = store.agent_id(program).unwrap_or_else(|error| {
        warnings.push(chain(&error));
        fallback()
    });
    (Some(store), id)
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
