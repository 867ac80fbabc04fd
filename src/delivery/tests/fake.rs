//! An output that answers as a test wants it, and remembers what it was asked.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::outputs::{Body, Destination, Output, Part, Receipt, Surroundings, json_lines};
use crate::payload::{Encoded, Payload};

/// The answer to a body, which so many requests went before.
type Answer = dyn Fn(&str, usize) -> Receipt + Send + Sync;

pub(super) struct Fake {
    answer: Box<Answer>,
    /// Whether a rejected body can be halved.
    is_divisible: bool,
    requests: Mutex<Vec<(String, Receipt)>>,
}

pub(super) fn retry() -> Receipt {
    Receipt::Retry { reason: "down".into(), after: None }
}

pub(super) fn fault() -> Receipt {
    Receipt::Fault { reason: "500".into(), after: None }
}

impl Fake {
    fn new(
        is_divisible: bool,
        answer: impl Fn(&str, usize) -> Receipt + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), is_divisible, requests: Mutex::default() })
    }

    /// Answers what it is told, and then panics.
    pub(super) fn scripted(answers: &[Receipt]) -> Arc<Self> {
        let answers = answers.to_vec();
        Self::new(false, move |_, before| answers.get(before).expect("no more\nanswers").clone())
    }

    /// Rejects a body with a key that it does not like, and is down from its `up`th request on.
    pub(super) fn picky(bad: &[&str], up: usize) -> Arc<Self> {
        let bad: Vec<_> = bad.iter().map(|key| member(key)).collect();
        Self::new(true, move |body, before| match bad.iter().find(|bad| body.contains(*bad)) {
            _ if before >= up => retry(),
            Some(bad) => Receipt::Rejected { reason: format!("no {bad}") },
            None => Receipt::Accepted,
        })
    }

    /// Names the datapoints with a key that it does not like, unless the body has more than so many.
    pub(super) fn naming(bad: &str, most: usize) -> Arc<Self> {
        let bad = member(bad);
        Self::new(true, move |body, _| {
            let refused: String = body.split_inclusive('\n').filter(|l| l.contains(&bad)).collect();
            let reason = format!("no {bad}");
            match refused.lines().count() as u64 {
                0 => Receipt::Accepted,
                _ if body.lines().count() > most => Receipt::Rejected { reason },
                datapoints => {
                    Receipt::AllBut { part: Part { bytes: refused.into(), datapoints }, reason }
                }
            }
        })
    }

    /// Fails at a body with a key, time and again.
    pub(super) fn choking(bad: &str) -> Arc<Self> {
        let bad = member(bad);
        Self::new(false, move |body, _| match body.contains(&bad) {
            true => fault(),
            false => Receipt::Accepted,
        })
    }

    /// How often it was asked.
    pub(super) fn requests(&self) -> usize {
        self.requests.lock().expect("no panic").len()
    }

    /// The keys that it has, in the order in which they came.
    pub(super) fn has(&self) -> Vec<String> {
        let requests = self.requests.lock().expect("no panic");
        let taken = requests.iter().filter(|(_, answer)| *answer == Receipt::Accepted);
        let keys = taken.flat_map(|(body, _)| body.lines()).map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line");
            line["key"].as_str().unwrap_or_default().to_owned()
        });
        keys.collect()
    }
}

fn member(key: &str) -> String {
    format!("\"key\":\"{key}\"")
}

impl Output for Fake {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        json_lines::encode(payload, to)
    }

    fn destination(&self, _: &Surroundings) -> Destination {
        Destination { method: "WRITE", url: String::new(), headers: Vec::new() }
    }

    fn deliver(&self, body: &Body, _: &Surroundings, _: Instant) -> Receipt {
        let mut text = String::new();
        body.open().expect("a body").read_to_string(&mut text).expect("text");
        let answer = (self.answer)(&text, self.requests());
        self.requests.lock().expect("no panic").push((text, answer.clone()));
        answer
    }

    fn check(&self, _: &Surroundings, _: Instant) -> Result<String, String> {
        Ok(String::new())
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        self.is_divisible.then(|| json_lines::halve(body)).flatten()
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        self.is_divisible.then(|| String::from_utf8(body.to_vec()).ok()).flatten()
    }
}
