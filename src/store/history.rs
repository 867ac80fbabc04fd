//! What became of each run: one JSON line a run, newest last, in two files of bounded size.
//!
//! A line is not flushed to disk: it is for people, and the data that it speaks of is safe without it. So a line may
//! be torn by a power cut, and is skipped then.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use super::shelf::Shelf;
use super::{Error, Store};
use crate::report::chain;
use crate::report::record::Record;

/// A file that would grow beyond this, in bytes, is put aside; it takes the place of the one before.
const FILE_CAP_BYTES: u64 = 1 << 20;
/// A longer line is not read, in bytes.
const LINE_CAP_BYTES: u64 = 16 << 20;
/// How much of the end of a file is read for its newest line, in bytes: the report of some jobs, else of a thousand.
const ENDS_BYTES: [u64; 2] = [8 << 10, 256 << 10];

/// The history of the runs that share what lasts.
#[derive(Debug, Clone)]
pub struct History {
    shelf: Arc<dyn Shelf>,
    folder: PathBuf,
    cap_bytes: u64,
}

/// What the history tells.
#[derive(Debug, Default)]
pub struct Past {
    /// The newest runs, oldest first.
    pub records: VecDeque<Record>,
    /// How many lines could not be read.
    pub unreadable: u64,
}

impl Store {
    /// The history of runs.
    pub fn history(&self) -> History {
        let (shelf, folder) = (Arc::clone(&self.shelf), self.root.clone());
        History { shelf, folder, cap_bytes: FILE_CAP_BYTES }
    }
}

impl History {
    /// Adds a run. To be called under the lock: two at once may cost the older file.
    ///
    /// # Errors
    /// [`Error`] when it is not written, or not whole.
    pub fn append(&self, record: &Record) -> Result<(), Error> {
        let path = self.newer();
        let line = serde_json::to_vec(record).map_err(io::Error::from);
        line.and_then(|mut line| {
            line.push(b'\n');
            self.shelf.append(&path, &line, self.cap_bytes, &self.older())
        })
        .map_err(|error| Error::file(&path, error))
    }

    /// The newest `last` runs that `wanted` chooses. Files that are not there hold none.
    ///
    /// # Errors
    /// [`Error`] when a file that is there cannot be read.
    pub fn read(&self, last: usize, wanted: impl Fn(&Record) -> bool) -> Result<Past, Error> {
        let mut past = Past::default();
        for path in [self.older(), self.newer()] {
            let failed = |error| Error::file(&path, error);
            let file = match self.shelf.open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            let mut reader = BufReader::new(file);
            while let Some(line) = next_line(&mut reader).map_err(failed)? {
                match serde_json::from_slice::<Record>(&line) {
                    Ok(record) if wanted(&record) => {
                        past.records.push_back(record);
                        if past.records.len() > last {
                            past.records.pop_front();
                        }
                    }
                    Ok(_) => {}
                    Err(_) => past.unreadable += 1,
                }
            }
        }
        Ok(past)
    }

    /// The newest run, for the price of a short read; `None` where it has another one, and where the line is not sound.
    pub fn newest(&self) -> Option<Record> {
        let path = self.newer();
        for cap_bytes in ENDS_BYTES {
            let end = match self.shelf.end(&path, cap_bytes) {
                Ok(end) => end?,
                Err(error) => {
                    log::debug!("{}", chain(&Error::file(&path, error)));
                    return None;
                }
            };
            let line = end.trim_ascii_end();
            let start = memchr::memrchr(b'\n', line).map(|end| end + 1);
            let is_whole = start.is_some() || (end.len() as u64) < cap_bytes;
            if is_whole {
                return serde_json::from_slice(&line[start.unwrap_or(0)..]).ok();
            }
        }
        None
    }

    fn newer(&self) -> PathBuf {
        self.folder.join("history.jsonl")
    }

    fn older(&self) -> PathBuf {
        self.folder.join("history.1.jsonl")
    }
}

