//! A job's outcome → its line in the report, its datapoints, and what its next run gets; and what jobs without one leave out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::period::Period;
use collectors::redact::Redact;
use collectors::sink::{Collected, Level, clean};

use crate::config::sections::Expect;
use crate::plan::{OtherJob, PlannedJob, PlannedOutput};
use crate::rates;
use crate::report::table::count;
use crate::report::{JobReport, JobResult, OutputReport, table};
use crate::runner::{Ending, Outcome};
use crate::starts::{self, Known};
use crate::state::JobState;

/// How many lines the reason of a failure may have, and how many characters each.
const NOTE_LINES: usize = 20;
const NOTE_LINE_CAP: usize = 1000;

/// So many jobs are named in one warning.
const GONE_NAMED: usize = 3;

/// What became of a job.
pub(super) struct Taken {
    pub(super) report: JobReport,
    pub(super) batch: Batch,
    /// When each counter of the batch began to count; empty where nobody asked.
    pub(super) starts: Arc<[Option<i64>]>,
    /// What its next run gets, once the batch is safe.
    pub(super) state: JobState,
}

/// What an outcome is taken with.
pub(super) struct Circumstances<'a> {
    /// The run's clock, in milliseconds since 1970.
    pub(super) now_ms: i64,
    /// The host's name.
    pub(super) hostname: &'a str,
    /// The host's boot.
    pub(super) boot_id: Option<&'a str>,
    /// Whether the next run gets anything.
    pub(super) is_kept: bool,
}

/// An outcome as report, datapoints and state. `wants_starts`: an output says since when counters count.
pub(super) fn take(
    job: &PlannedJob,
    outcome: Outcome,
    around: &Circumstances<'_>,
    wants_starts: bool,
) -> Taken {
    let Outcome { ending, collected, duration } = outcome;
    let has_started = !matches!(ending, Ending::NotStarted(_));
    let (mut result, mut parts) = verdict(ending, &collected);
    if result.is_success()
        && let Some(unmet) = unmet(&job.expect, &collected.batch, around.now_ms)
    {
        result = JobResult::Failed;
        parts.push(unmet);
    }
    for (level, line) in &collected.log {
        log::log!(target: "job", log_level(*level), "{}: {line}", job.id);
    }
    let refusals = collected.refusals.iter().map(|r| format!("`{}`: {}", r.what, r.reason));
    let no_rate = "a rate had no room".to_owned();
    let mut batch = collected.batch;
    let same_boot = job.before.boot_id.as_deref() == around.boot_id;
    // Where nothing can be kept a difference would be counted again and again.
    let before = if around.is_kept { job.before.counters.clone() } else { BTreeMap::new() };
    let mut applied =
        rates::apply(&mut batch, &job.rates, before, around.hostname, same_boot, around.now_ms);
    let starts = if wants_starts {
        let known = Known {
            before: around.is_kept.then_some(&job.before.counters),
            since_ms: collected.counting_since_ms,
            host: around.hostname,
            same_boot,
            now_ms: around.now_ms,
        };
        starts::find(&batch, known, &mut applied.counters)
    } else {
        Arc::default()
    };
    let mut report = JobReport {
        job: job.id.to_string(),
        collector: job.kind.to_owned(),
        result,
        datapoints: batch.len() as u64,
        refused: collected.refused + applied.refused,
        refusals: refusals.chain((applied.refused > 0).then_some(no_rate)).collect(),
        labels_dropped: collected.labels_dropped,
        duration,
        note: None,
        log: collected.log.iter().map(|(_, line)| line.clone()).collect(),
        missed_runs: job.missed_runs,
        warming_up: applied.warming_up,
        failures_in_a_row: 0,
        is_muted: false,
    };
    if !result.is_success() || report.refused > 0 {
        report.failures_in_a_row = job.before.failures_in_a_row.saturating_add(1);
        // What is lost is never kept quiet.
        report.is_muted = report.refused == 0 && report.failures_in_a_row < job.alert_after;
    }
    if applied.warming_up > 0 {
        parts.push(format!(
            "warming up: {} have no rate before the next run",
            count(applied.warming_up, "counter")
        ));
    }
    report.note = noted(&parts);
    let state = JobState {
        // One that had no turn is still due.
        last_start_ms: if has_started { Some(around.now_ms) } else { job.before.last_start_ms },
        failures_in_a_row: report.failures_in_a_row,
        // A job that said nothing goes on from where it was.
        cursor: collected.cursor.or_else(|| job.before.cursor.clone()),
        boot_id: around.boot_id.filter(|_| !applied.counters.is_empty()).map(str::to_owned),
        counters: applied.counters,
    };
    Taken { report, batch, starts, state }
}

