//! The outputs of the Prometheus family against the real servers: what was sent is there, value by value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::server::{Answer, Server};
use crate::service::{Program, Service};
use crate::workspace::Workspace;

pub(crate) const PROMETHEUS: Program = Program {
    package: "prometheus",
    files: &[("prometheus.yml", "global: {}\n")],
    arguments: &[
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=FOLDER/data",
        "--web.enable-remote-write-receiver",
        "--web.listen-address=127.0.0.1:PORT",
    ],
    ready: "/-/ready",
};

pub(crate) const VICTORIA_METRICS: Program = Program {
    package: "victoria-metrics",
    files: &[],
    arguments: &[
        "-storageDataPath=FOLDER/data",
        "-httpListenAddr=127.0.0.1:PORT",
        "-search.latencyOffset=0s",
    ],
    ready: "/health",
};

pub(crate) const PUSHGATEWAY: Program = Program {
    package: "prometheus-pushgateway",
    files: &[],
    arguments: &["--web.listen-address=127.0.0.1:PORT"],
    ready: "/-/ready",
};

const NODE_EXPORTER: Program = Program {
    package: "prometheus-node-exporter",
    files: &[],
    arguments: &[
        "--web.listen-address=127.0.0.1:PORT",
        "--collector.disable-defaults",
        "--collector.textfile",
        "--collector.textfile.directory=FOLDER",
    ],
    ready: "/metrics",
};

/// Labels → time in milliseconds → value.
pub(crate) type Found = BTreeMap<BTreeMap<String, String>, BTreeMap<i64, f64>>;

/// Every raw sample around that time.
pub(crate) fn samples(service: &Service, at_ms: i64) -> Found {
    let at = (at_ms / 1_000 + 60).to_string();
    let path = format!("/api/v1/query?query=%7Bjob%3D~%22.%2B%22%7D%5B30m%5D&time={at}");
    let answer: Value = serde_json::from_str(&service.get(&path)).expect("JSON");
    let series = answer["data"]["result"].as_array().expect("series").iter();
    series
        .map(|series| {
            let labels = series["metric"].as_object().expect("labels").iter();
            let labels = labels.map(|(n, v)| (n.clone(), v.as_str().expect("text").to_owned()));
            let values = series["values"].as_array().expect("values").iter().map(|sample| {
                let seconds = sample[0].as_f64().expect("a time");
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century")]
                let at_ms = (seconds * 1_000.0).round() as i64;
                (at_ms, sample[1].as_str().expect("text").parse().expect("a float"))
            });
            (labels.collect(), values.collect())
        })
        .collect()
}

fn series(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    let common = [("job", "values"), ("instance", "web1")];
    let all = common.iter().chain(labels);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn remote_write(url: &str) -> Workspace {
    Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h, timeout: 60s, delivery_reserve: 30s}}
outputs:
  - prometheus_remote_write: {{url: {url}}}
jobs:
  - id: values
    target: web1
    file: {{path: values.jsonl, format: jsonl}}
"
    ))
}

#[test]
fn what_is_written_remotely_is_read_back_from_prometheus_and_victoria_metrics() {
    for program in [&PROMETHEUS, &VICTORIA_METRICS] {
        let service = Service::start(program);
        let workspace = remote_write(&service.url("/api/v1/write"));
        let now_ms = Timestamp::now().as_millisecond();
        let earlier_ms = now_ms - 60_123;
        workspace.write(
            "values.jsonl",
            format!(
                r#"{{"key": "disk.used", "value": 123456789012345, "data_type": "counter64", "labels": {{"disk name": "sda \"\\ ü"}}}}
{{"key": "temperature", "value": -0.1}}
{{"key": "temperature", "value": 20.125, "timestamp": {earlier_ms}}}
{{"key": "zero", "value": 0}}
{{"key": "os", "value": "Debian 12", "data_type": "string"}}
"#
            ),
        );
        workspace.run(&["check", "--connect"]).exit(0).prints("takes writes");
        let at = Timestamp::from_millisecond(now_ms).expect("a time").to_string();
        workspace.run(&["run", "--once", "--at", &at]).exit(0).silent();
        // The same again, as after a run that ended before it was noted down, is no conflict.
        let values = std::fs::read_to_string(workspace.path("values.jsonl")).expect("the file");
        let latest = values.lines().filter(|line| !line.contains("timestamp"));
        workspace.write("values.jsonl", latest.collect::<Vec<_>>().join("\n"));
        workspace.run(&["run", "--once", "--at", &at]).exit(0).silent();
        if program.package == VICTORIA_METRICS.package {
            service.get("/internal/force_flush");
        }
        let expected: Found = [
            (
                series(&[("__name__", "disk_used"), ("disk_name", "sda \"\\ ü")]),
                [(now_ms, 123_456_789_012_345.0)].into(),
            ),
            (series(&[("__name__", "temperature")]), [(earlier_ms, 20.125), (now_ms, -0.1)].into()),
            (series(&[("__name__", "zero")]), [(now_ms, 0.0)].into()),
            (series(&[("__name__", "os_info"), ("value", "Debian 12")]), [(now_ms, 1.0)].into()),
        ]
        .into();
        assert_eq!(samples(&service, now_ms), expected, "{}", program.package);
    }
}

