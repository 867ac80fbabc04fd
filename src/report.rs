//! What happened in a run: jobs, outputs, exit status. Pure; written for machines here, for people in `table`.

pub mod log;
pub mod metrics;
pub mod record;
pub mod status;
pub mod table;

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use status::Status;

use crate::payload::{Encoded, Refused};
use crate::runner::Ending;

/// How many reasons of refusals a line names; the report has more.
const REASONS_SHOWN: usize = 3;

/// One run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The run's id.
    pub run: String,
    /// The program's version.
    pub version: &'static str,
    /// The run's clock, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// How long it took.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// What became of it, as the process's exit status.
    pub status: Status,
    /// The jobs, in the order of the configuration.
    pub jobs: Vec<JobReport>,
    /// The outputs, in the order of the configuration.
    pub outputs: Vec<OutputReport>,
    /// Datapoints that no output was to have; they are lost.
    pub unwanted: u64,
    /// What is odd about the run as a whole.
    pub warnings: Vec<String>,
}

/// One job of a run.
#[derive(Debug, Serialize)]
pub struct JobReport {
    /// Its id.
    pub job: String,
    /// Its collector's name.
    pub collector: String,
    /// How it ended.
    pub result: JobResult,
    /// Datapoints it brought.
    pub datapoints: u64,
    /// Datapoints that could not be made.
    pub refused: u64,
    /// The first of those.
    pub refusals: Vec<String>,
    /// Labels that were left off.
    pub labels_dropped: u64,
    /// How long it ran.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// Why it failed, or what is worth knowing.
    pub note: Option<String>,
    /// The last lines of its own log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// How many runs are missing since the last one; `None` where nobody keeps to the interval.
    pub missed_runs: Option<u64>,
    /// How many of its counters have no rate yet.
    pub warming_up: u64,
    /// How many times it has failed in a row.
    pub failures_in_a_row: u32,
    /// Whether nothing is said of its failure yet (`alert_after`).
    pub is_muted: bool,
}

/// How a job ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobResult {
    /// Everything was collected.
    Ok,
    /// There is no such thing on this host.
    Absent,
    /// It failed.
    Failed,
    /// It was not done in time.
    Late,
    /// It panicked.
    Panicked,
    /// It had no turn.
    NotStarted,
}

impl JobResult {
    /// The word in reports and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Absent => "absent",
            Self::Failed => "failed",
            Self::Late => "late",
            Self::Panicked => "panicked",
            Self::NotStarted => "not started",
        }
    }

    /// Whether the job did what it should.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Absent)
    }
}

impl From<&Ending> for JobResult {
    fn from(ending: &Ending) -> Self {
        match ending {
            Ending::Done => Self::Ok,
            Ending::Absent(_) => Self::Absent,
            Ending::Failed(_) => Self::Failed,
            Ending::Late(..) => Self::Late,
            Ending::Panicked(_) => Self::Panicked,
            Ending::NotStarted(_) => Self::NotStarted,
        }
    }
}

/// One output of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OutputReport {
    /// Its id.
    pub output: String,
    /// Its kind.
    pub kind: String,
    /// Datapoints that it accepted, of this run and of those before.
    pub accepted: u64,
    /// Bodies that it accepted.
    pub accepted_bodies: u64,
    /// Datapoints that wait in the spool.
    pub waiting: u64,
    /// Bodies that wait in the spool.
    pub waiting_bodies: u64,
    /// Datapoints that were set aside because the output will never accept them.
    pub quarantined: u64,
    /// Datapoints that must not be sent to it.
    pub refused: u64,
    /// The first of those.
    pub refusals: Vec<String>,
    /// Datapoints left out because they say the same again.
    pub duplicates: u64,
    /// Datapoints left out because their series had another value before.
    pub superseded: u64,
    /// The jobs and keys of the first few of those, as far as the output tells.
    pub superseded_named: Vec<String>,
    /// Datapoints that are lost for another reason.
    pub lost: u64,
    /// Labels that were left off.
    pub labels_dropped: u64,
    /// What went wrong.
    pub note: Option<String>,
    /// What is odd, though nothing is lost by it yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Faults of its spool, or of its own: nobody knows what waits behind them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

impl Report {
    /// How many datapoints the jobs brought.
    pub fn datapoints(&self) -> u64 {
        self.jobs.iter().map(|job| job.datapoints).sum()
    }

    /// One line for each thing that went wrong, naming job or output, and cause.
    pub fn failures(&self) -> Vec<String> {
        self.lines(|_| true)
    }

    /// The same without the failures that are not to be told yet (`alert_after`).
    pub fn failures_to_tell(&self) -> Vec<String> {
        self.lines(|job| !job.is_muted)
    }

    fn lines(&self, wants: impl Fn(&JobReport) -> bool) -> Vec<String> {
        let jobs = self.jobs.iter().filter(|job| wants(job)).filter_map(JobReport::failure);
        let outputs = self.outputs.iter().flat_map(OutputReport::failures);
        let unwanted = (self.unwanted > 0).then(|| {
            let unwanted = table::count(self.unwanted, "datapoint");
            format!("{unwanted} lost: no output is fed by their jobs")
        });
        jobs.chain(outputs).chain(unwanted).collect()
    }
}

impl JobReport {
    /// What went wrong, on one line.
    fn failure(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.result.is_success() {
            let note = self.note.as_deref().unwrap_or_default();
            parts.push(format!("{}: {note}", self.result.as_str()));
        }
        if self.refused > 0 {
            let refused = table::count(self.refused, "datapoint");
            parts.push(format!("{refused} refused: {}", self.reasons()));
        }
        (!parts.is_empty()).then(|| format!("job `{}` {}", self.job, parts.join("; ")))
    }

