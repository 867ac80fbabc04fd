//! A body's lines into the store, in one transaction.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

use collectors::datapoint::DataType;
use rusqlite::{
    Connection, OptionalExtension, Statement, Transaction, TransactionBehavior, params,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::schema::patience;
use super::value;

/// The longest line that is read, in bytes.
const LONGEST_LINE: u64 = 64 << 20;
/// After how many lines the clock is looked at.
const LINES_PER_LOOK: u64 = 1024;
/// How many old datapoints go at once, beside twice as many as came.
const REMOVED_AT_ONCE: u64 = 10_000;
const DAY_MS: i64 = 86_400_000;

/// Why a body is not in the store. Nothing of it is then.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A line is none of ours.
    #[error("line {number}: {reason}")]
    Line { number: u64, reason: String },
    /// The body cannot be read.
    #[error("the body cannot be read")]
    Body(#[source] io::Error),
    /// The deadline has passed.
    #[error("the run's time was over before all datapoints were in")]
    Late,
    /// SQLite refuses.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Which datapoints are old enough to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    /// The run's clock, in milliseconds since 1970.
    pub(super) now_ms: i64,
    /// How long a datapoint is kept.
    pub(super) kept: Duration,
}

/// Inserts every line of `body`, and removes some of what is old. The same body may come twice.
///
/// # Errors
/// [`Error`]; the store is then as it was.
pub(super) fn insert(
    connection: &mut Connection,
    body: &mut dyn BufRead,
    retention: Option<Retention>,
    deadline: Instant,
) -> Result<(), Error> {
    connection.busy_timeout(patience(deadline))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let lines = insert_lines(&transaction, body, deadline)?;
    if let Some(retention) = retention {
        remove_old(&transaction, retention, REMOVED_AT_ONCE + 2 * lines)?;
    }
    transaction.commit()?;
    Ok(())
}

fn insert_lines(
    transaction: &Transaction<'_>,
    body: &mut dyn BufRead,
    deadline: Instant,
) -> Result<u64, Error> {
    let mut catalogue = Catalogue::new(transaction)?;
    let mut put = transaction.prepare(
        "INSERT INTO datapoints (timestamp_ms, series, value) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value",
    )?;
    let mut bytes = Vec::with_capacity(512);
    let mut number = 0;
    loop {
        bytes.clear();
        body.take(LONGEST_LINE + 1).read_until(b'\n', &mut bytes).map_err(Error::Body)?;
        if bytes.is_empty() {
            return Ok(number);
        }
        number += 1;
        let bad = |reason| Error::Line { number, reason };
        if bytes.len() as u64 > LONGEST_LINE {
            return Err(bad(format!("longer than {LONGEST_LINE} bytes")));
        }
        let line: Line<'_> =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        let value = value::from_line(line.value).map_err(bad)?;
        let series = catalogue.number_of(&line, number)?;
        put.execute(params![line.timestamp, series, value::to_sql(&value)])?;
        if number % LINES_PER_LOOK == 0 && Instant::now() >= deadline {
            return Err(Error::Late);
        }
    }
}

/// A datapoint as [`json_lines`](crate::outputs::json_lines) writes it, its parts as they stand there.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
    data_type: DataType,
    #[serde(borrow)]
    target: &'a RawValue,
    timestamp: i64,
    #[serde(borrow, default)]
    unit: Option<&'a RawValue>,
    #[serde(borrow, default)]
    labels: Option<&'a RawValue>,
    #[serde(borrow, default)]
    info: Option<&'a RawValue>,
}

/// The series met so far in this body, so that each is looked up once.
struct Catalogue<'t> {
    /// By key, target, data type and labels as they stand in the line. JSON texts end by themselves, so that
    /// different ones do not run into each other.
    known: HashMap<String, Known>,
    find: Statement<'t>,
    add: Statement<'t>,
    describe: Statement<'t>,
    identity: String,
    description: String,
}

struct Known {
    number: i64,
    newest_day: i64,
    /// Unit and info as they stand in the line.
    description: String,
}

