//! What is told of a body, whatever its output does.

mod fake;

use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Value};

use super::*;
use crate::outputs::Receipt;
use crate::payload::{Agent, JobBatch};
use crate::report::{self, Status};
use crate::store::Store;
use fake::{Fake, fault, retry};

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
        batches: vec![JobBatch::new("job".into(), Arc::new(batch))],
    }
}

/// A run's delivery to an output with these answers.
fn delivered(spool: Option<Spool>, timestamp_ms: i64, answers: &[Receipt]) -> OutputReport {
    sent(spool, timestamp_ms, Fake::scripted(answers), payload(timestamp_ms)).0
}

/// A run's delivery, and whether its datapoints were safe.
fn sent(
    spool: Option<Spool>,
    timestamp_ms: i64,
    output: Arc<dyn Output>,
    payload: Payload,
) -> (OutputReport, bool) {
    let consignment = Consignment {
        id: "out".into(),
        kind: "scripted",
        output,
        payload,
        waiting: spool.as_ref().map(Spool::list).unwrap_or_default(),
        spool,
        heeds_pauses: true,
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
    let mut safe = Vec::new();
    let commit = |all: &[bool]| safe.extend_from_slice(all);
    let mut reports = deliver(vec![consignment], "run", &Arc::new(surroundings), deadline, commit);
    assert_eq!(safe.len(), 1, "told once, of one output");
    (reports.remove(0), safe[0])
}

#[test]
fn an_output_with_nothing_to_do_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    let nothing = || Payload { batches: Vec::new(), ..payload(2) };
    let output = Fake::scripted(&[retry(), Receipt::Accepted]);
    let (report, is_safe) = sent(spool(), 1, output.clone(), nothing());
    assert!(is_safe && report.note.is_none() && output.requests() == 0);
    // A body that waits is something to do.
    assert_eq!(sent(spool(), 1, output.clone(), payload(1)).0.waiting, 2);
    let (report, is_safe) = sent(spool(), 2, output.clone(), nothing());
    assert!(is_safe);
    assert_eq!((report.accepted, report.waiting, output.requests()), (2, 0, 2));
}

/// So many datapoints with the keys `k0`, `k1`, ….
fn many(count: usize) -> Payload {
    let mut batch = Batch::default();
    for number in 0..count {
        let key = format!("k{number}");
        let point = Datapoint::new(&key, Value::Int(1), DataType::Int).expect("a datapoint");
        batch.push(&point, "host", &[], 1).expect("room");
    }
    let batches = vec![JobBatch::new("job".into(), Arc::new(batch))];
    Payload { batches, ..payload(1) }
}

#[test]
fn the_bad_datapoints_of_a_body_are_found_and_the_rest_goes_through_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let output = Fake::picky(&["k17", "k18", "k9000"], usize::MAX);
    let spool = || Some(store.spool("out", "scripted"));
    let (report, is_safe) = sent(spool(), 1, output.clone(), many(10_000));
    assert!(is_safe);
    assert_eq!(
        (report.accepted, report.quarantined, report.waiting, report.lost),
        (9_997, 3, 0, 0)
    );
    assert!(output.requests() < 100);
    let expected: Vec<_> = (0..10_000).filter(|n| ![17, 18, 9000].contains(n)).collect();
    assert_eq!(output.has(), expected.iter().map(|n| format!("k{n}")).collect::<Vec<_>>());
    let quarantine = folder.path().join("spool/out.scripted/quarantine");
    let mut kept: Vec<_> = std::fs::read_dir(quarantine)
        .expect("the quarantine")
        .map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("text"))
        .collect();
    kept.sort();
    assert_eq!(kept.len(), 6, "three datapoints, each with its reason: {kept:?}");
    assert!(kept.iter().any(|text| text.starts_with("no \"key\":\"k9000\" (`{\"key\":\"k9000\"")));
    // Nothing is left for the next run.
    assert_eq!(sent(spool(), 2, output, many(0)).0.accepted_bodies, 0);
}

#[test]
fn a_part_that_the_output_names_is_set_aside_and_nothing_is_searched_for() {
    // Also where that comes out while a body is sifted: by then three parts were sent.
    for (most, requests) in [(8, 1), (4, 3)] {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("a store");
        let spool = || Some(store.spool("out", "scripted"));
        let output = Fake::naming("k3", most);
        let (report, is_safe) = sent(spool(), 1, output.clone(), many(8));
        assert_eq!((report.accepted, report.quarantined, report.waiting), (7, 1, 0));
        assert_eq!((output.requests(), is_safe), (requests, true));
        let aside = store.spool("out", "scripted").quarantined().entries;
        assert_eq!(aside.iter().map(|entry| entry.datapoints).collect::<Vec<_>>(), [1]);
        assert_eq!(sent(spool(), 2, output, many(0)).0.accepted_bodies, 0);

        let (report, is_safe) = sent(None, 1, Fake::naming("k3", most), many(8));
        assert_eq!((report.accepted, report.lost, is_safe), (7, 1, true));
    }
}