    /// The first different reasons of refusals, each with what was refused first for it.
    fn reasons(&self) -> String {
        let mut seen = HashSet::new();
        let mut shown = Vec::new();
        for refusal in &self.refusals {
            let reason = refusal.split_once("`: ").map_or(refusal.as_str(), |(_, reason)| reason);
            if shown.len() < REASONS_SHOWN && seen.insert(reason) {
                shown.push(refusal.as_str());
            }
        }
        shown.join("; ")
    }
}

impl OutputReport {
    /// Takes in what encoding left out.
    pub fn count(&mut self, encoded: Encoded) {
        self.refused += encoded.refused;
        self.duplicates += encoded.duplicates;
        self.superseded += encoded.superseded;
        self.superseded_named.extend(encoded.superseded_named);
        self.labels_dropped += encoded.labels_dropped;
        let named = encoded.refusals.into_iter();
        self.refusals.extend(
            named.map(|Refused { job, key, reason }| format!("job `{job}`, key `{key}`: {reason}")),
        );
    }

    fn failures(&self) -> Vec<String> {
        let note = self.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        let mut lines = Vec::new();
        let mut say = |count: u64, what: String| {
            if count > 0 {
                let count = table::count(count, "datapoint");
                lines.push(format!("output `{}`: {count} {what}", self.output));
            }
        };
        let wait = if self.waiting == 1 { "waits" } else { "wait" };
        let bodies = if self.waiting_bodies == 1 { "body" } else { "bodies" };
        say(self.waiting, format!("{wait} in {} {bodies}{note}", self.waiting_bodies));
        say(self.quarantined, format!("set aside{note}"));
        say(self.lost, format!("lost{note}"));
        say(self.refused, format!("refused: {}", self.refusals.join("; ")));
        let named = match self.superseded_named.as_slice() {
            [] => String::new(),
            named => format!(" (first {})", named.join("; ")),
        };
        let why = "its series had another value in this run; a label may be missing";
        say(self.superseded, format!("left out: {why}{named}"));
        if lines.is_empty()
            && let Some(note) = &self.note
        {
            lines.push(format!("output `{}`: {note}", self.output));
        }
        lines.extend(self.faults.iter().map(|e| format!("output `{}`: {e}", self.output)));
        lines
    }

    fn status(&self) -> Status {
        if self.quarantined + self.refused + self.superseded + self.lost > 0 {
            Status::Lost
        } else if self.waiting_bodies > 0 || !self.faults.is_empty() {
            Status::Waiting
        } else {
            Status::Success
        }
    }
}

/// The exit status of a run with these jobs and outputs, and so many datapoints that no output was to have: the
/// gravest of all.
pub fn status(jobs: &[JobReport], outputs: &[OutputReport], unwanted: u64) -> Status {
    let unwanted = if unwanted > 0 { Status::Lost } else { Status::Success };
    let jobs = jobs.iter().map(|job| match job {
        job if job.refused > 0 => Status::Lost,
        job if job.result.is_success() => Status::Success,
        _ => Status::JobFailed,
    });
    jobs.chain(outputs.iter().map(OutputReport::status)).max().unwrap_or(unwanted).max(unwanted)
}

/// An error and its causes on one line, each cause once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// A text of somebody else's, on one line: a control character is shown by its code and does nothing.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let escape = |c: char| {
        let (plain, code) = if c.is_control() { (None, Some(c)) } else { (Some(c), None) };
        plain.into_iter().chain(code.into_iter().flat_map(char::escape_default))
    };
    text.chars().flat_map(escape).collect::<String>().into()
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_status_wins() {
        let waiting = OutputReport { waiting_bodies: 1, ..OutputReport::default() };
        let lost = OutputReport { refused: 1, ..OutputReport::default() };
        assert_eq!(status(&[], &[], 0), Status::Success);
        assert_eq!(status(&[], std::slice::from_ref(&waiting), 0), Status::Waiting);
        assert_eq!(status(&[], &[waiting, lost], 0), Status::Lost);
        let unread = OutputReport { faults: vec!["`x`".into()], ..OutputReport::default() };
        assert_eq!(unread.failures(), ["output ``: `x`"]);
        assert_eq!(status(&[], &[unread], 0), Status::Waiting);
    }

    #[test]
    fn what_no_output_was_to_have_is_lost() {
        assert_eq!(status(&[], &[], 1), Status::Lost);
    }

    #[test]
    fn control_characters_of_others_do_nothing() {
        assert_eq!(printable("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
    }

    #[test]
    fn a_job_that_failed_and_had_refusals_is_one_line_with_each_reason_once() {
        let refusals = ["`a`: empty", "`b`: empty", "`c`: too long"].map(str::to_owned).to_vec();
        let job = JobReport {
            job: "j".into(),
            collector: "exec".into(),
            result: JobResult::Failed,
            datapoints: 0,
            refused: 9,
            refusals,
            labels_dropped: 0,
            duration: Duration::ZERO,
            note: Some("status 1".into()),
            log: Vec::new(),
            missed_runs: None,
            warming_up: 0,
            failures_in_a_row: 1,
            is_muted: false,
        };
        let line = "job `j` failed: status 1; 9 datapoints refused: `a`: empty; `c`: too long";
        assert_eq!(job.failure().as_deref(), Some(line));
    }
}
