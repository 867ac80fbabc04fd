//! This host: its name, its clock, and which of its boots this is.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// By less the wall clock is only put right, as it is all the time, or where a virtual machine had been paused.
const SMALLEST_LEAP: Duration = Duration::from_secs(3_600);

/// The host's name, fully qualified where that can be known without asking a name server: from the kernel, else
/// from `/etc/hosts`, where the canonical name stands first.
pub fn fully_qualified_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.contains('.') {
        return name;
    }
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    canonical(&hosts, &name).unwrap_or(name)
}

/// The wall clock in milliseconds, read once a run. Before 1970 it is taken for broken and counts as 1970.
pub fn wall_clock_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// What tells this boot from the others, where the kernel says.
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Random bytes from the kernel, few enough to come at once.
///
/// # Errors
/// When the kernel has none.
pub fn random<const BYTES: usize>() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let given = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if given == BYTES { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// The wall clock, which anybody may set, beside the time since the boot, which nobody can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// The wall clock, in milliseconds since 1970.
    pub wall_ms: i64,
    /// The time since the boot, with that in which the machine slept, in milliseconds.
    pub up_ms: i64,
    /// Which boot.
    pub boot_id: String,
}

impl Clocks {
    /// What they show in this boot; `None` where the kernel does not say.
    pub fn now(boot_id: &str) -> Option<Self> {
        let up_ms = milliseconds_up(&fs::read_to_string("/proc/uptime").ok()?)?;
        Some(Self { wall_ms: wall_clock_ms(), up_ms, boot_id: boot_id.to_owned() })
    }

    /// By how much the wall clock was set ahead since `before`, which is of the same boot: nobody knows for how long a
    /// machine was off.
    pub fn set_ahead_since(&self, before: &Self) -> Option<Duration> {
        let up_ms = self.up_ms.checked_sub(before.up_ms).filter(|up_ms| *up_ms >= 0)?;
        let leap_ms = self.wall_ms.checked_sub(before.wall_ms)?.checked_sub(up_ms)?;
        let leap = Duration::from_millis(u64::try_from(leap_ms).ok()?);
        (self.boot_id == before.boot_id && leap >= SMALLEST_LEAP).then_some(leap)
    }
}

/// From `/proc/uptime`: seconds with two decimals stand first.
fn milliseconds_up(uptime: &str) -> Option<i64> {
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let [seconds, hundredths] = [seconds.parse::<i64>().ok()?, hundredths.parse::<i64>().ok()?];
    seconds.checked_mul(1_000)?.checked_add(hundredths.checked_mul(10)?)
}

fn canonical(hosts: &str, name: &str) -> Option<String> {
    hosts
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>())
        .filter(|names| names.contains(&name))
        .find_map(|names| names.iter().find(|known| is_qualified(known, name)).copied())
        .map(str::to_owned)
}

fn is_qualified(known: &str, name: &str) -> bool {
    known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.') && rest.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_told_from_time_that_has_passed() {
        let at = |wall_ms, up_ms, boot: &str| Clocks { wall_ms, up_ms, boot_id: boot.to_owned() };
        let before = at(5_000, 1_000, "a");
        let hour_ms = 3_600_000;
        let leap = |wall_ms, up_ms, boot| at(wall_ms, up_ms, boot).set_ahead_since(&before);
        assert_eq!(leap(hour_ms + 6_000, 2_000, "a"), Some(Duration::from_secs(3_600)));
        assert_eq!(leap(hour_ms + 5_000, hour_ms + 1_000, "a"), None, "an hour has passed");
        assert_eq!(leap(65_000, 1_000, "a"), None, "it was put right");
        assert_eq!(leap(-hour_ms, 2_000, "a"), None, "it was set back");
        assert_eq!(leap(hour_ms + 6_000, 2_000, "b"), None, "another boot");
        assert_eq!(leap(hour_ms + 6_000, 0, "a"), None, "no boot has less time behind it");
        assert_eq!(leap(i64::MAX, i64::MAX, "a"), None);
        assert_eq!(at(i64::MAX, 0, "a").set_ahead_since(&at(i64::MIN, 0, "a")), None);
    }

    #[test]
    fn the_time_since_the_boot_is_read() {
        assert_eq!(milliseconds_up("13047.56 4567.00\n"), Some(13_047_560));
        assert_eq!(milliseconds_up("0.07 0.00\n"), Some(70));
        assert_eq!(milliseconds_up("9999999999999999999.00"), None);
        assert_eq!(milliseconds_up(""), None);
    }

    #[test]
    fn the_canonical_name_is_found_in_hosts() {
        let hosts =
            "127.0.0.1 localhost\n# 1.1.1.1 web.evil web\n10.0.0.2 web.example.org web # x\n";
        assert_eq!(canonical(hosts, "web"), Some("web.example.org".into()));
        assert_eq!(canonical(hosts, "localhost"), None);
    }
}
