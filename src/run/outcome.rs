//! A job's outcome → its line in the report, and its datapoints.

use collectors::batch::Batch;
use collectors::sink::{Level, clean};

use crate::report::{JobReport, JobResult, table};
use crate::runner::{Ending, Outcome};

/// How many lines the reason of a failure may have, and how many characters each.
const NOTE_LINES: usize = 20;
const NOTE_LINE_CAP: usize = 1000;

/// An outcome as report and datapoints.
pub(super) fn take(id: &str, kind: &str, outcome: Outcome) -> (JobReport, Batch) {
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
