//! An embedded store: one SQLite file beside the program, the output of a configuration that names none.
//!
//! `collector data list` shows the series in it, `collector data get SERIES --since 1h` the datapoints of one;
//! any program that reads SQLite can do the same (tables `series` and `datapoints`; an integer above 2⁶³ − 1 is
//! text in a series that is not of the type `string`). A series is a key, a target, a data type and a set of
//! labels; unit and info are the latest.
//!
//! The file is `collector.db` in the daemon directory unless `path` says otherwise. It is made with mode 0600, its
//! folder with 0700. Each run's datapoints go in together and are on disk before they count as accepted; the same
//! ones sent again change nothing. What is older than `retention` is removed bit by bit with each run, and its
//! space is used again. The newest datapoints may be in `collector.db-wal` beside the file, so that a copy needs
//! both, or `sqlite3 collector.db '.backup copy.db'`.
//!
//! A file that another program holds for the rest of the run, that is damaged, that is no store of ours, or that a
//! later release has made is left alone: the datapoints wait in the spool, and the report names the file.
//!
//! ```yaml
//! outputs:
//!   - sqlite:
//!       retention: 90d
//! jobs:
//!   - id: dice
//!     random: {key: dice}
//! ```

pub mod read;
mod schema;
mod value;
mod write;

use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use collectors::decode::Problem;
use collectors::period::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::repeats::Repeats;
use super::{Body, Destination, Output, Part, Receipt, Surroundings, file, json_lines};
use crate::payload::{Encoded, Payload};
use crate::report::chain;

pub use schema::Error;

/// The file's name where the options give none.
const FILE: &str = "collector.db";

/// The options of `sqlite`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Sqlite {
    /// The file; a relative path starts at the configuration's folder. Default: `collector.db` in the daemon
    /// directory.
    path: Option<PathBuf>,
    /// How long datapoints are kept; `null` for ever.
    retention: Option<Period>,
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { path: None, retention: Some(Period::from_secs(30 * 86_400)) }
    }
}

impl Sqlite {
    fn file(&self, config_directory: &Path, daemon_directory: Option<&Path>) -> Option<PathBuf> {
        match &self.path {
            Some(path) => Some(config_directory.join(path)),
            None => daemon_directory.map(|directory| directory.join(FILE)),
        }
    }

    fn file_in(&self, surroundings: &Surroundings) -> Result<PathBuf, String> {
        self.file(&surroundings.config_directory, surroundings.daemon_directory.as_deref())
            .ok_or_else(|| format!("there is no daemon directory for `{FILE}`; set `path`"))
    }
}

impl Output for Sqlite {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let mut repeats = Repeats::default();
        json_lines::encode_if(payload, to, |view, encoded| repeats.is_first(view, encoded))
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        Destination {
            method: "INSERT",
            url: self
                .file_in(surroundings)
                .map_or_else(|why| why, |path| path.display().to_string()),
            headers: Vec::new(),
        }
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        let retry = |reason| Receipt::Retry { reason, after: None };
        let path = match self.file_in(surroundings) {
            Ok(path) => path,
            Err(why) => return retry(why),
        };
        let mut connection = match schema::open(&path, deadline) {
            Ok(connection) => connection,
            Err(error) => return retry(chain(&error)),
        };
        let retention = self.retention.map(|period| write::Retention {
            now_ms: oldest_now(surroundings),
            kept: period.get(),
        });
        let inserted = body.open().map_err(write::Error::Body).and_then(|reader| {
            let mut reader = BufReader::with_capacity(64 * 1024, reader);
            write::insert(&mut connection, &mut reader, retention, deadline)
        });
        if let Err(error) = schema::close(connection, &path) {
            log::warn!("{}", chain(&error));
        }
        match inserted {
            Ok(()) => Receipt::Accepted,
            Err(error @ write::Error::Line { .. }) => Receipt::Rejected { reason: chain(&error) },
            Err(error) => retry(format!("`{}`: {}", path.display(), chain(&error))),
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        json_lines::halve(body)
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        Some(String::from_utf8_lossy(body).trim_end().to_owned())
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        let path = self.file_in(surroundings)?;
        let can_be_written = file::can_be_written(&path)?;
        schema::open_to_read(&path, deadline).map_err(|error| chain(&error))?;
        Ok(can_be_written)
    }

    fn store(&self, config_directory: &Path, daemon_directory: Option<&Path>) -> Option<PathBuf> {
        self.file(config_directory, daemon_directory)
    }

    fn conflicts(&self) -> Vec<Problem> {
        if self.retention.is_none_or(|period| !period.get().is_zero()) {
            return Vec::new();
        }
        let problem = Problem::at(&["retention"], "`retention` is zero: nothing would be kept");
        vec![problem.hint("`null` keeps everything")]
    }
}

/// The run's clock, or the machine's where the run's is ahead of it: a `--at` in the future must not make what is
/// stored look old.
fn oldest_now(surroundings: &Surroundings) -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    surroundings.now_ms.min(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