/// VictoriaMetrics keeps decimal numbers of limited length, so these are for Prometheus alone.
#[test]
fn prometheus_has_the_very_float() {
    let service = Service::start(&PROMETHEUS);
    let workspace = remote_write(&service.url("/api/v1/write"));
    workspace.write(
        "values.jsonl",
        r#"{"key": "largest", "value": 1.7976931348623157e308}
{"key": "smallest", "value": 5e-324}
{"key": "integer", "value": 18446744073709551615, "data_type": "counter64"}
"#,
    );
    workspace.run(&["run", "--once"]).exit(0).silent();
    let found = samples(&service, Timestamp::now().as_millisecond());
    let values = ["integer", "largest", "smallest"]
        .map(|key| found[&series(&[("__name__", key)])].values().copied().collect::<Vec<_>>());
    assert_eq!(values, [[18_446_744_073_709_551_615.0], [f64::MAX], [5e-324]]);
}

#[test]
fn a_sample_that_prometheus_refuses_is_named_and_the_others_are_in() {
    let service = Service::start(&PROMETHEUS);
    let workspace = remote_write(&service.url("/api/v1/write"));
    let line = |key: &str, at_ms: i64| {
        format!("{{\"key\": \"{key}\", \"value\": 1, \"timestamp\": {at_ms}}}\n")
    };
    let now_ms = Timestamp::now().as_millisecond();
    workspace.write("values.jsonl", line("bad", now_ms));
    workspace.run(&["run", "--once"]).exit(0).silent();
    // Older than what Prometheus has of the same series.
    let keys: Vec<_> = (0..100).map(|number| format!("good_{number}")).collect();
    let mut lines: Vec<_> = keys.iter().map(|key| line(key, now_ms)).collect();
    lines.insert(37, line("bad", now_ms - 1_000));
    workspace.write("values.jsonl", lines.concat());
    workspace
        .run(&["run", "--once"])
        .exit(5)
        .says("1 datapoint set aside")
        .says("400: out of order sample")
        .says("(`bad{instance=\"web1\",job=\"values\"}`)");
    let found = samples(&service, now_ms);
    assert_eq!(found.len(), 101);
    for key in &keys {
        assert_eq!(found[&series(&[("__name__", key)])], [(now_ms, 1.0)].into());
    }
    assert_eq!(found[&series(&[("__name__", "bad")])], [(now_ms, 1.0)].into());
    // And nothing of it stands in the way of what follows.
    workspace.write("values.jsonl", line("good_0", now_ms + 1));
    workspace.run(&["run", "--once"]).exit(0).silent();
}

#[test]
fn a_prometheus_that_takes_no_writes_is_told_and_the_body_waits() {
    let mut arguments = PROMETHEUS.arguments.to_vec();
    arguments.retain(|argument| !argument.contains("remote-write"));
    let service = Service::start(&Program { arguments: arguments.leak(), ..PROMETHEUS });
    let workspace = remote_write(&service.url("/api/v1/write"));
    workspace.write("values.jsonl", "{\"key\": \"a\", \"value\": 1}\n");
    let needed = "remote write receiver needs to be enabled";
    workspace.run(&["check", "--connect"]).exit(3).prints(needed);
    workspace.run(&["run", "--once"]).exit(4).says(needed);
}

