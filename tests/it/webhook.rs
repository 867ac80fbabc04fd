//! The output `webhook`: what arrives, and that a repeat can be told from news.

use crate::server::{Answer, Server};
use crate::workspace::Workspace;

#[test]
fn a_body_is_signed_and_keeps_its_key_when_it_is_sent_again() {
    let server = Server::answering(vec![Answer::Close]);
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: h}}
outputs:
  - webhook: {{url: 'http://127.0.0.1:{}/hook?room=s3cret', secret: {{env: HOOK_SECRET}}}}
jobs: [{{id: dice, random: {{key: dice, seed: 1}}}}]
",
        server.port()
    ));
    let config = workspace.path("collector.yaml");
    let run = |arguments: &[&str]| {
        let command = workspace.command(arguments).env("HOOK_SECRET", "hunter2");
        command.env("COLLECTOR_CONFIG", &config).finish()
    };
    let shown =
        run(&["run", "--once", "--dry-run"]).exit(0).prints("X-Collector-Signature").stdout();
    assert!(!shown.contains("hunter2") && !shown.contains("s3cret"), "{shown}");
    run(&["run", "--once", "--at", "1000"]).exit(4);
    run(&["run", "--once", "--at", "2000"]).exit(0).silent();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    let keys: Vec<_> =
        requests.iter().map(|request| request.header("idempotency-key").expect("a key")).collect();
    assert_eq!(keys[0], keys[1], "the same body again");
    assert_ne!(keys[1], keys[2], "another body");
    for request in &requests {
        assert_eq!(request.line, "POST /hook?room=s3cret");
        assert_eq!(request.header("content-type"), Some("application/json"));
        let signature = request.header("x-collector-signature").expect("a signature");
        assert!(signature.starts_with("sha256=") && signature.len() == 71, "{signature}");
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body["version"], 1);
    }
}
