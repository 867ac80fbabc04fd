//! The options, and what bodies look like.

use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Label, Value};
use serde_json::{Value as Json, json};

use super::*;
use crate::payload::{Agent, JobBatch};

fn output(options: &Json) -> GraphiteHttp {
    let output: GraphiteHttp = collectors::decode::decode(options).expect("options");
    assert!(output.conflicts().is_empty(), "{:?}", output.conflicts());
    output
}

fn payload() -> Payload {
    let mut batch = Batch::default();
    let labels = [Label::new("disk", "sda").expect("a label")];
    for (key, value, data_type) in
        [("a", Value::Int(1), DataType::Int), ("b", Value::Uint(u64::MAX), DataType::Counter64)]
    {
        let point = Datapoint::new(key, value, data_type).expect("a datapoint");
        batch.push(&point.labels(&labels).unit("bytes"), "db1", &[], 5_500).expect("room");
    }
    let text = Datapoint::new("os", Value::Text("x".into()), DataType::String);
    batch.push(&text.expect("a datapoint"), "db1", &[], 5_500).expect("room");
    Payload {
        agent: Agent { id: "i".into(), program: "p".into(), hostname: "h".into() },
        timestamp_ms: 0,
        polling_interval: Duration::from_secs(60),
        batches: vec![JobBatch::new("a".into(), Arc::new(batch))],
    }
}

fn body(options: &Json) -> Vec<u8> {
    let mut body = Vec::new();
    let encoded = output(options).encode(&payload(), &mut body).expect("a vector takes all");
    assert_eq!((encoded.datapoints, encoded.refused), (2, 1));
    body
}

#[test]
fn each_flavour_gets_what_it_asks_for() {
    let grafana = json!({"url": "https://h/graphite", "flavour": "grafana_cloud"});
    let bytes = body(&grafana);
    let found: Json = serde_json::from_slice(&bytes).expect("JSON");
    let tags = json!(["disk=sda", "host=h", "target=db1"]);
    assert_eq!(
        found,
        json!([
            {"name": "a", "interval": 60, "value": 1, "time": 5, "tags": tags},
            {"name": "b", "interval": 60, "value": u64::MAX, "time": 5, "tags": tags},
        ])
    );
    assert_eq!(count(&Body::Memory(bytes)).expect("a number"), 2);
    let gw = json!({"url": "https://h/", "flavour": "tsdb_gw", "org": 7, "interval": "10s"});
    let found: Json = serde_json::from_slice(&body(&gw)).expect("JSON");
    assert_eq!(found[0]["mtype"], "gauge");
    let second = &found[1];
    assert!(second["id"].as_str().is_some_and(|id| id.starts_with("7.") && id.len() == 34));
    let rest = ["org_id", "metric", "interval", "unit", "mtype"].map(|name| second[name].clone());
    assert_eq!(rest, [json!(7), json!("b"), json!(10), json!("bytes"), json!("counter")]);
}

#[test]
fn halves_are_bodies_of_the_same_kind() {
    let options = json!({"url": "https://h", "flavour": "grafana_cloud"});
    let output = output(&options);
    let halves = output.halve(&body(&options)).expect("two datapoints");
    for (half, subject) in halves.into_iter().zip(["a", "b"]) {
        assert_eq!(half.datapoints, 1);
        assert_eq!(output.halve(&half.bytes), None);
        let expected = format!("{subject};disk=sda;host=h;target=db1");
        assert_eq!(output.subject(&half.bytes), Some(expected));
        assert_eq!(count(&Body::Memory(half.bytes)).expect("a number"), 1);
    }
}

#[test]
fn what_cannot_go_together_is_told_at_its_place() {
    for (more, place) in [
        (json!({"user": "u"}), "user"),
        (json!({"org": 2}), "org"),
        (json!({"interval": "500ms"}), "interval"),
        (json!({"url": "https://h/?a=b"}), "url"),
        (json!({"token": "t", "http": {"auth": {"bearer": "t"}}}), "http.auth"),
        (json!({"text": "tag", "tags": false}), "text"),
        (json!({"name": "x"}), "name"),
    ] {
        let mut options = json!({"url": "https://h", "flavour": "grafana_cloud"});
        let all = options.as_object_mut().expect("a map");
        all.extend(more.as_object().expect("a map").clone());
        let output: GraphiteHttp = collectors::decode::decode(&options).expect("options");
        let problems = output.conflicts();
        let places = problems.iter().map(|p| collectors::decode::Path(&p.path).to_string());
        assert_eq!(places.collect::<Vec<_>>(), [place]);
    }
}
