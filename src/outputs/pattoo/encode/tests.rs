//! The body against the official library's, and laws that hold for any payload.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Label, LabelKind, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::{Limits, Settings, encode, encode_with};
use crate::payload::{Agent, Encoded, JobBatch, Payload};

const NOW_MS: i64 = 1_700_000_000_456;

fn body(payload: &Payload, limits: Limits, threads: usize) -> (String, Encoded) {
    let mut body = Vec::new();
    let encoded = encode_with(payload, Settings { limits, threads }, &mut body);
    (String::from_utf8(body).expect("ASCII"), encoded.expect("a vector takes all"))
}

fn agent() -> Agent {
    Agent { id: "0123456789abcdef".repeat(4), program: "T".into(), hostname: "h.example".into() }
}

fn payload(agent: Agent, batches: Vec<(&str, Batch)>) -> Payload {
    let job_batch = |(job, batch)| JobBatch::new(Arc::from(job), Arc::new(batch));
    Payload {
        agent,
        timestamp_ms: NOW_MS,
        polling_interval: Duration::from_secs(300),
        batches: batches.into_iter().map(job_batch).collect(),
    }
}

/// `(key, value, type)` at one target, in one job.
fn simple(datapoints: &[(&str, Value<'static>, DataType)]) -> Payload {
    let mut batch = Batch::default();
    for (key, value, data_type) in datapoints {
        let point = Datapoint::new(key, value.clone(), *data_type).expect("good");
        batch.push(&point, "t", &[], NOW_MS).expect("room");
    }
    payload(agent(), vec![("job", batch)])
}

fn refusals(encoded: &Encoded) -> Vec<(&str, &str, &str)> {
    encoded.refusals.iter().map(|r| (&*r.job, &*r.key, &*r.reason)).collect()
}

mod golden {
    use super::*;

    /// `{"str": "x"}`, `{"int": "7"}`, `{"float": "0.1"}`, `{"bool": true}`, `{"none": true}`.
    fn scalar(json: &Json) -> Json {
        let (form, content) =
            json.as_object().and_then(|o| o.iter().next()).expect("a tagged scalar");
        match form.as_str() {
            "str" => content.clone(),
            "int" | "float" => {
                serde_json::from_str(content.as_str().expect("number as text")).expect("a number")
            }
            "bool" => content.clone(),
            _ => Json::Null,
        }
    }

    fn text(json: &Json) -> String {
        match scalar(json) {
            Json::String(text) => text,
            other => other.to_string(),
        }
    }

    /// A golden case's input as a payload: each of the library's `TargetDataPoints` is a job's batch.
    fn read(case: &Json) -> Payload {
        let input = &case["input"];
        let string = |name: &str| input[name].as_str().expect("text").to_owned();
        let number = |name: &str| input[name].as_i64().expect("integer");
        let mut batches = Vec::new();
        for group in input["targets"].as_array().expect("targets") {
            let target = text(&group["target"]);
            let mut batch = Batch::default();
            for datapoint in group["datapoints"].as_array().expect("datapoints") {
                push(&mut batch, &target, number("post_time_ms"), datapoint);
            }
            batches.push(JobBatch::new("golden".into(), Arc::new(batch)));
        }
        let interval = u64::try_from(number("polling_interval_s")).expect("positive");
        Payload {
            agent: Agent {
                id: string("agent_id"),
                program: string("program"),
                hostname: string("hostname"),
            },
            timestamp_ms: number("post_time_ms"),
            polling_interval: Duration::from_secs(interval),
            batches,
        }
    }

    fn push(batch: &mut Batch, target: &str, now_ms: i64, json: &Json) {
        let data_type = match json["data_type"].as_u64() {
            Some(99) => DataType::Int,
            Some(101) => DataType::Float,
            Some(32) => DataType::Counter,
            Some(64) => DataType::Counter64,
            Some(2) => DataType::String,
            // The library's own "no type", which makes a datapoint invalid.
            _ => return,
        };
        let metadata = json["metadata"].as_array().expect("metadata");
        let metadata: Vec<_> = metadata
            .iter()
            .map(|one| {
                let kind = match one["update_checksum"].as_bool() {
                    Some(false) => LabelKind::Info,
                    _ => LabelKind::Identity,
                };
                (text(&one["key"]), scalar(&one["value"]), kind)
            })
            .collect();
        let labels: Vec<_> = metadata
            .iter()
            .filter_map(|(name, value, kind)| Label::from_json(name, value, *kind).ok())
            .collect();
        let (key, value) = (text(&json["key"]), scalar(&json["value"]));
        let value = Value::from_json(&value).expect("a number or text");
        let mut datapoint = Datapoint::new(&key, value, data_type).expect("a good datapoint");
        datapoint.labels = &labels;
        datapoint.timestamp_ms = match &json["timestamp_ms"] {
            Json::String(text) => Some(text.parse().expect("integer")),
            Json::Number(number) => number.as_i64().or_else(|| {
                #[expect(clippy::cast_possible_truncation, reason = "as the library does")]
                number.as_f64().map(|float| float as i64)
            }),
            _ => None,
        };
        batch.push(&datapoint, target, &[], now_ms).expect("room");
    }

    /// Says where two bodies part, not all of both.
    fn assert_same(ours: &str, expected: &str, case: &str) {
        let Some(at) = ours.bytes().zip(expected.bytes()).position(|(one, other)| one != other)
        else {
            return assert_eq!(ours.len(), expected.len(), "{case}");
        };
        let start = at.saturating_sub(60);
        let around = |text: &str| text[start..text.len().min(at + 60)].to_owned();
        assert_eq!(around(ours), around(expected), "{case} at byte {at}");
    }

    #[test]
    fn every_golden_case_is_met_byte_for_byte() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pattoo");
        let mut cases = 0;
        for entry in folder.read_dir().expect("the folder of golden cases") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let Some(stem) = name.strip_suffix(".case.json") else { continue };
            let case = std::fs::read_to_string(&path).expect("readable");
            let case = serde_json::from_str::<Json>(&case).expect("JSON");
            let payload = read(&case);
            let expected = std::fs::read_to_string(folder.join(format!("{stem}.body.json")));
            let expected = expected.expect("the case's body");
            for threads in [1, 3] {
                let (ours, encoded) = body(&payload, Limits::Library, threads);
                assert_same(&ours, &expected, stem);
                assert_eq!(encoded.refused, case["refused"].as_u64().unwrap_or(0), "{stem}");
            }
            cases += 1;
        }
        assert!(cases >= 10, "found {cases} cases");
    }
}

