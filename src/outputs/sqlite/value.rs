//! A value in a line and in the store. What was measured comes back exactly.
//!
//! SQLite has 64-bit integers with a sign, floats and text. An integer above `i64::MAX` is kept as its digits;
//! it cannot be taken for text, because only a series of the data type `string` has text.

use std::borrow::Cow;

use collectors::datapoint::{DataType, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use serde_json::value::RawValue;

/// The value that stands in a line.
pub(super) fn from_line(raw: &RawValue) -> Result<Value<'_>, String> {
    let text = raw.get();
    if text.starts_with('"') {
        return serde_json::from_str::<Text<'_>>(text)
            .map(|Text(text)| Value::Text(text))
            .map_err(|error| error.to_string());
    }
    if let Ok(int) = text.parse::<i64>() {
        return Ok(Value::Int(int));
    }
    if let Ok(uint) = text.parse::<u64>() {
        return Ok(Value::Uint(uint));
    }
    let number = text.parse::<f64>().map_err(|_| format!("`{text}` is no value"))?;
    Value::float(number).map_err(|flaw| flaw.to_string())
}

/// Borrowed where nothing is escaped.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// As it is stored.
pub(super) fn to_sql<'a>(value: &'a Value<'_>) -> ToSqlOutput<'a> {
    match value {
        Value::Int(int) => ToSqlOutput::from(*int),
        Value::Uint(uint) => ToSqlOutput::from(uint.to_string()),
        Value::Float(float) => ToSqlOutput::from(float.get()),
        Value::Text(text) => ToSqlOutput::from(text.as_ref()),
    }
}

/// From the store; `None` for what is never stored.
pub(super) fn from_sql(stored: ValueRef<'_>, data_type: DataType) -> Option<Value<'_>> {
    match stored {
        ValueRef::Integer(int) => Some(Value::Int(int)),
        ValueRef::Real(float) => Value::float(float).ok(),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?;
            let uint = text.parse().ok().filter(|_| data_type != DataType::String);
            Some(uint.map_or(Value::Text(Cow::Borrowed(text)), Value::Uint))
        }
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}
