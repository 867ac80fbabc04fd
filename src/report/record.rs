//! A report cut down to a line of the history of runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{JobReport, OutputReport, Report};

/// How many characters of a note or warning are kept.
const TEXT_CAP: usize = 200;
/// How many warnings are kept.
const WARNINGS_CAP: usize = 10;

/// One run, as the history keeps it. What is zero or empty is left out of its JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The run's id.
    pub run: String,
    /// The run's clock, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// How long it took, in seconds.
    pub duration_seconds: f64,
    /// The exit status.
    pub status: u8,
    /// The jobs that ran.
    #[serde(default)]
    pub jobs: Vec<JobRecord>,
    /// The outputs.
    #[serde(default)]
    pub outputs: Vec<OutputRecord>,
    /// What was odd about the run as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One job of a [`Record`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Its id.
    pub job: String,
    /// How it ended, in the word of [`JobResult::as_str`](super::JobResult::as_str).
    pub result: String,
    /// Whether it did what it should.
    pub success: bool,
    /// Datapoints it brought.
    pub datapoints: u64,
    /// How long it ran, in seconds.
    pub duration_seconds: f64,
    /// Datapoints that could not be made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One output of a [`Record`]; the numbers are datapoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Its id.
    pub output: String,
    /// Accepted.
    pub accepted: u64,
    /// Waiting in the spool.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// Set aside.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub quarantined: u64,
    /// Lost for whichever reason: given up, not fit to be sent, or left out for another value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Record {
    /// The report, cut down. `None` for a run that had nothing to do and nothing to say.
    pub fn of(report: &Report) -> Option<Self> {
        let is_idle = report.status == super::Status::Success
            && report.jobs.is_empty()
            && report.warnings.is_empty()
            && report.outputs.iter().all(|output| output.accepted_bodies == 0);
        let record = Self {
            run: report.run.clone(),
            timestamp_ms: report.timestamp_ms,
            duration_seconds: seconds(report.duration),
            status: report.status.code(),
            jobs: report.jobs.iter().map(JobRecord::of).collect(),
            outputs: report.outputs.iter().map(OutputRecord::of).collect(),
            warnings: report.warnings.iter().take(WARNINGS_CAP).map(|text| cut(text)).collect(),
        };
        (!is_idle).then_some(record)
    }

    /// How long it took; nothing for a number that is no length of time.
    pub fn duration(&self) -> Duration {
        duration(self.duration_seconds)
    }

    /// What went wrong first, and how much besides.
    pub fn reason(&self) -> Option<String> {
        let jobs = self.jobs.iter().filter(|job| !job.success || job.refused > 0).map(|job| {
            let note = job.note.as_deref().unwrap_or("datapoints refused");
            format!("job `{}` {}: {note}", job.job, job.result)
        });
        let outputs = self.outputs.iter().filter_map(|output| {
            output.note.as_ref().map(|note| format!("output `{}`: {note}", output.output))
        });
        let mut reasons = jobs.chain(outputs).chain(self.warnings.iter().cloned());
        let first = reasons.next()?;
        Some(match reasons.count() {
            0 => first,
            more => format!("{first} (and {more} more)"),
        })
    }
}

impl JobRecord {
    fn of(job: &JobReport) -> Self {
        Self {
            job: job.job.clone(),
            result: job.result.as_str().to_owned(),
            success: job.result.is_success(),
            datapoints: job.datapoints,
            duration_seconds: seconds(job.duration),
            refused: job.refused,
            note: job.note.as_deref().map(cut),
        }
    }

    /// How long it ran; nothing for a number that is no length of time.
    pub fn duration(&self) -> Duration {
        duration(self.duration_seconds)
    }
}

impl OutputRecord {
    fn of(output: &OutputReport) -> Self {
        Self {
            output: output.output.clone(),
            accepted: output.accepted,
            waiting: output.waiting,
            quarantined: output.quarantined,
            lost: output.lost + output.refused + output.superseded,
            note: output.note.as_deref().or(output.faults.first().map(String::as_str)).map(cut),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CAP) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// With microseconds: more is noise, and longer.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{JobResult, Status};

    fn report(jobs: Vec<JobReport>, outputs: Vec<OutputReport>) -> Report {
        Report {
            run: "r1".into(),
            version: "0",
            timestamp_ms: 1_700_000_000_456,
            duration: Duration::from_nanos(1_234_567_891),
            status: crate::report::status(&jobs, &outputs, 0),
            jobs,
            outputs,
            unwanted: 0,
            warnings: Vec::new(),
        }
    }

    fn job(result: JobResult, note: Option<&str>) -> JobReport {
        JobReport {
            job: "j".into(),
            collector: "exec".into(),
            result,
            datapoints: 3,
            refused: 0,
            refusals: Vec::new(),
            labels_dropped: 0,
            duration: Duration::from_millis(5),
            note: note.map(str::to_owned),
            log: Vec::new(),
            missed_runs: None,
            warming_up: 0,
            failures_in_a_row: 0,
            is_muted: false,
        }
    }

    #[test]
    fn a_record_is_one_line_without_zeros_that_reads_back() -> Result<(), serde_json::Error> {
        let output = OutputReport {
            output: "o".into(),
            refused: 1,
            superseded: 1,
            lost: 1,
            ..OutputReport::default()
        };
        let whole = report(vec![job(JobResult::Failed, Some("a\nb"))], vec![output]);
        let record = Record::of(&whole).unwrap_or_else(|| panic!("not idle"));
        let line = serde_json::to_string(&record)?;
        assert_eq!(
            line,
            r#"{"run":"r1","timestamp_ms":1700000000456,"duration_seconds":1.234568,"status":5,"#
                .to_owned()
                + r#""jobs":[{"job":"j","result":"failed","success":false,"datapoints":3,"#
                + r#""duration_seconds":0.005,"note":"a\nb"}],"#
                + r#""outputs":[{"output":"o","accepted":0,"lost":3}]}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&line)?, record);
        assert_eq!(record.reason().as_deref(), Some("job `j` failed: a\nb"));
        Ok(())
    }

    #[test]
    fn long_notes_are_cut_between_characters() {
        let whole = report(vec![job(JobResult::Late, Some(&"µ".repeat(300)))], Vec::new());
        let record = Record::of(&whole).unwrap_or_else(|| panic!("not idle"));
        let note = record.jobs[0].note.as_deref().unwrap_or_default();
        assert_eq!(note.chars().count(), TEXT_CAP + 1);
    }

    #[test]
    fn a_run_with_nothing_to_do_has_no_record() {
        assert_eq!(Record::of(&report(Vec::new(), vec![OutputReport::default()])), None);
        let waiting = OutputReport { waiting_bodies: 1, ..OutputReport::default() };
        let record = Record::of(&report(Vec::new(), vec![waiting]));
        assert_eq!(record.map(|record| record.status), Some(Status::Waiting.code()));
    }
}