#[test]
fn what_breaks_a_server_is_refused_one_by_one_and_named() {
    let float = |number| Value::float(number).expect("finite");
    let long = "k".repeat(511);
    let fits = "k".repeat(510);
    let payload = simple(&[
        ("a", float(1e30), DataType::Float),
        ("b", float(-1e300), DataType::Float),
        ("c", float(9.9e29), DataType::Float),
        (&long, Value::Int(1), DataType::Int),
        (&fits, Value::Int(1), DataType::Int),
        ("my_pattoo_key", Value::Int(1), DataType::Int),
        (&long, Value::Int(2), DataType::Int),
    ]);
    let (body, encoded) = body(&payload, Limits::Server, 1);
    assert_eq!((encoded.datapoints, encoded.refused), (2, 5));
    let large = "the value's magnitude is 1e30 or above, which a pattoo server does not survive";
    let too_long = "the key behind the program's name is 513 bytes long, and more than 512 stop a pattoo \
                    server's ingester";
    assert_eq!(
        refusals(&encoded),
        [
            ("job", "a", large),
            ("job", "b", large),
            ("job", &long, too_long),
            ("job", "my_pattoo_key", "a key that contains `pattoo` is reserved"),
            ("job", &long, too_long),
        ]
    );
    assert!(body.contains("9.9e+29") && body.contains(&fits) && !body.contains(&long));
}

