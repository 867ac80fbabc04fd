//! Group `cpu`: where the CPUs' time went.

use std::fs;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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

/// What a run leaves for the next: the ticks that its percents begin with.
#[derive(Debug, Serialize, Deserialize)]
struct Left {
    /// Ticks begin anew with each boot.
    boot_id: Option<String>,
    total: CpuTicks,
    cpus: Vec<(u64, CpuTicks)>,
}

impl Left {
    /// What the last run left, where it is at least `apart` ago and of this boot.
    fn by_last_run(
        context: &Context,
        boot_id: Option<&str>,
        now: &Stat,
        apart: Duration,
    ) -> Option<Self> {
        let left: Self = Self::deserialize(context.cursor.as_deref()?.get("cpu")?).ok()?;
        let is_older =
            seconds(now.total.total().checked_sub(left.total.total())?) >= apart.as_secs_f64();
        (is_older && left.boot_id.as_deref() == boot_id).then_some(left)
    }

    fn of(stat: Stat, boot_id: Option<String>) -> Self {
        Self { boot_id, total: stat.total, cpus: stat.cpus }
    }
}

/// Pushes the share of time by mode since the job's last run; where there was none, between two samples `apart` from
/// each other.
///
/// Nothing else is read between the samples: they should show the host, not this program.
pub(super) fn usage(
    host: &Host,
    context: &Context,
    stat: &Stat,
    detail: Detail,
    apart: Duration,
    sink: &Sink,
) -> Result<(), Error> {
    let boot_id = fs::read_to_string(host.proc_path("sys/kernel/random/boot_id")).ok();
    let boot_id = boot_id.map(|id| id.trim().to_owned());
    let (before, after) = match Left::by_last_run(context, boot_id.as_deref(), stat, apart) {
        Some(left) => (left, stat.clone()),
        None if context.remaining() <= apart => {
            let line = "no `cpu_usage_percent`: the job's time is too short for two samples";
            sink.log(Level::Warn, line)?;
            return leave(stat.clone(), boot_id, sink);
        }
        None => {
            let path = host.proc_path("stat");
            let before = parse_file(&path, stat::parse)?;
            thread::sleep(apart);
            (Left::of(before, None), parse_file(&path, stat::parse)?)
        }
    };
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
    leave(after, boot_id, sink)
}

fn leave(stat: Stat, boot_id: Option<String>, sink: &Sink) -> Result<(), Error> {
    Ok(sink.leave(serde_json::json!({ "cpu": Left::of(stat, boot_id) }))?)
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
