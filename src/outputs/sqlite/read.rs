//! What the store holds, for those who read it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use collectors::datapoint::{DataType, Value};
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row, params};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as DecodeError, StrDeserializer};

use super::{Error, schema, value};

/// How long a writer that holds the whole file is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open store.
pub struct Reader {
    connection: Connection,
    path: PathBuf,
}

/// What identifies a series, and what describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its number in this store.
    pub number: i64,
    /// What is measured.
    pub key: String,
    /// What is polled.
    pub target: String,
    /// What its values mean.
    pub data_type: DataType,
    /// Labels that make it what it is.
    pub labels: BTreeMap<String, String>,
    /// The latest unit.
    pub unit: Option<String>,
    /// The latest descriptive labels.
    pub info: BTreeMap<String, String>,
}

/// How much of a series there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extent {
    /// How many datapoints.
    pub points: u64,
    /// The newest one: milliseconds since 1970, and its value.
    pub newest: Option<(i64, Value<'static>)>,
}

impl Reader {
    /// Opens the store at `path` as it is at this moment; `None` when nothing has been stored yet.
    ///
    /// # Errors
    /// [`Error`] when it cannot be opened or is no store of ours.
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let connection = schema::open_to_read(path, Instant::now() + PATIENCE)?;
        Ok(connection.map(|connection| Self { connection, path: path.to_owned() }))
    }

    /// Every series, by key, target and labels.
    ///
    /// # Errors
    /// [`Error`] when the store is damaged.
    pub fn series(&self) -> Result<Vec<Series>, Error> {
        all_series(&self.connection).map_err(Error::sqlite(&self.path))
    }

    /// How much there is of each series that has datapoints, by its number. Reads the whole store once.
    ///
    /// # Errors
    /// [`Error`] when the store is damaged.
    pub fn extents(&self, of: &[Series]) -> Result<HashMap<i64, Extent>, Error> {
        extents(&self.connection, of).map_err(Error::sqlite(&self.path))
    }

    /// Gives every datapoint of a series since `from_ms` to `each`, oldest first.
    ///
    /// # Errors
    /// Those of `each`, and [`Error`] when the store is damaged.
    pub fn points<E: From<Error>>(
        &self,
        of: &Series,
        from_ms: i64,
        mut each: impl FnMut(i64, &Value<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = Error::sqlite(&self.path);
        let mut scan = self
            .connection
            .prepare(
                "SELECT timestamp_ms, value FROM datapoints
                 WHERE timestamp_ms >= ? AND series = ? ORDER BY timestamp_ms",
            )
            .map_err(failed)?;
        let mut rows = scan.query(params![from_ms, of.number]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let value = value_at(row, 1, of.data_type).map_err(failed)?;
            each(row.get(0).map_err(failed)?, &value)?;
        }
        Ok(())
    }
}

fn all_series(connection: &Connection) -> rusqlite::Result<Vec<Series>> {
    let mut all = connection.prepare(
        "SELECT id, key, target, data_type, labels, unit, info FROM series
         ORDER BY key, target, labels, data_type",
    )?;
    all.query_map([], series)?.collect()
}

fn extents(connection: &Connection, of: &[Series]) -> rusqlite::Result<HashMap<i64, Extent>> {
    let mut counted: HashMap<i64, (u64, i64)> = HashMap::new();
    let mut scan =
        connection.prepare("SELECT series, timestamp_ms FROM datapoints ORDER BY timestamp_ms")?;
    let mut rows = scan.query([])?;
    while let Some(row) = rows.next()? {
        let (points, newest) = counted.entry(row.get(0)?).or_default();
        *points += 1;
        *newest = row.get(1)?;
    }
    let mut one =
        connection.prepare("SELECT value FROM datapoints WHERE timestamp_ms = ? AND series = ?")?;
    let mut extents = HashMap::with_capacity(of.len());
    for Series { number, data_type, .. } in of {
        if let Some(&(points, newest_ms)) = counted.get(number) {
            let value = one.query_row(params![newest_ms, number], |row| {
                value_at(row, 0, *data_type).map(into_owned)
            })?;
            extents.insert(*number, Extent { points, newest: Some((newest_ms, value)) });
        }
    }
    Ok(extents)
}

fn series(row: &Row<'_>) -> rusqlite::Result<Series> {
    let data_type: String = row.get(3)?;
    let decoder: StrDeserializer<'_, DecodeError> = data_type.as_str().into_deserializer();
    let info: Option<String> = row.get(6)?;
    Ok(Series {
        number: row.get(0)?,
        key: row.get(1)?,
        target: row.get(2)?,
        data_type: DataType::deserialize(decoder).map_err(|error| damaged(3, error))?,
        labels: texts(4, &row.get::<_, String>(4)?)?,
        unit: row.get(5)?,
        info: info.map(|info| texts(6, &info)).transpose()?.unwrap_or_default(),
    })
}

fn texts(column: usize, json: &str) -> rusqlite::Result<BTreeMap<String, String>> {
    serde_json::from_str(json).map_err(|error| damaged(column, error))
}

fn value_at<'r>(
    row: &'r Row<'_>,
    column: usize,
    data_type: DataType,
) -> rusqlite::Result<Value<'r>> {
    value::from_sql(row.get_ref(column)?, data_type)
        .ok_or_else(|| damaged(column, FromSqlError::InvalidType))
}

fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

fn into_owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Int(int) => Value::Int(int),
        Value::Uint(uint) => Value::Uint(uint),
        Value::Float(float) => Value::Float(float),
        Value::Text(text) => Value::Text(text.into_owned().into()),
    }
}
