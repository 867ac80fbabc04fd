//! What a line says, if it says something that is known.

use std::borrow::Cow;

use super::Fault;
use super::cursor::Raw;
use super::line::{Line, Member, Members, NAMES};
use crate::datapoint::{DataType, Flaw, Label, Value, trim};
use crate::sink::Level;

/// A line, understood.
pub(super) enum Message<'a> {
    Datapoint(Measurement<'a>),
    Log(Level, Cow<'a, str>),
    Error(Cow<'a, str>),
}

/// The members of a `datapoint`.
pub(super) struct Measurement<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Value<'a>,
    pub(super) data_type: DataType,
    pub(super) target: Option<Cow<'a, str>>,
    pub(super) unit: Option<Cow<'a, str>>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) labels: Vec<Label<'a>>,
    /// Labels that could not be made.
    pub(super) dropped: Vec<(String, Fault)>,
}

const KINDS: [&str; 3] = ["datapoint", "log", "error"];
/// Messages of the protocol, and of Singer's, that are not understood yet.
const LATER: [&str; 9] = [
    "record",
    "state",
    "progress",
    "flow",
    "item",
    "RECORD",
    "SCHEMA",
    "STATE",
    "ACTIVATE_VERSION",
];
const DATA_TYPES: [DataType; 5] =
    [DataType::Int, DataType::Float, DataType::Counter, DataType::Counter64, DataType::String];
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("warning", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

const OF_ERROR: Members = Members::of(&[Member::Type, Member::Message]);
const OF_LOG: Members = OF_ERROR.union(Members::of(&[Member::Level]));
const OF_DATAPOINT: Members = Members::of(&[
    Member::Type,
    Member::Key,
    Member::Value,
    Member::Target,
    Member::DataType,
    Member::Unit,
    Member::Timestamp,
    Member::Labels,
    Member::Info,
]);

impl<'a> Message<'a> {
    /// # Errors
    /// The first [`Fault`] of the line.
    pub(super) fn of(line: &mut Line<'a>) -> Result<Self, Fault> {
        let kind = match line.get(Member::Type) {
            None => Cow::Borrowed("datapoint"),
            Some(raw) => raw.text().map_err(|fault| fault.of(Member::Type))?,
        };
        // First, because their members are not known here either.
        if LATER.contains(&&*kind) {
            return Err(Fault::Later(kind.into_owned()));
        }
        let allowed = match &*kind {
            "datapoint" => OF_DATAPOINT,
            "log" => OF_LOG,
            "error" => OF_ERROR,
            _ => return Err(Fault::word(Member::Type, kind, KINDS)),
        };
        if let Some(unknown) = line.unknown.take() {
            return Err(Fault::unknown(unknown, &NAMES));
        }
        if let Some(member) = line.members.first_beyond(allowed) {
            return Err(Fault::Misplaced { member, kind: kind.into_owned() });
        }
        match &*kind {
            "log" => Ok(Self::Log(level(line)?, message(line)?)),
            "error" => Ok(Self::Error(message(line)?)),
            _ => Measurement::of(line).map(Self::Datapoint),
        }
    }
}

impl<'a> Measurement<'a> {
    fn of(line: &mut Line<'a>) -> Result<Self, Fault> {
        let key = line.required(Member::Key, Raw::text_or_number)?;
        let value = line.required(Member::Value, Raw::value)?;
        let data_type = match line.get(Member::DataType) {
            Some(raw) => data_type(raw)?,
            None => value.natural_type(),
        };
        let target = line.optional(Member::Target, Raw::text_or_number)?;
        if target.as_deref().is_some_and(|target| trim(target).is_empty()) {
            return Err(Fault::from(Flaw::EmptyName).of(Member::Target));
        }
        Ok(Self {
            key,
            value,
            data_type,
            target,
            unit: line.optional(Member::Unit, Raw::text)?,
            timestamp_ms: line.optional(Member::Timestamp, Raw::milliseconds)?,
            labels: std::mem::take(&mut line.labels),
            dropped: std::mem::take(&mut line.dropped),
        })
    }
}

/// A null is no data type: it would say that there is none, and every datapoint has one.
fn data_type(raw: Raw<'_>) -> Result<DataType, Fault> {
    let word = raw.text().map_err(|fault| fault.of(Member::DataType))?;
    let found = DATA_TYPES.into_iter().find(|data_type| data_type.as_str() == word);
    found.ok_or_else(|| Fault::word(Member::DataType, word, DATA_TYPES.map(DataType::as_str)))
}

fn level(line: &Line<'_>) -> Result<Level, Fault> {
    let Some(word) = line.optional(Member::Level, Raw::text)? else { return Ok(Level::Info) };
    let found = LEVELS.into_iter().find(|(name, _)| *name == word);
    found
        .map(|(_, level)| level)
        .ok_or_else(|| Fault::word(Member::Level, word, LEVELS.map(|(name, _)| name)))
}

fn message<'a>(line: &Line<'a>) -> Result<Cow<'a, str>, Fault> {
    line.required(Member::Message, Raw::text)
}
