//! The few things that are done to what lasts, wherever it is kept: a folder, or a bucket in S3.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::lock::{Holding, NotLocked, Term};
use super::spool::Sum;
use crate::outputs::Body;

/// Writes a file, and gives its name.
pub(super) type Fill<'a> = dyn FnMut(&mut dyn Write) -> io::Result<OsString> + 'a;

/// Where files lie, by their whole paths.
///
/// A file is seen whole or not at all, whenever the machine stops. Errors tell what is wrong and leave it to the caller to
/// name the path; [`io::ErrorKind::NotFound`] and [`io::ErrorKind::AlreadyExists`] mean what they say.
pub(super) trait Shelf: fmt::Debug + Send + Sync {
    /// What lies directly in a folder, as far as that can be told; one that is not there is empty.
    fn list(&self, folder: &Path) -> Contents;

    /// Whether a file that is wanted lies directly in a folder, or perhaps.
    fn has(&self, folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> bool {
        let Contents { files, folders, error, .. } = self.list(folder);
        error.is_some() || files.iter().chain(&folders).any(|path| is_wanted(path))
    }

    /// A small file, whole.
    fn read(&self, path: &Path) -> io::Result<(Vec<u8>, Version)>;

    /// What a file is that is not there.
    fn absent(&self) -> Version {
        Version::Any
    }

    /// What a file is that cannot be read.
    fn unknown(&self) -> Version {
        Version::Any
    }

    /// A file from its beginning. Whoever reads it sees to how much.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>>;

    /// The last bytes of a file, `cap_bytes` at the most; `None` where that takes as long as to read it whole.
    fn end(&self, _path: &Path, _cap_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// A body, which must sum up to that where it is known.
    fn body(&self, path: &Path, sum: Option<Sum>) -> io::Result<Body>;

    /// Makes a file durable whose name depends on what is written, where nothing may be there yet.
    fn create(&self, folder: &Path, fill: &mut Fill<'_>) -> io::Result<PathBuf>;

    /// Sees to it that a file is not there whose making failed with `error`, and that nobody else makes; gives back why it
    /// failed, and that it may be there all the same where that cannot be helped.
    fn retract(&self, path: &Path, error: io::Error) -> io::Error {
        let _ = path;
        error
    }

    /// Makes a file durable in place of what is there.
    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()>;

    /// Puts a new generation in the place of one that was read in this version; with `older` that one goes there. It need
    /// not be durable: the older generation counts where it is not.
    fn succeed(
        &self,
        path: &Path,
        content: &[u8],
        version: &Version,
        older: Option<&Path>,
    ) -> io::Result<()>;

    /// Adds a line to a file, which goes to `older` first when it would be longer than `cap_bytes`.
    fn append(&self, path: &Path, line: &[u8], cap_bytes: u64, older: &Path) -> io::Result<()>;

    /// Moves a file to where nothing may be yet. Its age counts from then on where it is `anew`.
    fn relocate(&self, from: &Path, to: &Path, anew: bool) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes whatever is there.
    fn clear(&self, path: &Path) -> io::Result<()>;

    /// Length and age of a file that was listed.
    fn measure(&self, path: &Path) -> io::Result<Measure>;

    /// Whether a file's age is told by another clock than this machine's, which is not set.
    fn has_own_clock(&self) -> bool {
        false
    }

    /// Makes a file as old as it is, where this machine's clock was set ahead by `leap` since it was written.
    fn correct_age(&self, path: &Path, leap: Duration) -> io::Result<()>;

    /// Takes the lock with that path.
    fn lock(&self, path: &Path, term: Term) -> Result<Box<dyn Holding>, NotLocked>;
}

/// What lies in a folder.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// The files.
    pub(super) files: Vec<PathBuf>,
    /// The folders.
    pub(super) folders: Vec<PathBuf>,
    /// What runs had begun that were killed, long ago.
    pub(super) leftovers: Vec<PathBuf>,
    /// Why there may be more.
    pub(super) error: Option<io::Error>,
}

/// Length and age of a file.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Its length.
    pub bytes: u64,
    /// When it was last written.
    pub made: Option<SystemTime>,
}

impl Measure {
    /// How long ago it was last written.
    pub fn age(&self) -> Option<Duration> {
        self.made?.elapsed().ok()
    }
}

/// What a file was when it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Version {
    /// Nobody asks: there is but one writer.
    #[default]
    Any,
    /// It was not there.
    #[cfg(feature = "lambda")]
    Absent,
    /// It was called this.
    #[cfg(feature = "lambda")]
    Tagged(String),
    /// It could not be read, though it may be there.
    #[cfg(feature = "lambda")]
    Unknown,
}
