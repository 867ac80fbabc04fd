//! What is told of a body, whatever its output does.

use std::io;
use std::sync::Mutex;

use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Value};

use super::*;
use crate::outputs::{Destination, json_lines};
use crate::payload::{Agent, Encoded, JobBatch};
use crate::report::{self, Status};
use crate::store::Store;

/// An output that answers what it is told, and then panics.
struct Scripted(Mutex<Vec<Receipt>>);

impl Output for Scripted {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        json_lines::encode(payload, to)
    }

    fn destination(&self, _: &Surroundings) -> Destination {
        Destination { method: "WRITE", url: String::new(), headers: Vec::new() }
    }

    fn deliver(&self, _: &Body, _: &Surroundings, _: Instant) -> Receipt {
        let answer = self.0.lock().ok().and_then(|mut answers| answers.pop());
        answer.expect("no more\nanswers")
    }

    fn check(&self, _: &Surroundings, _: Instant) -> Result<String, String> {
        Ok(String::new())
    }
}

fn agent() -> Agent {
    Agent { id: "0".repeat(64), program: "p".into(), hostname: "h".into() }
}

fn payload(timestamp_ms: i64) -> Payload {
    let mut batch = Batch::default();
    for key in ["a", "b"] {
        let point = Datapoint::new(key, Value::Int(1), DataType::Int).expect("a datapoint");
        batch.push(&point, "host", &[], timestamp_ms).expect("room");
    }
    Payload {
        agent: agent(),
        timestamp_ms,
        polling_interval: Duration::from_secs(300),
        batches: vec![JobBatch { job: "job".into(), batch: Arc::new(batch) }],
    }
}

/// A run's delivery to an output with these answers.
fn delivered(spool: Option<Spool>, timestamp_ms: i64, answers: &[Receipt]) -> OutputReport {
    let answers = answers.iter().rev().cloned().collect();
    let consignment = Consignment {
        id: "out".into(),
        kind: "scripted",
        output: Arc::new(Scripted(Mutex::new(answers))),
        payload: payload(timestamp_ms),
        spool,
        prepare: None,
        unencodable: None,
    };
    let surroundings = Surroundings {
        agent: agent(),
        config_directory: "/".into(),
        daemon_directory: None,
        now_ms: timestamp_ms,
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut reports = deliver(vec![consignment], "run", &Arc::new(surroundings), deadline);
    reports.remove(0)
}

fn retry() -> Receipt {
    Receipt::Retry { reason: "down".into(), after: None }
}

#[test]
fn a_panic_is_told_and_every_body_accounted_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    assert_eq!(delivered(spool(), 1, &[retry()]).waiting_bodies, 1);
    let report = delivered(spool(), 2, &[Receipt::Accepted]);
    assert_eq!((report.accepted, report.waiting, report.lost), (2, 2, 0));
    assert!(report.faults[0].contains("panicked") && report.faults[0].contains("more\\nanswers"));
    assert_eq!(report::status(&[], &[report], 0), Status::Waiting);
    let report = delivered(None, 3, &[]);
    assert_eq!((report.lost, report::status(&[], &[report], 0)), (2, Status::Lost));
}

#[test]
fn a_rejected_body_holds_up_none_behind_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    delivered(spool(), 1, &[retry()]);
    // There is no place to set it aside.
    std::fs::write(folder.path().join("spool/out.scripted/quarantine"), "").expect("a file");
    let rejected = Receipt::Rejected { reason: "never".into() };
    let report = delivered(spool(), 2, &[rejected, Receipt::Accepted]);
    assert_eq!((report.accepted, report.waiting, report.faults.len()), (2, 2, 1));
}
