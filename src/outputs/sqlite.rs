//! An embedded store.
//!
//! ```yaml
//! outputs:
//!   - sqlite: {}
//! ```

use std::io::{self, Write};
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Body, Destination, Output, Receipt, Surroundings, json_lines};
use crate::payload::{Encoded, Payload};

/// The options of `sqlite`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sqlite {}

impl Output for Sqlite {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        json_lines::encode(payload, to)
    }
    fn destination(&self, _: &Surroundings) -> Destination {
        Destination { method: "INSERT", url: String::new(), headers: Vec::new() }
    }
    fn deliver(&self, _: &Body, _: &Surroundings, _: Instant) -> Receipt {
        Receipt::Accepted
    }
    fn check(&self, _: &Surroundings, _: Instant) -> Result<String, String> {
        Ok(String::new())
    }
}
