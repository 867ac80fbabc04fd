//! What goes into a write request, read back with the messages of the specification.

use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Label, LabelKind, Value};
use proptest::prelude::*;
use prost::Message;
use snap::raw::{Decoder, Encoder};

use super::messages::WriteRequest;
use super::*;
use crate::payload::{Agent, JobBatch};

const NOW_MS: i64 = 1_700_000_000_456;

fn output(options: serde_json::Value) -> PrometheusRemoteWrite {
    let mut all = serde_json::json!({"url": "http://localhost:9090/api/v1/write"});
    for (name, value) in options.as_object().expect("options") {
        all[name] = value.clone();
    }
    serde_json::from_value(all).expect("options")
}

fn point<'a>(key: &'a str, value: Value<'a>) -> Datapoint<'a> {
    let data_type = value.natural_type();
    Datapoint::new(key, value, data_type).expect("a datapoint")
}

fn at(timestamp_ms: i64, datapoint: Datapoint<'_>) -> Datapoint<'_> {
    Datapoint { timestamp_ms: Some(timestamp_ms), ..datapoint }
}

fn payload(jobs: &[(&str, &[Datapoint<'_>])]) -> Payload {
    let batches = jobs.iter().map(|(job, datapoints)| {
        let mut batch = Batch::default();
        for datapoint in *datapoints {
            batch.push(datapoint, "host", &[], NOW_MS).expect("room");
        }
        JobBatch::new((*job).into(), Arc::new(batch))
    });
    Payload {
        agent: Agent { id: "0".repeat(64), program: "p".into(), hostname: "h".into() },
        timestamp_ms: NOW_MS,
        polling_interval: Duration::from_secs(300),
        batches: batches.collect(),
    }
}

fn encoded(output: &PrometheusRemoteWrite, payload: &Payload) -> (Encoded, Vec<u8>) {
    let mut bytes = Vec::new();
    let encoded = output.encode(payload, &mut bytes).expect("a vector takes all");
    (encoded, bytes)
}

/// A line for each sample, as Prometheus writes series.
fn lines(body: &[u8]) -> Vec<String> {
    let content = Decoder::new().decompress_vec(body).expect("snappy");
    let request = WriteRequest::decode(content.as_slice()).expect("a write request");
    let mut lines = Vec::new();
    for series in &request.timeseries {
        let labels: Vec<_> = series.labels.iter().map(|l| (&l.name, &l.value)).collect();
        assert!(labels.is_sorted_by(|a, b| a.0 < b.0), "{labels:?}");
        let times: Vec<_> = series.samples.iter().map(|sample| sample.timestamp).collect();
        assert!(times.is_sorted_by(|a, b| a < b) && !times.is_empty(), "{times:?}");
        let labels: Vec<_> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
        for sample in &series.samples {
            lines.push(format!("{} {} {}", labels.join(","), sample.value, sample.timestamp));
        }
    }
    lines
}

#[test]
fn a_series_has_its_name_its_job_its_target_and_its_labels_in_order() {
    let labels = [
        Label::new("zone", "b").expect("a label"),
        Label::new("9", "x").expect("a label"),
        Label::new("disk.name", "sda").expect("a label"),
        Label::new("job", "own").expect("a label"),
        Label::new("empty", "").expect("a label"),
        Label::info("model", "m").expect("a label"),
    ];
    let temperature = point("temp.core", Value::Int(42)).labels(&labels);
    let load = at(5, point("load", Value::float(-0.25).expect("finite"))).target("other");
    let nameless = point("load", Value::Uint(u64::MAX)).target("");
    let payload = payload(&[("sensors", &[temperature, load, nameless])]);
    let (encoded, body) = encoded(&output(serde_json::json!({"prefix": "c_"})), &payload);
    assert_eq!(
        lines(&body),
        [
            "_9=x,__name__=c_temp_core,disk_name=sda,exported_job=own,instance=host,job=sensors,zone=b \
             42 1700000000456",
            "__name__=c_load,instance=other,job=sensors -0.25 5",
            "__name__=c_load,job=sensors 18446744073709552000 1700000000456",
        ]
    );
    assert_eq!(encoded, Encoded { datapoints: 3, ..Encoded::default() });
    let with_info = output(serde_json::json!({"info": true}));
    assert!(lines(&self::encoded(&with_info, &payload).1)[0].contains(",model=m,zone=b "));
}

#[test]
fn text_is_a_label_or_refused() {
    let long = "x".repeat(1_025);
    let datapoints = [
        point("os", Value::Text("Debian".into())),
        point("uname_info", Value::Text("6.1".into())),
        point("os", Value::Text("Arch".into())),
        point("log", Value::Text(long.into())),
        point("up", Value::Int(1)),
    ];
    let payload = payload(&[("j", &datapoints)]);
    let (by_label, body) = encoded(&output(serde_json::json!({})), &payload);
    assert_eq!(
        lines(&body),
        [
            "__name__=os_info,instance=host,job=j,value=Debian 1 1700000000456",
            "__name__=uname_info,instance=host,job=j,value=6.1 1 1700000000456",
            "__name__=os_info,instance=host,job=j,value=Arch 1 1700000000456",
            "__name__=up,instance=host,job=j 1 1700000000456",
        ]
    );
    assert_eq!((by_label.datapoints, by_label.refused), (4, 1));
    assert_eq!(by_label.refusals[0].key, "log");
    let refusing = output(serde_json::json!({"text": "refuse"}));
    let (encoded, body) = encoded(&refusing, &payload);
    assert_eq!((encoded.datapoints, encoded.refused), (1, 4));
    assert_eq!(lines(&body).len(), 1);
}

#[test]
fn one_moment_of_a_series_goes_out_once_and_the_rest_is_counted() {
    let datapoints = [
        at(3, point("a.b", Value::Int(1))),
        at(1, point("a_b", Value::Int(2))),
        at(2, point("other", Value::Int(9))),
        at(3, point("a_b", Value::Int(5))),
        at(3, point("a-b", Value::float(1.0).expect("finite"))),
    ];
    let payload = payload(&[("one", &datapoints), ("two", &datapoints[..1])]);
    let (encoded, body) = encoded(&output(serde_json::json!({})), &payload);
    assert_eq!(
        lines(&body),
        [
            "__name__=a_b,instance=host,job=one 2 1",
            "__name__=a_b,instance=host,job=one 1 3",
            "__name__=other,instance=host,job=one 9 2",
            "__name__=a_b,instance=host,job=two 1 3",
        ]
    );
    assert_eq!((encoded.datapoints, encoded.superseded, encoded.duplicates), (4, 1, 1));
    assert_eq!(encoded.superseded_named, ["job `one`, key `a_b`"]);
}

#[test]
fn halving_ends_in_single_samples_that_are_the_whole_in_order() {
    let mut datapoints: Vec<_> = (0..5).map(|t| at(t, point("many", Value::Int(t)))).collect();
    let keys: Vec<_> = (0..30).map(|number| format!("key_{number}")).collect();
    datapoints.extend(keys.iter().map(|key| point(key, Value::Int(7))));
    let output = output(serde_json::json!({}));
    let (encoded, body) = encoded(&output, &payload(&[("j", &datapoints)]));
    let mut open = vec![Part { bytes: body.clone(), datapoints: encoded.datapoints }];
    let mut single = Vec::new();
    while let Some(part) = open.pop() {
        assert_eq!(lines(&part.bytes).len() as u64, part.datapoints);
        match output.halve(&part.bytes) {
            Some([first, second]) => {
                assert_eq!(first.datapoints + second.datapoints, part.datapoints);
                assert!(first.datapoints > 0 && second.datapoints > 0);
                open.extend([second, first]);
            }
            None => {
                assert_eq!(part.datapoints, 1);
                single.extend(lines(&part.bytes));
            }
        }
    }
    assert_eq!(single, lines(&body));
    assert_eq!(output.halve(&body), output.halve(&body));
}

#[test]
fn the_subject_of_a_body_is_its_series() {
    let output = output(serde_json::json!({}));
    let (_, body) = encoded(&output, &payload(&[("j", &[point("k", Value::Int(1))])]));
    assert_eq!(output.subject(&body).as_deref(), Some("k{instance=\"host\",job=\"j\"}"));
    assert_eq!(output.halve(&body), None);
}

#[test]
fn what_is_no_body_is_not_taken_apart() {
    let output = output(serde_json::json!({}));
    let no_request = Encoder::new().compress_vec(b"\x0a\xff").expect("small");
    for body in [&b""[..], b"\xff\xff\xff\xff\x0f", b"\x05abc", &EMPTY, &no_request] {
        assert_eq!(output.halve(body), None, "{body:?}");
        assert_eq!(output.subject(body), None, "{body:?}");
    }
}

#[test]
fn an_empty_request_is_a_byte() {
    assert_eq!(
        Encoder::new().compress_vec(&WriteRequest::default().encode_to_vec()),
        Ok(EMPTY.into())
    );
}

proptest! {
    #[test]
    fn every_datapoint_is_in_the_body_or_in_a_number(
        given in prop::collection::vec(("[a-c._]{1,2}", 0..3_i64, 0..3_i64, "[a-c._]{1,2}", ".{0,2}"), 0..60)
    ) {
        let labels: Vec<_> =
            given.iter().map(|(_, _, _, name, value)| Label::new(name, value).ok()).collect();
        let datapoints: Vec<_> = given.iter().zip(&labels).filter_map(|((key, time, value, ..), label)| {
            let point = Datapoint::new(key, Value::Int(*value), DataType::Int).ok()?;
            let labels = label.as_slice();
            Some(at(*time, point.labels(labels)))
        }).collect();
        let payload = payload(&[("j", &datapoints)]);
        let (encoded, body) = encoded(&output(serde_json::json!({})), &payload);
        let lines = lines(&body);
        prop_assert_eq!(lines.len() as u64, encoded.datapoints);
        let all = encoded.datapoints + encoded.superseded + encoded.duplicates + encoded.refused;
        prop_assert_eq!(all, datapoints.len() as u64);
        let mut moments: Vec<_> = lines.iter().map(|line| {
            let mut parts = line.rsplitn(3, ' ');
            (parts.next(), parts.nth(1))
        }).collect();
        moments.sort_unstable();
        moments.dedup();
        prop_assert_eq!(moments.len(), lines.len());
        prop_assert!(payload.datapoints().all(|view| view.labels(LabelKind::Info).count() == 0));
    }
}
