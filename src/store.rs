//! What lasts between runs: the agent's identity, the state of the jobs, the spool and the history, in one folder that
//! only its owner can read, or below a prefix of a bucket in S3 (feature `lambda`).
//!
//! What a file means stands here; the few things that are done to files are `shelf`'s, once for each kind of place.

#[cfg(feature = "lambda")]
mod bucket;
mod disk;
pub mod durable;
pub mod history;
mod identity;
pub mod lock;
mod place;
mod shelf;
pub mod spool;
mod spools;
pub mod state;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk::Disk;
pub use identity::{derived_agent_id, fallback_agent_id};
pub use place::Place;
use shelf::Shelf;
pub use spool::Spool;
pub use spools::Stray;

use rustix::io::Errno;

use crate::config::Environment;

/// Why something that lasts could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be made or used.
    #[error("the daemon directory `{path}` cannot be used")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder belongs to somebody else, who could put anything in it.
    #[error(
        "the daemon directory `{path}` is not used: it belongs to the user {owner}, not to {user}"
    )]
    Foreign {
        /// Which.
        path: PathBuf,
        /// Whose it is, as a number.
        owner: u32,
        /// Who runs, as a number.
        user: u32,
    },
    /// Everybody can write to the folder.
    #[error(
        "the daemon directory `{path}` is not used: every user can write to it; `chmod o-w` mends that"
    )]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// The bucket cannot be used.
    #[error("the store `{place}` cannot be used")]
    Bucket {
        /// Which, and the prefix in it.
        place: Place,
        /// Why.
        source: Box<Error>,
    },
    /// Nobody asked: it was found out before that nobody answers, and why.
    #[error("{0}")]
    Unasked(String),
    /// A file cannot be read or written.
    #[error("`{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with the agent's id holds something else.
    #[error(
        "`{path}` holds no agent id: expected 64 hex digits; restore it, or remove it to begin as a new agent"
    )]
    NoAgentId {
        /// Which.
        path: PathBuf,
    },
}

impl Error {
    /// Whether it says nothing about the file: the machine lacks something for now (memory, open files, room), or the
    /// bucket cannot be asked.
    pub fn is_passing(&self) -> bool {
        let Self::File { source, .. } = self else { return false };
        #[cfg(feature = "lambda")]
        if let Some(is_passing) = bucket::is_passing(source) {
            return is_passing;
        }
        source.raw_os_error().map(Errno::from_raw_os_error).is_some_and(|errno| {
            matches!(
                errno,
                Errno::MFILE
                    | Errno::NFILE
                    | Errno::NOMEM
                    | Errno::NOSPC
                    | Errno::DQUOT
                    | Errno::AGAIN
            )
        })
    }

    /// Whether there is no such folder, and so nothing in it.
    pub fn is_no_folder(&self) -> bool {
        let Self::File { source, .. } = self else { return false };
        source.kind() == io::ErrorKind::NotADirectory
    }

    /// Whether nobody answers who could tell, so that to ask on would only take time.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::TimedOut,
            Self::Bucket { source, .. } => source.is_silence(),
            _ => false,
        }
    }

    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

/// Where what lasts is kept.
#[derive(Debug, Clone)]
pub struct Store {
    shelf: Arc<dyn Shelf>,
    root: PathBuf,
    /// Where the agent's id is: all shards are one agent.
    home: PathBuf,
}

impl Store {
    /// The folder that is used when the configuration names none: systemd's, else `/var/lib/collector` for
    /// root, else the user's own state folder. `None` where there is no such place: one that everybody can guess
    /// and make, as below `/tmp`, is none.
    pub fn default_directory(environment: Environment<'_>, is_root: bool) -> Option<PathBuf> {
        let variable = |name| environment(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        // systemd gives several as a list with colons; the first is the unit's own.
        let systemd = variable("STATE_DIRECTORY")
            .and_then(|list| list.to_str()?.split(':').next().map(PathBuf::from));
        if systemd.is_some() {
            return systemd;
        }
        if is_root {
            return Some(PathBuf::from("/var/lib/collector"));
        }
        variable("XDG_STATE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("collector"))
    }

    /// Opens the folder, making it (mode 0700) where it is missing.
    ///
    /// # Errors
    /// [`Error::Directory`] when it cannot be made or written to, [`Error::Foreign`] and [`Error::Open`] when
    /// others could change what is in it.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Directory { path: root.to_owned(), source };
        durable::make_folder(root).map_err(failed)?;
        let found = fs::metadata(root).map_err(failed)?;
        let (owner, user) = (found.uid(), rustix::process::geteuid().as_raw());
        if owner != user {
            return Err(Error::Foreign { path: root.to_owned(), owner, user });
        }
        if found.mode() & 0o002 != 0 {
            return Err(Error::Open { path: root.to_owned() });
        }
        rustix::fs::access(root, rustix::fs::Access::WRITE_OK)
            .map_err(|error| failed(error.into()))?;
        Ok(Self::at(root))
    }

    /// The folder as it is, to be read only.
    pub fn at(root: &Path) -> Self {
        Self { shelf: Arc::new(Disk), root: root.to_owned(), home: root.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_can_change_is_not_used() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        Store::open(folder.path())?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777))?;
        assert!(matches!(Store::open(folder.path()), Err(Error::Open { .. })));
        Ok(())
    }

    #[test]
    fn without_a_home_there_is_no_folder() {
        assert_eq!(Store::default_directory(&|_| None, false), None);
        let home = |name: &str| (name == "HOME").then(|| "/home/a".into());
        let expected = Some(PathBuf::from("/home/a/.local/state/collector"));
        assert_eq!(Store::default_directory(&home, false), expected);
    }
}
