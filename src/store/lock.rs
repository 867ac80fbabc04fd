//! One run at a time in each place where something lasts. The kernel frees the lock of a folder when the process ends,
//! however it ends; that of a bucket ends by itself (`bucket/lease.rs`).

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::{Error, Store};
use crate::report::printable;

/// How often a lock that is held is tried again.
const PAUSE: Duration = Duration::from_millis(50);
/// How much of what the holder says is read, in bytes.
pub(super) const HOLDER_CAP_BYTES: u64 = 4 * 1024 * 1024;

/// The lock; free again when dropped.
#[derive(Debug)]
pub struct Lock {
    held: Box<dyn Holding>,
}

/// When a lock is wanted, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Term {
    /// Until when it is waited for.
    pub wait_until: Instant,
    /// How long it is held where nobody notices that its holder has died, as in a bucket.
    pub lease: Duration,
    /// When its holder is ended from outside, and cannot give it back any more.
    pub killed_at: Option<Instant>,
}

/// A lock that is held, for as long as this lives.
pub(super) trait Holding: fmt::Debug + Send {
    /// Adds lines for others to read.
    fn tell(&self, lines: &str);

    /// Begins its lease anew, where it has one.
    fn renew(&self) -> Result<(), NotLocked> {
        Ok(())
    }

    /// The same where half of the lease is over.
    fn keep(&self) -> Result<(), NotLocked> {
        Ok(())
    }
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
    /// It was held for too long, and is another's.
    #[error(
        "`{path}` was held for longer than its lease, and another run has taken it: what is not done yet is left"
    )]
    Taken {
        /// The lock's file.
        path: PathBuf,
    },
    /// Nobody can have it here.
    #[error("no lock is held, so that two runs at once are possible")]
    Impossible(#[source] Error),
}

impl Store {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`NotLocked`].
    pub fn lock(&self, term: Term) -> Result<Lock, NotLocked> {
        let held = self.shelf.lock(&self.root.join("lock"), term)?;
        Ok(Lock { held })
    }
}

impl Lock {
    /// Begins the lock's lease anew, where it has one.
    ///
    /// # Errors
    /// [`NotLocked::Taken`] when another has it.
    pub fn renew(&self) -> Result<(), NotLocked> {
        self.held.renew()
    }

    /// The same where half of the lease is over. Whoever works through many things asks for it before each.
    ///
    /// # Errors
    /// As [`Lock::renew`].
    pub fn keep(&self) -> Result<(), NotLocked> {
        self.held.keep()
    }

    /// Tells others what this run does, a job a line behind the line that says who it is.
    pub fn tell_jobs<'a>(&self, jobs: impl Iterator<Item = &'a str>) {
        let lines: String = jobs.map(|job| format!("{job}\n")).collect();
        self.held.tell(&lines);
    }
}

impl Holding for File {
    fn tell(&self, lines: &str) {
        let mut file = self;
        // Others find out by waiting, where this cannot be written.
        file.write_all(lines.as_bytes()).unwrap_or_default();
    }
}

/// Takes the lock of a file, waiting for it until `deadline`.
pub(super) fn of_file(path: &Path, deadline: Instant) -> Result<Box<dyn Holding>, NotLocked> {
    let impossible = |error| NotLocked::Impossible(Error::file(path, error));
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(impossible)?;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(impossible(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Err(held(path, &content(&mut file))),
        }
    }
    // The name is for people; the lock holds without it.
    if let Err(error) = sign(&mut file) {
        log::debug!("`{}`: {error}", path.display());
    }
    Ok(Box::new(file))
}

/// Who this is, for others.
pub(super) fn holder() -> String {
    format!("process {} since {:.0}", std::process::id(), jiff::Timestamp::now())
}

/// That a lock is held, and what its file says of who has it and of the jobs that it runs.
pub(super) fn held(path: &Path, text: &str) -> NotLocked {
    let mut lines = text.lines();
    let who = lines.next().map(str::trim).filter(|who| !who.is_empty());
    let who = who.map_or_else(|| "it does not say who".into(), |who| printable(who));
    let (holder, jobs) = (who.into_owned(), lines.map(str::to_owned).collect());
    NotLocked::Held { path: path.to_owned(), holder, jobs }
}

/// What another has written is cut off behind it, and not before: some file systems flush a file that was emptied.
fn sign(file: &mut File) -> io::Result<()> {
    let line = format!("{}\n", holder());
    file.write_all(line.as_bytes())?;
    file.set_len(line.len() as u64)
}

fn content(file: &mut File) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is as good as any.
    file.take(HOLDER_CAP_BYTES).read_to_end(&mut bytes).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_next_learns_who() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path())?;
        let term = Term { wait_until: Instant::now(), lease: Duration::ZERO, killed_at: None };
        let lock = store.lock(term)?;
        let told = store.lock(term).map(drop).unwrap_err().to_string();
        assert!(told.contains(&format!("process {} since 20", std::process::id())), "{told}");
        drop(lock);
        store.lock(term)?;
        Ok(())
    }
}
