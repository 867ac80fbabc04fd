//! The log of runs in `log_directory`: a line for each run, and one for everything that went wrong in it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::{Report, table};

/// Appends a run to `<directory>/<program>.log`, which is made with mode 0600.
///
/// # Errors
/// When the file cannot be written.
pub fn append(directory: &Path, program: &str, report: &Report) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = directory.join(format!("{program}.log"));
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(lines(report).as_bytes())
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
