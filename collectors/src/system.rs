//! This host: CPU, memory, swap, load, uptime, processes, disks and network interfaces, on Linux.
//!
//! Reads `/proc`, `/sys` and the sizes of mounted file systems. Needs no privileges. One group that cannot be
//! read does not lose the others: what can be read is delivered, and the job fails naming the rest. What the
//! host does not have (swap, block devices in a container) is no failure.
//!
//! ```yaml
//! jobs:
//!   - id: host
//!     system:
//!       groups: [cpu, memory, swap, load, uptime, processes, disk, disk_io, network]
//!       cpu: { per_cpu: false, sample: 100ms }
//!       processes: { states: false }
//!       mounts: { exclude: ["/mnt/backup*"] }
//!       disks: { exclude: ["loop*", "ram*", "zram*", "sr*"] }
//!       interfaces: { exclude: ["veth*", "docker*"] }
//! ```
//!
//! All of it can be left out: `system: {}` reads every group. Counters are cumulative since boot.
//!
//! | group | key | type | unit | labels |
//! |---|---|---|---|---|
//! | `cpu` | `cpu_seconds_total` | counter64 | seconds | `mode` |
//! | | `cpu_usage_percent` | float | percent | |
//! | | `cpu_time_percent` | float | percent | `mode` |
//! | | `cpu_core_seconds_total` (`per_cpu`) | counter64 | seconds | `cpu`, `mode` |
//! | | `cpu_core_usage_percent` (`per_cpu`) | float | percent | `cpu` |
//! | | `cpu_count` | int | cpus | |
//! | | `cpu_context_switches_total` | counter64 | switches | |
//! | | `cpu_interrupts_total`, `cpu_soft_interrupts_total` | counter64 | interrupts | |
//! | `memory` | `memory_{total,available,used,free}_bytes` | int | bytes | |
//! | | `memory_{buffers,cached,shared,slab,active,inactive}_bytes` | int | bytes | |
//! | | `memory_used_percent` | float | percent | |
//! | `swap` | `swap_{total,used,free}_bytes` | int | bytes | |
//! | | `swap_used_percent` | float | percent | |
//! | `load` | `load_average_{1m,5m,15m}` | float | tasks | |
//! | `uptime` | `uptime_seconds` | float | seconds | |
//! | | `boot_time_seconds` (since 1970) | int | seconds | |
//! | `processes` | `processes_count` | int | processes | |
//! | | `processes_running`, `processes_blocked` | int | tasks | |
//! | | `processes_started_total` | counter64 | processes | |
//! | | `processes_state_count` (`states`) | int | processes | `state` |
//! | `disk` | `disk_{total,used,free,available}_bytes` | int | bytes | `device`, `mountpoint`, `fstype` |
//! | | `disk_used_percent` | float | percent | the same |
//! | | `disk_inodes_{count,used,free}` | int | inodes | the same |
//! | | `disk_inodes_used_percent` | float | percent | the same |
//! | `disk_io` | `disk_io_{reads,writes}_total` | counter64 | operations | `device` |
//! | | `disk_io_{read,write}_bytes_total` | counter64 | bytes | `device` |
//! | | `disk_io_{read,write}_seconds_total` | counter64 | seconds | `device` |
//! | | `disk_io_{busy,weighted}_seconds_total` | counter64 | seconds | `device` |
//! | | `disk_io_in_progress` | int | operations | `device` |
//! | `network` | `network_{receive,transmit}_bytes_total` | counter64 | bytes | `interface` |
//! | | `network_{receive,transmit}_{packets,drops}_total` | counter64 | packets | `interface` |
//! | | `network_{receive,transmit}_errors_total` | counter64 | errors | `interface` |
//!
//! `mode` is one of `user`, `nice`, `system`, `idle`, `iowait`, `irq`, `softirq`, `steal`, `guest`,
//! `guest_nice`; a guest's time is within `user` and `nice` too. The percents are of the time since the job's last
//! run; in its first run, and after a boot, of the time between two samples that lie `sample` apart. Busy is what is
//! neither `idle` nor `iowait`. `sample: 0` turns them off, and a job whose time is too short for it goes without them.
//!
//! Memory is used when it is not available to programs without swapping. A disk's percent is what `df` shows:
//! of what users could fill. File systems mounted in several places are told once. A device-mapper device has
//! its name (`vg0-home`) as descriptive label `name`. `states: true` counts processes by state (`running`,
//! `sleeping`, `blocked`, `zombie`, `stopped`, `idle`; that of their first thread) and reads one file for each.
//!
//! Left out by default: file systems that are no disk (tmpfs, proc, squashfs, autofs, overlay, …) unless they
//! are `/`, loop devices and RAM disks, partitions in `disk_io` (`partitions: true`), `veth*` interfaces.
//! File systems on a network and in user space (nfs, cifs, ceph, 9p, `fuse.*` such as fuse.sshfs, …) are left
//! out because asking a dead one hangs, and the job with it until its timeout; `mounts: {exclude_types: […]}`
//! replaces that list. Disks come last, so that a mount that hangs costs no other group.
//!
//! A container that watches its host sets `proc_root: /host/proc`, `sys_root: /host/sys` and `root: /host`;
//! mounts and interfaces are then those of the host's process 1.
//!
//! What can go wrong: a mount point that this user may not enter fails the job; exclude it.