#[test]
fn a_request_is_what_the_specification_asks_for() {
    let server = Server::start();
    let url = format!("http://127.0.0.1:{}/write?tenant=s3cret", server.port());
    let workspace = remote_write(&url);
    workspace.write("values.jsonl", "{\"key\": \"a\", \"value\": 1}\n");
    workspace.run(&["run", "--once"]).exit(0).silent();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, "POST /write?tenant=s3cret");
    for (name, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ] {
        assert_eq!(requests[0].header(name), Some(value), "{name}");
    }
    assert!(requests[0].header("user-agent").is_some_and(|agent| agent.starts_with("collector/")));
    let shown = workspace.run(&["run", "--dry-run"]).exit(0).stdout();
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_web_page_is_no_receivers_answer() {
    let page = Answer::Status(200, "", "<!DOCTYPE html><title>Log in</title>".into());
    let server = Server::answering(vec![page]);
    let workspace = remote_write(&format!("http://127.0.0.1:{}/", server.port()));
    workspace.write("values.jsonl", "{\"key\": \"a\", \"value\": 1}\n");
    workspace.run(&["run", "--once"]).exit(4).says("answered with a web page: it takes no writes");
}

/// Datapoints with everything that the text format must get right.
const VALUES: &str = r#"{"key": "backup.bytes", "value": 123456789012345, "data_type": "counter64", "labels": {"disk name": "sda \"\\ ü\nx"}}
{"key": "temperature", "value": 20.125, "timestamp": 1000}
{"key": "temperature", "value": -0.1, "timestamp": 2000}
{"key": "os", "value": "Debian 12", "data_type": "string", "labels": {"job": "own", "instance": "i"}}
"#;

/// A workspace that sends [`VALUES`] to one output.
fn values_to(output: &str) -> Workspace {
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h, timeout: 60s, delivery_reserve: 30s}}
outputs:
  - {output}
jobs:
  - id: values
    target: web1
    file: {{path: values.jsonl, format: jsonl}}
"
    ));
    workspace.write("values.jsonl", VALUES);
    workspace
}

#[test]
fn what_is_pushed_is_what_the_pushgateway_shows() {
    let service = Service::start(&PUSHGATEWAY);
    let output = format!("pushgateway: {{url: '{}', job: nightly backup}}", service.url(""));
    let workspace = values_to(&output);
    workspace.run(&["check", "--connect"]).exit(0).prints("is ready");
    // Of the two temperatures one can be shown: what is left out makes the run no success.
    workspace.run(&["run", "--once"]).exit(5).says("1 datapoint left out");
    let shown = service.get("/metrics");
    for line in [
        "# TYPE backup_bytes counter",
        r#"backup_bytes{disk_name="sda \"\\ ü\nx",instance="h",job="nightly backup",target="web1"} 1.23456789012345e+14"#,
        r#"temperature{instance="h",job="nightly backup",target="web1"} -0.1"#,
        r#"os_info{exported_instance="i",exported_job="own",instance="h",job="nightly backup",target="web1",value="Debian 12"} 1"#,
    ] {
        assert!(shown.lines().any(|known| known == line), "no {line} in\n{shown}");
    }
    // The group is replaced: what is not collected any more is gone.
    workspace.write("values.jsonl", "{\"key\": \"only\", \"value\": 1}\n");
    workspace.run(&["run", "--once"]).exit(0).silent();
    let shown = service.get("/metrics");
    assert!(shown.contains("\nonly{") && !shown.contains("\nbackup_bytes{"), "{shown}");
}

