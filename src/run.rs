//! One run: collect, make the payload, deliver it, report.
//!
//! There is no `Result`: once a plan exists, everything that goes wrong is reported, not thrown.

mod attempt;
mod entrance;
mod lasting;
mod outcome;
mod prepare;

use std::io::{self, Write};
use std::sync::Arc;

use collectors::period::Period;
use collectors::{Context, Sink};

use crate::config::Environment;
use crate::delivery::{self, Consignment};
use crate::host::Clocks;
use crate::outputs::Surroundings;
use crate::payload::{Agent, JobBatch, Payload};
use crate::plan::{OtherJob, Plan, PlannedJob, PlannedOutput};
use crate::report::record::Record;
use crate::report::{self, JobReport, OutputReport, Report, Status, chain, metrics, table};
use crate::runner::{self, Event, Limits, Stop, Task};
use crate::state::JobState;
use crate::store::spool::Listing;
use crate::store::state::Found;
use crate::store::{Store, fallback_agent_id};
use lasting::{Lasting, abandoned, correct_ages, find_lasting};
use outcome::{Circumstances, Taken, failure, gone, take};
use prepare::{announce, prepare_job, prepare_output};

pub use attempt::{Attempt, attempt, attempt_store};
pub use entrance::{Entrance, Entry, enter, look};
pub use lasting::{configured_directory, daemon_directory, splay};

/// The variables that a job's child process may see.
const CHILD_VARIABLES: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// Collects and delivers. When it is told to stop, it delivers what there is.
pub fn run(
    plan: Plan,
    entrance: &Entrance,
    environment: Environment<'_>,
    stop: &Stop,
    watch: &mut dyn FnMut(Event),
) -> Report {
    let mut collected = collect(plan, entrance, environment, stop, watch, Keep::Lasting);
    let found = &entrance.found;
    log::debug!("collected after {}", table::short(collected.started.elapsed()));
    let waiting = std::mem::take(&mut collected.waiting);
    let clocks = collected.boot_id.as_deref().and_then(Clocks::now);
    let corrected = collected
        .store
        .as_ref()
        .and_then(|store| correct_ages(store, found.state.clocks.as_ref(), clocks.as_ref()));
    let has_news = collected.has_news(found, clocks.as_ref());
    collected.warnings.extend(corrected);
    let outputs = collected.outputs.iter().zip(waiting);
    let consignments = outputs.map(|(output, waiting)| Consignment {
        id: output.id.clone(),
        kind: output.kind,
        output: Arc::clone(&output.output),
        payload: collected.payload_for(output),
        spool: collected
            .store
            .as_ref()
            .map(|store| store.spool(&output.id, output.kind).with_caps(output.caps)),
        waiting,
        heeds_pauses: collected.heeds_pauses,
        unencodable: collected.anonymous.clone().filter(|_| output.output.names_agent()),
        prepare: prepare_output(output, environment, &collected.surroundings),
    });
    let mut unsaved = None;
    let outputs = delivery::deliver(
        consignments.collect(),
        &collected.run,
        &collected.surroundings,
        collected.limits.deadline,
        |safe| {
            if has_news {
                unsaved = collected.save_state(found, safe, clocks);
            }
        },
    );
    let replaced = collected.outputs.iter().zip(&outputs);
    let gone = replaced.filter_map(|(output, report)| gone(output, report, &collected.others));
    collected.warnings.extend(gone.collect::<Vec<_>>());
    collected.warnings.extend(found.warning.clone());
    collected.warnings.extend(found.foreign.clone());
    collected.warnings.extend(unsaved);
    let history = collected.store.as_ref().map(Store::history);
    let mut report = collected.report(outputs);
    if let Some((history, record)) = history.zip(Record::of(&report))
        && let Err(error) = history.append(&record)
    {
        report.warnings.push(format!("the history lacks this run: {}", chain(&error)));
    }
    report
}

