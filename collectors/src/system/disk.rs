//! Group `disk`: how full file systems are.

use std::path::Path;

use rustix::fs::StatVfs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::failures::Failures;
use super::host::{Host, at, read_bytes};
use super::mounts::{self, Mount};
use super::points::Points;
use crate::collector::Error;
use crate::pattern::{Pattern, admits};
use crate::sink::Sink;

/// Which mounts are told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Mounts {
    /// Mount points; none: all.
    include: Vec<Pattern>,
    /// Mount points to leave out, even if included.
    exclude: Vec<Pattern>,
    /// File system types to leave out; `/` is told whatever its type. Setting it replaces the default, which
    /// leaves out what is no disk, and what is reached over a network: a dead server would make the job hang.
    exclude_types: Vec<Pattern>,
}

/// They show the numbers of the file system below, which is told in its own right.
const OVERLAYS: [&str; 3] = ["overlay", "overlayfs", "aufs"];
/// Full by nature.
const READ_ONLY_IMAGES: [&str; 4] = ["squashfs", "erofs", "iso9660", "cramfs"];
/// Kept in memory, or made up by the kernel.
const VIRTUAL: [&str; 25] = [
    "autofs",
    "bdev",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tmpfs",
    "tracefs",
];
/// Answered by another host or another process, which may be dead.
const REMOTE: [&str; 13] = [
    "nfs",
    "nfs4",
    "nfsd",
    "cifs",
    "smb3",
    "smbfs",
    "ncpfs",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "9p",
    "fuse.*",
];

impl Default for Mounts {
    fn default() -> Self {
        let types = VIRTUAL.iter().chain(&OVERLAYS).chain(&READ_ONLY_IMAGES).chain(&REMOTE);
        Self {
            include: Vec::new(),
            exclude: Vec::new(),
            exclude_types: types.filter_map(|name| Pattern::parse(name).ok()).collect(),
        }
    }
}

impl Mounts {
    fn admit(&self, mount: &Mount) -> bool {
        let mountpoint = String::from_utf8_lossy(&mount.mountpoint);
        // A container's `/` is an overlay, and what is below cannot be seen from within.
        let is_type_wanted = mountpoint == "/" || admits(&[], &self.exclude_types, &mount.fstype);
        is_type_wanted && admits(&self.include, &self.exclude, &mountpoint)
    }
}

/// Pushes size and use of each file system.
///
/// # Errors
/// [`Error::Target`] naming the mount points that could not be asked.
pub(super) fn disk(host: &Host, wanted: &Mounts, sink: &Sink) -> Result<(), Error> {
    let path = host.namespaced_path("self/mountinfo", "1/mountinfo");
    let (mounts, mistake) =
        mounts::parse(&read_bytes(&path)?).map_err(|malformed| at(&path, malformed))?;
    let mut failures = Failures::default();
    if let Some(malformed) = mistake {
        failures.push(at(&path, malformed));
    }

    let mut mounts = mounts::visible(mounts);
    mounts.retain(|mount| wanted.admit(mount));
    // Containers have single files mounted (`/etc/hosts`), which show a file system that is not theirs.
    mounts.retain(|mount| !host.mounted_path(&mount.mountpoint).is_file());
    for mount in mounts::one_per_file_system(mounts) {
        let path = host.mounted_path(&mount.mountpoint);
        match usage(&path) {
            Ok(Some(usage)) => push(&mount, &usage, sink)?,
            Ok(None) => {}
            Err(error) => failures.push(at(&path, error)),
        }
    }
    failures.into_result("disk")
}

/// How full a file system is.
#[derive(Debug, PartialEq)]
struct Usage {
    total_bytes: u64,
    free_bytes: u64,
    /// What is free and not reserved for root.
    available_bytes: u64,
    inodes: u64,
    inodes_free: u64,
}

/// `None` for a file system without a size, which is none on a disk.
fn usage(path: &Path) -> std::io::Result<Option<Usage>> {
    let stat: StatVfs = rustix::fs::statvfs(path)?;
    if stat.f_blocks == 0 {
        return Ok(None);
    }
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(Some(Usage {
        total_bytes: bytes(stat.f_blocks),
        free_bytes: bytes(stat.f_bfree),
        available_bytes: bytes(stat.f_bavail),
        inodes: stat.f_files,
        inodes_free: stat.f_ffree,
    }))
}

fn push(mount: &Mount, usage: &Usage, sink: &Sink) -> Result<(), Error> {
    let mountpoint = String::from_utf8_lossy(&mount.mountpoint);
    let labels =
        [("device", mount.source.as_str()), ("mountpoint", &mountpoint), ("fstype", &mount.fstype)];
    let points = Points::labelled(sink, &labels)?;
    let used = usage.total_bytes.saturating_sub(usage.free_bytes);
    points.int("disk_total_bytes", usage.total_bytes, "bytes")?;
    points.int("disk_used_bytes", used, "bytes")?;
    points.int("disk_free_bytes", usage.free_bytes, "bytes")?;
    points.int("disk_available_bytes", usage.available_bytes, "bytes")?;
    // As `df` has it: of what users could fill.
    let usable = used.saturating_add(usage.available_bytes);
    points.percent("disk_used_percent", used, usable)?;
    if usage.inodes > 0 {
        let used = usage.inodes.saturating_sub(usage.inodes_free);
        points.int("disk_inodes_count", usage.inodes, "inodes")?;
        points.int("disk_inodes_used", used, "inodes")?;
        points.int("disk_inodes_free", usage.inodes_free, "inodes")?;
        points.percent("disk_inodes_used_percent", used, usage.inodes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_those_of_df_and_no_inodes_are_no_datapoint() {
        let line = b"22 1 8:1 / / rw - ext4 /dev/sda1 rw";
        let (mounts, _) = mounts::parse(line).expect("a table");
        let usage = |inodes| Usage {
            total_bytes: 1000,
            free_bytes: 400,
            available_bytes: 200,
            inodes,
            inodes_free: 30,
        };
        for (inodes, expected) in [
            (120, vec![1000.0, 600.0, 400.0, 200.0, 75.0, 120.0, 90.0, 30.0, 75.0]),
            (0, vec![1000.0, 600.0, 400.0, 200.0, 75.0]),
        ] {
            let sink = Sink::new("host".into(), Vec::new(), 0);
            push(&mounts[0], &usage(inodes), &sink).expect("open");
            let batch = sink.seal().expect("sealed once").batch;
            let values = batch.points().iter().map(|point| batch.value(point).to_string());
            let values: Vec<f64> = values.map(|text| text.parse().expect("a number")).collect();
            assert_eq!(values, expected);
        }
    }
}