impl<'t> Catalogue<'t> {
    fn new(transaction: &'t Transaction<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            known: HashMap::new(),
            find: transaction.prepare(
                "SELECT id, newest_day, unit, info FROM series
                 WHERE key = ? AND target = ? AND data_type = ? AND labels = ?",
            )?,
            add: transaction.prepare(
                "INSERT INTO series (key, target, data_type, labels, unit, info, newest_day)
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?,
            describe: transaction
                .prepare("UPDATE series SET unit = ?, info = ?, newest_day = ? WHERE id = ?")?,
            identity: String::new(),
            description: String::new(),
        })
    }

    /// The number of the line's series, which is added where it is new; unit and info become the line's.
    fn number_of(&mut self, line: &Line<'_>, at: u64) -> Result<i64, Error> {
        write_parts(
            &mut self.identity,
            &[line.key.get(), line.target.get(), line.data_type.as_str(), text(line.labels)],
        );
        write_parts(&mut self.description, &[text(line.unit), text(line.info)]);
        let day = line.timestamp.div_euclid(DAY_MS);
        if let Some(known) = self.known.get(&self.identity)
            && known.description == self.description
            && known.newest_day >= day
        {
            return Ok(known.number);
        }
        let known = self.look_up(line, day).map_err(|error| match error {
            LookUp::Json(error) => Error::Line { number: at, reason: error.to_string() },
            LookUp::Sqlite(error) => Error::Sqlite(error),
        })?;
        let number = known.number;
        self.known.insert(self.identity.clone(), known);
        Ok(number)
    }

    fn look_up(&mut self, line: &Line<'_>, day: i64) -> Result<Known, LookUp> {
        let key: String = serde_json::from_str(line.key.get())?;
        let target: String = serde_json::from_str(line.target.get())?;
        let labels = line.labels.map(sorted).transpose()?.unwrap_or_else(|| "{}".to_owned());
        let unit: Option<String> =
            line.unit.map(|raw| serde_json::from_str(raw.get())).transpose()?;
        let info = line.info.map(sorted).transpose()?;
        let data_type = line.data_type.as_str();
        let found = self
            .find
            .query_row(params![key, target, data_type, labels], |row| {
                let described: (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, described))
            })
            .optional()?;
        let (number, newest_day) = match found {
            Some((number, newest, described)) => {
                let newest_day = newest.max(day);
                let described = (described.0.as_ref(), described.1.as_ref());
                if newest_day != newest || described != (unit.as_ref(), info.as_ref()) {
                    self.describe.execute(params![unit, info, newest_day, number])?;
                }
                (number, newest_day)
            }
            None => {
                let row = params![key, target, data_type, labels, unit, info, day];
                (self.add.insert(row)?, day)
            }
        };
        Ok(Known { number, newest_day, description: self.description.clone() })
    }
}

#[derive(Debug, thiserror::Error)]
enum LookUp {
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

fn text(part: Option<&RawValue>) -> &str {
    part.map_or("null", RawValue::get)
}

fn write_parts(to: &mut String, parts: &[&str]) {
    to.clear();
    for part in parts {
        to.push_str(part);
        to.push('\n');
    }
}

/// An object of texts with its names sorted: the order of labels makes no other series.
fn sorted(object: &RawValue) -> serde_json::Result<String> {
    let map: BTreeMap<String, String> = serde_json::from_str(object.get())?;
    serde_json::to_string(&map)
}

/// Removes datapoints that are older than the retention, at most `limit` of them, and when none is left the
/// series that ended before it.
fn remove_old(
    transaction: &Transaction<'_>,
    retention: Retention,
    limit: u64,
) -> rusqlite::Result<()> {
    let kept_ms = i64::try_from(retention.kept.as_millis()).unwrap_or(i64::MAX);
    let oldest_ms = retention.now_ms.saturating_sub(kept_ms);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let first_to_stay = transaction
        .query_row(
            "SELECT timestamp_ms, series FROM datapoints WHERE timestamp_ms < ?
             ORDER BY timestamp_ms, series LIMIT 1 OFFSET ?",
            params![oldest_ms, limit],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        )
        .optional()?;
    if let Some((timestamp_ms, series)) = first_to_stay {
        transaction.execute(
            "DELETE FROM datapoints WHERE (timestamp_ms, series) < (?, ?)",
            params![timestamp_ms, series],
        )?;
        return Ok(());
    }
    transaction.execute("DELETE FROM datapoints WHERE timestamp_ms < ?", [oldest_ms])?;
    // A number may be given anew, which is safe because no datapoint with it is left.
    transaction
        .execute("DELETE FROM series WHERE newest_day < ?", [oldest_ms.div_euclid(DAY_MS)])?;
    Ok(())
}