/// Collects and writes what would be delivered: for each output method, URL, headers and the exact body. Sends
/// nothing and saves nothing. The report is whole even when `to` takes no more.
pub fn rehearse(
    plan: Plan,
    entrance: &Entrance,
    environment: Environment<'_>,
    stop: &Stop,
    watch: &mut dyn FnMut(Event),
    to: &mut dyn Write,
) -> (Report, io::Result<()>) {
    let collected = collect(plan, entrance, environment, stop, watch, Keep::Nothing);
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
    /// What the next run of each job gets.
    states: Vec<JobState>,
    planned: Vec<PlannedJob>,
    others: Vec<OtherJob>,
    outputs: Vec<PlannedOutput>,
    store: Option<Store>,
    surroundings: Arc<Surroundings>,
    /// The jobs' limits, but until the run's deadline.
    limits: Limits,
    started: std::time::Instant,
    warnings: Vec<String>,
    /// Why the agent's id is not known, though there is one.
    anonymous: Option<String>,
    heeds_pauses: bool,
    /// Which boot this is, where the kernel says.
    boot_id: Option<String>,
    /// What waited for each output when the jobs had ended.
    waiting: Vec<Listing>,
}

fn collect(
    plan: Plan,
    entrance: &Entrance,
    environment: Environment<'_>,
    stop: &Stop,
    watch: &mut dyn FnMut(Event),
    keep: Keep,
) -> Collected {
    let mut warnings = Vec::new();
    announce(&plan);
    let hostname = plan.hostname.clone().unwrap_or_else(crate::host::fully_qualified_name);
    let Lasting { directory, store, id } =
        find_lasting(&plan.program, entrance, keep, &mut warnings);
    let anonymous = id.as_ref().err().map(|error| {
        format!(
            "{error}; under another id every series would begin anew, so nothing is sent to outputs that name the agent"
        )
    });
    warnings.extend(anonymous.clone());
    if let Some(store) = store {
        warnings.extend(abandoned(store, entrance.place.as_ref(), &plan.outputs));
    }
    let id = id.ok().flatten().unwrap_or_else(|| fallback_agent_id(&plan.program, &hostname));
    let surroundings = Arc::new(Surroundings {
        agent: Agent { id, program: plan.program.clone(), hostname: hostname.clone() },
        config_directory: plan.config_directory.clone(),
        daemon_directory: directory,
        now_ms: plan.now_ms,
    });
    if store.is_some() {
        // Elsewhere nobody knows when they ran.
        warnings.extend(plan.jobs.iter().filter_map(cadence));
    }
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
        cursor: job.before.cursor.clone().map(Arc::new),
    });
    let variables = CHILD_VARIABLES
        .iter()
        .filter_map(|name| environment(name).map(|value| ((*name).to_owned(), value)));
    let context = Context {
        job: "".into(),
        cursor: None,
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
    let boot_id = crate::host::boot_id();
    let around = Circumstances {
        now_ms: plan.now_ms,
        hostname: &hostname,
        boot_id: boot_id.as_deref(),
        is_kept: store.is_some() || keep == Keep::Nothing,
    };
    let (mut jobs, mut batches, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for (job, outcome) in plan.jobs.iter().zip(outcomes) {
        let mut outputs = plan.outputs.iter();
        let wants_starts =
            outputs.any(|output| output.output.wants_starts() && job.feeds(&output.id));
        let Taken { mut report, batch, starts, state } = take(job, outcome, &around, wants_starts);
        // Where nothing lasts nobody counts failures, and this one might be the tenth.
        report.is_muted &= store.is_some();
        let (job, batch, failure) = (Arc::clone(&job.id), Arc::new(batch), failure(job, &report));
        batches.push(JobBatch { job, batch, starts, failure });
        jobs.push(report);
        states.push(state);
    }
    let waiting = match keep {
        Keep::Lasting => entrance.waiting(&plan.outputs),
        Keep::Nothing => plan.outputs.iter().map(|_| Listing::default()).collect(),
    };
    if plan.run_metrics {
        let spools = plan.outputs.iter().zip(&waiting);
        let backlogs = spools
            .filter(|(output, _)| store.is_some() && output.output.can_wait())
            .map(|(output, waiting)| (output.id.as_str(), waiting));
        let before = store.map(|store| before(store, &entrance.found, &plan.outputs));
        let collecting = plan.started.elapsed();
        let batch = metrics::of_run(&jobs, backlogs, before, collecting, &hostname, plan.now_ms);
        batches.push(JobBatch::new(metrics::JOB.into(), Arc::new(batch)));
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
        states,
        planned: plan.jobs,
        others: plan.others,
        outputs: plan.outputs,
        store: store.cloned(),
        surroundings,
        limits: Limits { deadline: plan.deadline, ..limits },
        started: plan.started,
        warnings,
        anonymous,
        heeds_pauses: plan.heeds_pauses,
        boot_id,
        waiting,
    }
}

/// What the runs before have left to be told.
fn before(store: &Store, found: &Found, outputs: &[PlannedOutput]) -> metrics::Before {
    let mut last = store.history().newest();
    if let Some(last) = &mut last {
        // The history may be shared with another configuration.
        last.outputs.retain(|old| outputs.iter().any(|output| output.id == old.output));
    }
    metrics::Before { runs: found.state.runs, last }
}

impl Collected {
    /// What the jobs that feed this output have brought.
    fn payload_for(&self, output: &PlannedOutput) -> Payload {
        // Behind the jobs' batches stands what the run says about itself, which is for all.
        self.payload.only(|place| self.planned.get(place).is_none_or(|job| job.feeds(&output.id)))
    }

    /// Whether the next run could not as well go on from the state that this one found.
    fn has_news(&self, found: &Found, clocks: Option<&Clocks>) -> bool {
        let before = found.state.clocks.as_ref();
        let is_leap =
            clocks.zip(before).is_some_and(|(now, then)| now.set_ahead_since(then).is_some());
        let is_another_boot = clocks.map(|now| &now.boot_id) != before.map(|then| &then.boot_id);
        let is_another = found.foreign.is_some() || is_another_boot;
        let is_idle = self.planned.is_empty() && self.payload.is_empty();
        !is_idle || is_leap || is_another || !found.is_newest_sound
    }

    /// Saves what the next runs get, of each job whose datapoints are safe with every output that it feeds; of the
    /// others only that they ran. Gives back what went wrong.
    fn save_state(&self, found: &Found, safe: &[bool], clocks: Option<Clocks>) -> Option<String> {
        let store = self.store.as_ref()?;
        let mut state = found.state.clone();
        for (job, after) in self.planned.iter().zip(&self.states) {
            let mut outputs = self.outputs.iter().zip(safe);
            let is_safe = self.outputs.iter().any(|output| job.feeds(&output.id))
                && outputs.all(|(output, safe)| *safe || !job.feeds(&output.id));
            let after = if is_safe { after.clone() } else { job.before.started_again(after) };
            state.jobs.insert(job.id.to_string(), after);
        }
        state.forget_old();
        state.runs = state.runs.saturating_add(u64::from(!self.planned.is_empty()));
        state.clocks = clocks;
        let error = store.save_state(&state, found).err()?;
        Some(format!("the state of the jobs is not saved: {}", chain(&error)))
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
        for output in &outputs {
            let warnings = output.warnings.iter();
            self.warnings.extend(warnings.map(|w| format!("output `{}`: {w}", output.output)));
        }
        self.warnings.extend(crate::secrets::take_warnings());
        let report = Report {
            run: self.run,
            version: env!("CARGO_PKG_VERSION"),
            timestamp_ms: self.payload.timestamp_ms,
            duration: self.started.elapsed(),
            status: report::status(&self.jobs, &outputs, unwanted),
            jobs: self.jobs,
            outputs,
            unwanted,
            warnings: self.warnings,
        };
        log(&report);
        report
    }
}

/// What is said of a job whose runs are further apart than they are meant to be.
fn cadence(job: &PlannedJob) -> Option<String> {
    let missed = job.missed_runs.filter(|missed| *missed > 0)?;
    let (id, every) = (&job.id, Period::of(job.every));
    let missed = table::count(missed, "run");
    Some(format!("job `{id}` is meant to run every {every}: {missed} missed since the last one"))
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

/// A name for the run that sorts by time and differs between two runs of the same moment.
fn run_id(now_ms: i64) -> String {
    format!("{now_ms:x}{:06x}", std::process::id())
}
