//! Group `load`: how many tasks ran or waited, on average.

use super::host::{Host, parse_file};
use super::points::Points;
use super::row::{Malformed, Row, rows};
use crate::collector::Error;
use crate::sink::Sink;

/// Pushes the averages over 1, 5 and 15 minutes.
pub(super) fn load(host: &Host, sink: &Sink) -> Result<(), Error> {
    let [one, five, fifteen] = parse_file(&host.proc_path("loadavg"), parse)?;
    let points = Points::new(sink);
    points.float("load_average_1m", one, "tasks")?;
    points.float("load_average_5m", five, "tasks")?;
    points.float("load_average_15m", fifteen, "tasks")?;
    Ok(())
}

fn parse(text: &str) -> Result<[f64; 3], Malformed> {
    let (_, mut row): (_, Row<'_>) = rows(text)?.next().ok_or(Malformed::Empty)?;
    let mut average = || row.decimal("a load average");
    Ok([average()?, average()?, average()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_averages_come_first() {
        assert_eq!(parse("0.08 0.06 12.05 1/86 7404\n"), Ok([0.08, 0.06, 12.05]));
        assert!(parse("0.08 0.06").is_err());
        assert!(parse("0.08 0.06 nan 1/86 7404\n").is_err());
        assert_eq!(parse("\n"), Err(Malformed::Empty));
    }
}
