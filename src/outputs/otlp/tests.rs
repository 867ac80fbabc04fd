//! What goes into a request, read back with the messages of the OpenTelemetry project; and what answers mean.

use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Label, Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Sent;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::payload::{Agent, JobBatch};

const NOW_MS: i64 = 1_700_000_000_456;

fn output(options: serde_json::Value) -> Otlp {
    let mut all = serde_json::json!({"endpoint": "http://localhost:4318"});
    for (name, value) in options.as_object().expect("options") {
        all[name] = value.clone();
    }
    serde_json::from_value(all).expect("options")
}

fn both() -> [Otlp; 2] {
    ["protobuf", "json"].map(|encoding| output(serde_json::json!({"encoding": encoding})))
}

fn point<'a>(key: &'a str, value: Value<'a>, data_type: DataType) -> Datapoint<'a> {
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
        agent: Agent { id: "a1".into(), program: "p".into(), hostname: "h".into() },
        timestamp_ms: NOW_MS,
        polling_interval: Duration::from_secs(300),
        batches: batches.collect(),
    }
}

fn encoded(output: &Otlp, payload: &Payload) -> (Encoded, Vec<u8>) {
    let mut bytes = Vec::new();
    let encoded = output.encode(payload, &mut bytes).expect("a vector takes all");
    (encoded, bytes)
}

fn request(output: &Otlp, body: &[u8]) -> ExportMetricsServiceRequest {
    match output.encoding {
        Encoding::Protobuf => ExportMetricsServiceRequest::decode(body).expect("a request"),
        Encoding::Json => serde_json::from_slice(body).expect("a request"),
    }
}

fn texts(attributes: &[KeyValue]) -> String {
    let texts = attributes.iter().map(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        match value {
            Some(Any::StringValue(value)) => format!("{}={value}", attribute.key),
            other => panic!("{other:?}"),
        }
    });
    texts.collect::<Vec<_>>().join(",")
}

/// A line for each data point.
fn lines(output: &Otlp, body: &[u8]) -> Vec<String> {
    let request = request(output, body);
    let [resource] = request.resource_metrics.as_slice() else { panic!("{request:?}") };
    let [scope] = resource.scope_metrics.as_slice() else { panic!("{resource:?}") };
    let mut lines = Vec::new();
    for metric in &scope.metrics {
        let (kind, points) = match metric.data.as_ref().expect("data") {
            Data::Gauge(gauge) => ("gauge", &gauge.data_points),
            Data::Sum(sum) => {
                assert!(sum.is_monotonic);
                assert_eq!(sum.aggregation_temporality, 2, "cumulative");
                ("sum", &sum.data_points)
            }
            other => panic!("{other:?}"),
        };
        for point in points {
            let value = match point.value.expect("a value") {
                Sent::AsInt(int) => format!("{int}"),
                Sent::AsDouble(float) => format!("{float:?}"),
            };
            assert_eq!(point.start_time_unix_nano, 0, "nobody knows it");
            let (name, unit, time) = (&metric.name, &metric.unit, point.time_unix_nano);
            lines.push(format!(
                "{kind} {name} {unit:?} {} {value} {time}",
                texts(&point.attributes)
            ));
        }
    }
    lines
}

