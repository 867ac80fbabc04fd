//! The answer: the run's report as JSON, within what Lambda takes.

use serde_json::value::{RawValue, to_raw_value};

use super::failure::Failure;
use crate::report::Report;

/// Lambda takes 6 MB.
const ANSWER_CAP_BYTES: usize = 5_000_000;
/// How much is shown of what would be sent, in bytes.
pub(super) const SHOWN_CAP_BYTES: usize = 256 * 1024;

/// The report as JSON. Of one that is too long, jobs that went well are left out first, then logs, then other jobs.
pub(super) fn of(report: Report) -> Result<Box<RawValue>, Failure> {
    within(report, ANSWER_CAP_BYTES)
}

fn within(mut report: Report, cap_bytes: usize) -> Result<Box<RawValue>, Failure> {
    let all = report.jobs.len();
    let steps: [fn(&mut Report); 2] = [
        |report| report.jobs.retain(|job| !job.result.is_success()),
        |report| report.jobs.iter_mut().for_each(|job| job.log.clear()),
    ];
    let mut steps = steps.into_iter();
    loop {
        let text = to_raw_value(&report).map_err(|error| Failure::Bug(error.to_string()))?;
        if text.get().len() <= cap_bytes {
            return Ok(text);
        }
        match steps.next() {
            Some(step) => step(&mut report),
            None if report.jobs.is_empty() => {
                return Err(Failure::Bug("the report without its jobs is too long".to_owned()));
            }
            None => report.jobs.truncate(report.jobs.len() / 2),
        }
        let left_out = all - report.jobs.len();
        report.warnings.retain(|warning| !warning.ends_with(TOO_LONG));
        report.warnings.push(format!("{left_out} jobs {TOO_LONG}"));
    }
}

const TOO_LONG: &str = "are left out of this answer, which was too long";

/// Keeps the beginning of what is written.
#[derive(Default)]
pub(super) struct Beginning {
    pub(super) bytes: Vec<u8>,
    left_out: usize,
}

impl Beginning {
    pub(super) fn into_text(self) -> String {
        let text = String::from_utf8_lossy(&self.bytes).into_owned();
        match self.left_out {
            0 => text,
            left_out => format!("{text}\n… and {left_out} bytes more"),
        }
    }
}

impl std::io::Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = SHOWN_CAP_BYTES.saturating_sub(self.bytes.len());
        let (kept, rest) = bytes.split_at(room.min(bytes.len()));
        self.bytes.extend_from_slice(kept);
        self.left_out += rest.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
