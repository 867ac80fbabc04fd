//! Batches, their halves, and where they go.

use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{Datapoint, Label, Value};
use serde_json::{Value as Json, json};

use super::*;
use crate::payload::{Agent, JobBatch};

fn telemetry(more: &Json) -> Telemetry {
    let mut options = json!({"api_key": "k"});
    let all = options.as_object_mut().expect("a map");
    all.extend(more.as_object().expect("a map").clone());
    collectors::decode::decode(&options).expect("options")
}

/// Two jobs: key, target, value, time.
fn payload() -> Payload {
    let batch = |points: &[(&str, &str, Value<'_>, i64)]| {
        let mut batch = Batch::default();
        for (key, target, value, at_ms) in points {
            let labels = [Label::new("room", "a/1").expect("a label")];
            let point =
                Datapoint::new(key, value.clone(), value.natural_type()).expect("a datapoint");
            batch.push(&point.labels(&labels), target, &[], *at_ms).expect("room");
        }
        Arc::new(batch)
    };
    let first = batch(&[
        ("cpu", "db1", Value::Int(1), 7_000),
        ("mem", "db1", Value::Int(2), 7_000),
        ("cpu", "db2", Value::Text("hot".into()), 7_000),
    ]);
    let second = batch(&[
        ("disk/used", "db1", Value::Int(3), 7_000),
        ("cpu", "db1", Value::Int(9), 6_000),
        ("expires_at", "db1", Value::Int(9), 6_000),
    ]);
    Payload {
        agent: Agent { id: "i".into(), program: "p".into(), hostname: "h".into() },
        timestamp_ms: 7_000,
        polling_interval: Duration::from_secs(60),
        batches: vec![JobBatch::new("a".into(), first), JobBatch::new("b".into(), second)],
    }
}

const BY_TARGET: &str = r#"{"tag": "{target}", "property": "{key}", "expires_after": "1m"}"#;

fn by_target(update: &str) -> Json {
    let mut options: Json = serde_json::from_str(BY_TARGET).expect("JSON");
    options["update"] = update.into();
    options
}

fn body(options: &Json) -> (Vec<u8>, Encoded) {
    let mut body = Vec::new();
    let encoded = telemetry(options).encode(&payload(), &mut body).expect("a vector takes all");
    (body, encoded)
}

#[test]
fn what_several_jobs_bring_for_one_flow_is_merged() {
    let (bytes, encoded) = body(&by_target("merge"));
    let found: Json = serde_json::from_slice(&bytes).expect("JSON");
    let db1 = json!({"cpu": 1, "mem": 2, "disk/used": 3, "expires_at": 67});
    let db2 = json!({"cpu": "hot", "expires_at": 67});
    assert_eq!(found, json!({"data": {"db1": db1, "db2": db2}}));
    assert_eq!((encoded.datapoints, encoded.superseded, encoded.refused), (4, 1, 1));
}

#[test]
fn the_newest_value_of_a_property_is_sent() {
    let (bytes, encoded) = body(&json!({"tag": "{key}.{label.room}"}));
    let found: Json = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(found["data"]["cpu.a/1"], json!({"value": "hot"}));
    assert_eq!((encoded.datapoints, encoded.superseded), (4, 2));
}

#[test]
fn a_patch_has_an_operation_for_each_property() {
    let (bytes, _) = body(&by_target("json_patch"));
    let found: Json = serde_json::from_slice(&bytes).expect("JSON");
    let operations = found["data"]["db1"].as_array().expect("operations");
    assert_eq!(operations[2], json!({"op": "add", "path": "/disk~1used", "value": 3}));
    assert_eq!(operations[3], json!({"op": "add", "path": "/expires_at", "value": 67}));
}

#[test]
fn halves_hold_whole_flows() {
    for update in ["merge", "json_patch"] {
        let output = telemetry(&by_target(update));
        let (bytes, _) = body(&by_target(update));
        let [first, second] = output.halve(&bytes).expect("two flows");
        assert_eq!((first.datapoints, second.datapoints), (3, 1));
        assert_eq!(output.subject(&first.bytes).as_deref(), Some("db1"));
        assert_eq!(output.subject(&second.bytes).as_deref(), Some("db2"));
        assert_eq!(output.subject(&bytes), None);
        assert_eq!(output.halve(&first.bytes), None);
    }
}

#[test]
fn each_update_has_its_method_and_address() {
    let surroundings = Surroundings {
        agent: payload().agent,
        config_directory: "/".into(),
        daemon_directory: None,
        now_ms: 0,
    };
    for (more, expected) in [
        (json!({}), "PATCH https://api.telemetrytv.com/data application/json"),
        (
            json!({"update": "replace", "url": "http://h/", "channel": "a b"}),
            "POST http://h/channels/a%20b/data application/json",
        ),
        (
            json!({"update": "json_patch", "url": "http://h", "resource": "metrics"}),
            "PATCH http://h/metrics application/json-patch+json",
        ),
    ] {
        let Destination { method, url, headers } = telemetry(&more).destination(&surroundings);
        assert_eq!(format!("{method} {url} {}", headers[0].1), expected);
        assert_eq!(headers[1], ("authorization".into(), "[redacted]".into()));
    }
}

#[test]
fn what_cannot_go_together_is_told_at_its_place() {
    for (more, place) in [
        (json!({"tag": "x"}), "tag"),
        (json!({"url": "http://h/?a=b"}), "url"),
        (json!({"channel": ""}), "channel"),
        (json!({"http": {"auth": {"bearer": "t"}}}), "http.auth"),
    ] {
        let problems = telemetry(&more).conflicts();
        let places = problems.iter().map(|p| collectors::decode::Path(&p.path).to_string());
        assert_eq!(places.collect::<Vec<_>>(), [place]);
    }
}
