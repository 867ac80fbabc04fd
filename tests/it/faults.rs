//! What each output over HTTP makes of a server's faults: never a false success, and the body is where it belongs.

use std::io::Read;

use serde_json::{Value, json};

use crate::server::{Answer, Request, Server, closed_port};
use crate::workspace::Workspace;

/// An output, what its server is to answer when all is well, and whether its bodies wait.
struct Case {
    output: &'static str,
    options: &'static str,
    accepted: fn() -> Answer,
    waits: bool,
}

/// Every output over HTTP but `pattoo`, which has tests of its own.
const CASES: &[Case] = &[
    Case {
        output: "prometheus_remote_write",
        options: "url: http://127.0.0.1:PORT/api/v1/write",
        accepted: || Answer::status(204),
        waits: true,
    },
    Case {
        output: "influxdb",
        options: "url: http://127.0.0.1:PORT, version: 2, bucket: b, token: hunter2",
        accepted: || Answer::status(204),
        waits: true,
    },
    Case {
        output: "otlp",
        options: "endpoint: http://127.0.0.1:PORT",
        accepted: || Answer::status(200),
        waits: true,
    },
    Case {
        output: "pushgateway",
        options: "url: http://127.0.0.1:PORT",
        accepted: || Answer::status(200),
        waits: false,
    },
    Case {
        output: "webhook",
        options: "url: http://127.0.0.1:PORT/hook, secret: hunter2",
        accepted: || Answer::status(202),
        waits: true,
    },
    Case {
        output: "telemetry",
        options: "url: http://127.0.0.1:PORT, api_key: hunter2",
        accepted: || Answer::Made(all_updated),
        waits: true,
    },
    Case {
        output: "graphite_http",
        options: "url: http://127.0.0.1:PORT, flavour: tsdb_gw, token: hunter2",
        accepted: || Answer::Status(200, "", r#"{"Invalid":0,"Published":10000}"#.into()),
        waits: true,
    },
];

/// What Telemetry says of a batch that is in: the name of each of its flows.
fn all_updated(request: &Request) -> String {
    let batch: Value = serde_json::from_slice(&request.body).expect("JSON");
    let tags: Vec<_> = batch["data"].as_object().expect("flows").keys().collect();
    json!({"errors": [], "skipped": [], "updated": tags}).to_string()
}

impl Case {
    fn workspace(&self, port: u16) -> Workspace {
        let times = "timeout: 3s, delivery_reserve: 2s";
        self.workspace_with(port, times, "dice, random: {key: dice, seed: 1}")
    }

    fn workspace_with(&self, port: u16, times: &str, job: &str) -> Workspace {
        let options = self.options.replace("PORT", &port.to_string());
        Workspace::new(&format!(
            "agent: {{run_metrics: false, hostname: h, {times}}}
outputs:
  - {}: {{{options}}}
jobs: [{{id: {job}}}]
",
            self.output
        ))
    }

    fn spool(&self) -> String {
        format!("daemon/spool/{0}.{0}", self.output)
    }
}

fn bodies(workspace: &Workspace, folder: &str) -> usize {
    let files = workspace.files(folder);
    files.iter().filter(|name| name.ends_with(".body") && !name.contains("quarantine")).count()
}

#[test]
fn what_is_not_taken_waits_and_goes_out_later() {
    let answers = [
        Answer::Status(301, "Location: /elsewhere\r\n", String::new()),
        Answer::status(401),
        Answer::status(404),
        Answer::Status(429, "Retry-After: 0\r\n", String::new()),
        Answer::Status(500, "", "boom".into()),
        Answer::status(503),
        Answer::Endless(500),
        Answer::Close,
        Answer::Reset,
        Answer::ResetHalfway,
        Answer::Hang,
        Answer::HangHalfway,
    ];
    for case in CASES {
        for answer in &answers {
            let server =
                Server::answering(vec![answer.clone(), (case.accepted)(), (case.accepted)()]);
            let workspace = case.workspace(server.port());
            let first = workspace.run(&["run", "--once"]);
            let told = format!("{} {answer:?}: {}", case.output, first.stderr());
            let waits = usize::from(case.waits);
            assert_eq!(bodies(&workspace, &case.spool()), waits, "{told}");
            first.exit(if case.waits { 4 } else { 5 }).says(case.output);
            if case.waits {
                // The first of the next run is the body that waited, as it was.
                workspace.run(&["run", "--once"]).exit(0).silent();
                let requests = server.requests();
                assert_eq!(requests.len(), 3, "{told}");
                assert_eq!(requests[0].body, requests[1].body, "{told}");
            }
        }
    }
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    for case in CASES.iter().filter(|case| case.waits) {
        let busy = Answer::Status(429, "Retry-After: 3600\r\n", String::new());
        let server = Server::answering(vec![busy]);
        let workspace = case.workspace(server.port());
        for _ in 0..2 {
            workspace.run(&["run", "--once"]).exit(4).says(case.output);
        }
        assert_eq!(server.requests().len(), 1, "{}", case.output);
    }
}

#[test]
fn every_output_over_http_is_tried() {
    let list = Workspace::empty().run(&["list"]).exit(0).stdout();
    let names = list.lines().skip_while(|line| !line.contains("OUTPUT")).skip(1);
    let names = names.take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.split_whitespace().next());
    let elsewhere = ["pattoo", "graphite", "sqlite", "textfile", "file", "stdout"];
    let mut there: Vec<_> = names.filter(|name| !elsewhere.contains(name)).collect();
    let mut tried: Vec<_> = CASES.iter().map(|case| case.output).collect();
    there.sort_unstable();
    tried.sort_unstable();
    assert_eq!(there, tried);
}

