//! The pattoo output against a loopback server: what is posted, and what each answer leads to.

use crate::server::{Answer, Server, closed_port};
use crate::workspace::Workspace;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn workspace(port: u16) -> Workspace {
    let workspace = Workspace::new(&format!(
        "polling: {{polling_interval: 300, ip_address: 127.0.0.1, ip_bind_port: {port}}}
agent: {{run_metrics: false, hostname: h, timeout: 2s, delivery_reserve: 1s}}
jobs:
  - id: dice
    random: {{seed: 1}}
"
    ));
    workspace.agent_id("collector", ID);
    workspace
}

#[test]
fn a_run_posts_one_body_and_is_silent() {
    let server = Server::start();
    workspace(server.port()).run(&["run", "--once"]).exit(0).silent();
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].line, format!("POST /pattoo/api/v1/agent/receive/{ID}"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
    assert_eq!(requests[0].header("content-encoding"), None);
    let body: serde_json::Value = serde_json::from_slice(&requests[0].body).expect("JSON");
    let keys: Vec<_> = body.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "pattoo_agent_timestamp",
            "pattoo_agent_id",
            "pattoo_agent_polling_interval",
            "pattoo_datapoints"
        ]
    );
}

#[test]
fn what_is_not_accepted_waits_and_goes_out_oldest_first() {
    let port = closed_port();
    let workspace = workspace(port);
    for at in ["1000", "3000", "2000"] {
        workspace.run(&["run", "--once", "--at", at]).exit(4).says("output `pattoo`");
    }
    assert_eq!(workspace.files("daemon/spool/pattoo.pattoo").len(), 3);
    let server = Server::on_port(port);
    workspace.run(&["run", "--once", "--at", "4000"]).exit(0).silent();
    let times: Vec<_> = server
        .requests()
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
            body["pattoo_agent_timestamp"].as_i64()
        })
        .collect();
    assert_eq!(times, [Some(1000), Some(2000), Some(3000), Some(4000)]);
    assert!(workspace.files("daemon/spool/pattoo.pattoo").is_empty());
}

#[test]
fn every_answer_but_200_keeps_the_body() {
    let answers = [
        Answer::status(201),
        Answer::Status(301, "Location: /elsewhere\r\n", String::new()),
        Answer::status(401),
        Answer::status(404),
        Answer::Status(429, "Retry-After: 60\r\n", String::new()),
        Answer::Status(500, "", "boom".into()),
        Answer::status(503),
        Answer::Close,
        Answer::Hang,
        Answer::HangHalfway,
    ];
    for answer in answers {
        let server = Server::answering(vec![answer.clone()]);
        let workspace = workspace(server.port());
        let finished = workspace.run(&["run", "--once"]);
        let status = finished.stderr();
        let files = workspace.files("daemon/spool/pattoo.pattoo");
        let bodies = files.iter().filter(|name| name.ends_with(".body")).count();
        assert_eq!(bodies, 1, "{answer:?}: {status}");
        let expected = 4;
        finished.exit(expected).says("output `pattoo`");
    }
}

#[test]
fn a_rejected_body_is_set_aside_with_the_servers_words() {
    let server = Server::answering(vec![Answer::Status(400, "", "no such thing".into())]);
    let workspace = workspace(server.port());
    workspace.run(&["run", "--once"]).exit(5).says("400: no such thing").says("set aside");
    let files = workspace.files("daemon/spool/pattoo.pattoo/quarantine");
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn a_pattoo_yaml_of_either_generation_is_enough() {
    let server = Server::start();
    for (file, text) in [
        (
            "pattoo.yaml",
            format!(
                "main:\n    log_directory: log\n    daemon_directory: daemon\npolling:\n    \
                 polling_interval: 300\n    ip_address: 127.0.0.1\n    ip_bind_port: {}\n",
                server.port()
            ),
        ),
        (
            "pattoo_agent.yaml",
            format!(
                "pattoo_agent_api:\n    ip_address: 127.0.0.1\n    ip_bind_port: {}\n",
                server.port()
            ),
        ),
    ] {
        let before = server.requests().len();
        let workspace = Workspace::empty();
        workspace.write(&format!("etc/{file}"), text);
        workspace.write("etc/pattoo_web.yaml", "pattoo_web_api: {ip_address: localhost}\n");
        let etc = workspace.path("etc");
        workspace
            .command(&["run", "--once"])
            .env("PATTOO_CONFIGDIR", etc)
            .finish()
            .exit(0)
            .silent();
        let requests = server.requests();
        assert_eq!(requests.len(), before + 1, "{file}");
        assert!(requests[before].text().contains("memory_total_bytes"), "{file}");
    }
}
