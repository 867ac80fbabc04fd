//! The lock in a bucket: an object that says who has it and for how long.
//!
//! Nobody notices when its holder dies, so it ends by itself: its age, by S3's own clock, is beyond the lease that it
//! names. Whoever finds it so takes it over, on condition that it is still the same; so one of several gets it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::lock::{HOLDER_CAP_BYTES, Holding, NotLocked, Term, held, holder};
use super::super::{Error, durable};
use crate::aws::bucket::{Bucket, Condition};
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
    /// When it is not ours any more.
    end: Instant,
    /// What it says, and what it is called.
    content: Mutex<(String, String)>,
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
                let content = Mutex::new((text, tag));
                let end = began + lease;
                // It is given back when others have no time any more, by a holder that has.
                let last = term.killed_at.map_or(end, |killed_at| killed_at.min(end));
                let bucket = bucket.clone().until(Some(last));
                let (key, path) = (key.to_owned(), path.to_owned());
                return Ok(Box::new(Lease { bucket, key, path, end, content }));
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

impl Holding for Lease {
    fn tell(&self, lines: &str) {
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let text = format!("{}{lines}", content.0);
        // For others it ends a little later then. They find out by waiting, where this cannot be written.
        match self.bucket.put(&self.key, text.as_bytes(), &Condition::Is(content.1.clone())) {
            Ok(tag) => *content = (text, tag),
            Err(error) => log::debug!("`{}`: {}", self.path.display(), chain(&error)),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // By then it is perhaps another's.
        if Instant::now() >= self.end {
            return;
        }
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.bucket.delete(&self.key, Some(&content.1)) {
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