#[test]
fn nobody_there_is_no_success() {
    for case in CASES {
        let workspace = case.workspace(closed_port());
        workspace.run(&["run", "--once"]).exit(if case.waits { 4 } else { 5 }).says(case.output);
        assert_eq!(bodies(&workspace, &case.spool()), usize::from(case.waits), "{}", case.output);
    }
}

#[test]
fn a_refused_body_is_never_sent_again() {
    for case in CASES {
        let refusal = Answer::Status(400, "", "no such thing".into());
        let server = Server::answering(vec![refusal, (case.accepted)()]);
        let workspace = case.workspace(server.port());
        workspace.run(&["run", "--once"]).exit(5).says("400: no such thing");
        assert_eq!(bodies(&workspace, &case.spool()), 0, "{}", case.output);
        workspace.run(&["run", "--once"]).exit(0).silent();
        assert_eq!(server.requests().len(), 2, "{}", case.output);
    }
}

/// What a request says, without its compression.
fn plain(request: &Request) -> Vec<u8> {
    let mut plain = Vec::new();
    match request.header("content-encoding") {
        Some("gzip") => {
            let mut decoder = flate2::read::GzDecoder::new(request.body.as_slice());
            decoder.read_to_end(&mut plain).expect("gzip");
        }
        Some("snappy") => {
            let mut decoder = snap::raw::Decoder::new();
            plain = decoder.decompress_vec(&request.body).expect("snappy");
        }
        _ => plain.clone_from(&request.body),
    }
    plain
}

#[test]
fn one_bad_datapoint_among_10_000_is_named_and_the_rest_is_in() {
    let mut lines = String::new();
    for number in 0..10_000 {
        let key = if number == 6_789 { "bad_one".to_owned() } else { format!("key_{number}") };
        lines.push_str(&format!("{{\"key\": \"{key}\", \"value\": {number}}}\n"));
    }
    for case in CASES {
        let accepted = case.accepted;
        let server = Server::deciding(move |request| {
            let is_bad = memchr::memmem::find(&plain(request), b"bad_one").is_some();
            if is_bad { Answer::Status(400, "", "no such thing".into()) } else { accepted() }
        });
        let workspace = case.workspace_with(
            server.port(),
            "timeout: 300s, delivery_reserve: 200s",
            "values, file: {path: values.jsonl, format: jsonl}",
        );
        workspace.write("values.jsonl", &lines);
        let told = workspace.run(&["run", "--once", "--report", "json"]).exit(5).says("bad_one");
        let report: Value = serde_json::from_str(&told.stdout()).expect("JSON");
        let counts = ["accepted", "quarantined", "lost", "waiting"]
            .map(|count| report["outputs"][0][count].as_u64().unwrap_or_default());
        // What cannot wait cannot be looked at later.
        let expected = if case.waits { [9_999, 1, 0, 0] } else { [9_999, 0, 1, 0] };
        assert_eq!(counts, expected, "{}: {}", case.output, told.stderr());
        // Nothing that was accepted is sent again.
        let before = server.requests().len();
        workspace.write("values.jsonl", "");
        workspace.run(&["run", "--once"]).exit(0);
        assert_eq!(server.requests().len(), before, "{}", case.output);
    }
}

#[test]
fn an_answer_of_a_gigabyte_is_not_read_to_its_end() {
    for case in CASES {
        let server = Server::answering(vec![Answer::Endless(200)]);
        let workspace = case.workspace(server.port());
        let finished = workspace.run(&["run", "--once"]);
        let told = finished.stderr();
        assert!(!server.sent_all(), "{}: {told}", case.output);
        // These say with the status alone that they have taken it.
        let takes_by_status = ["prometheus_remote_write", "pushgateway", "webhook"];
        finished.exit(if takes_by_status.contains(&case.output) { 0 } else { 4 });
    }
}
