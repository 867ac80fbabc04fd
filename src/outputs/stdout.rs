//! Datapoints on standard output, as JSON Lines or as a table to read.
//!
//! `format: jsonl` (the default) prints one object a line, ready for `jq` and other programs; `format: table`
//! is for people. A reader that goes away (`| head`) is no failure of the run.
//!
//! ```yaml
//! outputs:
//!   - stdout:
//!       format: table
//! ```

use std::io::{self, Write};
use std::time::Instant;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Body, Destination, Output, Receipt, Surroundings, json_lines};
use crate::payload::{Encoded, Payload};
use crate::report::table;

/// The options of `stdout`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Stdout {
    /// How datapoints are printed.
    format: Format,
}

/// How datapoints are printed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// A table for people.
    Table,
}

impl Output for Stdout {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        match self.format {
            Format::Jsonl => json_lines::encode(payload, to),
            Format::Table => {
                writeln!(to, "{}", table::of_datapoints(payload.datapoints()))?;
                Ok(Encoded { datapoints: payload.len() as u64, ..Encoded::default() })
            }
        }
    }

    fn destination(&self, _: &Surroundings) -> Destination {
        Destination { method: "WRITE", url: "stdout".into(), headers: Vec::new() }
    }

    fn deliver(&self, body: &Body, _: &Surroundings, _: Instant) -> Receipt {
        let written = body.open().and_then(|mut reader| {
            let mut stdout = io::stdout().lock();
            io::copy(&mut reader, &mut stdout)?;
            stdout.flush()
        });
        match written {
            Ok(()) => Receipt::Accepted,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Receipt::Accepted,
            Err(error) => Receipt::Rejected { reason: format!("standard output: {error}") },
        }
    }

    fn can_wait(&self) -> bool {
        false
    }

    fn check(&self, _: &Surroundings, _: Instant) -> Result<String, String> {
        Ok("standard output is always there".into())
    }
}
