//! Bodies that an output has not accepted yet: one immutable file each, no log, no index.
//!
//! A file's name is `<timestamp ms>-<run>-<datapoints>.body`, so that names sort oldest first and a listing
//! needs no file opened.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, durable};
use crate::outputs::Body;
use crate::payload::Encoded;

/// The bodies that wait for one output.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
}

/// A body that waits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The clock of the run that made it, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// How many datapoints it has.
    pub datapoints: u64,
    path: PathBuf,
}

impl Spool {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes a body durable.
    ///
    /// # Errors
    /// [`Error`] when it could not be written whole; nothing is left then.
    pub fn put(
        &self,
        timestamp_ms: i64,
        run: &str,
        encode: impl FnOnce(&mut dyn io::Write) -> io::Result<Encoded>,
    ) -> Result<(Entry, Encoded), Error> {
        let (path, encoded) = durable::write_named(&self.folder, encode, |encoded| {
            let at = sortable(timestamp_ms);
            format!("{at}-{run}-{}.body", encoded.datapoints).into()
        })
        .map_err(|error| Error::file(&self.folder, error))?;
        Ok((Entry { timestamp_ms, datapoints: encoded.datapoints, path }, encoded))
    }

    /// The bodies that wait, oldest first. A file of another name is none of ours and stays.
    ///
    /// # Errors
    /// [`Error`] when the folder cannot be read; one that is not there has no bodies.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let listing = match fs::read_dir(&self.folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&self.folder, error)),
        };
        let mut entries: Vec<Entry> =
            listing.filter_map(Result::ok).filter_map(|file| parse(&file.path())).collect();
        entries.sort_unstable();
        Ok(entries)
    }

    /// A body that waits, ready to be sent.
    ///
    /// # Errors
    /// [`Error`] when the file is gone or cannot be read.
    pub fn body(&self, entry: &Entry) -> Result<Body, Error> {
        let length =
            fs::metadata(&entry.path).map_err(|error| Error::file(&entry.path, error))?.len();
        Ok(Body::File { path: entry.path.clone(), length })
    }

    /// Forgets a body that was accepted.
    ///
    /// # Errors
    /// [`Error`] when the file cannot be removed: it will be sent again.
    pub fn remove(&self, entry: &Entry) -> Result<(), Error> {
        fs::remove_file(&entry.path).map_err(|error| Error::file(&entry.path, error))
    }

    /// Sets a body aside that the output will never accept, with the reason in a file beside it.
    ///
    /// # Errors
    /// [`Error`] when it cannot be moved: it stays in the spool.
    pub fn quarantine(&self, entry: &Entry, reason: &str) -> Result<PathBuf, Error> {
        let name = entry.path.file_name().unwrap_or_default();
        let place = self.folder.join("quarantine").join(name);
        durable::write(&place.with_extension("reason"), |file| writeln!(file, "{reason}"))
            .and_then(|_| fs::rename(&entry.path, &place))
            .map_err(|error| Error::file(&place, error))?;
        Ok(place)
    }
}

/// A timestamp as text that sorts like the number, also before 1970.
fn sortable(timestamp_ms: i64) -> String {
    format!("{:020}", timestamp_ms.cast_unsigned() ^ (1 << 63))
}

fn parse(path: &Path) -> Option<Entry> {
    let name = path.file_name()?.to_str()?.strip_suffix(".body")?;
    let (timestamp, rest) = name.split_once('-')?;
    let (_, datapoints) = rest.rsplit_once('-')?;
    Some(Entry {
        timestamp_ms: (timestamp.parse::<u64>().ok()? ^ (1 << 63)).cast_signed(),
        datapoints: datapoints.parse().ok()?,
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(datapoints: u64) -> Encoded {
        Encoded { datapoints, ..Encoded::default() }
    }

    #[test]
    fn bodies_come_back_oldest_first_and_whole() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let spool = Spool::new(folder.path().join("out"));
        assert_eq!(spool.entries()?, []);
        for at in [2_000, -5, 1_000] {
            spool.put(at, "run", |to| {
                write!(to, "body {at}")?;
                Ok(encoded(3))
            })?;
        }
        let entries = spool.entries()?;
        let times: Vec<_> = entries.iter().map(|entry| entry.timestamp_ms).collect();
        assert_eq!(times, [-5, 1_000, 2_000]);
        let mut text = String::new();
        spool.body(&entries[1])?.open()?.read_to_string(&mut text)?;
        assert_eq!(text, "body 1000");
        assert_eq!(entries[1].datapoints, 3);
        Ok(())
    }

    #[test]
    fn what_is_set_aside_waits_no_more_and_keeps_its_reason()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let spool = Spool::new(folder.path().to_owned());
        let (entry, _) = spool.put(1, "run", |_| Ok(encoded(1)))?;
        let place = spool.quarantine(&entry, "bad key")?;
        assert_eq!(spool.entries()?, []);
        assert_eq!(fs::read_to_string(place.with_extension("reason"))?, "bad key\n");
        Ok(())
    }

    use std::io::Read as _;
}
