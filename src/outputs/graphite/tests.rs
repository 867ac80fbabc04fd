//! What becomes of each kind of datapoint, and of what servers do.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{Datapoint, Label, Value};
use serde_json::{Value as Json, json};

use super::*;
use crate::payload::{Agent, JobBatch};

fn graphite(options: &Json) -> Graphite {
    let graphite: Graphite = collectors::decode::decode(options).expect("options");
    assert!(graphite.conflicts().is_empty(), "{:?}", graphite.conflicts());
    graphite
}

/// Key, value, labels and moment.
type Row<'a> = (&'a str, Value<'a>, &'a [(&'a str, &'a str)], i64);

fn payload(points: &[Row<'_>]) -> Payload {
    let mut batch = Batch::default();
    for (key, value, labels, at_ms) in points {
        let labels = labels.iter().map(|(name, value)| Label::new(name, value).expect("a label"));
        let labels: Vec<_> = labels.collect();
        let point = Datapoint::new(key, value.clone(), value.natural_type()).expect("a datapoint");
        batch.push(&point.labels(&labels), "db1.example.org", &[], *at_ms).expect("room");
    }
    Payload {
        agent: Agent { id: "i".into(), program: "p".into(), hostname: "web 1".into() },
        timestamp_ms: 0,
        polling_interval: Duration::from_secs(60),
        batches: vec![JobBatch::new("a".into(), Arc::new(batch))],
    }
}

fn lines(options: &Json, payload: &Payload) -> (String, Encoded) {
    let mut out = Vec::new();
    let encoded = graphite(options).encode(payload, &mut out).expect("a vector takes all");
    (String::from_utf8(out).expect("text"), encoded)
}

#[test]
fn the_runs_own_metrics_stand_below_their_prefix() {
    let labels: &[(&str, &str)] = &[("job", "ns1"), ("collector", "http")];
    let mut own = payload(&[("collector_job_success", Value::Int(1), labels, 5_000)]);
    let options = json!({"host": "h", "own_prefix": "raintank.app.stats.taskagent.{host}"});
    let (others, _) = lines(&options, &own);
    assert!(others.starts_with("collector_job_success;collector=http;"), "{others}");
    own.batches[0].job = metrics::JOB.into();
    let (own, _) = lines(&options, &own);
    let expected =
        "raintank.app.stats.taskagent.web_1.collector_job_success.http.ns1.gauge64 1 5\n";
    assert_eq!(own, expected);
    let mut runs = payload(&[("collector_runs", Value::Uint(7), &[], 5_000)]);
    runs.batches[0].job = metrics::JOB.into();
    let (runs, _) = lines(&options, &runs);
    assert_eq!(runs, "raintank.app.stats.taskagent.web_1.collector_runs.counter64 7 5\n");
}

#[test]
fn a_name_that_carbon_would_drop_without_a_word_is_refused() {
    let refusal = |options, key: &str, value: &str| {
        let point = payload(&[(key, Value::Int(1), &[("disk", value)], 5_000)]);
        lines(&options, &point).1.refusals.pop().map(|refused| refused.reason)
    };
    let plain = || json!({"host": "h", "tags": false});
    assert_eq!(refusal(plain(), "k", &"x".repeat(251)), None);
    let reason = refusal(plain(), "k", &"x".repeat(252)).expect("no file has that name");
    assert_eq!(reason, "a part of its name is longer than the name of a file can be");
    assert_eq!(refusal(json!({"host": "h"}), "k", &"x".repeat(15_000)), None);
    let reason = refusal(json!({"host": "h"}), "k", &"x".repeat(16_000)).expect("a line too long");
    assert_eq!(reason, "its name is so long that carbon would end the connection");
}

#[test]
fn a_name_holds_nothing_that_graphite_cannot_read() {
    let labels: &[(&str, &str)] =
        &[("disk name", "sda 1;x"), ("b", "~v.w"), ("none", ""), ("c=d", "e=f")];
    let one = payload(&[("disk used*", Value::Int(3), labels, 5_999)]);
    for (options, expected) in [
        (
            json!({"host": "h"}),
            "disk_used_;b=_v.w;c_d=e=f;disk_name=sda_1_x;host=web_1;target=db1.example.org 3 5\n",
        ),
        (json!({"host": "h", "tags": false}), "db1_example_org.disk_used_._v_w.e_f.sda_1_x 3 5\n"),
        (
            json!({"host": "h", "tags": false, "name": ".{host}..{label.B}.{key}.{label.no}.{labels}"}),
            "web_1._v_w.disk_used_.e_f.sda_1_x 3 5\n",
        ),
    ] {
        let (text, encoded) = lines(&options, &one);
        assert_eq!((text.as_str(), encoded.datapoints), (expected, 1));
    }
}

#[test]
fn every_number_is_written_so_that_it_reads_back_the_same() {
    let float = |number| Value::float(number).expect("finite");
    let numbers = payload(&[
        ("a", Value::Int(i64::MIN), &[], 0),
        ("b", Value::Uint(u64::MAX), &[], 0),
        ("c", float(0.1), &[], 0),
        ("d", float(f64::MAX), &[], 0),
        ("e", float(5e-324), &[], 0),
    ]);
    let (text, _) = lines(&json!({"host": "h", "tags": false, "name": "{key}"}), &numbers);
    let values: Vec<f64> =
        text.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
    assert_eq!(values, [i64::MIN as f64, u64::MAX as f64, 0.1, f64::MAX, 5e-324]);
}

#[test]
fn what_graphite_cannot_hold_is_refused_by_name_and_what_it_would_overwrite_is_counted() {
    let all = payload(&[
        ("text", Value::Text("Debian 12".into()), &[], 5_000),
        ("early", Value::Int(1), &[], -1),
        ("late", Value::Int(1), &[], 4_294_967_296_000),
        ("k", Value::Int(1), &[], 5_000),
        ("k", Value::Int(1), &[], 5_100),
        ("k", Value::Int(2), &[], 5_900),
        ("k", Value::Int(2), &[], 6_000),
    ]);
    let (text, encoded) = lines(&json!({"host": "h", "tags": false, "name": "{key}"}), &all);
    assert_eq!(text, "k 1 5\nk 2 6\n");
    let named: Vec<_> = encoded.refusals.iter().map(|refused| refused.key.as_str()).collect();
    assert_eq!(named, ["text", "early", "late"]);
    assert_eq!((encoded.duplicates, encoded.superseded, encoded.datapoints), (1, 1, 2));
    let (text, encoded) = lines(&json!({"host": "h", "text": "tag"}), &all);
    assert!(text.starts_with("text_info;host=web_1;target=db1.example.org;value=Debian_12 1 5\n"));
    assert_eq!(encoded.refused, 2);
}

#[test]
fn a_body_is_accepted_only_by_a_server_that_has_read_it_all() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let server = thread::spawn(move || {
        let mut streams = listener.incoming().flatten();
        let mut next = || streams.next().expect("a client");
        let mut read = Vec::new();
        next().read_to_end(&mut read).expect("all of it");
        // Closed with something unread: the connection is reset.
        next().read_exact(&mut [0; 1]).expect("a byte");
        let mut chatty = next();
        chatty.write_all(b"HTTP/1.1 400 Bad Request\r\n").expect("it listens");
        chatty.read_to_end(&mut Vec::new()).ok();
        let silent = next();
        (read, silent)
    });
    let output = graphite(&json!({"host": "127.0.0.1", "port": port}));
    let body = Body::Memory(vec![b'x'; 10_000_000]);
    let surroundings = Surroundings {
        agent: Agent { id: "i".into(), program: "p".into(), hostname: "h".into() },
        config_directory: "/".into(),
        daemon_directory: None,
        now_ms: 0,
    };
    let deliver = |body: &Body, time: u64| {
        let deadline = Instant::now() + Duration::from_millis(time);
        match output.deliver(body, &surroundings, deadline) {
            Receipt::Accepted => "accepted".to_owned(),
            Receipt::Retry { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(deliver(&body, 60_000), "accepted");
    let broken = deliver(&body, 60_000);
    assert!(broken.contains("broke off") || broken.contains("did not say"), "{broken}");
    let little = Body::Memory(b"a 1 2\n".to_vec());
    let chatty = deliver(&little, 60_000);
    assert!(chatty.contains("HTTP/1.1 400"), "{chatty}");
    let silent = deliver(&little, 100);
    assert!(silent.contains("did not say"), "{silent}");
    let (read, _) = server.join().expect("no panic");
    assert_eq!(read.len(), 10_000_000);
    let gone = deliver(&little, 60_000);
    assert!(gone.contains("cannot connect"), "{gone}");
}

#[test]
fn what_cannot_go_together_is_told_at_its_place() {
    for (options, place) in [
        (json!({"host": "http://h"}), "host"),
        (json!({"host": "h", "port": 0}), "port"),
        (json!({"host": "h", "name": "servers.{host}"}), "name"),
        (json!({"host": "h", "tags": false, "text": "tag"}), "text"),
    ] {
        let graphite: Graphite = collectors::decode::decode(&options).expect("options");
        let problems = graphite.conflicts();
        let places = problems.iter().map(|p| collectors::decode::Path(&p.path).to_string());
        assert_eq!(places.collect::<Vec<_>>(), [place]);
    }
}
