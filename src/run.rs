//! One run: collect, make the payload, deliver it, report.
//!
//! There is no `Result`: once a plan exists, everything that goes wrong is reported, not thrown.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use collectors::batch::Batch;
use collectors::secret::Secret;
use collectors::sink::{Level, clean};
use collectors::{Collector, Context, Sink};

use crate::config::{Config, Environment};
use crate::delivery::{self, Consignment};
use crate::outputs::{Output, Surroundings};
use crate::payload::{Agent, JobBatch, Payload};
use crate::plan::{Plan, PlannedJob, PlannedOutput};
use crate::report::{
    self, JobReport, JobResult, OutputReport, Report, Status, chain, metrics, table,
};
use crate::runner::{self, Ending, Event, Limits, Outcome, Prepare, Stop, Task};
use crate::secrets;
use crate::store::lock::{Lock, NotLocked};
use crate::store::{self, Store, fallback_agent_id};

/// The variables that a job's child process may see.
const CHILD_VARIABLES: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// How many lines the reason of a failure may have, and how many characters each.
const NOTE_LINES: usize = 20;
const NOTE_LINE_CAP: usize = 1000;

/// Collects and delivers. When it is told to stop, it delivers what there is.
pub fn run(
    plan: Plan,
    environment: Environment<'_>,
    stop: &Stop,
    watch: &mut dyn FnMut(Event),
) -> Report {
    let collected = collect(plan, environment, stop, watch, Keep::Lasting);
    log::debug!("collected after {}", table::short(collected.started.elapsed()));
    let consignments = collected.outputs.iter().map(|output| Consignment {
        id: output.id.clone(),
        kind: output.kind,
        output: Arc::clone(&output.output),
        payload: collected.payload_for(output),
        spool: collected.store.as_ref().map(|store| store.spool(&output.id, output.kind)),
        unencodable: collected.anonymous.clone().filter(|_| output.output.names_agent()),
        prepare: prepare_output(output, environment, &collected.surroundings),
    });
    let outputs = delivery::deliver(
        consignments.collect(),
        &collected.run,
        &collected.surroundings,
        collected.limits.deadline,
    );
    collected.report(outputs)
}

/// Collects and writes what would be delivered: for each output method, URL, headers and the exact body. Sends
/// nothing and saves nothing. The report is whole even when `to` takes no more.
pub fn rehearse(
    plan: Plan,
    environment: Environment<'_>,
    stop: &Stop,
    watch: &mut dyn FnMut(Event),
    to: &mut dyn Write,
) -> (Report, io::Result<()>) {
    let collected = collect(plan, environment, stop, watch, Keep::Nothing);
    let mut reports = Vec::new();
    let shown = show(&collected, &mut reports, to);
    let mut report = collected.report(reports);
    // Nothing was to be sent, so nothing waits and nothing is lost: what would be is told, and a job may have failed.
    if report.status > Status::JobFailed {
        let is_good = report.jobs.iter().all(|job| job.result.is_success() && job.refused == 0);
        report.status = if is_good { Status::Success } else { Status::JobFailed };
    }
    (report, shown)
}

fn show(
    collected: &Collected,
    reports: &mut Vec<OutputReport>,
    to: &mut dyn Write,
) -> io::Result<()> {
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
    Ok(())
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
    /// The jobs' limits, but until the run's deadline.
    limits: Limits,
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
    stop: &Stop,
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
        prepare: prepare_job(&job.collector, environment, &surroundings),
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
    let limits = Limits {
        threads: plan.threads,
        deadline: plan.collect_deadline,
        context,
        stop: stop.clone(),
    };
    let outcomes = runner::run(tasks.collect(), limits.clone(), watch);
    let (jobs, mut batches): (Vec<_>, Vec<_>) = plan
        .jobs
        .iter()
        .zip(outcomes)
        .map(|(job, outcome)| {
            let (report, batch) = take(&job.id, job.kind, outcome);
            (report, JobBatch { job: Arc::clone(&job.id), batch: Arc::new(batch) })
        })
        .unzip();
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
        limits: Limits { deadline: plan.deadline, ..limits },
        started: plan.started,
        warnings,
        anonymous,
    }
}

impl Collected {
    /// What the jobs that feed this output have brought.
    fn payload_for(&self, output: &PlannedOutput) -> Payload {
        // Behind the jobs' batches stands what the run says about itself, which is for all.
        self.payload.only(|place| self.planned.get(place).is_none_or(|job| job.feeds(&output.id)))
    }

    /// How many datapoints no output is to have.
    fn unwanted(&self) -> u64 {
        let jobs = self.planned.iter().zip(&self.jobs);
        jobs.filter(|(job, _)| !self.outputs.iter().any(|output| job.feeds(&output.id)))
            .map(|(_, report)| report.datapoints)
            .sum()
    }

    fn report(mut self, outputs: Vec<OutputReport>) -> Report {
        let unwanted = self.unwanted();
        if unwanted > 0 {
            self.warnings.push(format!("{unwanted} datapoints lost: their jobs feed no output"));
        }
        let report = Report {
            run: self.run,
            version: env!("CARGO_PKG_VERSION"),
            timestamp_ms: self.payload.timestamp_ms,
            duration: self.started.elapsed(),
            status: report::status(&self.jobs, &outputs, unwanted),
            jobs: self.jobs,
            outputs,
            warnings: self.warnings,
        };
        log(&report);
        report
    }
}

