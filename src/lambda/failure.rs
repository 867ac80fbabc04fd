//! Why an invocation fails: its error type is an interface, for alarms and whoever reads the dead-letter queue.

use std::time::Duration;

use lambda_runtime::Diagnostic;

use crate::report::{Report, Status, table};
use crate::store;
use crate::store::lock::NotLocked;

/// How much of what went wrong is told, in bytes. The log has all of it.
const MESSAGE_CAP_BYTES: usize = 16 * 1024;

/// Why an invocation fails.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The event asks for something that cannot be.
    #[error("the event: {0}")]
    Event(String),
    /// There is no configuration, or it has mistakes.
    #[error("the configuration: {0}")]
    Configuration(String),
    /// The function's own folder cannot be used.
    #[error("what a run keeps cannot be kept")]
    Storage(#[source] store::Error),
    /// Another run is going.
    #[error(transparent)]
    Locked(NotLocked),
    /// There is not even the time to begin.
    #[error(
        "only {} are left of the invocation: nothing was collected; the function's timeout is too short",
        table::short(*.0)
    )]
    NoTime(Duration),
    /// The run does not end.
    #[error("the run had not ended after {}: it is left behind", table::short(*.0))]
    Late(Duration),
    /// What became of the run.
    #[error("status {}, {}: {told}", .status.code(), .status.meaning())]
    Run {
        /// The exit status that the command line would have.
        status: Status,
        /// What went wrong.
        told: String,
    },
    /// A bug.
    #[error("a bug in collector: {0}")]
    Bug(String),
}

impl Failure {
    /// A run's failure, when its status is one.
    pub(super) fn of(report: &Report, fails_on_job_failure: bool) -> Option<Self> {
        let is_failure = match report.status {
            Status::Success => false,
            Status::JobFailed => fails_on_job_failure,
            Status::Bug | Status::Usage | Status::Waiting | Status::Lost | Status::Locked => true,
        };
        is_failure.then(|| {
            let warnings = report.warnings.iter().cloned();
            let lines: Vec<_> = report.failures().into_iter().chain(warnings).collect();
            Self::Run { status: report.status, told: lines.join("; ") }
        })
    }

    /// The error type.
    fn error_type(&self) -> &'static str {
        match self {
            Self::Event(_) => "Collector.Event",
            Self::Configuration(_) => "Collector.Configuration",
            Self::Storage(_) => "Collector.Storage",
            Self::Locked(_) => "Collector.Locked",
            Self::NoTime(_) => "Collector.NoTime",
            Self::Late(_) => "Collector.Late",
            Self::Bug(_) => "Collector.Bug",
            Self::Run { status, .. } => match status {
                Status::JobFailed => "Collector.JobFailed",
                Status::Waiting => "Collector.Waiting",
                Status::Lost => "Collector.Lost",
                Status::Locked => "Collector.Locked",
                Status::Usage => "Collector.Configuration",
                Status::Success | Status::Bug => "Collector.Bug",
            },
        }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        let mut message = crate::report::chain(&failure);
        if message.len() > MESSAGE_CAP_BYTES {
            let end = message.floor_char_boundary(MESSAGE_CAP_BYTES);
            message.truncate(end);
            message.push_str(" … (the log has the rest)");
        }
        Self { error_type: failure.error_type().to_owned(), error_message: message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_story_is_cut_between_characters() {
        let told = "ö".repeat(MESSAGE_CAP_BYTES);
        let failure = Failure::Run { status: Status::Lost, told };
        let Diagnostic { error_type, error_message } = failure.into();
        assert_eq!(error_type, "Collector.Lost");
        assert!(error_message.starts_with("status 5, data was lost"), "{error_message:.100}");
        assert!(error_message.len() < MESSAGE_CAP_BYTES + 100);
    }
}
