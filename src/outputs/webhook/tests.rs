//! Bodies, their halves, and their seals.

use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{Datapoint, Label, Value};
use serde_json::{Value as Json, json};

use super::*;
use crate::payload::JobBatch;

fn webhook(options: &Json) -> Webhook {
    collectors::decode::decode(options).expect("options")
}

fn payload(keys: &[&str]) -> Payload {
    let mut batch = Batch::default();
    for key in keys {
        let labels = [Label::new("disk", "a\"b").expect("a label")];
        let value = Value::float(0.5).expect("finite");
        let point = Datapoint::new(key, value.clone(), value.natural_type()).expect("a datapoint");
        batch.push(&point.labels(&labels).unit("bytes"), "db1", &[], 7).expect("room");
    }
    Payload {
        agent: crate::payload::Agent { id: "ab".into(), program: "p".into(), hostname: "h".into() },
        timestamp_ms: 5,
        polling_interval: Duration::from_millis(60_500),
        batches: vec![JobBatch::new("a".into(), Arc::new(batch))],
    }
}

fn body(keys: &[&str]) -> Vec<u8> {
    let mut body = Vec::new();
    let output = webhook(&json!({"url": "http://h/"}));
    let encoded = output.encode(&payload(keys), &mut body).expect("a vector takes all");
    assert_eq!(encoded.datapoints, keys.len() as u64);
    body
}

#[test]
fn a_body_is_what_the_page_says() {
    let found: Json = serde_json::from_slice(&body(&["k"])).expect("JSON");
    let expected = json!({
        "version": 1,
        "agent": {"id": "ab", "program": "p", "hostname": "h"},
        "timestamp": 5,
        "polling_interval_seconds": 60.5,
        "datapoints": [{
            "key": "k", "value": 0.5, "data_type": "float", "target": "db1", "timestamp": 7,
            "unit": "bytes", "labels": {"disk": "a\"b"}
        }]
    });
    assert_eq!(found, expected);
    let page = collectors::page!("../webhook.rs").markdown();
    for member in expected.as_object().expect("an object").keys() {
        assert!(page.contains(&format!("| `{member}` |")), "{member}");
    }
}

#[test]
fn halves_are_the_bodies_of_their_datapoints() {
    let output = webhook(&json!({"url": "http://h/"}));
    let [first, second] = output.halve(&body(&["a", "b", "c"])).expect("three datapoints");
    assert_eq!((first.bytes.as_slice(), first.datapoints), (body(&["a"]).as_slice(), 1));
    assert_eq!((second.bytes.as_slice(), second.datapoints), (body(&["b", "c"]).as_slice(), 2));
    assert_eq!(output.halve(&first.bytes), None);
    assert_eq!(output.subject(&first.bytes).as_deref(), Some("a db1 disk=\"a\\\"b\""));
    assert_eq!(output.halve(b"no JSON"), None);
}

#[test]
fn a_body_is_sealed_as_everybody_else_would_do_it() {
    // RFC 4231, test case 2.
    let signed = webhook(&json!({"url": "http://h/", "secret": "Jefe"}));
    let body = Body::Memory(b"what do ya want for nothing?".to_vec());
    let seals = signed.seals(&body).expect("seals");
    let hmac = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(seals.signature, Some(format!("sha256={hmac}")));
    // FIPS 180-2.
    let plain = webhook(&json!({"url": "http://h/"}));
    let seals = plain.seals(&Body::Memory(b"abc".to_vec())).expect("seals");
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(seals, Seals { key: digest.into(), signature: None });
}
