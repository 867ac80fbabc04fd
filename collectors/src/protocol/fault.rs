//! What can be wrong with a line.

use super::MAX_LINE_BYTES;
use super::line::{MAX_LABELS, Member};
use crate::datapoint::Flaw;
use crate::decode::nearest;

/// Why a line is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Not JSON.
    #[error("expected {expected} at column {column}")]
    Syntax { expected: &'static str, column: usize },
    /// Half a line.
    #[error("the line ends where {expected} is expected")]
    Short { expected: &'static str },
    /// A value or an escape that is not JSON.
    #[error("{}", without_place(.0))]
    Json(#[from] serde_json::Error),
    /// Binary, or text in another encoding.
    #[error("the line is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// A member that no message has.
    #[error("unknown member `{name}`{hint}")]
    Unknown { name: String, hint: String },
    /// A member of another message.
    #[error("a message of type `{kind}` has no member `{member}`")]
    Misplaced { member: &'static str, kind: String },
    #[error("the member `{0}` is missing")]
    Missing(&'static str),
    #[error("the member `{0}` stands there twice")]
    Twice(&'static str),
    #[error("there are more than {MAX_LABELS} labels")]
    TooManyLabels,
    /// A word that is not among those that are known.
    #[error("`{member}` is `{given}`, expected {expected}{hint}")]
    Word { member: &'static str, given: String, expected: String, hint: String },
    #[error("messages of type `{0}` are not supported yet")]
    Later(String),
    #[error("expected text, found {0}")]
    NotText(&'static str),
    #[error("expected milliseconds since 1970, found {0}")]
    NotMilliseconds(String),
    #[error(transparent)]
    Flaw(#[from] Flaw),
    /// A fault of one member.
    #[error("`{0}`: {1}")]
    Of(&'static str, Box<Fault>),
}

impl Fault {
    /// The same, said of a member; of the value it goes without saying.
    pub(super) fn of(self, member: Member) -> Self {
        match (member, self) {
            (Member::Value, fault) => fault,
            (_, fault) => Self::Of(member.name(), Box::new(fault)),
        }
    }

    pub(super) fn unknown(name: String, known: &[&str]) -> Self {
        let hint = hint(&name, known);
        Self::Unknown { name, hint }
    }

    pub(super) fn word<const N: usize>(
        member: Member,
        given: impl Into<String>,
        known: [&str; N],
    ) -> Self {
        let given = given.into();
        let expected = known.map(|word| format!("`{word}`")).join(", ");
        let hint = hint(&given, &known);
        Self::Word { member: member.name(), given, expected, hint }
    }
}

fn hint(given: &str, known: &[&str]) -> String {
    // The distance takes time in the product of the lengths, and a name may be a line long.
    let meant = (given.len() <= 40).then(|| nearest(given, known.iter().copied())).flatten();
    meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}

/// serde_json counts lines and columns within the part of the line that it was given.
fn without_place(error: &serde_json::Error) -> String {
    let told = error.to_string();
    match told.rsplit_once(" at line ") {
        Some((what, _)) => what.to_owned(),
        None => told,
    }
}
