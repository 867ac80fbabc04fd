//! Several failures, told as one.

use std::fmt;

use crate::collector::Error;

/// How many are kept to be told in full.
const KEPT: usize = 10;

/// What went wrong while the rest went on.
#[derive(Debug, Default)]
pub(super) struct Failures {
    kept: Vec<Error>,
    more: usize,
}

impl Failures {
    /// Adds one.
    pub(super) fn push(&mut self, error: Error) {
        if self.kept.len() < KEPT {
            self.kept.push(error);
        } else {
            self.more += 1;
        }
    }

    /// One failure as it is, several as one of `target`.
    pub(super) fn into_result(mut self, target: &str) -> Result<(), Error> {
        if self.kept.len() > 1 {
            return Err(Error::at(target, Several(self)));
        }
        self.kept.pop().map_or(Ok(()), Err)
    }
}

/// At least two errors. A chain has one cause at each link, so here they stand beside each other, each with
/// its own.
#[derive(Debug)]
struct Several(Failures);

impl std::error::Error for Several {}

impl fmt::Display for Several {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Failures { kept, more }) = self;
        write!(f, "{} parts failed", kept.len() + more)?;
        for (index, error) in kept.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { ": " } else { "; " })?;
            let mut cause = std::error::Error::source(error);
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        if *more > 0 { write!(f, "; and {more} more") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_told_as_it_is_and_several_side_by_side() {
        assert!(Failures::default().into_result("x").is_ok());
        let mut failures = Failures::default();
        failures.push(Error::at("/proc/stat", "the file is empty"));
        failures.push(Error::at("/proc/uptime", "no such file"));
        let error = failures.into_result("system").expect_err("two failures");
        assert_eq!(error.to_string(), "`system`");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert_eq!(
            cause,
            "2 parts failed: `/proc/stat`: the file is empty; `/proc/uptime`: no such file"
        );
    }

    #[test]
    fn a_flood_of_failures_is_counted() {
        let mut failures = Failures::default();
        for line in 0..1000 {
            failures.push(Error::at("/proc/diskstats", format!("line {line}")));
        }
        let error = failures.into_result("disk_io").expect_err("failures");
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.starts_with("1000 parts failed: ") && cause.ends_with("; and 990 more"));
    }
}
