//! How much may wait for one output.

use std::time::Duration;

use super::super::Error;
use super::{Entry, Spool};

/// So many bodies in a row that are young enough, from the oldest on, and no further is asked for its age: names go by
/// the runs' clocks and ages by when the files were made, which is the same order but for a few.
const YOUNG_IN_A_ROW: u32 = 100;

/// How much may wait for one output. What is beyond is given up, the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// All bodies together, in bytes.
    pub bytes: u64,
    /// How long one may wait, by the wall clock.
    pub age: Duration,
}

impl Spool {
    /// Of these, oldest first, those beyond the caps, and why.
    pub fn beyond_caps<'a>(&self, entries: &'a [Entry]) -> Vec<(&'a Entry, &'static str)> {
        let mut given_up: Vec<Option<&'static str>> = vec![None; entries.len()];
        let mut young = 0;
        for (entry, why) in entries.iter().zip(&mut given_up) {
            young += 1;
            if self.is_too_old(entry) {
                *why = Some("it waited for too long");
                young = 0;
            } else if young == YOUNG_IN_A_ROW {
                break;
            }
        }
        let mut bytes = 0_u64;
        // From the newest, so that the oldest are those that find no room.
        for (entry, why) in entries.iter().zip(&mut given_up).rev() {
            // One that is too large by itself takes no others with it.
            let length = self.bytes(entry);
            if length > self.caps.bytes {
                *why = Some("it is larger than the spool may be");
            }
            if why.is_none() {
                bytes = bytes.saturating_add(length);
                *why = (bytes > self.caps.bytes).then_some("too much waits");
            }
        }
        let beyond = entries.iter().zip(given_up);
        beyond.filter_map(|(entry, why)| why.map(|why| (entry, why))).collect()
    }

    fn is_too_old(&self, entry: &Entry) -> bool {
        // One that cannot be asked is not given up for it.
        let age = self.measure(entry).and_then(|found| found.age());
        age.is_some_and(|age| age > self.caps.age)
    }

    /// Makes a body as old as it is, where the wall clock was set ahead since it was made.
    ///
    /// # Errors
    /// [`Error`] when its age stays wrong.
    pub fn correct_age(&self, entry: &Entry, leap: Duration) -> Result<(), Error> {
        let corrected = self.shelf.correct_age(&entry.path, leap);
        corrected.map_err(|error| Error::file(&entry.path, error))
    }

    /// A body's length in bytes, as its name has it.
    fn bytes(&self, entry: &Entry) -> u64 {
        let asked = || self.measure(entry).map_or(0, |found| found.bytes);
        entry.sum.map_or_else(asked, |sum| sum.bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io;
    use std::time::SystemTime;

    use super::*;
    use crate::payload::Encoded;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn encoded(datapoints: u64) -> Encoded {
        Encoded { datapoints, ..Encoded::default() }
    }

    #[test]
    fn the_caps_spare_the_newest() -> Tested {
        let folder = tempfile::tempdir()?;
        let caps = Caps { bytes: 10, age: Duration::from_secs(60) };
        let spool = Spool::on_disk(folder.path().to_owned()).with_caps(caps);
        for at in 0..4 {
            spool.put(at, "run", |to| to.write_all(b"four").map(|()| encoded(1)))?;
        }
        let entries = spool.list().entries;
        let long_ago = SystemTime::now() - Duration::from_secs(120);
        File::options().write(true).open(&entries[3].path)?.set_modified(long_ago)?;
        let beyond = spool.beyond_caps(&entries);
        let times: Vec<_> = beyond.iter().map(|(entry, _)| entry.timestamp_ms).collect();
        assert_eq!(times, [0, 3]);
        Ok(())
    }

    #[test]
    fn a_body_is_no_older_for_a_clock_that_was_set() -> Tested {
        let folder = tempfile::tempdir()?;
        let spool = Spool::on_disk(folder.path().to_owned());
        let (entry, _) = spool.put(1, "run", |to| to.write_all(b"four").map(|()| encoded(1)))?;
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let made = SystemTime::now() - minutes(100);
        File::options().write(true).open(&entry.path)?.set_modified(made)?;
        let age =
            || Ok::<_, io::Error>(fs::metadata(&entry.path)?.modified()?.duration_since(made));
        spool.correct_age(&entry, minutes(60))?;
        assert_eq!(age()?.ok(), Some(minutes(60)));
        // Done again it is not younger than what is made now.
        spool.correct_age(&entry, minutes(60))?;
        assert!(fs::metadata(&entry.path)?.modified()? <= SystemTime::now());
        Ok(())
    }
}
