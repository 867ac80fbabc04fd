//! What an answer is taken apart into, and what is found in it.

use super::json::Json;
use super::pick::Pick;

/// A part of an answer that gives datapoints: an element of a list, a row, a match, a text.
pub(super) trait Element {
    /// What is at that place.
    fn find<'a>(&'a self, pick: &'a Pick) -> Result<Found<'a>, NotFound>;
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Found<'a> {
    /// A part of a JSON document.
    Json(&'a Json),
    /// Text of which nothing tells whether it is a number.
    Text(&'a str),
}

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFound {
    /// There is nothing, or `null`, or an empty cell.
    #[error("there is no `{0}`")]
    Missing(String),
    /// A JSONPath picks several members.
    #[error("`{path}` picks {count} members, and one was expected")]
    Several {
        /// The JSONPath.
        path: String,
        /// How many there are.
        count: usize,
    },
}

impl NotFound {
    pub(super) fn missing(pick: &Pick) -> Self {
        Self::Missing(pick.as_str().to_owned())
    }
}
