//! Why a command that reads or changes what lasts has no answer.

use std::io;

use super::say;
use crate::outputs::sqlite;
use crate::report::{Status, chain};
use crate::store;

/// Why there is no answer.
pub(super) enum Failure {
    /// Standard output cannot be written.
    Output(io::Error),
    /// What lasts cannot be read or changed: why, with all causes.
    Broken(String),
    /// What was asked for is not there.
    Asked { message: String, hint: String },
}

impl Failure {
    pub(super) fn asked(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Asked { message: message.into(), hint: hint.into() }
    }

    /// Says why, and gives the exit status.
    ///
    /// # Errors
    /// When standard output cannot be written, which is for the caller to judge.
    pub(super) fn tell(self) -> io::Result<Status> {
        match self {
            Self::Output(error) => return Err(error),
            Self::Broken(why) => say(format_args!("error: {why}")),
            Self::Asked { message, hint } => {
                say(format_args!("error: {message}"));
                say(format_args!("hint: {hint}"));
            }
        }
        Ok(Status::Usage)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<&store::Error> for Failure {
    fn from(error: &store::Error) -> Self {
        Self::Broken(chain(error))
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Broken(chain(&error))
    }
}

impl From<sqlite::Error> for Failure {
    fn from(error: sqlite::Error) -> Self {
        Self::Broken(chain(&error))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            // As it is: that nobody reads any more must not look like something else.
            csv::ErrorKind::Io(error) => Self::Output(error),
            other => Self::Output(io::Error::other(format!("{other:?}"))),
        }
    }
}
