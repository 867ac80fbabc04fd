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
/// How much of what the holder says is read, in bytes.
const HOLDER_CAP_BYTES: u64 = 4 * 1024 * 1024;

/// The lock; free again when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
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
        /// The jobs that it runs, as far as it has told.
        jobs: Vec<String>,
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
                    let (holder, jobs) = holder(&mut file);
                    return Err(NotLocked::Held { holder, jobs, path });
                }
            }
        }
        // The name is for people; the lock holds without it.
        if let Err(error) = sign(&mut file) {
            log::debug!("`{}`: {error}", path.display());
        }
        Ok(Lock { file })
    }
}

impl Lock {
    /// Tells others what this run does, a job a line behind the line that says who it is.
    pub fn tell_jobs<'a>(&self, jobs: impl Iterator<Item = &'a str>) {
        let lines: String = jobs.map(|job| format!("{job}\n")).collect();
        // Others find out by waiting, where this cannot be written.
        (&self.file).write_all(lines.as_bytes()).unwrap_or_default();
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    let now = jiff::Timestamp::now();
    writeln!(file, "process {} since {now:.0}", std::process::id())
}

/// Who the lock's file says has it, and the jobs that it runs.
fn holder(file: &mut File) -> (String, Vec<String>) {
    let mut bytes = Vec::new();
    // What was read before an error is as good as any.
    file.take(HOLDER_CAP_BYTES).read_to_end(&mut bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let who = lines.next().map(str::trim).filter(|who| !who.is_empty());
    let who = who.map_or_else(|| "it does not say who".into(), |who| printable(who));
    (who.into_owned(), lines.map(str::to_owned).collect())
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
