//! A payload as pattoo's body, byte for byte as the official library makes it.
//!
//! Two steps. The first walks the datapoints once and numbers their pairs; of a datapoint it keeps two numbers
//! and two places in hash tables. The second walks them again and writes what the numbers stand for, on
//! several threads when there is much to write: no text is kept, and the body is never whole in memory.

use std::io::{self, Write};
use std::thread::available_parallelism;

use super::in_order::write_in_order;
use super::json;
use super::limits::Limits;
use super::numbering::number_pairs;
use crate::payload::{Encoded, Payload};

/// From so many datapoints on a thread has enough to do.
const DATAPOINTS_PER_THREAD: usize = 8_192;

/// More threads would wait for the one that writes.
const THREADS_MAX: usize = 16;

/// How a payload is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What is refused.
    pub limits: Limits,
    /// How many threads make text; the body does not depend on it.
    pub threads: usize,
}

impl Settings {
    /// What suits so many datapoints and this machine.
    pub fn for_datapoints(datapoints: usize) -> Self {
        let wanted = (datapoints / DATAPOINTS_PER_THREAD).min(THREADS_MAX);
        let threads = match wanted {
            // Asking the kernel takes longer than a small payload.
            0 | 1 => 1,
            _ => available_parallelism().map_or(1, |available| wanted.min(available.get())),
        };
        Self { limits: Limits::Server, threads }
    }
}

/// Writes the payload as pattoo's body and refuses what a server does not survive.
///
/// # Errors
/// Those of `to`; and a payload of more than 2³² pairs, which no body can number.
pub fn encode(payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
    encode_with(payload, Settings::for_datapoints(payload.len()), to)
}

/// Writes the payload as pattoo's body.
///
/// # Errors
/// As [`encode`].
pub fn encode_with(
    payload: &Payload,
    settings: Settings,
    to: &mut dyn Write,
) -> io::Result<Encoded> {
    let mut encoded = Encoded::default();
    let pairs = number_pairs(payload, settings.limits, &mut encoded)?;
    to.write_all(&head(payload))?;
    write_in_order(
        pairs.pieces(),
        settings.threads,
        || pairs.checksums(),
        |checksums, piece, out| pairs.write_pairs(piece, checksums, out),
        to,
    )?;
    to.write_all(b"}, \"datapoint_pairs\": [")?;
    write_in_order(
        pairs.pieces(),
        settings.threads,
        || (),
        |(), piece, out| pairs.write_datapoints(piece, out),
        to,
    )?;
    to.write_all(b"]}}")?;
    Ok(encoded)
}

fn head(payload: &Payload) -> Vec<u8> {
    let mut head = Vec::new();
    head.extend_from_slice(b"{\"pattoo_agent_timestamp\": ");
    json::int(payload.timestamp_ms, &mut head);
    head.extend_from_slice(b", \"pattoo_agent_id\": ");
    json::string(&payload.agent.id, &mut head);
    head.extend_from_slice(b", \"pattoo_agent_polling_interval\": ");
    json::int(payload.polling_interval.as_millis(), &mut head);
    head.extend_from_slice(b", \"pattoo_datapoints\": {\"key_value_pairs\": {");
    head
}

#[cfg(test)]
mod tests;