/// Why a job failed, for those outside of this host; `None` when it did not, or when it is not to be told yet.
pub(super) fn failure(job: &PlannedJob, report: &JobReport) -> Option<Arc<str>> {
    if report.result.is_success() || report.is_muted {
        return None;
    }
    let note = report.note.as_deref().unwrap_or(report.result.as_str());
    let redact = Redact::new(job.collector.secrets());
    let lines: Vec<_> = note.lines().map(|line| redact.text(line)).collect();
    Some(lines.join("\n").into())
}

/// How a job ended, and everything that is to be said about it.
pub(super) fn verdict(ending: Ending, collected: &Collected) -> (JobResult, Vec<String>) {
    let mut result = JobResult::from(&ending);
    if result.is_success() && collected.errors_total > 0 {
        result = JobResult::Failed;
    }
    let reported = collected.errors.first().map(|first| match collected.errors_total {
        1 => first.clone(),
        total => format!("{first} (and {})", count(total - 1, "more error")),
    });
    (result, note(ending).into_iter().chain(reported).collect())
}

/// What is said, as one note.
pub(super) fn noted(parts: &[String]) -> Option<String> {
    (!parts.is_empty()).then(|| shown(&parts.join("; ")))
}

/// What the runner has to say.
fn note(ending: Ending) -> Option<String> {
    match ending {
        Ending::Done => None,
        Ending::Absent(why) | Ending::Failed(why) | Ending::Panicked(why) => Some(why),
        Ending::NotStarted(why) => Some(why),
        Ending::Late(ran, why) => {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            Some(format!("not done after {}{why}", table::short(ran)))
        }
    }
}

/// What was expected of a job and did not come.
fn unmet(expect: &Expect, batch: &Batch, now_ms: i64) -> Option<String> {
    if let Some(least) = expect.min_points
        && (batch.len() as u64) < least
    {
        let expected = count(least, "datapoint");
        return Some(format!("expected at least {expected}, got {}", batch.len()));
    }
    let age = expect.max_age?;
    let Some(newest_ms) = batch.points().iter().map(|point| point.timestamp_ms).max() else {
        return Some(format!("expected a datapoint of the last {age}, got none"));
    };
    let ahead_ms = newest_ms.saturating_sub(now_ms);
    if Duration::from_millis(u64::try_from(ahead_ms).unwrap_or(0)) > age.get() {
        return Some(format!(
            "expected a datapoint of the last {age}, the newest is of the future"
        ));
    }
    let old = Duration::from_millis(u64::try_from(now_ms.saturating_sub(newest_ms)).unwrap_or(0));
    (old > age.get()).then(|| {
        let old = Period::of(Duration::from_secs(old.as_secs()));
        format!("expected a datapoint of the last {age}, the newest is {old} old")
    })
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

/// That jobs which did not run are gone from an output that holds one run.
pub(super) fn gone(
    output: &PlannedOutput,
    report: &OutputReport,
    others: &[OtherJob],
) -> Option<String> {
    if !output.output.is_replaced() || report.accepted == 0 {
        return None;
    }
    let jobs = others.iter().filter(|job| job.feeds(&output.id));
    let jobs: Vec<_> = jobs.map(|job| format!("`{}`", job.id)).collect();
    let (shown, more) = jobs.split_at(jobs.len().min(GONE_NAMED));
    let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
    (!jobs.is_empty()).then(|| {
        format!(
            "the output `{}` holds only what this run brought: {}{more} did not run",
            output.id,
            shown.join(", ")
        )
    })
}