#[test]
fn overlong_labels_targets_and_programs_are_refused() {
    let long = "v".repeat(513);
    let long_name = "n".repeat(511);
    let labels = [
        vec![Label::new("fits", &long[..512]).expect("good")],
        vec![Label::new("site", &long).expect("good")],
        vec![Label::info(&long_name, "x").expect("good")],
        vec![Label::info(&long_name[..510], "fits").expect("good")],
    ];
    let mut batch = Batch::default();
    for (labels, key) in labels.iter().zip(["a", "b", "c", "d"]) {
        let point = Datapoint::new(key, Value::Int(1), DataType::Int).expect("good");
        batch.push(&point.labels(labels), "t", &[], 1).expect("room");
    }
    let point = Datapoint::new("e", Value::Int(1), DataType::Int).expect("good");
    for target in [&long, &long[..512], " \u{1f}"] {
        batch.push(&point, target, &[], 1).expect("room");
    }
    let mut payload = payload(agent(), vec![("job", batch)]);
    let (_, encoded) = body(&payload, Limits::Server, 1);
    let keys: Vec<_> = encoded.refusals.iter().map(|refused| refused.key.as_str()).collect();
    assert_eq!((encoded.datapoints, keys), (3, vec!["b", "c", "e", "e"]));

    payload.agent.program = long;
    let (body, encoded) = body(&payload, Limits::Server, 1);
    assert_eq!((encoded.datapoints, encoded.refused), (0, 7));
    assert!(
        body.ends_with(r#""pattoo_datapoints": {"key_value_pairs": {}, "datapoint_pairs": []}}"#)
    );
}

#[test]
fn a_series_goes_out_once_a_job_and_the_rest_is_counted() {
    let batch = |times: &[i64]| {
        let mut batch = Batch::default();
        for (value, time) in (0..).zip(times) {
            let point = Datapoint::new("k", Value::Int(value), DataType::Int).expect("good");
            batch.push(&point, " t", &[], *time).expect("room");
            batch.push(&point, "t", &[], *time).expect("room");
        }
        batch
    };
    let payload = payload(agent(), vec![("one", batch(&[5, 5, 6])), ("two", batch(&[5, 7]))]);
    let (body, encoded) = body(&payload, Limits::Server, 1);
    let counts = (encoded.datapoints, encoded.duplicates, encoded.superseded, encoded.refused);
    assert_eq!(counts, (2, 2, 6, 0));
    // The same series from two jobs: all pairs are the same.
    let pairs = "[[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]";
    assert!(body.contains(pairs), "{body}");
}

#[test]
fn series_whose_texts_run_together_alike_are_one() {
    // `k3` + `2` and `k` + `32` start the same chain.
    let payload = simple(&[
        ("k", Value::Int(1), DataType::Counter),
        ("k3", Value::Text("x".into()), DataType::String),
        ("3", Value::Text("x".into()), DataType::String),
        ("k33", Value::Text("x".into()), DataType::String),
        ("k3", Value::Int(1), DataType::Counter),
    ]);
    let (_, encoded) = body(&payload, Limits::Server, 1);
    assert_eq!((encoded.datapoints, encoded.superseded), (3, 2));
}

#[test]
fn labels_that_the_protocol_reserves_are_left_off_and_counted() {
    let labels = [
        Label::new("pattoo_x", "1").expect("good"),
        Label::new("room", "a").expect("good"),
        Label::info("mypattoo", "1").expect("good"),
    ];
    let mut batch = Batch::default();
    for key in ["a", "b"] {
        let point = Datapoint::new(key, Value::Int(1), DataType::Int).expect("good");
        batch.push(&point.labels(&labels), "t", &[], 1).expect("room");
    }
    let (body, encoded) = body(&payload(agent(), vec![("job", batch)]), Limits::Server, 1);
    assert_eq!((encoded.datapoints, encoded.labels_dropped), (2, 4));
    assert!(body.contains(r#""0": ["room", "a"], "1": ["pattoo_agent_polling"#), "{body}");
    assert!(!body.contains("mypattoo") && !body.contains("pattoo_x"));
}

#[test]
fn an_empty_payload_is_still_a_body() {
    let (body, encoded) = body(&payload(agent(), vec![]), Limits::Server, 4);
    assert_eq!(encoded, Encoded::default());
    assert!(serde_json::from_str::<Json>(&body).is_ok());
}

/// A few of everything, so that series, pairs and texts meet again.
fn any_payload() -> impl Strategy<Value = Payload> {
    let number = prop_oneof![
        (-3..3_i64).prop_map(Value::Int),
        (-3..3_i32).prop_map(|n| Value::float(f64::from(n)).expect("finite")),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter_map("finite", |number| Value::float(number).ok()),
    ];
    let data_type = prop::sample::select(vec![
        DataType::Int,
        DataType::Float,
        DataType::Counter,
        DataType::String,
    ]);
    let key = prop_oneof![
        prop::sample::select(vec!["a", "b", "k", "k3", "pattoo_k", "é\"", "K"])
            .prop_map(str::to_owned),
        "[a-c]{1,2}",
    ];
    let label =
        (prop::sample::select(vec!["a", "ab", "room", "apattoo"]), "[a-c]{0,2}", any::<bool>());
    let target = prop::sample::select(vec!["h", " h ", "g", "ü", ""]);
    let datapoint = (key, number, data_type, target, prop::collection::vec(label, 0..3), 0..3_i64);
    let batch = prop::collection::vec(datapoint, 0..30).prop_map(|datapoints| {
        let mut batch = Batch::default();
        for (key, value, data_type, target, labels, time) in &datapoints {
            let labels: Vec<_> = labels
                .iter()
                .map(|(name, value, is_info)| {
                    let label = if *is_info { Label::info } else { Label::new };
                    label(name, value).expect("not empty")
                })
                .collect();
            let point =
                Datapoint::new(key, value.clone(), *data_type).expect("good").labels(&labels);
            batch.push(&point, target, &[], *time).expect("room");
        }
        ("job", batch)
    });
    prop::collection::vec(batch, 0..4).prop_map(|batches| payload(agent(), batches))
}

proptest! {
    #[test]
    fn every_datapoint_is_in_the_body_or_counted(payload in any_payload()) {
        let (body, encoded) = body(&payload, Limits::Server, 1);
        let counted =
            encoded.datapoints + encoded.duplicates + encoded.superseded + encoded.refused;
        prop_assert_eq!(counted, payload.len() as u64);

        let json: Json = serde_json::from_str(&body).expect("JSON");
        let datapoints = &json["pattoo_datapoints"];
        let pairs = datapoints["key_value_pairs"].as_object().expect("an object");
        let rows = datapoints["datapoint_pairs"].as_array().expect("a list");
        prop_assert_eq!(rows.len() as u64, encoded.datapoints);

        // Numbers are dense, in the order of the object and of first use, and no pair is there twice.
        let expected: Vec<_> = (0..pairs.len()).map(|number| number.to_string()).collect();
        prop_assert_eq!(pairs.keys().collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        let mut next = 0;
        for number in rows.iter().flat_map(|row| row.as_array().expect("a list")) {
            let number = number.as_u64().expect("a number");
            prop_assert!(number <= next);
            next = next.max(number + 1);
        }
        prop_assert_eq!(next, pairs.len() as u64);
        let distinct: BTreeSet<_> = pairs.values().map(Json::to_string).collect();
        prop_assert_eq!(distinct.len(), pairs.len());

        // Each datapoint has each of the protocol's names once.
        for row in rows {
            let names: Vec<_> = row
                .as_array()
                .expect("a list")
                .iter()
                .map(|number| pairs[&number.to_string()][0].as_str().expect("a name"))
                .filter(|name| name.starts_with("pattoo_"))
                .collect();
            prop_assert_eq!(
                names,
                [
                    "pattoo_agent_polling_interval",
                    "pattoo_agent_hostname",
                    "pattoo_agent_id",
                    "pattoo_agent_polled_target",
                    "pattoo_agent_program",
                    "pattoo_key",
                    "pattoo_data_type",
                    "pattoo_value",
                    "pattoo_timestamp",
                    "pattoo_checksum",
                ]
            );
        }
    }
}

#[test]
fn the_body_does_not_depend_on_the_number_of_threads() {
    let mut batches = Vec::new();
    for job in ["one", "two", "none", "three"] {
        let mut batch = Batch::default();
        for number in 0..if job == "none" { 0 } else { 3_000 } {
            let key = format!("key_{}", number % 700);
            let target = format!("target_{}", number % 11);
            let value = Value::float(f64::from(number % 1_900) / 7.0).expect("finite");
            let point = Datapoint::new(&key, value, DataType::Float).expect("good");
            batch.push(&point, &target, &[], i64::from(number % 3)).expect("room");
        }
        batches.push((job, batch));
    }
    let payload = payload(agent(), batches);
    let (alone, encoded) = body(&payload, Limits::Server, 1);
    assert!(encoded.datapoints > 8_000);
    for threads in [2, 5] {
        assert!(body(&payload, Limits::Server, threads).0 == alone);
    }
    let mut by_default = Vec::new();
    encode(&payload, &mut by_default).expect("a vector takes all");
    assert!(by_default == alone.as_bytes());
}
