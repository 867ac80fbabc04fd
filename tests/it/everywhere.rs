//! One run that feeds every kind of store at once; each is read back with its own client.

use std::process::Command;

use jiff::Timestamp;
use serde_json::json;

use crate::graphite::{CARBON, wait_for};
use crate::influxdb::{INFLUXDB, query};
use crate::prometheus::{PROMETHEUS, PUSHGATEWAY, VICTORIA_METRICS, samples};
use crate::service::Service;
use crate::workspace::Workspace;

/// What Prometheus' own client says of a metric at that moment.
fn promtool(url: &str, metric: &str, at_seconds: i64) -> String {
    let at = format!("--time={at_seconds}");
    let output = Command::new("promtool").args(["query", "instant", &at, url, metric]).output();
    let output = output.expect("promtool comes with Prometheus");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn one_run_feeds_all_stores_and_each_holds_the_same() {
    let influxdb = Service::start(&INFLUXDB);
    let prometheus = Service::start(&PROMETHEUS);
    let victoria_metrics = Service::start(&VICTORIA_METRICS);
    let carbon = Service::start(&CARBON);
    let pushgateway = Service::start(&PUSHGATEWAY);
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: web1, timeout: 60s, delivery_reserve: 30s}}
outputs:
  - influxdb: {{url: '{}', version: 1, database: {{name: my-db}}}}
  - {{id: prometheus, prometheus_remote_write: {{url: '{}'}}}}
  - {{id: victoria, prometheus_remote_write: {{url: '{}'}}}}
  - graphite: {{host: 127.0.0.1, port: {}, tags: false}}
  - pushgateway: {{url: '{}'}}
  - sqlite: {{}}
jobs:
  - id: values
    target: db1
    file: {{path: values.jsonl, format: jsonl}}
",
        influxdb.url(""),
        prometheus.url("/api/v1/write"),
        victoria_metrics.url("/api/v1/write"),
        carbon.port(),
        pushgateway.url("")
    ));
    // Whisper and the Pushgateway know nothing below a second.
    let at_seconds = Timestamp::now().as_second() - 60;
    let at_ms = at_seconds * 1_000;
    let values = [("temperature", 20.125), ("load", 7.0), ("change", -0.5)];
    let line = |(key, value): (&str, f64)| {
        json!({"key": key, "value": value, "data_type": "float", "timestamp": at_ms}).to_string()
    };
    workspace.write("values.jsonl", values.map(line).join("\n") + "\n");
    workspace.run(&["run", "--once"]).exit(0).silent();

    // What came is not shown at once otherwise.
    victoria_metrics.get("/internal/force_flush");
    let pushed = pushgateway.get("/metrics");
    for (key, value) in values {
        let rows = query(&influxdb, &format!("SELECT value FROM {key}"));
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{key}: {rows}");
        assert_eq!((&rows[0][0], rows[0][1].as_f64()), (&json!(at_ms), Some(value)), "{key}");
        for (name, service) in [("prometheus", &prometheus), ("victoria", &victoria_metrics)] {
            let found = samples(service, at_ms);
            let mut found = found.iter().filter(|(labels, _)| labels["__name__"] == key);
            let (_, moments) = found.next().unwrap_or_else(|| panic!("{name} has no {key}"));
            assert_eq!(moments.iter().collect::<Vec<_>>(), [(&at_ms, &value)], "{name}, {key}");
            assert!(found.next().is_none(), "{name} has {key} twice");
            let said = promtool(&service.url(""), key, at_seconds);
            let expected = format!(" => {value} @[{at_seconds}]");
            assert!(said.trim_end().ends_with(&expected), "{name}: {said}");
        }
        let file = carbon.folder().join(format!("whisper/db1/{key}.wsp"));
        let found = wait_for(&file, (at_seconds, at_seconds), 1);
        assert_eq!(found, [(at_seconds, value)], "carbon, {key}");
        let is_pushed = pushed.lines().any(|line| {
            line.starts_with(&format!("{key}{{")) && line.ends_with(&format!(" {value}"))
        });
        assert!(is_pushed, "pushgateway, {key}: {pushed}");
        let stored = workspace.run(&["data", "get", key, "--format", "json"]).exit(0).stdout();
        let stored: serde_json::Value = serde_json::from_str(&stored).expect("one line");
        let at = (&stored["timestamp"], stored["value"].as_f64());
        assert_eq!(at, (&json!(at_ms), Some(value)), "sqlite, {key}: {stored}");
    }
}
