//! Group `uptime`: since when the host runs.

use super::host::{Host, parse_file};
use super::points::Points;
use super::row::{Malformed, rows};
use super::stat::Stat;
use crate::collector::Error;
use crate::sink::Sink;

/// Pushes for how long the host has been up, and since when.
pub(super) fn uptime(host: &Host, stat: Option<&Stat>, sink: &Sink) -> Result<(), Error> {
    let points = Points::new(sink);
    if let Some(boot_time_seconds) = stat.and_then(|stat| stat.boot_time_seconds) {
        points.int("boot_time_seconds", boot_time_seconds, "seconds")?;
    }
    let seconds = parse_file(&host.proc_path("uptime"), parse)?;
    Ok(points.float("uptime_seconds", seconds, "seconds")?)
}

fn parse(text: &str) -> Result<f64, Malformed> {
    let (_, mut row) = rows(text)?.next().ok_or(Malformed::Empty)?;
    row.decimal("seconds since boot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_counts() {
        assert_eq!(parse("2193.09 4238.49\n"), Ok(2193.09));
        assert_eq!(parse(""), Err(Malformed::Empty));
        assert!(parse("-1.0 0").is_err());
    }
}
