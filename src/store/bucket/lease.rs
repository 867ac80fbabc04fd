//! The lock in a bucket: an object that says who has it and for how long.
//!
//! Nobody notices when its holder dies, so it ends by itself: its age, by S3's own clock, is beyond the lease that it
//! names. Whoever finds it so takes it over, on condition that it is still the same; so one of several gets it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::lock::{HOLDER_CAP_BYTES, Holding, NotLocked, Term, held, holder};
use super::super::{Error, durable};
use crate::aws::bucket::{self as s3, Bucket, Condition};
use crate::report::chain;

/// How often a lock that is held is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// S3's clock has whole seconds, and what is written has to get there.
const SLACK: Duration = Duration::from_secs(3);
/// The lease of a lock that does not name it: the longest that a function may run.
const UNKNOWN_LEASE: Duration = Duration::from_secs(900);
/// So many times in a row it may vanish between a look and the next.
const TRIES: u32 = 10;

/// A lock that is held; given back when dropped.
#[derive(Debug)]
struct Lease {
    bucket: Bucket,
    key: String,
    path: PathBuf,
    term: Term,
    held: Mutex<Held>,
}

/// How far a lock is held.
#[derive(Debug)]
struct Held {
    /// When it is not ours any more.
    end: Instant,
    /// What it says.
    text: String,
    /// What it is called in this version.
    tag: String,
}

/// Takes the lock.
pub(super) fn take(
    bucket: &Bucket,
    key: io::Result<&str>,
    path: &Path,
    term: Term,
) -> Result<Box<dyn Holding>, NotLocked> {
    let impossible = |error| NotLocked::Impossible(Error::file(path, error));
    let key = key.map_err(impossible)?;
    let random = durable::random_suffix().map_err(impossible)?;
    let lease = term.lease + SLACK;
    let text = format!("{}, for {} s at most, {random}\n", holder(), lease.as_secs());
    let mut tries = 0;
    let mut condition = Condition::New;
    loop {
        let began = Instant::now();
        match bucket.put(key, text.as_bytes(), &condition).map_err(io::Error::from) {
            Ok(tag) => {
                let held = Mutex::new(Held { end: began + lease, text, tag });
                let (key, path) = (key.to_owned(), path.to_owned());
                return Ok(Box::new(Lease { bucket: bucket.clone(), key, path, term, held }));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => tries += 1,
            // What was to be taken over is gone: its holder has given it back after all.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && condition != Condition::New
                    && tries < TRIES =>
            {
                (tries, condition) = (tries + 1, Condition::New);
                continue;
            }
            Err(error) => return Err(impossible(error)),
        }
        let there = match bucket.get(key, HOLDER_CAP_BYTES).map_err(io::Error::from) {
            Ok(there) => there,
            // It was given back just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {
                condition = Condition::New;
                continue;
            }
            Err(error) => return Err(impossible(error)),
        };
        let said = String::from_utf8_lossy(&there.bytes).into_owned();
        let is_over = there.age.is_some_and(|age| age > lease_of(&said));
        if let Some(tag) = there.tag.filter(|_| is_over && tries < TRIES) {
            log::warn!("`{}` is taken over: its lease has ended ({})", path.display(), said.trim());
            condition = Condition::Is(tag);
            continue;
        }
        if Instant::now() + PAUSE > term.wait_until {
            return Err(held(path, &said));
        }
        (tries, condition) = (0, Condition::New);
        thread::sleep(PAUSE);
    }
}

/// For how long a lock was taken, by what it says.
fn lease_of(text: &str) -> Duration {
    let seconds = text.lines().next().and_then(|line| {
        let (_, behind) = line.split_once(", for ")?;
        behind.split_once(" s at most")?.0.parse().ok()
    });
    seconds.map_or(UNKNOWN_LEASE, Duration::from_secs)
}

impl Lease {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bucket for somebody who has time as long as the lock is held, and there is somebody.
    fn bucket(&self, held: &Held) -> Bucket {
        let end = self.term.killed_at.map_or(held.end, |killed_at| killed_at.min(held.end));
        self.bucket.clone().until(Some(end))
    }

    /// Writes it anew, with which its lease begins anew.
    fn put(&self, bucket: &Bucket, held: &mut Held, text: String) -> Result<(), io::Error> {
        let began = Instant::now();
        let put =
            |tag: &str| bucket.put(&self.key, text.as_bytes(), &Condition::Is(tag.to_owned()));
        held.tag = match put(&held.tag) {
            Err(changed @ s3::Error::Changed { .. }) => {
                let there = bucket.get(&self.key, HOLDER_CAP_BYTES)?;
                // What was written last has got there without an answer.
                let is_ours = String::from_utf8_lossy(&there.bytes).lines().next()
                    == held.text.lines().next();
                put(&there.tag.filter(|_| is_ours).ok_or(changed)?)?
            }
            tag => tag?,
        };
        (held.text, held.end) = (text, began + self.term.lease + SLACK);
        Ok(())
    }
}

impl Holding for Lease {
    fn tell(&self, lines: &str) {
        let mut held = self.held();
        let text = format!("{}{lines}", held.text);
        // Others find it out by waiting, where this cannot be written.
        if let Err(error) = self.put(&self.bucket(&held), &mut held, text) {
            log::debug!("`{}`: {}", self.path.display(), chain(&error));
        }
    }

    fn keep(&self) -> Result<(), NotLocked> {
        let left = self.held().end.saturating_duration_since(Instant::now());
        if left > self.term.lease / 2 { Ok(()) } else { self.renew() }
    }

    fn renew(&self) -> Result<(), NotLocked> {
        let mut held = self.held();
        let text = held.text.clone();
        // It may be ours still when its lease has ended: then nobody wanted it.
        let bucket = self.bucket.clone().until(self.term.killed_at);
        match self.put(&bucket, &mut held, text) {
            Ok(()) => Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound => {
                    Err(NotLocked::Taken { path: self.path.clone() })
                }
                // It is held for a while yet.
                _ if Instant::now() < held.end => {
                    log::debug!("`{}`: {}", self.path.display(), chain(&error));
                    Ok(())
                }
                _ => Err(NotLocked::Impossible(Error::file(&self.path, error))),
            },
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let held = self.held();
        // By then it is perhaps another's.
        if Instant::now() >= held.end {
            return;
        }
        if let Err(error) = self.bucket(&held).delete(&self.key, Some(&held.tag)) {
            let (path, why) = (self.path.display(), chain(&error));
            log::warn!("`{path}` is not given back, and holds until its lease ends: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_lease() {
        let text =
            "process 7 since 2026-01-31T12:00:00Z, for 243 s at most, 00ff\njob, for 9 s at most\n";
        assert_eq!(lease_of(text), Duration::from_secs(243));
        for other in ["", "x", "process 7, for ever s at most"] {
            assert_eq!(lease_of(other), UNKNOWN_LEASE);
        }
    }
}