mod cpu;
mod disk;
mod disk_io;
mod failures;
mod host;
mod load;
mod memory;
mod mounts;
mod network;
mod points;
mod processes;
mod row;
mod stat;
mod uptime;

use std::fs;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::cpu::Detail;
use self::failures::Failures;
use self::host::{Host, parse_file};
use self::processes::States;
use self::row::Malformed;
use crate::collector::{Collector, Context, Error};
use crate::decode::Problem;
use crate::period::Period;
use crate::sink::{Level, Sink};

/// The options of `system`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct System {
    /// What is read.
    groups: Vec<Group>,
    /// More about the CPUs, or less.
    cpu: Cpu,
    /// More about the processes.
    processes: Processes,
    /// Which file systems group `disk` tells.
    mounts: disk::Mounts,
    /// Which block devices group `disk_io` tells.
    disks: disk_io::Disks,
    /// Which interfaces group `network` tells.
    interfaces: network::Interfaces,
    /// Where `/proc` is.
    proc_root: PathBuf,
    /// Where `/sys` is.
    sys_root: PathBuf,
    /// Where mount points start.
    root: PathBuf,
}

/// A part of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Group {
    Cpu,
    Memory,
    Swap,
    Load,
    Uptime,
    Processes,
    Disk,
    DiskIo,
    Network,
}

const ALL_GROUPS: [Group; 9] = [
    Group::Cpu,
    Group::Memory,
    Group::Swap,
    Group::Load,
    Group::Uptime,
    Group::Processes,
    Group::Disk,
    Group::DiskIo,
    Group::Network,
];

/// Options of group `cpu`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Cpu {
    /// Each CPU too, not just all of them together.
    per_cpu: bool,
    /// How far apart the two samples lie that the first run's percents are made of; 0: no percents at all.
    sample: Period,
}

/// Options of group `processes`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Processes {
    /// Count processes by state, which reads a file for each.
    states: bool,
}

impl Default for Cpu {
    fn default() -> Self {
        Self { per_cpu: false, sample: Period::from_millis(100) }
    }
}

impl Default for System {
    fn default() -> Self {
        Self {
            groups: ALL_GROUPS.to_vec(),
            cpu: Cpu::default(),
            processes: Processes::default(),
            mounts: disk::Mounts::default(),
            disks: disk_io::Disks::default(),
            interfaces: network::Interfaces::default(),
            proc_root: "/proc".into(),
            sys_root: "/sys".into(),
            root: "/".into(),
        }
    }
}

/// One thing to read and push.
type Step<'a> = &'a dyn Fn() -> Result<(), Error>;

