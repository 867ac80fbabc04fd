//! Group `disk_io`: what block devices read and write.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failures::Failures;
use super::host::{Host, at, read_optional_text, try_read_text};
use super::points::Points;
use super::row::{Malformed, Row, rows};
use crate::collector::Error;
use crate::pattern::{Pattern, admits};
use crate::sink::Sink;

/// Which block devices are told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Disks {
    /// Device names, such as `nvme*`; none: all.
    include: Vec<Pattern>,
    /// Device names to leave out, even if included. Setting it replaces the default.
    exclude: Vec<Pattern>,
    /// Partitions too, not just whole disks.
    partitions: bool,
}

impl Default for Disks {
    fn default() -> Self {
        let exclude = ["loop*", "ram*", "zram*"];
        Self {
            include: Vec::new(),
            exclude: exclude.iter().filter_map(|name| Pattern::parse(name).ok()).collect(),
            partitions: false,
        }
    }
}

/// Pushes the counters of each device.
///
/// # Errors
/// [`Error::Absent`] where the kernel does not show them (in some containers).
pub(super) fn disk_io(host: &Host, wanted: &Disks, sink: &Sink) -> Result<(), Error> {
    let path = host.proc_path("diskstats");
    let text = read_optional_text(&path)?;
    let whole_disks = if wanted.partitions { None } else { whole_disks(host)? };
    let mut failures = Failures::default();
    // Without any block device the file is empty.
    for (_, row) in rows(&text).into_iter().flatten() {
        let device = match Device::parse(row) {
            Ok(device) => device,
            Err(malformed) => {
                failures.push(at(&path, malformed));
                continue;
            }
        };
        let is_wanted = admits(&wanted.include, &wanted.exclude, device.name)
            && whole_disks.as_ref().is_none_or(|disks| disks.contains(&sys_name(device.name)));
        if is_wanted {
            push(host, &device, sink)?;
        }
    }
    failures.into_result("disk_io")
}

/// The names in `/sys/block`, which has no partitions; `None` where there is no such directory.
fn whole_disks(host: &Host) -> Result<Option<HashSet<String>>, Error> {
    let path = host.sys_path("block");
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| at(&path, error))?,
    };
    let mut names = HashSet::new();
    for entry in entries {
        let entry = entry.map_err(|error| at(&path, error))?;
        names.insert(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(Some(names))
}

/// `cciss/c0d0` is `cciss!c0d0` in `/sys`.
fn sys_name(device: &str) -> String {
    device.replace('/', "!")
}

/// Counted since boot (Documentation/admin-guide/iostats.rst).
#[derive(Debug, PartialEq)]
struct Device<'a> {
    name: &'a str,
    reads: Transfers,
    writes: Transfers,
    in_progress: u64,
    busy_ms: u64,
    weighted_ms: u64,
}

#[derive(Debug, PartialEq)]
struct Transfers {
    count: u64,
    sectors: u64,
    spent_ms: u64,
}

/// Whatever the device's own sectors are.
const SECTOR_BYTES: u64 = 512;

impl<'a> Device<'a> {
    fn parse(mut row: Row<'a>) -> Result<Self, Malformed> {
        row.number("a major number")?;
        row.number("a minor number")?;
        Ok(Self {
            name: row.text("a device's name")?,
            reads: Transfers::parse(&mut row)?,
            writes: Transfers::parse(&mut row)?,
            in_progress: row.number("operations in progress")?,
            busy_ms: row.number("busy milliseconds")?,
            weighted_ms: row.number("weighted milliseconds")?,
        })
    }
}

impl Transfers {
    fn parse(row: &mut Row<'_>) -> Result<Self, Malformed> {
        let count = row.number("completed operations")?;
        row.number("merged operations")?;
        let sectors = row.number("sectors")?;
        Ok(Self { count, sectors, spent_ms: row.number("milliseconds")? })
    }
}

fn push(host: &Host, device: &Device<'_>, sink: &Sink) -> Result<(), Error> {
    let mapped_name = mapped_name(host, device.name);
    let mut points = Points::labelled(sink, &[("device", device.name)])?;
    if let Some(name) = &mapped_name {
        points = points.info("name", name)?;
    }
    let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
    let bytes = |sectors: u64| sectors.saturating_mul(SECTOR_BYTES);
    points.counter("disk_io_reads_total", device.reads.count, "operations")?;
    points.counter("disk_io_read_bytes_total", bytes(device.reads.sectors), "bytes")?;
    points.seconds_counter("disk_io_read_seconds_total", seconds(device.reads.spent_ms))?;
    points.counter("disk_io_writes_total", device.writes.count, "operations")?;
    points.counter("disk_io_write_bytes_total", bytes(device.writes.sectors), "bytes")?;
    points.seconds_counter("disk_io_write_seconds_total", seconds(device.writes.spent_ms))?;
    points.int("disk_io_in_progress", device.in_progress, "operations")?;
    points.seconds_counter("disk_io_busy_seconds_total", seconds(device.busy_ms))?;
    points.seconds_counter("disk_io_weighted_seconds_total", seconds(device.weighted_ms))?;
    Ok(())
}

/// What `dm-3` is called, such as `vg0-home`.
fn mapped_name(host: &Host, device: &str) -> Option<String> {
    if !device.starts_with("dm-") {
        return None;
    }
    let name = try_read_text(&host.sys_path("block").join(device).join("dm/name")).ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_columns_are_passed_over() {
        let line = "254 0 vda 10 6 35 30 25 13 15 38 1 146 343 3519 69 176528 384 205 11";
        let device = Device::parse(Row::new(1, line)).expect("a kernel of today");
        assert_eq!(device.reads, Transfers { count: 10, sectors: 35, spent_ms: 30 });
        assert_eq!(device.writes, Transfers { count: 25, sectors: 15, spent_ms: 38 });
        assert_eq!((device.in_progress, device.busy_ms, device.weighted_ms), (1, 146, 343));
    }

    #[test]
    fn damage_is_told() {
        let told = |line| Device::parse(Row::new(4, line)).expect_err(line).to_string();
        assert_eq!(told("254 0"), "line 4 ends where a device's name was expected");
        assert!(told("254 0 vda 10 6 35 -30").starts_with("line 4: `-30`"));
        assert!(told("254 0 vda 10 6 35 30 25").starts_with("line 4 ends"));
    }
}