/// A line for each job and output, and one for the run.
fn log(report: &Report) {
    for JobReport { job, result, datapoints, duration, .. } in &report.jobs {
        let (result, duration) = (result.as_str(), table::short(*duration));
        log::info!("job `{job}`: {result}, {datapoints} datapoints in {duration}");
    }
    for OutputReport { output, accepted, waiting, lost, .. } in &report.outputs {
        log::info!(
            "output `{output}`: {accepted} datapoints accepted, {waiting} wait, {lost} lost"
        );
    }
    log::info!(
        "run {}: status {}, {}",
        report.run,
        report.status.code(),
        table::delivery_line(report)
    );
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

/// How a job's secrets are resolved within its own time: what a file is on may hang.
fn prepare_job(
    collector: &Arc<dyn Collector>,
    environment: Environment<'_>,
    surroundings: &Arc<Surroundings>,
) -> Option<Prepare> {
    let variables = needed(&collector.secrets(), environment)?;
    let (collector, surroundings) = (Arc::clone(collector), Arc::clone(surroundings));
    Some(Arc::new(move || resolve(&collector.secrets(), &variables, &surroundings)))
}

/// As [`prepare_job`], for an output.
fn prepare_output(
    output: &PlannedOutput,
    environment: Environment<'_>,
    surroundings: &Arc<Surroundings>,
) -> Option<Prepare> {
    let output = Arc::clone(&output.output);
    let variables = needed(&output.secrets(), environment)?;
    let surroundings = Arc::clone(surroundings);
    Some(Arc::new(move || resolve(&output.secrets(), &variables, &surroundings)))
}

/// The variables that secrets need; `None` when all of them stand in the configuration.
fn needed(secrets: &[&Secret], environment: Environment<'_>) -> Option<HashMap<String, OsString>> {
    let is_needed = secrets.iter().any(|secret| secret.reference().is_some());
    is_needed.then(|| secrets::variables(secrets, environment))
}

fn resolve(
    secrets: &[&Secret],
    variables: &HashMap<String, OsString>,
    surroundings: &Surroundings,
) -> Result<(), String> {
    let environment = |name: &str| variables.get(name).cloned();
    secrets::resolve(secrets, &environment, &surroundings.config_directory)
        .map_err(|error| chain(&error))
}

/// An outcome as report and datapoints.
fn take(id: &str, kind: &str, outcome: Outcome) -> (JobReport, Batch) {
    let Outcome { ending, collected, duration } = outcome;
    let mut result = JobResult::from(&ending);
    if result.is_success() && collected.errors_total > 0 {
        result = JobResult::Failed;
    }
    let note = match ending {
        Ending::Done => None,
        Ending::Absent(why) | Ending::Failed(why) | Ending::Panicked(why) => Some(why),
        Ending::NotStarted(why) => Some(why),
        Ending::Late(ran, why) => {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            Some(format!("not done after {}{why}", table::short(ran)))
        }
    };
    let reported = collected.errors.first().map(|first| match collected.errors_total {
        1 => first.clone(),
        total => format!("{first} (and {} more errors)", total - 1),
    });
    let parts: Vec<String> = note.into_iter().chain(reported).collect();
    let note = (!parts.is_empty()).then(|| shown(&parts.join("; ")));
    for (level, line) in &collected.log {
        log::log!(target: "job", log_level(*level), "{id}: {line}");
    }
    let refusals = collected.refusals.iter().map(|r| format!("`{}`: {}", r.what, r.reason));
    let report = JobReport {
        job: id.to_owned(),
        collector: kind.to_owned(),
        result,
        datapoints: collected.batch.len() as u64,
        refused: collected.refused,
        refusals: refusals.collect(),
        labels_dropped: collected.labels_dropped,
        duration,
        note,
        log: collected.log.iter().map(|(_, line)| line.clone()).collect(),
    };
    (report, collected.batch)
}

/// A reason that may quote what the source said, over several lines.
fn shown(note: &str) -> String {
    let lines = note.lines().take(NOTE_LINES).map(|line| clean(line, NOTE_LINE_CAP));
    lines.collect::<Vec<_>>().join("\n")
}

fn log_level(level: Level) -> log::Level {
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
    let stop = Stop::default();
    let collected = collect(plan, environment, &stop, &mut |_| {}, Keep::Nothing);
    let checks = collected.outputs.iter().map(|output| Task {
        id: output.id.as_str().into(),
        collector: Arc::new(Check {
            output: Arc::clone(&output.output),
            surroundings: Arc::clone(&collected.surroundings),
        }),
        sink: Sink::new(String::new(), Vec::new(), 0),
        timeout: CHECK_TIMEOUT,
        prepare: prepare_output(output, environment, &collected.surroundings),
    });
    let checked = runner::run(checks.collect(), collected.limits.clone(), &mut |_| {});
    let outputs = collected.outputs.iter().zip(checked);
    let outputs = outputs.map(|(output, outcome)| take(&output.id, output.kind, outcome).0);
    let jobs = collected.jobs.into_iter().map(|job| Attempt::of("job", job));
    jobs.chain(outputs.map(|output| Attempt::of("output", output))).collect()
}

impl Attempt {
    fn of(what: &str, report: JobReport) -> Self {
        let result = match (report.result.is_success(), report.note) {
            (true, Some(note)) => Ok(note),
            (true, None) => Ok(report.log.last().cloned().unwrap_or_default()),
            (false, note) => Err(note.unwrap_or_default()),
        };
        Self { what: format!("{what} `{}`", report.job), result }
    }
}

/// How long it may take to try an output.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// An output that is tried as a job is, so that it is fenced as one.
struct Check {
    output: Arc<dyn Output>,
    surroundings: Arc<Surroundings>,
}

impl Collector for Check {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), collectors::Error> {
        match self.output.check(&self.surroundings, context.deadline) {
            Ok(said) => sink.log(Level::Info, said)?,
            Err(reason) => sink.error(reason)?,
        }
        Ok(())
    }
}