impl Collector for System {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
        let host = Host::new(
            context.path(&self.proc_root),
            context.path(&self.sys_root),
            context.path(&self.root),
        );
        // One clear mistake instead of one for each file below.
        fs::metadata(host.proc_root()).map_err(|error| host::at(host.proc_root(), error))?;

        let mut failures = Failures::default();
        let stat_takers = [Group::Cpu, Group::Uptime, Group::Processes];
        let stat_path = host.proc_path("stat");
        let stat = self.shared(&stat_takers, &stat_path, stat::parse, &mut failures);
        let stat = stat.as_ref();
        // Where only others need it, it says no more than when the kernel began to count.
        let booted = match stat {
            Some(stat) => stat.boot_time_seconds,
            None => parse_file(&stat_path, stat::parse).ok().and_then(|s| s.boot_time_seconds),
        };
        if let Some(at_ms) = booted.and_then(|s| i64::try_from(s).ok()?.checked_mul(1_000)) {
            sink.counting_since(at_ms)?;
        }
        let meminfo_takers = [Group::Memory, Group::Swap];
        let meminfo_path = host.proc_path("meminfo");
        let meminfo = self.shared(&meminfo_takers, &meminfo_path, memory::parse, &mut failures);
        let meminfo = meminfo.as_ref();

        let detail = if self.cpu.per_cpu { Detail::PerCpu } else { Detail::Total };
        let states = if self.processes.states { States::Count } else { States::Skip };
        let apart = self.cpu.sample.get();

        let counters = || stat.map_or(Ok(()), |stat| cpu::counters(stat, detail, sink));
        let usage = || match stat {
            Some(stat) if !apart.is_zero() => cpu::usage(&host, context, stat, detail, apart, sink),
            _ => Ok(()),
        };
        let memory = || meminfo.map_or(Ok(()), |m| memory::memory(m, &meminfo_path, sink));
        let swap = || meminfo.map_or(Ok(()), |m| memory::swap(m, &meminfo_path, sink));
        // The samples are taken when all else has been read, so that they show the host and not this program.
        // Disks come last: a file system that hangs then costs no other group.
        let steps: [(Group, Step<'_>); 10] = [
            (Group::Cpu, &counters),
            (Group::Memory, &memory),
            (Group::Swap, &swap),
            (Group::Load, &|| load::load(&host, sink)),
            (Group::Uptime, &|| uptime::uptime(&host, stat, sink)),
            (Group::Processes, &|| processes::processes(&host, stat, states, sink)),
            (Group::DiskIo, &|| disk_io::disk_io(&host, &self.disks, sink)),
            (Group::Network, &|| network::network(&host, &self.interfaces, sink)),
            (Group::Cpu, &usage),
            (Group::Disk, &|| disk::disk(&host, &self.mounts, sink)),
        ];
        for (group, step) in steps {
            if !self.groups.contains(&group) {
                continue;
            }
            match step() {
                Ok(()) => {}
                Err(Error::Absent { what }) => sink.log(Level::Info, what)?,
                Err(error @ Error::Sealed(_)) => return Err(error),
                Err(error) => failures.push(error),
            }
        }
        failures.into_result(&host.proc_root().display().to_string())
    }

    fn conflicts(&self) -> Vec<Problem> {
        if self.groups.is_empty() {
            return vec![Problem::at(&["groups"], "`groups` is empty: nothing would be read")];
        }
        Vec::new()
    }
}

impl System {
    /// What a file that several groups take from holds; `None` when none of them is asked for, or it is broken,
    /// which is noted once.
    fn shared<T>(
        &self,
        takers: &[Group],
        path: &Path,
        parse: fn(&str) -> Result<T, Malformed>,
        failures: &mut Failures,
    ) -> Option<T> {
        if !takers.iter().any(|group| self.groups.contains(group)) {
            return None;
        }
        parse_file(path, parse).map_err(|error| failures.push(error)).ok()
    }
}

#[cfg(test)]
mod tests;
