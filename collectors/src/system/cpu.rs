//! Group `cpu`: where the CPUs' time went.

use std::thread;
use std::time::Duration;

use super::host::{Host, parse_file};
use super::points::Points;
use super::stat::{self, CpuTicks, Stat};
use crate::collector::{Context, Error};
use crate::sink::{Level, Sink};

/// Whether each CPU is told, or only all of them together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Total,
    PerCpu,
}

/// Pushes what was counted since boot.
pub(super) fn counters(stat: &Stat, detail: Detail, sink: &Sink) -> Result<(), Error> {
    for (mode, ticks) in stat.total.by_mode() {
        Points::labelled(sink, &[("mode", mode)])?
            .seconds_counter("cpu_seconds_total", seconds(ticks))?;
    }
    if detail == Detail::PerCpu {
        for (number, ticks) in &stat.cpus {
            let number = number.to_string();
            for (mode, ticks) in ticks.by_mode() {
                Points::labelled(sink, &[("cpu", &number), ("mode", mode)])?
                    .seconds_counter("cpu_core_seconds_total", seconds(ticks))?;
            }
        }
    }
    let points = Points::new(sink);
    if !stat.cpus.is_empty() {
        points.int("cpu_count", stat.cpus.len() as u64, "cpus")?;
    }
    for (key, count, unit) in [
        ("cpu_context_switches_total", stat.context_switches, "switches"),
        ("cpu_interrupts_total", stat.interrupts, "interrupts"),
        ("cpu_soft_interrupts_total", stat.soft_interrupts, "interrupts"),
    ] {
        if let Some(count) = count {
            points.counter(key, count, unit)?;
        }
    }
    Ok(())
}

/// Pushes the share of time by mode between two samples `apart` from each other.
///
/// Nothing else is read meanwhile: the samples should show the host, not this program.
pub(super) fn usage(
    host: &Host,
    context: &Context,
    detail: Detail,
    apart: Duration,
    sink: &Sink,
) -> Result<(), Error> {
    if context.remaining() <= apart {
        let line = "no `cpu_usage_percent`: the job's time is too short for two samples";
        return Ok(sink.log(Level::Warn, line)?);
    }
    let path = host.proc_path("stat");
    let before = parse_file(&path, stat::parse)?;
    thread::sleep(apart);
    let after = parse_file(&path, stat::parse)?;

    if let Some(shares) = Shares::between(&before.total, &after.total) {
        Points::new(sink).float("cpu_usage_percent", shares.busy_percent, "percent")?;
        for (mode, percent) in shares.by_mode {
            Points::labelled(sink, &[("mode", mode)])?.float(
                "cpu_time_percent",
                percent,
                "percent",
            )?;
        }
    }
    if detail == Detail::PerCpu {
        for (number, after) in &after.cpus {
            // A CPU may have come online meanwhile.
            let before = before.cpus.iter().find(|(before, _)| before == number);
            if let Some(shares) = before.and_then(|(_, before)| Shares::between(before, after)) {
                Points::labelled(sink, &[("cpu", &number.to_string())])?.float(
                    "cpu_core_usage_percent",
                    shares.busy_percent,
                    "percent",
                )?;
            }
        }
    }
    Ok(())
}

/// How a stretch of time was spent.
#[derive(Debug, Clone, PartialEq)]
struct Shares {
    /// All that was neither `idle` nor `iowait`.
    busy_percent: f64,
    by_mode: Vec<(&'static str, f64)>,
}

impl Shares {
    /// `None` when no tick passed between the two.
    fn between(before: &CpuTicks, after: &CpuTicks) -> Option<Self> {
        // Some counters may go back a little (`iowait`, and what a hypervisor corrects): taken as none spent.
        let spent: Vec<(&str, f64)> = before
            .by_mode()
            .zip(after.by_mode())
            .map(|((_, before), (mode, after))| (mode, after.saturating_sub(before) as f64))
            .collect();
        let sum = |wanted: fn(&str) -> bool| -> f64 {
            spent.iter().filter(|(mode, _)| wanted(mode)).map(|(_, ticks)| ticks).sum()
        };
        // A guest's time is within `user` and `nice` already.
        let total = sum(|mode| !mode.starts_with("guest"));
        if total <= 0.0 {
            return None;
        }
        let idle = sum(|mode| matches!(mode, "idle" | "iowait"));
        let by_mode = spent.iter().map(|&(mode, ticks)| (mode, 100.0 * ticks / total)).collect();
        Some(Self { busy_percent: 100.0 * (total - idle) / total, by_mode })
    }
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(line: &str) -> CpuTicks {
        stat::parse(line).expect("a good line").total
    }

    #[test]
    fn waiting_is_not_busy_and_a_guest_counts_once() {
        let before = ticks("cpu 100 0 100 1000 50 0 0 0 20 0");
        let after = ticks("cpu 120 0 110 1060 60 0 0 0 30 0");
        let shares = Shares::between(&before, &after).expect("time passed");
        assert_eq!(shares.busy_percent, 30.0);
        assert_eq!(shares.by_mode[0], ("user", 20.0));
        assert_eq!(shares.by_mode[4], ("iowait", 10.0));
        assert_eq!(shares.by_mode[8], ("guest", 10.0));
    }

    #[test]
    fn counters_that_stand_still_or_go_back_give_no_nonsense() {
        let before = ticks("cpu 100 0 100 1000 50");
        assert_eq!(Shares::between(&before, &before), None);
        let after = ticks("cpu 110 0 100 1010 40");
        let shares = Shares::between(&before, &after).expect("time passed");
        assert_eq!(shares.busy_percent, 50.0);
        let huge = ticks("cpu 18446744073709551615 0 0 18446744073709551615");
        let shares = Shares::between(&ticks("cpu 0 0 0 0"), &huge).expect("time passed");
        assert_eq!(shares.busy_percent, 50.0);
    }
}
