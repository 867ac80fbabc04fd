//! The outputs of the Graphite family: carbon, read back with its own tool, and what the HTTP services answer.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::server::{Answer, Server, closed_port};
use crate::service::{Program, Service};
use crate::workspace::Workspace;

pub(crate) const CARBON: Program = Program {
    package: "graphite-carbon",
    files: &[
        (
            "carbon.conf",
            "[cache]
STORAGE_DIR = <FOLDER>
LOCAL_DATA_DIR = <FOLDER>/whisper
CONF_DIR = <FOLDER>
LOG_DIR = <FOLDER>
PID_DIR = <FOLDER>
USER =
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = <PORT>
PICKLE_RECEIVER_PORT = 0
CACHE_QUERY_PORT = 0
ENABLE_TAGS = False
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
",
        ),
        ("storage-schemas.conf", "[all]\npattern = .*\nretentions = 1s:1d\n"),
    ],
    arguments: &["--config=FOLDER/carbon.conf", "--nodaemon", "--debug", "start"],
    ready: "",
};

fn workspace(output: &str) -> Workspace {
    Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: web1, timeout: 60s, delivery_reserve: 30s}}
outputs: [{output}]
jobs:
  - id: values
    target: db1.example.org
    file: {{path: values.jsonl, format: jsonl}}
"
    ))
}

/// Time and value, as `whisper-fetch` prints them.
fn fetch(file: &Path, from: i64, until: i64) -> Vec<(i64, f64)> {
    let fetched = Command::new("whisper-fetch")
        .arg(format!("--from={}", from - 1))
        .arg(format!("--until={}", until + 1))
        .arg(file)
        .output()
        .expect("`whisper-fetch` starts; install Debian's package `python3-whisper`");
    let text = String::from_utf8_lossy(&fetched.stdout).into_owned();
    let values = text.lines().filter_map(|line| line.split_once('\t'));
    let values = values.filter(|(_, value)| *value != "None");
    values.map(|(at, value)| (at.parse().expect(at), value.parse().expect(value))).collect()
}

/// Carbon writes when it has time: waits until the file has that many values.
pub(crate) fn wait_for(file: &Path, (from, until): (i64, i64), values: usize) -> Vec<(i64, f64)> {
    let begin = Instant::now();
    loop {
        let found = fetch(file, from, until);
        if found.len() >= values || begin.elapsed() > Duration::from_secs(120) {
            return found;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Below a folder, the files whose path has that text.
fn find(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(find(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn what_is_sent_to_carbon_is_read_back_with_whisper() {
    let service = Service::start(&CARBON);
    let now = Timestamp::now().as_second();
    let before = now - 60;
    let span = (before, now);
    let plain =
        workspace(&format!("graphite: {{host: 127.0.0.1, port: {}, tags: false}}", service.port()));
    plain.write(
        "values.jsonl",
        format!(
            r#"{{"key": "disk.used", "value": 123456789012345, "labels": {{"disk": "sda 1"}}}}
{{"key": "temperature", "value": -0.5}}
{{"key": "temperature", "value": 20.125, "timestamp": {}}}
"#,
            before * 1000
        ),
    );
    plain.run(&["check", "--connect"]).exit(0).prints("takes connections");
    let at = (now * 1000).to_string();
    plain.run(&["run", "--once", "--at", &at]).exit(0).silent();
    let whisper = service.folder().join("whisper");
    let target = whisper.join("db1_example_org");
    let found = wait_for(&target.join("temperature.wsp"), span, 2);
    assert_eq!(found, [(before, 20.125), (now, -0.5)]);
    let found = wait_for(&target.join("disk/used/sda_1.wsp"), span, 1);
    assert_eq!(found, [(now, 123_456_789_012_345.0)]);

    let tagged = workspace(&format!("graphite: {{host: localhost, port: {}}}", service.port()));
    tagged.write("values.jsonl", r#"{"key": "load", "value": 7, "labels": {"cpu": "0"}}"#);
    tagged.run(&["run", "--once", "--at", &at]).exit(0).silent();
    let begin = Instant::now();
    let file = loop {
        match find(&whisper.join("_tagged")).pop() {
            Some(file) => break file,
            None => assert!(begin.elapsed() < Duration::from_secs(120), "no tagged metric"),
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(wait_for(&file, span, 1), [(now, 7.0)]);
    assert_eq!(find(&whisper).len(), 3);
}

#[test]
fn what_carbon_does_not_read_waits() {
    let port = closed_port();
    let workspace = workspace(&format!("graphite: {{host: 127.0.0.1, port: {port}}}"));
    workspace.write("values.jsonl", r#"{"key": "a", "value": 7}"#);
    workspace.run(&["run", "--once"]).exit(4).says("cannot connect");
    let body = |workspace: &Workspace| {
        let files = workspace.files("daemon/spool/graphite.graphite");
        files.iter().filter(|name| name.ends_with(".body")).count()
    };
    assert_eq!(body(&workspace), 1);
    let service = Service::start_on(&CARBON, port);
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_eq!(body(&workspace), 0);
    drop(service);
}

#[test]
fn a_200_that_refuses_datapoints_is_no_success_and_the_bad_one_is_named() {
    let taken = |published| {
        let text = format!("{{\"Invalid\":0,\"Published\":{published},\"ValidationErrors\":{{}}}}");
        Answer::Status(200, "", text)
    };
    let refused = |invalid| {
        let text = format!(
            "{{\"Invalid\":{invalid},\"Published\":0,\"ValidationErrors\":{{\"bad name\":{{}}}}}}"
        );
        Answer::Status(200, "", text)
    };
    let server = Server::answering(vec![refused(2), taken(1), refused(1)]);
    let workspace = workspace(&format!(
        "graphite_http: {{url: 'http://127.0.0.1:{}/', flavour: tsdb_gw, token: hunter2}}",
        server.port()
    ));
    workspace
        .write("values.jsonl", "{\"key\": \"a\", \"value\": 7}\n{\"key\": \"b\", \"value\": 7}\n");
    let finished = workspace.run(&["run", "--once"]).exit(5);
    let told =
        finished.says("set aside").says("bad name").says("(`b;host=web1;target=db1.example.org`)");
    assert!(!told.stderr().contains("hunter2"));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0].line, "POST /metrics");
    assert_eq!(requests[0].header("authorization"), Some("Bearer hunter2"));
}
