//! The trees that are read: `/proc`, `/sys`, and where mount points start.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::row::Malformed;
use crate::collector::Error;

/// No file of these trees comes near: a mount table of 100 000 lines has about 20 MB.
const LARGEST_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// A host to read.
#[derive(Debug)]
pub(super) struct Host {
    proc_root: PathBuf,
    sys_root: PathBuf,
    root: PathBuf,
}

impl Host {
    /// The host whose trees are there.
    pub(super) fn new(proc_root: PathBuf, sys_root: PathBuf, root: PathBuf) -> Self {
        Self { proc_root, sys_root, root }
    }

    /// Where `/proc` is.
    pub(super) fn proc_root(&self) -> &Path {
        &self.proc_root
    }

    /// A path below `/proc`.
    pub(super) fn proc_path(&self, name: &str) -> PathBuf {
        self.proc_root.join(name)
    }

    /// A path below `/sys`.
    pub(super) fn sys_path(&self, name: &str) -> PathBuf {
        self.sys_root.join(name)
    }

    /// Where a mount point of the host is for this process.
    pub(super) fn mounted_path(&self, mountpoint: &[u8]) -> PathBuf {
        let from_root = mountpoint.strip_prefix(b"/").unwrap_or(mountpoint);
        self.root.join(OsStr::from_bytes(from_root))
    }

    /// The file of the namespace that `root` shows: `first`, which is process 1's, when that is another host's
    /// tree, as in a container that watches its host, and else our `own`. One that is not there gives way to
    /// the other.
    pub(super) fn namespaced_path(&self, own: &str, first: &str) -> PathBuf {
        let (own, first) = (self.proc_path(own), self.proc_path(first));
        let (preferred, other) =
            if self.root == Path::new("/") { (own, first) } else { (first, own) };
        // Process 1's may be there and yet not for us to open, so this asks for more than existence.
        if File::open(&preferred).is_err() && File::open(&other).is_ok() {
            return other;
        }
        preferred
    }
}

/// The bytes of a file.
///
/// # Errors
/// [`Error::Target`] naming the path.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    try_read_bytes(path).map_err(|error| at(path, error))
}

/// The text of a file; what is not UTF-8 (an odd device name) is replaced, and the rest stays readable.
///
/// # Errors
/// As [`read_bytes`].
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    try_read_text(path).map_err(|error| at(path, error))
}

/// The text of a file that a host may well not have.
///
/// # Errors
/// [`Error::Absent`] when it is not there, else as [`read_bytes`].
pub(super) fn read_optional_text(path: &Path) -> Result<String, Error> {
    try_read_text(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Absent { what: format!("no `{}`", path.display()) },
        _ => at(path, error),
    })
}

/// The text of a file, or why there is none.
pub(super) fn try_read_text(path: &Path) -> io::Result<String> {
    let bytes = try_read_bytes(path)?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

fn try_read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // The kernel makes most of these files anew for each read: a buffer that holds all of it saves reads.
    let mut bytes = Vec::with_capacity(8 * 1024);
    File::open(path)?.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        let limit_mib = LARGEST_FILE_BYTES / (1024 * 1024);
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("over {limit_mib} MiB")));
    }
    Ok(bytes)
}

/// An error of `path`.
pub(super) fn at(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::at(path.display().to_string(), error)
}

/// Reads `path` and parses what it holds.
///
/// # Errors
/// As [`read_text`], and [`Malformed`] as the source of an [`Error::Target`].
pub(super) fn parse_file<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, Malformed>,
) -> Result<T, Error> {
    parse(&read_text(path)?).map_err(|malformed| at(path, malformed))
}
