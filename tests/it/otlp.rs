//! OTLP against a receiver that is made of the OpenTelemetry project's own messages.

use std::fs;

use serde_json::{Value, json};

use crate::python::python_program;
use crate::service::{Program, Service};
use crate::workspace::Workspace;

const RECEIVER: Program = Program {
    package: "python3",
    files: &[("receiver.py", include_str!("otlp/receiver.py"))],
    arguments: &["receiver.py", "PORT"],
    ready: "/",
};
/// It runs until it is dropped.
fn receiver() -> Service {
    Service::with_program(&python_program("python3"), &RECEIVER)
}

fn workspace(receiver: &Service, options: &str) -> Workspace {
    let endpoint = receiver.url("");
    Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: agent1, timeout: 60s, delivery_reserve: 30s}}
outputs:
  - otlp: {{endpoint: '{endpoint}', {options}}}
jobs:
  - id: values
    target: web1
    file: {{path: values.jsonl, format: jsonl}}
"
    ))
}

/// What the receiver has taken, one request each.
fn received(receiver: &Service) -> Vec<Value> {
    let text = fs::read_to_string(receiver.folder().join("received.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn names(receiver: &Service) -> Vec<String> {
    let requests = received(receiver);
    let metrics = requests.iter().flat_map(|request| {
        let metrics = &request["request"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        metrics.as_array().expect("metrics").clone()
    });
    metrics.map(|metric| metric["name"].as_str().expect("a name").to_owned()).collect()
}

fn attributes(given: &[(&str, &str)]) -> Value {
    let one = |(name, value): &(&str, &str)| json!({"key": name, "value": {"stringValue": value}});
    given.iter().map(one).collect()
}

#[test]
fn what_the_receiver_decodes_is_what_was_collected() {
    let receiver = receiver();
    for (encoding, compression, content_type) in [
        ("protobuf", "gzip", "application/x-protobuf"),
        ("protobuf", "none", "application/x-protobuf"),
        ("json", "gzip", "application/json"),
        ("json", "none", "application/json"),
    ] {
        let workspace = workspace(
            &receiver,
            &format!(
                "encoding: {encoding}, compression: {compression}, resource: {{zone: a}}, \
                 http: {{headers: {{api-key: {{file: key}}}}}}"
            ),
        );
        workspace.write("key", "s3cret\n");
        workspace.agent_id("collector", &"7".repeat(64));
        workspace.write(
            "values.jsonl",
            r#"{"key": "disk.read", "value": 9223372036854775807, "data_type": "counter64", "unit": "bytes", "labels": {"disk name": "sda \"ü\""}}
{"key": "temperature", "value": -0.1, "timestamp": 1700000000123}
{"key": "os", "value": "Debian 12", "data_type": "string"}
"#,
        );
        let before = received(&receiver).len();
        workspace.run(&["check", "--connect"]).exit(0).prints("takes metrics");
        workspace.run(&["run", "--once", "--at", "1700000000456"]).exit(0).silent();
        let all = received(&receiver);
        assert_eq!(all.len(), before + 1, "{encoding} {compression}");
        let last = all.last().expect("a request");
        assert_eq!(last["headers"]["content-type"], content_type);
        let compressed = last["headers"]["content-encoding"].as_str().unwrap_or("none");
        assert_eq!(compressed, compression);
        assert_eq!(last["headers"]["api-key"], "s3cret");
        let version = env!("CARGO_PKG_VERSION");
        let place = ("target", "web1");
        let job = ("job", "values");
        let expected = json!([{
            "resource": {"attributes": attributes(&[
                ("service.name", "collector"),
                ("service.instance.id", &"7".repeat(64)),
                ("host.name", "agent1"),
                ("zone", "a"),
            ])},
            "scopeMetrics": [{
                "scope": {"name": "collector", "version": version},
                "metrics": [
                    {"name": "disk.read", "unit": "bytes", "sum": {
                        "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
                        "isMonotonic": true,
                        "dataPoints": [{
                            "attributes": attributes(&[job, place, ("disk name", "sda \"ü\"")]),
                            // Seen for the first time: what was before is not known.
                            "startTimeUnixNano": "1700000000456000000",
                            "timeUnixNano": "1700000000456000000",
                            "asInt": "9223372036854775807"
                        }]
                    }},
                    {"name": "temperature", "gauge": {"dataPoints": [{
                        "attributes": attributes(&[job, place]),
                        "timeUnixNano": "1700000000123000000",
                        "asDouble": -0.1
                    }]}},
                    {"name": "os_info", "gauge": {"dataPoints": [{
                        "attributes": attributes(&[job, place, ("value", "Debian 12")]),
                        "timeUnixNano": "1700000000456000000",
                        "asInt": "1"
                    }]}},
                ]
            }]
        }]);
        assert_eq!(last["request"]["resourceMetrics"], expected, "{encoding} {compression}");
    }
}

/// Start and time of each data point of a metric, in the order in which they came.
fn times(receiver: &Service, name: &str) -> Vec<(String, String)> {
    let mut times = Vec::new();
    for request in received(receiver) {
        let metrics = &request["request"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        for metric in metrics.as_array().expect("metrics").iter().filter(|m| m["name"] == name) {
            for point in metric["sum"]["dataPoints"].as_array().expect("a sum") {
                let time = |key: &str| point[key].as_str().unwrap_or("").to_owned();
                times.push((time("startTimeUnixNano"), time("timeUnixNano")));
            }
        }
    }
    times
}

#[test]
fn a_sum_says_since_when_it_counts_until_it_begins_anew() {
    for encoding in ["protobuf", "json"] {
        let receiver = receiver();
        let workspace = workspace(&receiver, &format!("encoding: {encoding}"));
        for (second, value) in [(1, 5), (2, 7), (3, 6), (4, 6)] {
            let datapoint = json!({"key": "n", "value": value, "data_type": "counter64"});
            workspace.write("values.jsonl", format!("{datapoint}\n"));
            let at = format!("170000000{second}000");
            workspace.run(&["run", "--once", "--at", &at]).exit(0).silent();
        }
        let at = |second: u32| format!("170000000{second}000000000");
        let expected = [(1, 1), (1, 2), (3, 3), (3, 4)].map(|(start, time)| (at(start), at(time)));
        assert_eq!(times(&receiver, "n"), expected, "{encoding}");
    }
}

#[test]
fn what_the_kernel_counts_is_counted_since_the_boot() {
    let receiver = receiver();
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false}}
outputs: [{{otlp: {{endpoint: '{}'}}}}]
jobs: [{{id: host, system: {{groups: [processes]}}}}]
",
        receiver.url("")
    ));
    workspace.run(&["run", "--once"]).exit(0).silent();
    workspace.run(&["run", "--once"]).exit(0).silent();
    let stat = fs::read_to_string("/proc/stat").expect("a kernel");
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime ")).expect("a boot");
    let times = times(&receiver, "processes_started_total");
    assert_eq!(times.len(), 2, "{:?}", names(&receiver));
    for (start, time) in &times {
        // The kernel's own answer may differ by a second from one moment to the next; ours may not.
        let start_seconds: i64 = start[..start.len() - 9].parse().expect("a time");
        assert!(
            (start_seconds - boot.parse::<i64>().expect("a time")).abs() <= 1,
            "{start} {boot}"
        );
        assert!(start < time && *start == times[0].0, "{times:?}");
    }
}

