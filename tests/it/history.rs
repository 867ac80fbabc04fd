//! The history of runs: what became of each, also when its file is damaged or cannot be written.

use std::fs;

use crate::server::{Answer, Server};
use crate::workspace::Workspace;

const YAML: &str = "
agent: {run_metrics: false}
outputs: [{file: {path: out.jsonl}}]
jobs:
  - {id: dice, random: {seed: 1}}
  - {id: page, file: {path: page.json, mapping: {values: {a: /a}}}}
";

#[test]
fn every_run_is_told_with_its_jobs_and_outputs() {
    let workspace = Workspace::new(YAML);
    workspace.run(&["history"]).exit(0).says("has no run");
    workspace.run(&["run", "--once"]).exit(3);
    workspace.write("page.json", r#"{"a": 1}"#);
    workspace.run(&["run", "--once", "--at", "1700000000456"]).exit(0);
    workspace.run(&["run", "--once", "--dry-run"]).exit(0);
    let shown = workspace.run(&["history"]).exit(0).stdout();
    let rows: Vec<&str> = shown.lines().map(str::trim_start).collect();
    assert!(rows[1].contains("1 of 2") && rows[1].contains("page.json"), "{shown}");
    assert!(rows[1].contains("job `page` failed") && rows[1].contains("file: 1 accepted"));
    assert!(rows[2].starts_with("2023-11-14T22:13:20.456Z") && rows[2].contains("2 of 2"));
    assert!(rows[3].is_empty() && rows[5].starts_with("dice"), "a dry run is none: {shown}");
    assert!(rows[6].starts_with("page") && rows[6].contains("×▅"), "{shown}");
    assert_eq!(rows.len(), 7, "{shown}");

    let one = workspace.run(&["history", "--last", "1"]).exit(0).stdout();
    assert!(one.contains("2023-11-14") && !one.contains("failed:"), "{one}");
    let page = workspace.run(&["history", "--job", "page"]).exit(0).stdout();
    assert!(page.contains("failed") && page.ends_with("s\n") && !page.contains("dice"), "{page}");
    workspace.run(&["history", "--job", "pgae"]).exit(0).says("no run of a job `pgae`");

    let json = workspace.run(&["history", "--format", "json", "--job", "page"]).exit(0).stdout();
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["status"], 3);
    assert_eq!(lines[0]["jobs"][0]["job"], "page");
    assert_eq!(lines[1]["jobs"].as_array().map(Vec::len), Some(1));
    assert_eq!(lines[1]["outputs"][0]["accepted"], 2);
}

#[test]
fn what_waits_and_what_was_set_aside_is_told() {
    let server = Server::answering(vec![
        Answer::status(503),
        Answer::Status(400, "", "bad\u{1b}[2J key".into()),
    ]);
    let workspace = Workspace::new(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}
agent: {{run_metrics: false}}
jobs: [{{id: dice, random: {{}}}}]
",
        server.port()
    ));
    workspace.run(&["run", "--once"]).exit(4);
    workspace.run(&["run", "--once"]).exit(5);
    let shown = workspace.run(&["history"]).exit(0).stdout();
    assert!(shown.contains("pattoo: 0 accepted, 1 waiting"), "{shown}");
    assert!(shown.contains("pattoo: 1 accepted, 1 in quarantine"), "{shown}");
    assert!(shown.contains("answered 503") && shown.contains("bad\\u{1b}[2J key"), "{shown}");
}

#[test]
fn a_damaged_line_is_left_out_and_told() {
    let workspace = Workspace::new(YAML);
    workspace.write("page.json", r#"{"a": 1}"#);
    workspace.write("daemon/history.jsonl", "{\"run\": \"torn");
    workspace.run(&["run", "--once"]).exit(0).silent();
    let shown = workspace.run(&["history"]).exit(0).says("1 line of the history").stdout();
    assert!(shown.contains("2 of 2"), "{shown}");
}

#[test]
fn a_history_that_cannot_be_written_is_a_warning() {
    let workspace = Workspace::new(YAML);
    workspace.write("page.json", r#"{"a": 1}"#);
    fs::create_dir_all(workspace.path("daemon/history.jsonl")).expect("a folder in its place");
    workspace.run(&["run", "--once"]).exit(0).says("warning: the history lacks this run");
    workspace.run(&["history"]).exit(2).says("history.jsonl");
    assert!(workspace.path("out.jsonl").exists());
}
