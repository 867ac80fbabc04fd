//! The tables, and opening the file that holds them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// The version of the tables, in `PRAGMA user_version`.
const VERSION: i64 = 1;
/// `coll` in ASCII, in `PRAGMA application_id`: the file is ours.
const APPLICATION: i64 = 0x636f_6c6c;

/// How long the log beside the file may grow, in bytes, before it is moved over. Each run reads it once.
const LOG_BYTES: u64 = 1 << 20;
/// How long to wait before asking again for what SQLite does not wait for.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// `datapoints` is ordered by time and not by series: a run then appends to one place instead of touching a page
/// for each of its series, which is what flash memory and a busy disk feel. The same order makes a range of time
/// one stretch of the file, for those who read it and for the removal of what is old.
///
/// `labels` is a JSON object whose names are sorted; `newest_day` counts days since 1970.
const TABLES: &str = "
    CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        target TEXT NOT NULL,
        data_type TEXT NOT NULL,
        labels TEXT NOT NULL,
        unit TEXT,
        info TEXT,
        newest_day INTEGER NOT NULL,
        UNIQUE (key, target, data_type, labels)
    ) STRICT;
    CREATE TABLE datapoints (
        timestamp_ms INTEGER NOT NULL,
        series INTEGER NOT NULL,
        value ANY NOT NULL,
        PRIMARY KEY (timestamp_ms, series)
    ) STRICT, WITHOUT ROWID;
";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or its folder cannot be made or opened.
    #[error("`{path}`")]
    File {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refuses.
    #[error("`{path}`")]
    Sqlite {
        /// The store's file.
        path: PathBuf,
        /// Why.
        source: Refusal,
    },
    /// The file is a database, but none of ours.
    #[error("`{path}` is another program's database")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was made by a later release.
    #[error("`{path}` has version {found}, and this collector knows versions up to {VERSION}")]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

/// What SQLite said, without the number that means the same.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(rusqlite::Error);

impl Error {
    /// SQLite's refusal as an error that names the file.
    pub(super) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> Self + Copy + '_ {
        |source| Self::Sqlite { path: path.to_owned(), source: Refusal(source) }
    }
}

/// Opens the store to write to it, making it (mode 0600; its folder with 0700) where it is missing. Waits for
/// other writers until `deadline`.
///
/// # Errors
/// [`Error`]; a file that is no store of ours is left as it is.
pub(super) fn open(path: &Path, deadline: Instant) -> Result<Connection, Error> {
    make_file(path)?;
    let failed = Error::sqlite(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(patience(deadline)).map_err(failed)?;
    let view = connection.transaction().map_err(failed)?;
    let is_made = identify(&view, path)?;
    view.finish().map_err(failed)?;
    if !is_made {
        write_ahead(&connection, deadline).map_err(failed)?;
        make_tables(&mut connection, path)?;
    }
    // Accepted means durable: the spool forgets the body then, so each commit waits for the disk.
    connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
    Ok(connection)
}

/// Closes a store that was written to. What was committed is durable in the log beside the file; moving it over
/// each time, as SQLite does by itself, would wait for the disk three times more, so a short log stays.
///
/// # Errors
/// [`Error`]; what was committed stays committed.
pub(super) fn close(connection: Connection, path: &Path) -> Result<(), Error> {
    let failed = Error::sqlite(path);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(log).is_ok_and(|log| log.len() < LOG_BYTES) {
        let stays = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        stays.map_err(failed)?;
    }
    connection.close().map_err(|(_, error)| failed(error))
}

/// Opens the store as it is at this moment, to read it; `None` when nothing has been stored yet.
///
/// # Errors
/// [`Error`] when it cannot be opened or is none of ours.
pub(super) fn open_to_read(path: &Path, deadline: Instant) -> Result<Option<Connection>, Error> {
    match path.metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::File { path: path.to_owned(), source }),
    }
    let failed = Error::sqlite(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(patience(deadline)).map_err(failed)?;
    // One view of the data from here on, whatever a run writes meanwhile.
    connection.execute_batch("BEGIN").map_err(failed)?;
    Ok(identify(&connection, path)?.then_some(connection))
}

/// SQLite counts milliseconds in 32 bits; nobody holds a lock this long.
const LONGEST_PATIENCE: Duration = Duration::from_secs(3_600);

/// How long other writers may be waited for.
pub(super) fn patience(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).min(LONGEST_PATIENCE)
}

/// SQLite itself would make a file that everybody may read; those beside it get the mode of this one.
fn make_file(path: &Path) -> Result<(), Error> {
    let failed = |path: &Path, source| Error::File { path: path.to_owned(), source };
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| failed(folder, error))?;
    }
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    opened.map(drop).map_err(|error| failed(path, error))
}

/// Whether the tables are there; `false` for an empty database. Asks more than once, so it needs a transaction:
/// another run may be making the tables.
fn identify(connection: &Connection, path: &Path) -> Result<bool, Error> {
    let failed = Error::sqlite(path);
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    if application == APPLICATION {
        return match version {
            VERSION => Ok(true),
            found => Err(Error::Newer { path: path.to_owned(), found }),
        };
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(false);
    }
    Err(Error::Foreign { path: path.to_owned() })
}

/// Readers and a writer then do not hold each other up; the file remembers it. Two runs that make the store at
/// the same moment meet here, and for this SQLite does not wait by itself.
fn write_ahead(connection: &Connection, deadline: Instant) -> rusqlite::Result<()> {
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                thread::sleep(BUSY_PAUSE);
            }
            done => return done,
        }
    }
}

fn make_tables(connection: &mut Connection, path: &Path) -> Result<(), Error> {
    let failed = Error::sqlite(path);
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    // Another run may have been faster.
    if !identify(&transaction, path)? {
        transaction.execute_batch(TABLES).map_err(failed)?;
        transaction.pragma_update(None, "application_id", APPLICATION).map_err(failed)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}
