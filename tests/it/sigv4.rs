//! Requests signed for AWS, held against what AWS's own library makes of them.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::python::python_program;
use crate::server::{Request, Server};
use crate::workspace::Workspace;

const SECRET: &str = "wJalrXUtnFEMI";

/// The signature that botocore makes of a request, of the headers that were signed.
fn expected(request: &Request, port: u16, signed: &str) -> String {
    let (method, path) = request.line.split_once(' ').expect("a method and a path");
    let headers: Map<String, Value> = signed
        .split(';')
        .map(|name| (name.to_owned(), request.header(name).expect("it was signed").into()))
        .collect();
    let asked = json!({
        "key": "AKIDEXAMPLE", "secret": SECRET, "token": "the-session",
        "service": "monitoring", "region": "eu-west-3",
        "method": method, "url": format!("http://127.0.0.1:{port}{path}"),
        "headers": headers, "body": hex(&request.body),
    });
    let mut python = Command::new(python_program("python3"))
        .args(["-c", include_str!("sigv4/signature.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut stdin = python.stdin.take().expect("a pipe");
    stdin.write_all(asked.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "botocore refuses");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_signed_request_is_what_the_service_makes_of_it() {
    for options in ["compression: gzip", "compression: none", "encoding: json"] {
        let server = Server::start();
        let workspace = Workspace::new(&format!(
            "agent: {{run_metrics: false, hostname: h}}
outputs:
  - otlp:
      endpoint: 'http://127.0.0.1:{}/v1/metrics?b=2&a=%C3%BC%20x'
      {options}
      http: {{sigv4: {{service: monitoring, region: eu-west-3}}}}
jobs: [{{id: dice, random: {{key: dice, seed: 1}}}}]
",
            server.port()
        ));
        let config = workspace.path("collector.yaml");
        let run = |arguments: &[&str]| {
            let command = workspace.command(arguments).env("COLLECTOR_CONFIG", &config);
            let command = command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
            let command = command.env("AWS_SECRET_ACCESS_KEY", SECRET);
            command.env("AWS_SESSION_TOKEN", "the-session").finish()
        };
        run(&["run", "--once", "--dry-run"]).exit(0).prints("authorization: [redacted]");
        run(&["run", "--once"]).exit(0).silent();
        let requests = server.requests();
        let request = requests.last().expect("a request");
        let said = request.header("authorization").expect("a signature");
        let part = |name: &str| {
            let (_, behind) = said.split_once(name).expect(name);
            behind.split(',').next().unwrap_or_default().to_owned()
        };
        let (scope, signed) = (part("Credential="), part("SignedHeaders="));
        assert!(scope.starts_with("AKIDEXAMPLE/") && scope.contains("/eu-west-3/monitoring/"));
        for name in ["host", "content-type", "x-amz-date", "x-amz-security-token"] {
            assert!(signed.split(';').any(|known| known == name), "{name} in {signed}");
        }
        assert_eq!(part("Signature="), expected(request, server.port(), &signed), "{options}");
    }
}

#[test]
fn without_credentials_the_body_waits_and_it_is_told_why() {
    let server = Server::start();
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h}}
outputs: [{{otlp: {{endpoint: 'http://127.0.0.1:{}', http: {{sigv4: {{service: monitoring, region: x}}}}}}}}]
jobs: [{{id: dice, random: {{key: dice, seed: 1}}}}]
",
        server.port()
    ));
    let config = workspace.path("collector.yaml");
    let command = workspace.command(&["run", "--once"]).env("COLLECTOR_CONFIG", config);
    // As on a machine that is none of AWS's.
    command.env("AWS_EC2_METADATA_DISABLED", "true").finish().exit(4).says("no AWS credentials");
    assert_eq!(server.requests().len(), 0);
}
