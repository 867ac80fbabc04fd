//! Groups `memory` and `swap`, both from `/proc/meminfo`.

use std::path::Path;

use super::host::at;
use super::points::Points;
use super::row::{Malformed, rows};
use crate::collector::Error;
use crate::sink::Sink;

/// What the kernel tells of memory, in bytes. Which lines there are differs from kernel to kernel.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Meminfo {
    total: Option<u64>,
    free: Option<u64>,
    available: Option<u64>,
    buffers: Option<u64>,
    cached: Option<u64>,
    shared: Option<u64>,
    slab: Option<u64>,
    active: Option<u64>,
    inactive: Option<u64>,
    swap_total: Option<u64>,
    swap_free: Option<u64>,
}

/// Parses the file; other lines than those above are passed over.
///
/// # Errors
/// [`Malformed`] for an empty file and a quantity that is no number, or does not fit into 64 bits.
pub(super) fn parse(text: &str) -> Result<Meminfo, Malformed> {
    let mut meminfo = Meminfo::default();
    for (_, mut row) in rows(text)? {
        let quantity = match row.text("a name")? {
            "MemTotal:" => &mut meminfo.total,
            "MemFree:" => &mut meminfo.free,
            "MemAvailable:" => &mut meminfo.available,
            "Buffers:" => &mut meminfo.buffers,
            "Cached:" => &mut meminfo.cached,
            "Shmem:" => &mut meminfo.shared,
            "Slab:" => &mut meminfo.slab,
            "Active:" => &mut meminfo.active,
            "Inactive:" => &mut meminfo.inactive,
            "SwapTotal:" => &mut meminfo.swap_total,
            "SwapFree:" => &mut meminfo.swap_free,
            _ => continue,
        };
        // The kernel says kB and means 1024 bytes.
        let kibibytes = row.number("a quantity in kB")?;
        let too_large = || row.unexpected(&kibibytes.to_string(), "a quantity in kB");
        *quantity = Some(kibibytes.checked_mul(1024).ok_or_else(too_large)?);
    }
    Ok(meminfo)
}

/// Pushes how the host's memory is used; `path` is where `meminfo` was read.
pub(super) fn memory(meminfo: &Meminfo, path: &Path, sink: &Sink) -> Result<(), Error> {
    let missing = |name| at(path, Malformed::Missing(name));
    let total = meminfo.total.ok_or_else(|| missing("MemTotal"))?;
    let free = meminfo.free.ok_or_else(|| missing("MemFree"))?;
    let available = meminfo.available.unwrap_or_else(|| meminfo.estimate_available(free));
    let used = total.saturating_sub(available);
    let points = Points::new(sink);
    points.int("memory_total_bytes", total, "bytes")?;
    points.int("memory_available_bytes", available, "bytes")?;
    points.int("memory_used_bytes", used, "bytes")?;
    points.int("memory_free_bytes", free, "bytes")?;
    points.percent("memory_used_percent", used, total)?;
    for (key, bytes) in [
        ("memory_buffers_bytes", meminfo.buffers),
        ("memory_cached_bytes", meminfo.cached),
        ("memory_shared_bytes", meminfo.shared),
        ("memory_slab_bytes", meminfo.slab),
        ("memory_active_bytes", meminfo.active),
        ("memory_inactive_bytes", meminfo.inactive),
    ] {
        if let Some(bytes) = bytes {
            points.int(key, bytes, "bytes")?;
        }
    }
    Ok(())
}

/// Pushes how the host's swap space is used.
///
/// # Errors
/// [`Error::Absent`] on a host without swap.
pub(super) fn swap(meminfo: &Meminfo, path: &Path, sink: &Sink) -> Result<(), Error> {
    // A kernel built without swap has no such line.
    let total = meminfo.swap_total.unwrap_or(0);
    if total == 0 {
        return Err(Error::Absent { what: "no swap space".to_owned() });
    }
    let free = meminfo.swap_free.ok_or_else(|| at(path, Malformed::Missing("SwapFree")))?;
    let used = total.saturating_sub(free);
    let points = Points::new(sink);
    points.int("swap_total_bytes", total, "bytes")?;
    points.int("swap_used_bytes", used, "bytes")?;
    points.int("swap_free_bytes", free, "bytes")?;
    points.percent("swap_used_percent", used, total)?;
    Ok(())
}

impl Meminfo {
    /// Kernels before 3.14 do not tell what is available: this is what `free` took it for.
    fn estimate_available(&self, free: u64) -> u64 {
        let reclaimable = [self.buffers, self.cached].into_iter().flatten();
        reclaimable.fold(free, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_says_less() {
        let meminfo =
            parse("MemFree: 20 kB\nBuffers: 5 kB\nCached: 7 kB\nNew(x): many\n").expect("fine");
        assert_eq!(meminfo.free, Some(20 * 1024));
        assert_eq!(meminfo.estimate_available(20 * 1024), 32 * 1024);
        assert_eq!(meminfo.slab, None);
    }

    #[test]
    fn damage_is_told() {
        let told = |text: &str| parse(text).expect_err(text).to_string();
        assert_eq!(told(""), "the file is empty");
        assert_eq!(told("MemTotal:\n"), "line 1 ends where a quantity in kB was expected");
        assert!(told("\nMemTotal: -1 kB").starts_with("line 2: `-1`"));
        assert!(told("MemTotal: 18446744073709551615 kB").contains("`18446744073709551615`"));
        assert_eq!(parse("é 1 kB\n"), Ok(Meminfo::default()));
    }
}