#[test]
fn datapoints_are_grouped_by_metric_with_their_attributes() {
    let labels = [
        Label::new("disk.name", "sda \"ü\"").expect("a label"),
        Label::new("job", "own").expect("a label"),
        Label::new("exported_job", "taken").expect("a label"),
        Label::info("model", "m").expect("a label"),
    ];
    let float = Value::float(-0.25).expect("finite");
    let datapoints = [
        point("disk.read", Value::Int(i64::MAX), DataType::Counter64).labels(&labels).unit("bytes"),
        point("load", float, DataType::Float).target(""),
        at(2, point("disk.read", Value::Uint(u64::MAX), DataType::Counter).unit("bytes")),
        at(1, point("disk.read", Value::Int(3), DataType::Counter).unit("bytes")),
        point("disk.read", Value::Int(4), DataType::Int),
        point("os", Value::Text("Debian".into()), DataType::String),
    ];
    let payload = payload(&[("j", &datapoints)]);
    for output in both() {
        let (counts, body) = encoded(&output, &payload);
        assert_eq!(
            lines(&output, &body),
            [
                "sum disk.read \"bytes\" job=j,target=host 3 1000000",
                "sum disk.read \"bytes\" job=j,target=host 1.8446744073709552e19 2000000",
                "sum disk.read \"bytes\" job=j,target=host,disk.name=sda \"ü\",exported_exported_job=own,\
                 exported_job=taken 9223372036854775807 1700000000456000000",
                "gauge load \"\" job=j -0.25 1700000000456000000",
                "gauge disk.read \"\" job=j,target=host 4 1700000000456000000",
                "gauge os_info \"\" job=j,target=host,value=Debian 1 1700000000456000000",
            ]
        );
        assert_eq!(counts, Encoded { datapoints: 6, ..Encoded::default() });
    }
    let with_info = output(serde_json::json!({"info": true}));
    let (_, body) = encoded(&with_info, &payload);
    assert!(lines(&with_info, &body)[2].contains(",model=m "));
}