#[test]
fn a_push_that_is_refused_is_lost_with_the_gateways_words() {
    let service = Service::start(&PUSHGATEWAY);
    let workspace = values_to(&format!("pushgateway: {{url: '{}'}}", service.url("")));
    let line =
        |key: &str| format!("{{\"key\": \"{key}\", \"value\": 1, \"data_type\": \"counter\"}}\n");
    // The Pushgateway has a gauge of that name.
    workspace.write("values.jsonl", line("go_goroutines"));
    workspace.run(&["run", "--once"]).exit(5).says("400: pushed metrics are invalid");
    // The others are in, and take the place of what the group had.
    workspace.write("values.jsonl", ["gone"].map(line).concat());
    workspace.run(&["run", "--once"]).exit(0).silent();
    workspace.write("values.jsonl", ["a", "b", "go_goroutines", "c"].map(line).concat());
    workspace.run(&["run", "--once"]).exit(5).says("go_goroutines").says("1 datapoint lost");
    let shown = service.get("/metrics");
    for (key, is_there) in [("a", true), ("b", true), ("c", true), ("gone", false)] {
        assert_eq!(shown.contains(&format!("\n{key}{{")), is_there, "{key}: {shown}");
    }
    // And of this one it would show its own, with a status of 200.
    workspace.write("values.jsonl", line("push_time_seconds"));
    workspace.run(&["run", "--once"]).exit(5).says("a metric `push_time_seconds` of its own");
}

#[test]
fn what_is_written_is_what_node_exporter_shows() {
    let service = Service::start(&NODE_EXPORTER);
    let path = service.folder().join("c.prom");
    let workspace = values_to(&format!("textfile: {{path: {}, prefix: c_}}", path.display()));
    workspace.run(&["check", "--connect"]).exit(0).prints("can be written");
    workspace.run(&["run", "--once", "--at", "1700000000000"]).exit(5).says("1 datapoint left out");
    let shown = service.get("/metrics");
    for line in [
        "# TYPE c_backup_bytes counter",
        r#"c_backup_bytes{disk_name="sda \"\\ ü\nx",target="web1"} 1.23456789012345e+14"#,
        r#"c_temperature{target="web1"} -0.1"#,
        r#"c_os_info{exported_instance="i",exported_job="own",target="web1",value="Debian 12"} 1"#,
        "collector_textfile_timestamp_seconds 1.7e+09",
        "node_textfile_scrape_error 0",
    ] {
        assert!(shown.lines().any(|known| known == line), "no {line} in\n{shown}");
    }
    workspace.write("values.jsonl", "{\"key\": \"only\", \"value\": 1}\n");
    workspace.run(&["run", "--once"]).exit(0).silent();
    let shown = service.get("/metrics");
    assert!(shown.contains("\nc_only{") && !shown.contains("\nc_backup_bytes{"), "{shown}");
}

#[test]
fn a_textfile_whose_folder_is_missing_is_told() {
    let workspace = values_to("textfile: {path: missing/c.prom}");
    workspace.run(&["check", "--connect"]).exit(3).prints("there is no such folder");
    workspace.run(&["run", "--once"]).exit(5).says("missing/c.prom");
    let workspace = values_to("textfile: {path: c.txt}");
    workspace.run(&["check"]).exit(2).says("does not end in `.prom`");
}

#[test]
fn jobs_that_would_take_each_other_out_of_a_file_are_told() {
    let jobs = |outputs: &str, every: &str, fast: &str, slow: &str| {
        format!(
            "agent: {{run_metrics: false}}\noutputs:\n{outputs}\njobs:\n  \
             - {{id: fast, every: 1m, labels: {{dice: one}}, random: {{}}{fast}}}\n  - {{id: slow, every: {every}, labels: {{dice: two}}, random: {{}}{slow}}}\n"
        )
    };
    let one = "  - textfile: {path: c.prom}";
    let workspace = Workspace::new(&jobs(one, "1h", "", ""));
    workspace.run(&["check"]).exit(2).says(
        "`slow` runs every 1h and `fast` every 1m, but the output `textfile` holds only what the last run brought",
    );
    let both = "  - {id: a, textfile: {path: a.prom}}\n  - {id: b, textfile: {path: b.prom}}";
    let workspace = Workspace::new(&jobs(both, "1h", ", outputs: [a]", ", outputs: [b]"));
    workspace.run(&["check"]).exit(0);

    let workspace = Workspace::new(&jobs(one, "1m", "", ""));
    workspace.run(&["run", "--once"]).exit(0).silent();
    let told = workspace.run(&["run", "--once", "--only", "fast"]).exit(0);
    told.says("the output `textfile` holds only what this run brought: `slow` did not run");
}