#[test]
fn rejected_data_points_are_lost_named_and_never_sent_again() {
    let receiver = receiver();
    for (requests, encoding) in [(1, "protobuf"), (2, "json")] {
        let workspace = workspace(&receiver, &format!("encoding: {encoding}"));
        // More than one byte of a number of variable length holds.
        let unwanted = (1..=200)
            .map(|at| format!("{{\"key\": \"unwanted\", \"value\": 1, \"timestamp\": {at}}}\n"));
        let mut lines: String = unwanted.collect();
        lines.push_str("{\"key\": \"good\", \"value\": 1}\n");
        workspace.write("values.jsonl", lines);
        workspace
            .run(&["run", "--once"])
            .exit(5)
            .says("200 datapoints set aside")
            .says("the receiver rejected 200 data points: nobody wants these");
        workspace.write("values.jsonl", "");
        workspace.run(&["run", "--once"]).exit(0).silent();
        assert_eq!(received(&receiver).len(), requests, "{encoding}");
    }
}

#[test]
fn a_bad_data_point_is_found_and_the_others_are_in() {
    let receiver = receiver();
    for encoding in ["protobuf", "json"] {
        let before = names(&receiver).len();
        let workspace = workspace(&receiver, &format!("encoding: {encoding}"));
        let mut lines: Vec<_> =
            (0..1_000).map(|n| format!("{{\"key\": \"good_{n}\", \"value\": {n}}}\n")).collect();
        lines.insert(377, "{\"key\": \"broken\", \"value\": 1}\n".to_owned());
        workspace.write("values.jsonl", lines.concat());
        workspace
            .run(&["run", "--once"])
            .exit(5)
            .says("1 datapoint set aside: the server answered 400: a broken metric")
            .says("(`broken{job=\"values\",target=\"web1\"}`)");
        let mut found = names(&receiver).split_off(before);
        found.sort_unstable();
        let mut expected: Vec<_> = (0..1_000).map(|n| format!("good_{n}")).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{encoding}");
    }
}
