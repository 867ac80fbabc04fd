//! The dead man's switch: it is told how every run ended, and changes nothing about it.

use std::process::Command;

use crate::server::{Answer, Server, closed_port};
use crate::workspace::Workspace;

const UUID: &str = "5ecre7-0000-4000";

fn yaml(url: &str, timeout: &str, jobs: &str) -> String {
    format!(
        "agent: {{run_metrics: false, timeout: 3s, delivery_reserve: 1s}}
heartbeat: {{url: {url}, timeout: {timeout}}}
outputs: [{{file: {{path: out.jsonl}}}}]
jobs:
  - {{id: dice, random: {{}}}}
{jobs}"
    )
}

fn workspace(server: &Server, jobs: &str) -> Workspace {
    Workspace::new(&yaml(&format!("'http://127.0.0.1:{}/{UUID}'", server.port()), "20s", jobs))
}

/// The run's id in the service's eyes, and the path without it.
fn parts(line: &str) -> (&str, &str) {
    let (path, run) = line.split_once("?rid=").expect("the run's id");
    (run, path)
}

#[test]
fn start_and_success_are_told_with_the_runs_id() {
    let server = Server::start();
    let workspace = workspace(&server, "");
    let report = workspace.run(&["run", "--once", "--report", "json"]).exit(0).stdout();
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    let [start, end] = [&requests[0], &requests[1]];
    assert_eq!(parts(&start.line).1, format!("POST /{UUID}/start"));
    assert_eq!(parts(&end.line).1, format!("POST /{UUID}"));
    assert_eq!(parts(&start.line).0, parts(&end.line).0);
    let run = report["run"].as_str().expect("the run's id");
    assert!(end.text().starts_with(&format!("run {run}: status 0, ")), "{}", end.text());
    // Another run is another one to the service.
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_ne!(parts(&server.requests()[2].line).0, parts(&start.line).0);
}

#[test]
fn what_went_wrong_is_told() {
    let server = Server::start();
    let late = "  - {id: stuck, exec: {command: [sleep, '60']}}\n";
    let workspace = workspace(&server, late);
    workspace.run(&["run", "--once"]).exit(3).says("job `stuck` late");
    let end = &server.requests()[1];
    assert_eq!(parts(&end.line).1, format!("POST /{UUID}/fail"));
    assert!(end.text().contains("status 3") && end.text().contains("job `stuck` late"));
}

#[test]
fn data_that_waits_is_a_failure() {
    let server = Server::start();
    let mut yaml = yaml(&format!("'http://127.0.0.1:{}/{UUID}'", server.port()), "20s", "");
    yaml.push_str(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}\n",
        closed_port()
    ));
    Workspace::new(&yaml).run(&["run", "--once"]).exit(4);
    let end = &server.requests()[1];
    assert_eq!(parts(&end.line).1, format!("POST /{UUID}/fail"));
    assert!(end.text().contains("1 datapoint waits"), "{}", end.text());
}

#[test]
fn a_service_that_cannot_be_reached_is_a_warning_without_its_url() {
    let url = format!("'http://127.0.0.1:{}/{UUID}?create=1'", closed_port());
    let workspace = Workspace::new(&yaml(&url, "20s", ""));
    let told =
        workspace.run(&["run", "--once"]).exit(0).says("warning: heartbeat: the end").stderr();
    assert!(told.contains("the start did not get through: ") && told.contains("refused"), "{told}");
    assert!(!told.contains(UUID) && !told.contains("create"), "{told}");
    let effective = workspace.run(&["config", "--effective"]).exit(0).stdout();
    assert!(effective.contains("heartbeat:") && !effective.contains(UUID), "{effective}");
}

#[test]
fn a_service_that_knows_of_no_such_check_is_a_warning() {
    let server = Server::answering(vec![Answer::status(404), Answer::status(404)]);
    let told = workspace(&server, "").run(&["run", "--once"]).exit(0);
    told.says("the service answered 404; is `heartbeat.url` right?");
}

#[test]
fn a_service_that_hangs_delays_no_job_and_ends_with_its_timeout() {
    let server = Server::answering(vec![Answer::Hang; 9]);
    let url = format!("http://127.0.0.1:{}/{UUID}", server.port());
    let patient = Workspace::new(&yaml(&url, "1h", ""));
    let run = patient.start(&["run", "--once"]);
    // Nobody answers for an hour, and what was collected is delivered all the same.
    patient.wait_for_line("out.jsonl");
    run.signal("KILL");
    let workspace = Workspace::new(&yaml(&url, "500ms", ""));
    workspace.run(&["run", "--once"]).exit(0).says("the end did not get through");
}

#[test]
fn the_next_run_need_not_wait_for_the_end_to_be_told() {
    let server = Server::answering(vec![Answer::status(200), Answer::Hang]);
    let url = format!("http://127.0.0.1:{}/{UUID}", server.port());
    let workspace = Workspace::new(&yaml(&url, "1h", ""));
    let run = workspace.start(&["run", "--once"]);
    while server.requests().len() < 2 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    workspace.run(&["run", "--once"]).exit(0).silent();
    run.signal("KILL");
}

#[test]
fn the_url_may_be_kept_elsewhere_and_a_dead_disk_holds_nobody_up() {
    let server = Server::start();
    let workspace = Workspace::new(&yaml("{file: url}", "20s", ""));
    workspace.run(&["run", "--once"]).exit(0).says("secret {file: url}: No such file");
    workspace.write("url", format!("http://127.0.0.1:{}/{UUID}\n", server.port()));
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_eq!(server.requests().len(), 2);
    workspace.write("url", "not a URL");
    workspace.run(&["run", "--once"]).exit(0).says("heartbeat.url").says("this is no URL");

    let hanging = Workspace::new(&yaml("{file: pipe}", "500ms", ""));
    let made = Command::new("mkfifo").arg(hanging.path("pipe")).status().expect("mkfifo");
    assert!(made.success());
    hanging.run(&["run", "--once"]).exit(0).says("the service did not answer in time");
}

#[test]
fn a_run_by_hand_of_some_jobs_is_no_sign_of_life() {
    let server = Server::start();
    let workspace = workspace(&server, "");
    workspace.run(&["run", "--once", "--only", "dice"]).exit(0);
    workspace.run(&["run", "--once", "--dry-run"]).exit(0);
    workspace.run(&["check", "--connect"]).exit(0);
    assert!(server.requests().is_empty());
}

#[test]
fn mistakes_in_the_section_are_told_without_the_url() {
    let check = |yaml: &str| Workspace::new(&format!("{yaml}\n")).run(&["check"]).exit(2);
    check("heartbeat: {timeout: 5s}").says("url");
    check("heartbeat: {ulr: x}").says("did you mean `url`?");
    let told = check("heartbeat: {url: 'ftp://h/5ecre7', timeout: 0}").stderr();
    assert!(told.contains("must begin with `http://`") && told.contains("in no time"), "{told}");
}
