//! One run at a time in each daemon directory. The kernel frees the lock when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::{Error, Store};
use crate::report::printable;

/// How often a lock that is held is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// How much of the holder's line is read, in bytes.
const HOLDER_CAP_BYTES: u64 = 200;

/// The lock; free again when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum NotLocked {
    /// Another run has it.
    #[error("another run holds `{path}` ({holder})")]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// Who has it, and since when.
        holder: String,
    },
    /// Nobody can have it here.
    #[error("no lock is held, so that two runs at once are possible")]
    Impossible(#[source] Error),
}

impl Store {
    /// Takes the lock, waiting for it until `deadline`.
    ///
    /// # Errors
    /// [`NotLocked`].
    pub fn lock(&self, deadline: Instant) -> Result<Lock, NotLocked> {
        let path = self.root.join("lock");
        let impossible = |error| NotLocked::Impossible(Error::file(&path, error));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(impossible)?;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(impossible(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(NotLocked::Held { holder: holder(&mut file), path });
                }
            }
        }
        // The name is for people; the lock holds without it.
        if let Err(error) = sign(&mut file) {
            log::debug!("`{}`: {error}", path.display());
        }
        Ok(Lock { _file: file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    let now = jiff::Timestamp::now();
    writeln!(file, "process {} since {now:.0}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(HOLDER_CAP_BYTES).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => printable(text.trim()).into_owned(),
        _ => "it does not say who".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_next_learns_who() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path())?;
        let lock = store.lock(Instant::now())?;
        let told = store.lock(Instant::now()).map(drop).unwrap_err().to_string();
        assert!(told.contains(&format!("process {} since 20", std::process::id())), "{told}");
        drop(lock);
        store.lock(Instant::now())?;
        Ok(())
    }
}