#[test]
fn the_resource_says_who_collected() {
    let datapoints = [point("k", Value::Int(1), DataType::Int)];
    let options = serde_json::json!({
        "resource": {"service.name": "mine", "deployment.environment.name": "test", "host.name": ""}
    });
    let output = output(options);
    let (_, body) = encoded(&output, &payload(&[("j", &datapoints)]));
    let request = request(&output, &body);
    let resource = request.resource_metrics[0].resource.as_ref().expect("a resource");
    assert_eq!(
        texts(&resource.attributes),
        "service.name=mine,service.instance.id=a1,deployment.environment.name=test"
    );
    let scope = request.resource_metrics[0].scope_metrics[0].scope.as_ref().expect("a scope");
    assert_eq!(
        (scope.name.as_str(), scope.version.as_str()),
        ("collector", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn what_otlp_has_no_place_for_is_refused_and_repeats_are_counted() {
    let long = "x".repeat(1_025);
    let one = [Label::new("a", "1").expect("a label"), Label::new("b", "2").expect("a label")];
    let other = [Label::new("b", "2").expect("a label"), Label::new("a", "1").expect("a label")];
    let datapoints = [
        at(0, point("early", Value::Int(1), DataType::Int)),
        at(-5, point("early", Value::Int(1), DataType::Int)),
        at(i64::MAX, point("late", Value::Int(1), DataType::Int)),
        point("log", Value::Text(long.into()), DataType::String),
        point("k", Value::Int(1), DataType::Int).labels(&one),
        point("k", Value::Int(1), DataType::Int).labels(&other),
        point("k", Value::Int(2), DataType::Int).labels(&other),
        point("text", Value::Text("t".into()), DataType::String),
    ];
    let payload = payload(&[("j", &datapoints), ("other", &datapoints[4..5])]);
    for output in both() {
        let (counts, body) = encoded(&output, &payload);
        assert_eq!((counts.datapoints, counts.refused), (3, 4));
        assert_eq!((counts.duplicates, counts.superseded), (1, 1));
        assert_eq!(counts.superseded_named, ["job `j`, key `k`"]);
        assert_eq!(lines(&output, &body).len(), 3);
    }
    let refusing = output(serde_json::json!({"text": "refuse"}));
    assert_eq!(encoded(&refusing, &payload).0.refused, 5);
}

#[test]
fn halving_ends_in_single_data_points_that_are_the_whole_in_order() {
    let keys: Vec<_> = (0..9).map(|number| format!("key_{number}")).collect();
    let mut datapoints: Vec<_> =
        (1..8).map(|time| at(time, point("sum", Value::Int(time), DataType::Counter))).collect();
    datapoints.extend(keys.iter().map(|key| point(key, Value::Int(7), DataType::Int).unit("s")));
    let payload = payload(&[("j", &datapoints)]);
    for output in both() {
        let (counts, body) = encoded(&output, &payload);
        let mut open = vec![Part { bytes: body.clone(), datapoints: counts.datapoints }];
        let mut single = Vec::new();
        while let Some(part) = open.pop() {
            assert_eq!(lines(&output, &part.bytes).len() as u64, part.datapoints);
            match output.halve(&part.bytes) {
                Some([first, second]) => {
                    assert_eq!(first.datapoints, part.datapoints / 2);
                    assert_eq!(first.datapoints + second.datapoints, part.datapoints);
                    let whole = request(&output, &part.bytes);
                    let half = request(&output, &first.bytes);
                    let resource =
                        |r: &ExportMetricsServiceRequest| r.resource_metrics[0].resource.clone();
                    assert_eq!(resource(&half), resource(&whole));
                    open.extend([second, first]);
                }
                None => {
                    assert_eq!(part.datapoints, 1);
                    assert!(output.subject(&part.bytes).is_some_and(|s| s.contains("{job=\"j\",")));
                    single.extend(lines(&output, &part.bytes));
                }
            }
        }
        assert_eq!(single, lines(&output, &body));
        assert_eq!(output.halve(&body), output.halve(&body));
    }
}

#[test]
fn what_is_no_body_is_not_taken_apart() {
    for output in both() {
        for body in [&b""[..], b"{}", b"\x0a\xff", b"{\"resourceMetrics\":[]}", b"\xff\xff"] {
            assert_eq!(output.halve(body), None, "{body:?}");
            assert_eq!(output.subject(body), None, "{body:?}");
        }
    }
}

#[test]
fn the_path_is_added_where_it_is_missing() {
    for (endpoint, url) in [
        ("http://h:4318", "http://h:4318/v1/metrics"),
        ("http://h/otlp/", "http://h/otlp/v1/metrics"),
        ("https://h/v1/metrics", "https://h/v1/metrics"),
        ("https://h/x?key=1", "https://h/x/v1/metrics?key=1"),
    ] {
        assert_eq!(output(serde_json::json!({"endpoint": endpoint})).url(), url);
    }
}

proptest! {
    #[test]
    fn every_datapoint_is_in_the_body_or_in_a_number(
        given in prop::collection::vec(("[a-c]", 0..3_i64, 0..3_i64, "[a-c]", "[x-z]?", any::<bool>()), 0..60)
    ) {
        let labels: Vec<_> =
            given.iter().map(|(_, _, _, name, value, _)| Label::new(name, value).ok()).collect();
        let datapoints: Vec<_> = given.iter().zip(&labels).filter_map(|(given, label)| {
            let (key, time, value, _, _, is_counter) = given;
            let data_type = if *is_counter { DataType::Counter } else { DataType::Int };
            let point = Datapoint::new(key, Value::Int(*value), data_type).ok()?;
            Some(at(*time, point.labels(label.as_slice())))
        }).collect();
        let payload = payload(&[("j", &datapoints)]);
        let [protobuf, json] = both();
        let (counts, body) = encoded(&protobuf, &payload);
        let lines = lines(&protobuf, &body);
        prop_assert_eq!(&self::lines(&json, &encoded(&json, &payload).1), &lines);
        prop_assert_eq!(lines.len() as u64, counts.datapoints);
        let all = counts.datapoints + counts.superseded + counts.duplicates + counts.refused;
        prop_assert_eq!(all, datapoints.len() as u64);
        // What is written by hand is what the project's own crate would have written, but for the fields' order.
        prop_assert_eq!(request(&protobuf, &body).encoded_len(), body.len());
    }
}
