//! What lasts between runs: the agent's identity, the state of the jobs, the spool and the history, in one folder that
//! only its owner can read.

pub mod durable;
pub mod history;
mod identity;
pub mod lock;
pub mod spool;
mod spools;
pub mod state;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub use identity::{derived_agent_id, fallback_agent_id};
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
    /// Whether the machine lacks something for now (memory, open files, room), so that nothing is wrong with the file.
    pub fn is_of_the_machine(&self) -> bool {
        let Self::File { source, .. } = self else { return false };
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

    fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

/// A folder for what lasts.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
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
        Ok(Self { root: root.to_owned() })
    }

    /// The folder as it is, to be read only.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
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
