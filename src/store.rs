//! What lasts between runs: the agent's identity and the spool, in one folder that only its owner can read.

pub mod durable;
mod identity;
pub mod spool;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub use identity::fallback_agent_id;
pub use spool::Spool;

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
    /// A file cannot be read or written.
    #[error("`{path}`")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file with the agent's id holds something else.
    #[error("`{path}` holds no agent id: expected 64 hex digits")]
    NoAgentId {
        /// Which.
        path: PathBuf,
    },
}

impl Error {
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
    /// root, else the user's own state folder.
    pub fn default_directory(environment: Environment<'_>, is_root: bool) -> PathBuf {
        let variable = |name| environment(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        // systemd gives several as a list with colons; the first is the unit's own.
        let systemd = variable("STATE_DIRECTORY")
            .and_then(|list| list.to_str()?.split(':').next().map(PathBuf::from));
        if let Some(directory) = systemd {
            return directory;
        }
        if is_root {
            return PathBuf::from("/var/lib/collector");
        }
        variable("XDG_STATE_HOME")
            .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
            .map_or_else(|| std::env::temp_dir().join("collector"), |state| state.join("collector"))
    }

    /// Opens the folder, making it (mode 0700) where it is missing.
    ///
    /// # Errors
    /// [`Error::Directory`] when it cannot be made or written to.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Directory { path: root.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
        rustix::fs::access(root, rustix::fs::Access::WRITE_OK)
            .map_err(|error| failed(error.into()))?;
        Ok(Self { root: root.to_owned() })
    }

    /// The folder as it is, to be read only.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The bodies that wait for an output.
    pub fn spool(&self, output: &str) -> Spool {
        Spool::new(self.root.join("spool").join(file_name(output)))
    }
}

/// A name as part of a path: what is not plain is written as `%XX`, so that different names stay different.
fn file_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
