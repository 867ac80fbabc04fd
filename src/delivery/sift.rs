//! A rejected body, halved until the datapoints that the output will not have are found; the rest goes through.
//!
//! The halves live in memory while the body itself stays in the spool: whenever this breaks off, the same body is
//! sent again and halved in the same way, so that a repeat is the same byte for byte.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::outputs::{Body, Output, Part, Receipt, Surroundings};

/// How many bodies are sent in search of the bad datapoints of one. One bad among a million takes 40.
const ATTEMPTS_MAX: u32 = 300;
/// How much of a datapoint is shown beside the reason, in characters.
const SUBJECT_CAP: usize = 200;

/// What came of sifting a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sifted {
    /// Datapoints that the output has taken.
    pub(super) accepted: u64,
    /// What it will not have.
    pub(super) bad: Vec<Bad>,
    /// Why it broke off, and how long the output asked to be left alone.
    pub(super) interrupted: Option<(String, Option<Duration>)>,
}

impl Sifted {
    /// What the output itself has told of a body with so many datapoints.
    pub(super) fn all_but(part: Part, datapoints: u64, reason: String) -> Self {
        let refused = part.datapoints.min(datapoints);
        let bad = vec![Bad { part, datapoints: refused, reason }];
        Self { accepted: datapoints - refused, bad, interrupted: None }
    }

    fn add(&mut self, part: Self) {
        self.accepted += part.accepted;
        self.bad.extend(part.bad);
    }
}

/// A part that an output will not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    /// The part.
    pub(super) part: Part,
    /// How many of its datapoints the output refused; the others it has taken.
    pub(super) datapoints: u64,
    /// What it said.
    pub(super) reason: String,
}

/// Looks for the bad datapoints of a body that was rejected with `reason`.
pub(super) fn sift(
    output: &dyn Output,
    body: &Body,
    datapoints: u64,
    reason: String,
    surroundings: &Surroundings,
    deadline: Instant,
) -> Sifted {
    let mut sifted = Sifted::default();
    let mut bytes = Vec::new();
    if let Err(error) = body.open().and_then(|mut body| body.read_to_end(&mut bytes)) {
        sifted.interrupted = Some((format!("cannot read the body: {error}"), None));
        return sifted;
    }
    let mut attempts = 0;
    let mut rejected = Some((Part { bytes, datapoints }, reason));
    // The last is the oldest: the parts go out in the order of the body.
    let mut open: Vec<Part> = Vec::new();
    loop {
        if let Some((part, reason)) = rejected.take() {
            match output.halve(&part.bytes).filter(|_| part.datapoints > 1) {
                Some([first, second]) => open.extend([second, first]),
                None => sifted.bad.push(Bad::all(output, part, &reason)),
            }
        }
        let Some(part) = open.pop() else { return sifted };
        if attempts == ATTEMPTS_MAX {
            let reason =
                format!("the body was rejected, and not yet sifted after {attempts} parts");
            open.push(part);
            sifted.bad.extend(open.into_iter().rev().map(|part| Bad::all(output, part, &reason)));
            return sifted;
        }
        attempts += 1;
        let body = Body::Memory(part.bytes);
        let receipt = output.deliver(&body, surroundings, deadline);
        let Body::Memory(bytes) = body else { return sifted };
        let part = Part { bytes, ..part };
        match receipt {
            Receipt::Accepted => sifted.accepted += part.datapoints,
            Receipt::Partly { rejected: refused, reason } => {
                let datapoints = refused.min(part.datapoints);
                sifted.accepted += part.datapoints - datapoints;
                sifted.bad.push(Bad { part, datapoints, reason });
            }
            Receipt::AllBut { part: refused, reason } => {
                sifted.add(Sifted::all_but(refused, part.datapoints, reason));
            }
            Receipt::Rejected { reason } => rejected = Some((part, reason)),
            Receipt::Retry { reason, after } | Receipt::Fault { reason, after } => {
                sifted.interrupted = Some((reason, after));
                return sifted;
            }
        }
    }
}

impl Bad {
    fn all(output: &dyn Output, part: Part, reason: &str) -> Self {
        let subject = (part.datapoints == 1).then(|| output.subject(&part.bytes)).flatten();
        let reason = match subject {
            Some(subject) => {
                format!("{reason} (`{}`)", collectors::sink::clean(&subject, SUBJECT_CAP))
            }
            None => reason.to_owned(),
        };
        Self { datapoints: part.datapoints, part, reason }
    }
}