/// The next line that is not empty; one that is too long is given cut off, and is no JSON then.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    loop {
        let mut line = Vec::new();
        if reader.by_ref().take(LINE_CAP_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') && line.len() as u64 == LINE_CAP_BYTES {
            reader.skip_until(b'\n')?;
        }
        if !line.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn record(run: &str) -> Record {
        Record {
            run: run.to_owned(),
            timestamp_ms: 0,
            duration_seconds: 0.5,
            status: 0,
            jobs: Vec::new(),
            outputs: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn runs(past: &Past) -> Vec<&str> {
        past.records.iter().map(|record| record.run.as_str()).collect()
    }

    #[test]
    fn the_newest_runs_come_back_in_order_and_only_the_owner_reads_them() -> Tested {
        let folder = tempfile::tempdir()?;
        let history = Store::open(folder.path())?.history();
        assert_eq!((history.read(9, |_| true)?.records.len(), history.newest()), (0, None));
        for run in ["a", "b", "c"] {
            history.append(&record(run))?;
        }
        assert_eq!(runs(&history.read(2, |_| true)?), ["b", "c"]);
        assert_eq!(history.newest(), Some(record("c")));
        assert_eq!(runs(&history.read(9, |record| record.run != "b")?), ["a", "c"]);
        assert_eq!(fs::metadata(history.newer())?.permissions().mode() & 0o777, 0o600);
        Ok(())
    }

    #[test]
    fn a_torn_line_costs_itself_and_no_other() -> Tested {
        let folder = tempfile::tempdir()?;
        let history = Store::open(folder.path())?.history();
        history.append(&record("a"))?;
        let whole = fs::read(history.newer())?;
        for end in 1..whole.len() - 1 {
            fs::write(history.newer(), [whole.as_slice(), &whole[..end]].concat())?;
            assert_eq!(history.newest(), None, "cut at {end}");
            history.append(&record("b"))?;
            let past = history.read(9, |_| true)?;
            assert_eq!((runs(&past), past.unreadable), (vec!["a", "b"], 1), "cut at {end}");
        }
        // All of it but its end is there: nothing is torn.
        fs::write(history.newer(), &whole[..whole.len() - 1])?;
        assert_eq!(history.newest(), Some(record("a")));
        history.append(&record("b"))?;
        let past = history.read(9, |_| true)?;
        assert_eq!((runs(&past), past.unreadable), (vec!["a", "b"], 0));
        Ok(())
    }

    #[test]
    fn of_a_long_file_the_newest_run_is_found_and_a_line_that_is_too_long_is_none() -> Tested {
        let folder = tempfile::tempdir()?;
        let history = Store::open(folder.path())?.history();
        let warnings = vec!["w".repeat(300 << 10)];
        history.append(&Record { warnings, ..record("long") })?;
        assert_eq!(history.newest(), None);
        history.append(&record("short"))?;
        assert_eq!(history.newest(), Some(record("short")));
        // Longer than what is read at first.
        let middle = Record { warnings: vec!["w".repeat(20 << 10)], ..record("middle") };
        history.append(&middle)?;
        assert_eq!(history.newest(), Some(middle));
        Ok(())
    }

    #[test]
    fn it_never_holds_more_than_two_files_and_forgets_the_oldest() -> Tested {
        let folder = tempfile::tempdir()?;
        let history = History { cap_bytes: 400, ..Store::open(folder.path())?.history() };
        for run in 0..50 {
            history.append(&record(&format!("run {run}")))?;
            for file in [history.older(), history.newer()] {
                assert!(fs::metadata(file).map_or(0, |found| found.len()) <= 400);
            }
        }
        let past = history.read(99, |_| true)?;
        let kept = runs(&past);
        assert!((4..20).contains(&kept.len()), "{kept:?}");
        assert_eq!(kept.last(), Some(&"run 49"));
        assert_eq!(fs::read_dir(folder.path())?.count(), 2);
        Ok(())
    }

    #[test]
    fn a_pipe_in_its_place_is_an_error_and_no_wait() -> Tested {
        let folder = tempfile::tempdir()?;
        let history = Store::open(folder.path())?.history();
        let made = std::process::Command::new("mkfifo").arg(history.newer()).status()?;
        assert!(made.success());
        assert!(history.append(&record("a")).is_err());
        assert!(history.read(1, |_| true).is_err());
        assert_eq!(history.newest(), None);
        Ok(())
    }
}
