//! Comma-separated values: a header row, then one element per row.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;
use super::element::{Element, Found, NotFound};
use super::pick::Pick;
use crate::sink::{Sealed, Sink};

/// What stands between two cells: one ASCII character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delimiter(u8);

impl Default for Delimiter {
    fn default() -> Self {
        Self(b',')
    }
}

/// A row with the names of its columns.
pub(super) struct Row<'a> {
    columns: &'a ::csv::StringRecord,
    cells: &'a ::csv::StringRecord,
}

/// Calls `each` with every row and its line. A row that is not UTF-8 is refused, and the others go on.
pub(super) fn rows(
    body: &[u8],
    delimiter: Delimiter,
    mut each: impl FnMut(&Row<'_>, u64) -> Result<(), Sealed>,
    sink: &Sink,
) -> Result<(), Error> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = ::csv::ReaderBuilder::new()
        .delimiter(delimiter.0)
        .flexible(true)
        .trim(::csv::Trim::Headers)
        .from_reader(body);
    let columns = reader.headers().map_err(Error::NotCsv)?.clone();
    let mut cells = ::csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut cells) {
            Ok(true) => {
                let line = cells.position().map_or(line, ::csv::Position::line);
                each(&Row { columns: &columns, cells: &cells }, line)?;
            }
            Ok(false) => return Ok(()),
            Err(error) => sink.refuse(&format!("line {line}"), error)?,
        }
    }
}

impl Element for Row<'_> {
    /// The cell below that column's name. An empty one is as good as none.
    fn find<'a>(&'a self, pick: &'a Pick) -> Result<Found<'a>, NotFound> {
        let column = self.columns.iter().position(|name| name == pick.as_str());
        let cell = column.and_then(|column| self.cells.get(column));
        let cell = cell.filter(|cell| !cell.trim().is_empty());
        cell.map(Found::Text).ok_or_else(|| NotFound::missing(pick))
    }
}

impl Serialize for Delimiter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_char(char::from(self.0))
    }
}

impl<'de> Deserialize<'de> for Delimiter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        match text.as_bytes() {
            [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(Self(*byte)),
            _ => Err(D::Error::custom(format!(
                "`{}` cannot be a delimiter, expected one character such as `;`",
                text.escape_default()
            ))),
        }
    }
}

impl JsonSchema for Delimiter {
    fn schema_name() -> Cow<'static, str> {
        "Delimiter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What stands between two cells: one character.",
            "type": "string",
            "minLength": 1,
            "maxLength": 1
        })
    }
}
