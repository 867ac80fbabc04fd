//! Bodies that an output has not accepted yet: one immutable file each, no log, no index.
//!
//! A file's name is `<timestamp ms>-<run>-<random>-<datapoints>.<bytes>.<checksum>.body`, so that names sort oldest
//! first, no two runs make the same, a listing needs no file opened, and what is damaged is known for it.

mod caps;
pub(super) mod checksum;
mod quarantine;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(super) use checksum::Sum;
use checksum::Summing;

pub use caps::Caps;

pub use super::shelf::Measure;
use super::shelf::{Contents, Shelf};
use super::{Error, durable};
use crate::outputs::{Body, Part};
use crate::payload::Encoded;

/// The longest that an output may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// The bodies that wait for one output.
#[derive(Debug, Clone)]
pub struct Spool {
    shelf: Arc<dyn Shelf>,
    folder: PathBuf,
    caps: Caps,
}

/// A body that waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The clock of the run that made it, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// How many datapoints it has.
    pub datapoints: u64,
    path: PathBuf,
    /// What its bytes must sum up to; one that a person has put there need not say.
    sum: Option<Sum>,
}

impl Entry {
    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its file's name without the ending.
    pub fn name(&self) -> &str {
        self.path.file_stem().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// What is known to wait.
#[derive(Debug, Default)]
pub struct Listing {
    /// The bodies, oldest first.
    pub entries: Vec<Entry>,
    /// What runs had begun that were killed, long ago.
    pub leftovers: Vec<PathBuf>,
    /// Why there may be more.
    pub error: Option<Error>,
}

impl Listing {
    /// How many datapoints they have together.
    pub fn datapoints(&self) -> u64 {
        self.entries.iter().map(|entry| entry.datapoints).fold(0, u64::saturating_add)
    }
}

impl Spool {
    /// A spool that gives nothing up.
    pub(super) fn new(shelf: Arc<dyn Shelf>, folder: PathBuf) -> Self {
        Self { shelf, folder, caps: Caps { bytes: u64::MAX, age: Duration::MAX } }
    }

    /// One on disk.
    #[cfg(test)]
    pub(super) fn on_disk(folder: PathBuf) -> Self {
        Self::new(Arc::new(super::disk::Disk), folder)
    }

    /// The same with other caps.
    #[must_use]
    pub fn with_caps(self, caps: Caps) -> Self {
        Self { caps, ..self }
    }

    /// Makes a body durable.
    ///
    /// # Errors
    /// [`Error`] when it could not be written whole; nothing is left then, or the error says that something may be.
    pub fn put(
        &self,
        timestamp_ms: i64,
        run: &str,
        encode: impl FnOnce(&mut dyn io::Write) -> io::Result<Encoded>,
    ) -> Result<(Entry, Encoded), Error> {
        let failed = |error| Error::file(&self.folder, error);
        let random = durable::random_suffix().map_err(failed)?;
        let (mut encode, mut written, mut place) = (Some(encode), None, None);
        let mut fill = |to: &mut dyn io::Write| {
            // A shelf fills a file once.
            let encode = encode.take().ok_or_else(|| io::Error::other("a body is made once"))?;
            let mut to = Summing::new(to);
            let encoded = encode(&mut to)?;
            let (at, sum) = (sortable(timestamp_ms), to.sum());
            let name = format!("{at}-{run}-{random}-{}.{sum}.body", encoded.datapoints);
            written = Some((encoded, sum));
            place = Some(self.folder.join(&name));
            Ok(name.into())
        };
        let created = self.shelf.create(&self.folder, &mut fill);
        let path = created.map_err(|error| {
            failed(match place {
                Some(place) => self.shelf.retract(&place, error),
                None => error,
            })
        })?;
        let (encoded, sum) = written.unwrap_or_default();
        let sum = Some(sum);
        Ok((Entry { timestamp_ms, datapoints: encoded.datapoints, path, sum }, encoded))
    }

    /// The bodies that wait, as far as they can be listed; a folder that is not there has none. A file of another
    /// name is none of ours and stays.
    pub fn list(&self) -> Listing {
        let Contents { files, folders, leftovers, error } = self.shelf.list(&self.folder);
        let error = error.map(|error| Error::file(&self.folder, error));
        let mut entries: Vec<Entry> =
            files.iter().chain(&folders).filter_map(|path| parse(path)).collect();
        entries.sort_unstable();
        Listing { entries, leftovers, error }
    }

    /// Forgets what a run had begun that was killed.
    pub fn sweep(&self, leftover: &Path) {
        // One that stays is nobody's, and tried again.
        self.shelf.remove(leftover).unwrap_or_default();
    }

    /// Length and age of a body that was listed, as far as they can be told.
    pub fn measure(&self, entry: &Entry) -> Option<Measure> {
        self.shelf.measure(&entry.path).ok()
    }

    /// Whether no body waits. A folder that cannot be listed may hold some.
    pub fn is_empty(&self) -> bool {
        !self.shelf.has(&self.folder, &|path| parse(path).is_some())
    }

    /// A body that waits, opened.
    ///
    /// # Errors
    /// [`Error`] when the file is gone, cannot be read, or is not what was written.
    pub fn body(&self, entry: &Entry) -> Result<Body, Error> {
        let body = self.shelf.body(&entry.path, entry.sum);
        body.map_err(|error| Error::file(&entry.path, error))
    }

    /// Forgets a body that was accepted.
    ///
    /// # Errors
    /// [`Error`] when the file cannot be removed: it will be sent again.
    pub fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.shelf.remove(&entry.path).map_err(|error| Error::file(&entry.path, error))
    }

    /// Sets a body aside that the output will never accept, with the reason in a file beside it.
    ///
    /// # Errors
    /// [`Error`] when it cannot be moved: it stays in the spool.
    pub fn quarantine(&self, entry: &Entry, reason: &str) -> Result<PathBuf, Error> {
        let name = entry.path.file_name().unwrap_or_default();
        let place = self.folder.join("quarantine").join(name);
        self.give_reason(&place, reason)
            .and_then(|()| self.shelf.relocate(&entry.path, &place, false))
            .map_err(|error| Error::file(&place, error))?;
        Ok(place)
    }

    /// Keeps the `number`-th part of a body that the output will never accept, with the reason in a file beside it.
    ///
    /// # Errors
    /// [`Error`] when it cannot be written.
    pub fn quarantine_part(
        &self,
        entry: &Entry,
        number: usize,
        part: &Part,
        reason: &str,
    ) -> Result<PathBuf, Error> {
        let name = entry.path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let whole = name.rsplit_once('-').map_or(name, |(whole, _)| whole);
        let sum = Sum::of(&part.bytes);
        let name = format!("{whole}.{number}-{}.{sum}.body", part.datapoints);
        let place = self.folder.join("quarantine").join(name);
        // The same part, where a run that was killed had begun.
        self.give_reason(&place, reason)
            .and_then(|()| self.shelf.write(&place, &part.bytes))
            .map_err(|error| Error::file(&place, error))?;
        Ok(place)
    }

    /// Counts that the output failed at a body, which is the oldest that waits. Gives back how often it has by now.
    ///
    /// # Errors
    /// [`Error`] when that cannot be kept.
    pub fn count_failure(&self, entry: &Entry) -> Result<u32, Error> {
        let path = self.folder.join("failures");
        let name = entry.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let known = self.read_text(&path).unwrap_or_default();
        let before = known.trim().rsplit_once(' ').filter(|(body, _)| *body == name);
        let failures = before.and_then(|(_, count)| count.parse::<u32>().ok()).unwrap_or(0);
        let failures = failures.saturating_add(1);
        self.shelf
            .write(&path, format!("{name} {failures}").as_bytes())
            .map_err(|error| Error::file(&path, error))?;
        Ok(failures)
    }

    /// Keeps for the next runs that the output wants to be left alone, for an hour at most.
    ///
    /// # Errors
    /// [`Error`] when that cannot be written.
    pub fn pause(&self, pause: Duration) -> Result<(), Error> {
        let path = self.pause_path();
        let until = SystemTime::now() + pause.min(LONGEST_PAUSE);
        let until_ms = jiff::Timestamp::try_from(until).unwrap_or_default().as_millisecond();
        self.shelf
            .write(&path, until_ms.to_string().as_bytes())
            .map_err(|error| Error::file(&path, error))
    }

    /// Until when the output wants to be left alone. A pause that is over is forgotten.
    pub fn paused_until(&self) -> Option<jiff::Timestamp> {
        let path = self.pause_path();
        let text = self.read_text(&path)?;
        let until = pause_in(&text, jiff::Timestamp::now());
        if until.is_none() {
            // One that stays is read again, and is still over.
            self.shelf.remove(&path).ok();
        }
        until
    }

    fn read_text(&self, path: &Path) -> Option<String> {
        String::from_utf8(self.shelf.read(path).ok()?.0).ok()
    }

    fn give_reason(&self, place: &Path, reason: &str) -> io::Result<()> {
        self.shelf.write(&place.with_extension("reason"), format!("{reason}\n").as_bytes())
    }

    fn pause_path(&self) -> PathBuf {
        self.folder.join("retry_after")
    }
}

fn pause_in(text: &str, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    let until = jiff::Timestamp::from_millisecond(text.trim().parse().ok()?).ok()?;
    let left = Duration::try_from(until.duration_since(now)).ok()?;
    // What is further away is of a clock that was wrong.
    (!left.is_zero() && left <= LONGEST_PAUSE).then_some(until)
}

/// A timestamp as text that sorts like the number, also before 1970.
fn sortable(timestamp_ms: i64) -> String {
    format!("{:020}", timestamp_ms.cast_unsigned() ^ (1 << 63))
}

fn parse(path: &Path) -> Option<Entry> {
    let name = path.file_name()?.to_str()?.strip_suffix(".body")?;
    let (timestamp, rest) = name.split_once('-')?;
    let (_, last) = rest.rsplit_once('-')?;
    let (datapoints, sum) = match last.split_once('.') {
        Some((datapoints, sum)) => (datapoints, Some(Sum::parse(sum)?)),
        None => (last, None),
    };
    Some(Entry {
        timestamp_ms: (timestamp.parse::<u64>().ok()? ^ (1 << 63)).cast_signed(),
        datapoints: datapoints.parse().ok()?,
        path: path.to_owned(),
        sum,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn encoded(datapoints: u64) -> Encoded {
        Encoded { datapoints, ..Encoded::default() }
    }

    #[test]
    fn bodies_come_back_oldest_first_and_whole() -> Tested {
        let folder = tempfile::tempdir()?;
        let spool = Spool::on_disk(folder.path().join("out"));
        assert_eq!(spool.list().entries, []);
        for at in [2_000, -5, 1_000] {
            spool.put(at, "run", |to| {
                write!(to, "body {at}")?;
                Ok(encoded(3))
            })?;
        }
        let entries = spool.list().entries;
        let times: Vec<_> = entries.iter().map(|entry| entry.timestamp_ms).collect();
        assert_eq!(times, [-5, 1_000, 2_000]);
        let body = spool.body(&entries[1])?;
        // Each reader begins anew.
        for _ in 0..2 {
            let mut text = String::new();
            body.open()?.read_to_string(&mut text)?;
            assert_eq!(text, "body 1000");
        }
        assert_eq!(entries[1].datapoints, 3);
        Ok(())
    }

    #[test]
    fn a_body_cut_at_any_byte_or_with_any_bit_flipped_is_not_sent() -> Tested {
        let folder = tempfile::tempdir()?;
        let spool = Spool::on_disk(folder.path().to_owned());
        let (entry, _) = spool.put(1, "run", |to| to.write_all(b"a body").map(|()| encoded(1)))?;
        assert_eq!(spool.list().entries, std::slice::from_ref(&entry));
        for end in 0..6 {
            fs::write(entry.path(), &b"a body"[..end])?;
            assert!(spool.body(&entry).is_err(), "cut at {end}");
            for bit in 0..8 {
                let mut damaged = b"a body".to_vec();
                damaged[end] ^= 1 << bit;
                fs::write(entry.path(), damaged)?;
                assert!(spool.body(&entry).is_err(), "bit {bit} of byte {end}");
            }
        }
        fs::write(entry.path(), b"a body")?;
        spool.body(&entry)?;
        Ok(())
    }

    #[test]
    fn what_is_set_aside_waits_no_more_and_keeps_its_reason() -> Tested {
        let folder = tempfile::tempdir()?;
        let spool = Spool::on_disk(folder.path().to_owned());
        let (entry, _) = spool.put(1, "run", |_| Ok(encoded(1)))?;
        let place = spool.quarantine(&entry, "bad key")?;
        assert_eq!(spool.list().entries, []);
        assert_eq!(fs::read_to_string(place.with_extension("reason"))?, "bad key\n");
        Ok(())
    }

    #[test]
    fn leftovers_of_killed_runs_are_known_after_an_hour() -> Tested {
        let folder = tempfile::tempdir()?;
        let [old, young] = [".old.tmp", ".young.tmp"].map(|name| folder.path().join(name));
        fs::write(&young, "")?;
        let long_ago = SystemTime::now() - Duration::from_secs(7_200);
        File::create(&old)?.set_modified(long_ago)?;
        assert_eq!(Spool::on_disk(folder.path().to_owned()).list().leftovers, [old]);
        Ok(())
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_no_empty_one() -> Tested {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out");
        fs::write(&path, "")?;
        assert!(Spool::on_disk(path).list().error.is_some());
        Ok(())
    }

    #[test]
    fn two_runs_of_one_name_and_moment_keep_both_bodies() -> Tested {
        let folder = tempfile::tempdir()?;
        let spool = Spool::on_disk(folder.path().to_owned());
        spool.put(1, "run", |_| Ok(encoded(1)))?;
        spool.put(1, "run", |_| Ok(encoded(1)))?;
        assert_eq!(spool.list().entries.len(), 2);
        Ok(())
    }

    #[test]
    fn a_pause_ends_and_none_is_longer_than_an_hour() -> Tested {
        let folder = tempfile::tempdir()?;
        let spool = Spool::on_disk(folder.path().to_owned());
        assert_eq!(spool.paused_until(), None);
        spool.pause(Duration::MAX)?;
        assert!(spool.paused_until().is_some());
        spool.pause(Duration::ZERO)?;
        assert_eq!(spool.paused_until(), None);
        assert!(!spool.pause_path().exists());
        fs::write(spool.pause_path(), "99999999999999")?;
        assert_eq!(spool.paused_until(), None);
        Ok(())
    }

    use std::io::Read as _;
}
