//! A line's members, as they stand there.
//!
//! Whether they belong to the message is for [`super::message`] to say: `type` may stand last.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Fault;
use super::scalar::{self, Raw};
use crate::datapoint::{Label, LabelKind};

/// The most labels that a datapoint may have: each is compared with each.
pub(super) const MAX_LABELS: usize = 256;

/// What a line may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Type,
    Key,
    Value,
    Target,
    DataType,
    Unit,
    Timestamp,
    Message,
    Level,
    Labels,
    Info,
}

/// How many members have one value: those before [`Member::Labels`].
const SCALARS: usize = Member::Labels as usize;
/// By [`Member`].
pub(super) const NAMES: [&str; 11] = [
    "type",
    "key",
    "value",
    "target",
    "data_type",
    "unit",
    "timestamp",
    "message",
    "level",
    "labels",
    "info",
];

impl Member {
    fn find(name: &str) -> Option<Self> {
        Some(match name {
            "type" => Self::Type,
            "key" => Self::Key,
            "value" => Self::Value,
            "target" => Self::Target,
            "data_type" => Self::DataType,
            "unit" => Self::Unit,
            "timestamp" => Self::Timestamp,
            "message" => Self::Message,
            "level" => Self::Level,
            "labels" => Self::Labels,
            "info" => Self::Info,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// A set of members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Members(u16);

impl Members {
    pub(super) const fn of(members: &[Member]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < members.len() {
            bits |= 1 << members[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The name of one that is not among `others`.
    pub(super) fn first_beyond(self, others: Self) -> Option<&'static str> {
        let beyond = self.0 & !others.0;
        NAMES.get(beyond.trailing_zeros() as usize).copied()
    }
}

/// A line, borrowed.
#[derive(Default)]
pub(super) struct Line<'a> {
    scalars: [Option<Raw<'a>>; SCALARS],
    /// Identity and info, in the order in which they stand in the line.
    pub(super) labels: Vec<Label<'a>>,
    /// Labels that could not be made.
    pub(super) dropped: Vec<(String, Fault)>,
    /// The members that are there.
    pub(super) members: Members,
    /// The first member that no message has.
    pub(super) unknown: Option<String>,
}

impl<'a> Line<'a> {
    /// Reads `text` into a line that is empty.
    pub(super) fn parse(&mut self, text: &'a str) -> Result<(), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        deserializer.deserialize_map(LineVisitor(self))?;
        deserializer.end()
    }

    pub(super) fn get(&self, member: Member) -> Option<Raw<'a>> {
        self.scalars.get(member as usize).copied().flatten()
    }

    /// Reads a member that must be there.
    pub(super) fn required<T>(
        &self,
        member: Member,
        read: impl FnOnce(Raw<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let raw = self.get(member).ok_or(Fault::Missing(member.name()))?;
        read(raw).map_err(|fault| fault.of(member))
    }

    /// Reads a member that may be missing or null.
    pub(super) fn optional<T>(
        &self,
        member: Member,
        read: impl FnOnce(Raw<'a>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let raw = self.get(member).filter(|raw| !raw.is_null());
        raw.map(read).transpose().map_err(|fault| fault.of(member))
    }
}

struct LineVisitor<'line, 'de>(&'line mut Line<'de>);

impl<'de> Visitor<'de> for LineVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let line = self.0;
        while let Some(name) = map.next_key_seed(Name)? {
            let Some(member) = Member::find(&name) else {
                map.next_value::<de::IgnoredAny>()?;
                line.unknown.get_or_insert_with(|| name.into_owned());
                continue;
            };
            line.members = line.members.union(Members::of(&[member]));
            match line.scalars.get_mut(member as usize) {
                Some(scalar) => {
                    let raw: &'de RawValue = map.next_value()?;
                    if scalar.replace(raw.into()).is_some() {
                        return Err(de::Error::duplicate_field(member.name()));
                    }
                }
                None => map.next_value_seed(Labels { line, member })?,
            }
        }
        Ok(())
    }
}

/// A member's name; one with escapes is the only one that is copied.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Appends an object of labels to the line's.
struct Labels<'line, 'de> {
    line: &'line mut Line<'de>,
    member: Member,
}

impl<'de> DeserializeSeed<'de> for Labels<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Labels<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of `{}`", self.member.name())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { line, member } = self;
        let kind = match member {
            Member::Info => LabelKind::Info,
            _ => LabelKind::Identity,
        };
        while let Some(name) = map.next_key_seed(Name)? {
            let raw: &'de RawValue = map.next_value()?;
            if line.labels.len() + line.dropped.len() == MAX_LABELS {
                return Err(de::Error::custom(format_args!("more than {MAX_LABELS} labels")));
            }
            match scalar::label(name.clone(), raw.into(), kind) {
                Ok(label) => line.labels.push(label),
                Err(fault) => line.dropped.push((name.into_owned(), fault)),
            }
        }
        Ok(())
    }
}
