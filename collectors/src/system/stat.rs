//! `/proc/stat`, which three groups share.

use serde::{Deserialize, Serialize};

use super::row::{Malformed, Row, rows};

/// The columns of a `cpu` line, in the kernel's order; older kernels have fewer.
pub(super) const MODES: [&str; 10] =
    ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
/// Every kernel has so many.
const MODES_ALWAYS: usize = 4;

/// What was counted since boot.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Stat {
    /// All CPUs together.
    pub(super) total: CpuTicks,
    /// Each CPU that is online, by its number.
    pub(super) cpus: Vec<(u64, CpuTicks)>,
    pub(super) interrupts: Option<u64>,
    pub(super) soft_interrupts: Option<u64>,
    pub(super) context_switches: Option<u64>,
    /// Seconds since 1970.
    pub(super) boot_time_seconds: Option<u64>,
    pub(super) forks: Option<u64>,
    /// Tasks, which means threads.
    pub(super) running: Option<u64>,
    /// Tasks, which means threads.
    pub(super) blocked: Option<u64>,
}

/// Clock ticks by mode.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct CpuTicks(Vec<u64>);

impl CpuTicks {
    /// Mode and ticks, as many as the kernel knows.
    pub(super) fn by_mode(&self) -> impl Iterator<Item = (&'static str, u64)> {
        MODES.into_iter().zip(self.0.iter().copied())
    }

    /// All of them; a guest's are within `user` and `nice` already.
    pub(super) fn total(&self) -> u64 {
        let all = self.by_mode().filter(|(mode, _)| !mode.starts_with("guest"));
        all.fold(0, |total, (_, ticks)| total.saturating_add(ticks))
    }

    fn parse(mut row: Row<'_>) -> Result<Self, Malformed> {
        let mut ticks = Vec::with_capacity(MODES.len());
        for index in 0..MODES.len() {
            let mut ahead = row.clone();
            if index >= MODES_ALWAYS && ahead.next_text().is_none() {
                break;
            }
            ticks.push(row.number("clock ticks")?);
        }
        Ok(Self(ticks))
    }
}

/// Parses the file; lines of kernels yet to come are passed over.
///
/// # Errors
/// [`Malformed`] for a field that is no number, and when there is no line `cpu`.
pub(super) fn parse(text: &str) -> Result<Stat, Malformed> {
    let mut stat = Stat::default();
    let mut has_total = false;
    for (_, mut row) in rows(text)? {
        let name = row.text("a name")?;
        match name {
            "cpu" => {
                stat.total = CpuTicks::parse(row)?;
                has_total = true;
            }
            "intr" => stat.interrupts = Some(row.number("interrupts")?),
            "softirq" => stat.soft_interrupts = Some(row.number("soft interrupts")?),
            "ctxt" => stat.context_switches = Some(row.number("context switches")?),
            "btime" => stat.boot_time_seconds = Some(row.number("the time of boot")?),
            "processes" => stat.forks = Some(row.number("forks")?),
            "procs_running" => stat.running = Some(row.number("running tasks")?),
            "procs_blocked" => stat.blocked = Some(row.number("blocked tasks")?),
            _ => {
                if let Some(number) = name.strip_prefix("cpu") {
                    let number = number.parse().map_err(|_| row.unexpected(name, "a CPU"))?;
                    stat.cpus.push((number, CpuTicks::parse(row)?));
                }
            }
        }
    }
    if has_total { Ok(stat) } else { Err(Malformed::Missing("cpu")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_lines_that_a_kernel_lacks_are_not_made_up() {
        let stat = parse("cpu  1 2 3 4\ncpu0 1 2 3 4 5\ncpu7 0 0 0 0 0 0 0 0 0 0 99\nintr 9 1 1\n")
            .expect("an old kernel's");
        assert_eq!(stat.total.by_mode().last(), Some(("idle", 4)));
        assert_eq!(stat.cpus[0].1.by_mode().last(), Some(("iowait", 5)));
        assert_eq!(stat.cpus[1].0, 7, "CPUs 1 to 6 are offline");
        assert_eq!(stat.cpus[1].1.by_mode().count(), 10, "a column to come is passed over");
        assert_eq!((stat.interrupts, stat.context_switches), (Some(9), None));
    }

    #[test]
    fn damage_is_told() {
        assert_eq!(parse(" \n"), Err(Malformed::Empty));
        assert_eq!(parse("ctxt 5\n"), Err(Malformed::Missing("cpu")));
        assert_eq!(parse("cpu 1 2 3"), Err(Malformed::Short { line: 1, expected: "clock ticks" }));
        assert!(parse("cpu 1 2 3 4\ncpux 1 2 3 4\n").is_err());
        assert!(parse("cpu 1 2 3 4\nctxt -5\n").is_err());
    }
}
