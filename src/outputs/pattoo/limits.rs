//! What a pattoo server must not be sent.
//!
//! A server takes these with status 200 and breaks afterwards: a number that its database cannot hold costs the
//! agent's whole batch, and a text that is too long stops its ingester for every agent.

use collectors::datapoint::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text that a server's database holds, in bytes.
pub const TEXT_BYTES_MAX: usize = 512;

/// The first magnitude that a server's database does not hold.
pub const VALUE_LIMIT: f64 = 1e30;

/// How much is refused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limits {
    /// What breaks a server.
    #[default]
    Server,
    /// Only what the official library leaves out itself, which sends what breaks a server.
    Library,
}

/// Why a datapoint is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("a key that contains `pattoo` is reserved")]
    ReservedKey,
    #[error("the target is empty")]
    EmptyTarget,
    #[error("the value's magnitude is 1e30 or above, which a pattoo server does not survive")]
    LargeValue,
    #[error(
        "{what} is {bytes} bytes long, and more than {TEXT_BYTES_MAX} stop a pattoo server's ingester"
    )]
    LongText { what: &'static str, bytes: usize },
}

impl Limits {
    pub(super) fn program(self, program: &str) -> Result<(), Flaw> {
        self.length("the agent's program name", program.len())
    }

    pub(super) fn key(self, program: &str, key: &str) -> Result<(), Flaw> {
        if is_reserved(key) {
            return Err(Flaw::ReservedKey);
        }
        self.length("the key behind the program's name", program.len() + 1 + key.len())
    }

    pub(super) fn target(self, target: &str) -> Result<(), Flaw> {
        if target.is_empty() {
            return Err(Flaw::EmptyTarget);
        }
        self.length("the target", target.len())
    }

    pub(super) fn label(self, program: &str, name: &str, value: &str) -> Result<(), Flaw> {
        let name_bytes = program.len() + 1 + name.len();
        self.length("a label's name behind the program's name", name_bytes)?;
        self.length("a label's value", value.len())
    }

    pub(super) fn value(self, value: &Value<'_>) -> Result<(), Flaw> {
        match value {
            Value::Float(number) if self == Self::Server && number.get().abs() >= VALUE_LIMIT => {
                Err(Flaw::LargeValue)
            }
            _ => Ok(()),
        }
    }

    fn length(self, what: &'static str, bytes: usize) -> Result<(), Flaw> {
        if self == Self::Server && bytes > TEXT_BYTES_MAX {
            return Err(Flaw::LongText { what, bytes });
        }
        Ok(())
    }
}

/// Whether a key or a label's name is one that only the protocol itself may use.
pub(super) fn is_reserved(name: &str) -> bool {
    name.contains("pattoo")
}
