//! The output `telemetry`: a batch, and what becomes of flows that are skipped.

use crate::server::{Answer, Server};
use crate::workspace::Workspace;

#[test]
fn a_flow_that_is_skipped_is_named_and_the_others_are_in() {
    let said = |skipped: &str| {
        Answer::Status(200, "", format!("{{\"errors\":[],\"skipped\":[{skipped}],\"updated\":[]}}"))
    };
    let server = Server::answering(vec![said("\"b\""), said(""), said("\"b\"")]);
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
    let told =
        command.env("COLLECTOR_CONFIG", config).finish().exit(5).says("skipped").says("(`b`)");
    assert!(!told.stderr().contains("hunter2"));
    let requests = server.requests();
    let bodies: Vec<_> = requests.iter().map(|request| request.text().trim().to_owned()).collect();
    assert_eq!(
        bodies,
        [
            r#"{"data":{"a":{"value":7,"expires_at":65},"b":{"value":8,"expires_at":65}}}"#,
            r#"{"data":{"a":{"value":7,"expires_at":65}}}"#,
            r#"{"data":{"b":{"value":8,"expires_at":65}}}"#,
        ]
    );
    assert_eq!(requests[0].line, "PATCH /data");
    // The key as user, and no password.
    assert_eq!(requests[0].header("authorization"), Some("Basic aHVudGVyMjo="));
}