#[test]
fn a_body_that_is_not_sifted_to_the_end_waits_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    let (report, is_safe) = sent(spool(), 1, Fake::picky(&["k3"], 2), many(8));
    assert_eq!((report.accepted, report.waiting, report.quarantined), (0, 8, 0));
    assert!(is_safe, "it is on disk");
    let output = Fake::picky(&["k3"], usize::MAX);
    let (report, _) = sent(spool(), 2, output.clone(), many(0));
    assert_eq!((report.accepted, report.waiting, report.quarantined), (7, 0, 1));
    assert_eq!(output.has(), ["k0", "k1", "k2", "k4", "k5", "k6", "k7"]);
}

#[test]
fn without_a_spool_the_rest_of_a_rejected_body_goes_through_too() {
    let (report, is_safe) = sent(None, 1, Fake::picky(&["k3"], usize::MAX), many(8));
    assert_eq!((report.accepted, report.lost, is_safe), (7, 1, true));
    let (report, is_safe) = sent(None, 1, Fake::picky(&[], 0), many(8));
    assert_eq!((report.accepted, report.lost, is_safe), (0, 8, false));
}

#[test]
fn a_body_at_which_the_output_goes_on_failing_is_set_aside_when_others_go_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    // The output may be down: the order is kept.
    for run in 1..=4 {
        assert_eq!(delivered(spool(), run, &[fault()]).waiting_bodies, run.unsigned_abs());
    }
    // It still is, also for the next body.
    assert_eq!(delivered(spool(), 5, &[fault(), fault()]).waiting_bodies, 5);
    let accepted = Receipt::Accepted;
    let answers = [fault(), accepted.clone(), fault()];
    let rest = std::iter::repeat_n(accepted, 4);
    let answers: Vec<_> = answers.into_iter().chain(rest).collect();
    let report = delivered(spool(), 6, &answers);
    assert_eq!((report.accepted_bodies, report.waiting, report.quarantined), (5, 0, 2));
    assert!(report.note.is_some_and(|note| note.starts_with("500; it takes others; kept in")));
}

#[test]
fn bad_bodies_side_by_side_are_set_aside_one_after_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    let output = Fake::choking("k1");
    for run in 0..=20 {
        // The first three have the key at which it chokes.
        let payload = Payload { timestamp_ms: run, ..many(if run < 3 { 2 } else { 1 }) };
        let (report, _) = sent(spool(), run, output.clone(), payload);
        assert_eq!(report.faults, [""; 0]);
    }
    assert_eq!(store.spool("out", "scripted").list().entries, []);
    assert_eq!(output.has().len(), 18);
    let aside = store.spool("out", "scripted").quarantined().entries;
    assert_eq!(aside.iter().map(|entry| entry.timestamp_ms).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_body_that_takes_too_long_to_sift_run_after_run_is_set_aside_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    let mut reports = (0..10).map(|run| {
        let payload = many(if run == 0 { 8 } else { 0 });
        sent(spool(), run, Fake::picky(&["k3"], 2), payload).0
    });
    let report = reports.find(|report| report.waiting_bodies == 0).expect("it waits for ever");
    assert_eq!((report.quarantined, report.lost, report.accepted), (8, 0, 0));
}

#[test]
fn what_has_no_room_in_the_spool_is_not_safe() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let caps = crate::store::spool::Caps { bytes: 10, age: Duration::MAX };
    let small = Some(store.spool("out", "scripted").with_caps(caps));
    let (report, is_safe) = sent(small, 1, Fake::picky(&[], 0), many(8));
    assert_eq!((report.lost, report.waiting, is_safe), (8, 0, false));
}

#[test]
fn an_output_that_is_back_between_two_bodies_takes_the_first_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = || Some(store.spool("out", "scripted"));
    for run in 1..=4 {
        delivered(spool(), run, &[fault()]);
    }
    let back = std::iter::repeat_n(Receipt::Accepted, 5);
    let answers: Vec<_> = std::iter::once(fault()).chain(back).collect();
    let report = delivered(spool(), 5, &answers);
    assert_eq!((report.accepted_bodies, report.waiting, report.quarantined), (5, 0, 0));
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
