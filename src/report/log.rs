//! The log of runs in `log_directory`: a line for each run, and one for everything that went wrong in it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use super::{Report, table};
use crate::plan::Plan;

/// The log of runs, where the configuration wants one.
pub struct Log {
    directory: Option<PathBuf>,
    program: String,
}

/// Why a run is not in the log.
#[derive(Debug, thiserror::Error)]
#[error("`{directory}`")]
pub struct Unwritten {
    directory: PathBuf,
    source: io::Error,
}

impl Log {
    /// The log of a plan's runs.
    pub fn of(plan: &Plan) -> Self {
        let directory = plan.log_directory.as_ref().map(|log| plan.config_directory.join(log));
        Self { directory, program: plan.program.clone() }
    }

    /// Appends a run to `<directory>/<program>.log`, which is made with mode 0600.
    ///
    /// # Errors
    /// [`Unwritten`] when the file cannot be written.
    pub fn append(&self, report: &Report) -> Result<(), Unwritten> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let append = || {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let path = directory.join(format!("{}.log", self.program));
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            file.write_all(lines(report).as_bytes())
        };
        append().map_err(|source| Unwritten { directory: directory.clone(), source })
    }
}

fn lines(report: &Report) -> String {
    let time = jiff::Timestamp::from_millisecond(report.timestamp_ms)
        .map_or_else(|_| report.timestamp_ms.to_string(), |time| time.to_string());
    let line = |level: &str, text: &str| format!("{time} {level} run {}: {text}\n", report.run);
    let summary = format!("status {}, {}", report.status.code(), table::delivery_line(report));
    let mut text = line("info", &summary);
    for warning in &report.warnings {
        text.push_str(&line("warn", warning));
    }
    for failure in report.failures() {
        text.push_str(&line("error", &failure));
    }
    text
}
