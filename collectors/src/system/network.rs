//! Group `network`: what interfaces receive and transmit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failures::Failures;
use super::host::{Host, at, read_optional_text};
use super::points::Points;
use super::row::{Malformed, Row};
use crate::collector::Error;
use crate::pattern::{Pattern, admits};
use crate::sink::Sink;

/// Which network interfaces are told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Interfaces {
    /// Interface names, such as `en*`; none: all.
    include: Vec<Pattern>,
    /// Interface names to leave out, even if included. Setting it replaces the default.
    exclude: Vec<Pattern>,
}

impl Default for Interfaces {
    fn default() -> Self {
        // Each container that starts brings one with a name of its own: series without end.
        let exclude = Pattern::parse("veth*").into_iter().collect();
        Self { include: Vec::new(), exclude }
    }
}

/// Pushes the counters of each interface.
///
/// # Errors
/// [`Error::Absent`] where the kernel has no network.
pub(super) fn network(host: &Host, wanted: &Interfaces, sink: &Sink) -> Result<(), Error> {
    let path = host.namespaced_path("net/dev", "1/net/dev");
    let text = read_optional_text(&path)?;
    let mut failures = Failures::default();
    for row in parse(&text).map_err(|malformed| at(&path, malformed))? {
        match row {
            Ok(interface) if admits(&wanted.include, &wanted.exclude, interface.name) => {
                push(&interface, sink)?;
            }
            Ok(_) => {}
            Err(malformed) => failures.push(at(&path, malformed)),
        }
    }
    failures.into_result("network")
}

/// Counted since the interface came up.
#[derive(Debug, PartialEq)]
struct Interface<'a> {
    name: &'a str,
    receive: Traffic,
    transmit: Traffic,
}

#[derive(Debug, PartialEq)]
struct Traffic {
    bytes: u64,
    packets: u64,
    errors: u64,
    drops: u64,
}

/// The table has a heading of so many lines.
const HEADING_LINES: usize = 2;
/// FIFO errors, frame errors, compressed and multicast packets stand between the two directions.
const COLUMNS_BETWEEN: [&str; 4] = ["FIFO errors", "frame errors", "compressed", "multicast"];

/// An item per interface.
fn parse(text: &str) -> Result<impl Iterator<Item = Result<Interface<'_>, Malformed>>, Malformed> {
    if text.trim().is_empty() {
        return Err(Malformed::Empty);
    }
    let lines = text.lines().enumerate().skip(HEADING_LINES);
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    Ok(lines.map(|(index, line)| Interface::parse(index + 1, line)))
}

impl<'a> Interface<'a> {
    fn parse(number: usize, line: &'a str) -> Result<Self, Malformed> {
        let Some((name, counters)) = line.rsplit_once(':') else {
            return Err(Row::new(number, line).unexpected(line, "an interface and `:`"));
        };
        let mut row = Row::new(number, counters);
        let receive = Traffic::parse(&mut row)?;
        for column in COLUMNS_BETWEEN {
            row.number(column)?;
        }
        Ok(Self { name: name.trim(), receive, transmit: Traffic::parse(&mut row)? })
    }
}

impl Traffic {
    fn parse(row: &mut Row<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            bytes: row.number("bytes")?,
            packets: row.number("packets")?,
            errors: row.number("errors")?,
            drops: row.number("drops")?,
        })
    }
}

fn push(interface: &Interface<'_>, sink: &Sink) -> Result<(), Error> {
    let points = Points::labelled(sink, &[("interface", interface.name)])?;
    let Interface { receive, transmit, .. } = interface;
    points.counter("network_receive_bytes_total", receive.bytes, "bytes")?;
    points.counter("network_receive_packets_total", receive.packets, "packets")?;
    points.counter("network_receive_errors_total", receive.errors, "errors")?;
    points.counter("network_receive_drops_total", receive.drops, "packets")?;
    points.counter("network_transmit_bytes_total", transmit.bytes, "bytes")?;
    points.counter("network_transmit_packets_total", transmit.packets, "packets")?;
    points.counter("network_transmit_errors_total", transmit.errors, "errors")?;
    points.counter("network_transmit_drops_total", transmit.drops, "packets")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n";

    #[test]
    fn counters_may_touch_the_colon() {
        let text = format!("{HEADING}eth0:10 2 3 4 5 6 7 8 90 10 11 12 13 14 15 16\n");
        let interfaces: Vec<_> = parse(&text).expect("a table").collect();
        assert_eq!(
            interfaces,
            [Ok(Interface {
                name: "eth0",
                receive: Traffic { bytes: 10, packets: 2, errors: 3, drops: 4 },
                transmit: Traffic { bytes: 90, packets: 10, errors: 11, drops: 12 },
            })]
        );
    }

    #[test]
    fn good_lines_survive_bad_ones() {
        let good = "lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        let text = format!("{HEADING}{good}\neth0: 1 2\nnothing\n{good}\n");
        let interfaces: Vec<_> = parse(&text).expect("a table").collect();
        let good: Vec<bool> = interfaces.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, false, true]);
        let error = interfaces[1].as_ref().expect_err("short").to_string();
        assert_eq!(error, "line 4 ends where errors was expected");
        assert!(parse("").is_err());
    }
}
