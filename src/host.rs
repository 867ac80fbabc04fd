//! This host: its name, its clock, and which of its boots this is.

use std::fs;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

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
    fn the_canonical_name_is_found_in_hosts() {
        let hosts =
            "127.0.0.1 localhost\n# 1.1.1.1 web.evil web\n10.0.0.2 web.example.org web # x\n";
        assert_eq!(canonical(hosts, "web"), Some("web.example.org".into()));
        assert_eq!(canonical(hosts, "localhost"), None);
    }
}
