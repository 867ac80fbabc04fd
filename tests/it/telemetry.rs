//! The output `telemetry`: a batch, what becomes of flows that are skipped, and jobs that failed.

mod api;
mod boards;

use serde_json::Value;

use crate::server::{Answer, Server};
use crate::workspace::Workspace;

#[test]
fn a_flow_that_is_skipped_is_named_and_the_others_are_in() {
    let said = r#"{"errors":[],"skipped":["b"],"updated":["a"]}"#;
    let server = Server::answering(vec![Answer::Status(200, "", said.into())]);
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h}}
outputs:
  - telemetry: {{url: 'http://127.0.0.1:{}', api_key: {{env: KEY}}, expires_after: 1m}}
jobs: [{{id: values, file: {{path: values.jsonl, format: jsonl}}}}]
",
        server.port()
    ));
    workspace
        .write("values.jsonl", "{\"key\": \"a\", \"value\": 7}\n{\"key\": \"b\", \"value\": 8}\n");
    let config = workspace.path("collector.yaml");
    let command = workspace.command(&["run", "--once", "--at", "5000"]).env("KEY", "hunter2");
    let told = command.env("COLLECTOR_CONFIG", config).finish().exit(5).says("`b` skipped");
    assert!(!told.stderr().contains("hunter2"));
    let requests = server.requests();
    let bodies: Vec<_> = requests.iter().map(|request| request.text().trim().to_owned()).collect();
    let both = r#"{"data":{"a":{"value":7,"expires_at":65},"b":{"value":8,"expires_at":65}}}"#;
    assert_eq!(bodies, [both]);
    assert_eq!(quarantined(&workspace), ["{\"data\":{\"b\":{\"value\":8,\"expires_at\":65}}}\n"]);
    assert_eq!(requests[0].line, "PATCH /data");
    // The key as user, and no password.
    assert_eq!(requests[0].header("authorization"), Some("Basic aHVudGVyMjo="));
}

/// The bodies that are set aside.
fn quarantined(workspace: &Workspace) -> Vec<String> {
    let folder = "daemon/spool/telemetry.telemetry/quarantine";
    let files = workspace.files(folder).into_iter().filter(|name| name.ends_with(".body"));
    let read = |name: &str| std::fs::read_to_string(workspace.path(name)).expect("a body");
    files.map(|name| read(&format!("{folder}/{name}"))).collect()
}

/// A job that brings so many datapoints, each for a flow of its own with a long tag.
fn of_flows(port: u16, count: usize) -> Workspace {
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h, timeout: 300s, delivery_reserve: 200s}}
outputs:
  - telemetry: {{url: 'http://127.0.0.1:{port}', api_key: hunter2}}
jobs: [{{id: values, file: {{path: values.jsonl, format: jsonl}}}}]
"
    ));
    let line = |flow| format!("{{\"key\": \"{}\", \"value\": {flow}}}\n", tag(flow));
    workspace.write("values.jsonl", (0..count).map(line).collect::<String>());
    workspace
}

fn tag(flow: usize) -> String {
    format!("a_flow_with_a_tag_that_is_as_long_as_they_are_{flow:05}")
}

#[test]
fn an_answer_that_names_thousands_of_flows_is_read_to_its_end() {
    let api = api::start();
    let count = 3_000;
    (0..count).for_each(|flow| api.add_flow(&tag(flow), "value"));
    let workspace = of_flows(api.port(), count);
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_eq!(api.lines(0), ["PATCH /data"]);
    assert_eq!(api.flow(&tag(count - 1))["data"]["value"], count - 1);
}

#[test]
fn flows_that_are_not_there_cost_no_more_requests_and_no_other_flow() {
    let api = api::start();
    let is_there = |flow: &usize| flow.is_multiple_of(3);
    (0..400).filter(is_there).for_each(|flow| api.add_flow(&tag(flow), "value"));
    let workspace = of_flows(api.port(), 400);
    for runs in 1..=2 {
        let run = workspace.run(&["run", "--once", "--report", "json"]);
        let report: Value = serde_json::from_str(&run.exit(5).stdout()).expect("JSON");
        let counts = ["accepted", "quarantined", "lost", "waiting"]
            .map(|count| report["outputs"][0][count].as_u64().unwrap_or_default());
        assert_eq!(counts, [134, 266, 0, 0]);
        assert_eq!(api.lines(0).len(), runs);
    }
    let bodies = quarantined(&workspace);
    assert_eq!(bodies.len(), 2, "one of each run");
    let body: Value = serde_json::from_str(&bodies[0]).expect("JSON");
    let flows = body["data"].as_object().expect("flows");
    let expected = (0..400).filter(|flow| !is_there(flow)).map(tag);
    assert_eq!(flows.keys().cloned().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(api.flow(&tag(399))["data"]["value"], 399);
}

/// A job that goes well, and one that fails and says its secret.
fn failing(port: u16, tag: &str) -> Workspace {
    Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h}}
outputs:
  - telemetry: {{url: 'http://127.0.0.1:{port}', api_key: hunter2, error_tag: '{tag}'}}
jobs:
  - {{id: dice, random: {{key: dice, seed: 1}}}}
  - {{id: bad, exec: {{command: [sh, -c, 'echo no $PASSWORD >&2; exit 7'], env: {{PASSWORD: {{env: PASSWORD}}}}}}}}
"
    ))
}

#[test]
fn a_job_that_fails_is_told_at_its_flow_without_its_secrets() {
    let api = api::start();
    api.add_flow("dice_0", "value");
    api.add_flow("h-bad", "text");
    let workspace = failing(api.port(), "{host}-{job}");
    let config = workspace.path("collector.yaml");
    let command = workspace.command(&["run", "--once"]).env("PASSWORD", "s3cret-word");
    command.env("COLLECTOR_CONFIG", config).finish().exit(3);
    let told = api.flow("h-bad")["error"].clone();
    let (error, output) = (told["error"].to_string(), told["output"].to_string());
    assert!(error.contains('7') && output.contains("no [redacted]"), "{told}");
    assert!(!told.to_string().contains("s3cret"), "{told}");
    assert!(api.flow("dice_0")["error"].is_null());
}

#[test]
fn a_job_without_datapoints_is_told_too_and_what_cannot_be_told_is_a_warning() {
    let api = api::start();
    api.add_flow("dice_0", "value");
    let workspace = failing(api.port(), "nowhere");
    workspace.write("password", "x");
    let config = workspace.path("collector.yaml");
    let run = |arguments: &[&str]| {
        let command = workspace.command(arguments).env("PASSWORD", "s3cret-word");
        command.env("COLLECTOR_CONFIG", &config).finish()
    };
    run(&["run", "--once", "--only", "bad"])
        .exit(3)
        .says("job `bad` failed is not told")
        .says("404");
    api.add_flow("nowhere", "text");
    run(&["run", "--once", "--only", "bad"]).exit(3);
    assert!(!api.flow("nowhere")["error"].is_null());
    assert_eq!(workspace.files("daemon/spool").iter().filter(|f| f.ends_with(".body")).count(), 0);
}
