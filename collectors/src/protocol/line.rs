//! A line's members, as they stand there.
//!
//! Whether they belong to the message is for [`super::message`] to say: `type` may stand last.

use super::Fault;
use super::cursor::{Cursor, Raw};
use super::scalar;
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
    pub(super) fn parse(&mut self, text: &'a str) -> Result<(), Fault> {
        let mut cursor = Cursor::new(text);
        if !cursor.skip(b'{') {
            return Err(cursor.expected("an object"));
        }
        let mut goes_on = !cursor.skip(b'}');
        while goes_on {
            self.member(&mut cursor)?;
            goes_on = cursor.goes_on()?;
        }
        cursor.end()
    }

    fn member(&mut self, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        let name = cursor.name()?.text()?;
        let Some(member) = Member::find(&name) else {
            cursor.value()?;
            self.unknown.get_or_insert_with(|| name.into_owned());
            return Ok(());
        };
        self.members = self.members.union(Members::of(&[member]));
        match (self.scalars.get_mut(member as usize), member) {
            (Some(scalar), _) => match scalar.replace(cursor.value()?) {
                None => Ok(()),
                Some(_) => Err(Fault::Twice(member.name())),
            },
            (None, Member::Info) => self.append(LabelKind::Info, cursor),
            (None, _) => self.append(LabelKind::Identity, cursor),
        }
    }

    /// Appends an object of labels.
    fn append(&mut self, kind: LabelKind, cursor: &mut Cursor<'a>) -> Result<(), Fault> {
        if !cursor.skip(b'{') {
            let fault = cursor.expected("an object of labels");
            return if cursor.value()? == Raw::Null { Ok(()) } else { Err(fault) };
        }
        let mut goes_on = !cursor.skip(b'}');
        while goes_on {
            let name = cursor.name()?;
            let value = cursor.value()?;
            if self.labels.len() + self.dropped.len() == MAX_LABELS {
                return Err(Fault::TooManyLabels);
            }
            let name = name.text()?;
            match scalar::label(name.clone(), value, kind) {
                Ok(label) => self.labels.push(label),
                Err(fault) => self.dropped.push((name.into_owned(), fault)),
            }
            goes_on = cursor.goes_on()?;
        }
        Ok(())
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
        let raw = self.get(member).filter(|raw| *raw != Raw::Null);
        raw.map(read).transpose().map_err(|fault| fault.of(member))
    }
}
