//! What each output over HTTP makes of a server's faults: never a false success, and the body is where it belongs.

use crate::server::{Answer, Server, closed_port};
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
        accepted: || Answer::Status(200, "", r#"{"errors":[],"skipped":[]}"#.into()),
        waits: true,
    },
    Case {
        output: "graphite_http",
        options: "url: http://127.0.0.1:PORT, flavour: tsdb_gw, token: hunter2",
        accepted: || Answer::Status(200, "", r#"{"Invalid":0,"Published":1}"#.into()),
        waits: true,
    },
];

impl Case {
    fn workspace(&self, port: u16) -> Workspace {
        let options = self.options.replace("PORT", &port.to_string());
        Workspace::new(&format!(
            "agent: {{run_metrics: false, hostname: h, timeout: 3s, delivery_reserve: 2s}}
outputs:
  - {}: {{{options}}}
jobs:
  - id: dice
    random: {{key: dice, seed: 1}}
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

#[test]
fn an_answer_of_a_gigabyte_is_not_read_to_its_end() {
    for case in CASES {
        let server = Server::answering(vec![Answer::Endless(200)]);
        let workspace = case.workspace(server.port());
        let told = workspace.run(&["run", "--once"]).stderr();
        assert!(!server.sent_all(), "{}: {told}", case.output);
    }
}
