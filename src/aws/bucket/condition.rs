//! What must be true of an object that is written.

/// What must be true of an object that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// It is not there.
    New,
    /// It is in this version.
    Is(String),
}

impl Condition {
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::None => Vec::new(),
            Self::New => vec![("if-none-match", "*".to_owned())],
            Self::Is(tag) => vec![("if-match", tag.clone())],
        }
    }
}
