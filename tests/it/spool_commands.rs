//! `collector spool`: what waits and what was set aside is shown, sent, or given up.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::server::{Answer, Server, closed_port};
use crate::workspace::Workspace;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A pattoo server on this port, and a file that is always there.
fn yaml(port: u16) -> String {
    format!(
        "agent: {{run_metrics: false, hostname: h, timeout: 5s, delivery_reserve: 1s}}
outputs:
  - {{id: far, pattoo: {{ip_address: 127.0.0.1, ip_bind_port: {port}}}}}
  - {{id: near, file: {{path: out.jsonl}}}}
jobs:
  - {{id: dice, random: {{seed: 1, count: 2}}}}
"
    )
}

fn workspace(port: u16) -> Workspace {
    let workspace = Workspace::new(&yaml(port));
    workspace.agent_id("collector", ID);
    workspace
}

/// The same workspace with another server.
fn move_server(workspace: &Workspace, port: u16) {
    let main = format!("main: {{daemon_directory: {}}}\n", workspace.path("daemon").display());
    workspace.write("collector.yaml", main + &yaml(port));
}

fn rows(workspace: &Workspace) -> Vec<serde_json::Value> {
    let listed = workspace.run(&["spool", "list", "--format", "json"]).exit(0).stdout();
    listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn short_id(row: &serde_json::Value) -> String {
    let name = row["body"].as_str().expect("a name");
    let id = name.rsplit('-').nth(1).expect("an id");
    id[..8].to_owned()
}

#[test]
fn what_waits_is_listed_and_shown_byte_for_byte() {
    let workspace = workspace(closed_port());
    workspace.run(&["spool", "list"]).exit(0).says("nothing waits");
    workspace.run(&["run", "--once"]).exit(4);
    let rows = rows(&workspace);
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!((&row["output"], &row["place"]), (&"far".into(), &"waiting".into()));
    assert_eq!((&row["datapoints"], &row["configured"]), (&2.into(), &true.into()));
    let bytes = fs::read(row["path"].as_str().expect("a path")).expect("the body");
    assert_eq!(row["bytes"], bytes.len());
    assert!(row["age_seconds"].as_u64().is_some_and(|age| age < 3_600), "{row}");
    let id = short_id(row);
    let table = workspace.run(&["spool", "list"]).exit(0).prints(&id).prints("waiting").stdout();
    assert_eq!(table.lines().count(), 2, "{table}");
    for name in [id.as_str(), &id[..3], row["body"].as_str().expect("a name")] {
        let shown = workspace.run(&["spool", "show", name]).exit(0);
        assert_eq!(shown.stdout_bytes(), bytes);
    }
    workspace.run(&["spool", "show", "zzz"]).exit(2).says("no body `zzz`").says("spool list");
}

#[test]
fn the_backlog_is_sent_without_collecting() {
    let workspace = workspace(closed_port());
    workspace.run(&["run", "--once"]).exit(4);
    workspace.run(&["run", "--once"]).exit(4);
    let bodies: Vec<Vec<u8>> = rows(&workspace)
        .iter()
        .map(|row| fs::read(row["path"].as_str().expect("a path")).expect("the body"))
        .collect();
    workspace.run(&["spool", "send"]).exit(4).says("4 datapoints wait in 2 bodies");
    workspace.run(&["spool", "send", "--output", "near"]).exit(0).prints("near: 0 datapoints");
    workspace.run(&["spool", "send", "--output", "fra"]).exit(2).says("did you mean `far`?");

    let server = Server::start();
    move_server(&workspace, server.port());
    let sent = workspace.run(&["spool", "send", "--output", "far"]).exit(0);
    assert_eq!(sent.stdout(), "far: 4 datapoints in 2 bodies accepted\n");
    let requests = server.requests();
    assert_eq!(requests.iter().map(|r| r.body.clone()).collect::<Vec<_>>(), bodies);
    assert!(rows(&workspace).is_empty());
    let out = fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    assert_eq!(out.lines().count(), 4, "only the runs have collected");
    workspace.run(&["history"]).exit(0).prints("far: 4 accepted");
    workspace.run(&["spool", "send", "-q"]).exit(0).silent();
}

#[test]
fn what_was_set_aside_is_sent_again_when_asked() {
    let refused = || Answer::Status(400, "", "bad\u{1b}[2J key".into());
    let server = Server::answering((0..6).map(|_| refused()).collect());
    let workspace = workspace(server.port());
    workspace.run(&["run", "--once"]).exit(5);
    let aside = rows(&workspace);
    assert!(!aside.is_empty());
    for row in &aside {
        assert_eq!(row["place"], "quarantine");
        assert!(row["reason"].as_str().is_some_and(|why| why.contains("bad\\u{1b}[2J key")));
    }
    workspace.run(&["spool", "list"]).exit(0).prints("bad\\u{1b}[2J key").prints("quarantine");
    // Without the flag nothing of it moves.
    workspace.run(&["spool", "send"]).exit(0).prints("far: 0 datapoints");
    assert_eq!(rows(&workspace), aside);
    while !workspace.run(&["spool", "send", "--quarantined"]).stderr().is_empty() {
        assert!(server.requests().len() < 20, "it is refused no more than six times");
    }
    assert!(rows(&workspace).is_empty());
    assert!(workspace.files("daemon/spool/far.pattoo/quarantine").is_empty());
}

#[test]
fn only_what_was_chosen_is_dropped() {
    let workspace = workspace(closed_port());
    for _ in 0..3 {
        workspace.run(&["run", "--once"]).exit(4);
    }
    workspace.run(&["spool", "drop"]).exit(2).says("required");
    workspace.run(&["spool", "drop", "--output", "fra"]).exit(2).says("did you mean `far`?");
    let before = rows(&workspace);
    let [first, second, third] = before.as_slice() else { panic!("three bodies: {before:?}") };
    // One that is misspelt drops none of the others.
    workspace.run(&["spool", "drop", &short_id(first), "zzz"]).exit(2).says("no body `zzz`");
    workspace.run(&["spool", "drop", "--quarantined"]).exit(0).prints("dropped 0 datapoints");
    assert_eq!(rows(&workspace).len(), 3);
    let id = short_id(second);
    let dropped = workspace.run(&["spool", "drop", &id, &id]).exit(0);
    assert_eq!(dropped.stdout(), "dropped 2 datapoints in 1 bodies\n");
    let left: Vec<_> = rows(&workspace).iter().map(|row| row["body"].clone()).collect();
    assert_eq!(left, [first["body"].clone(), third["body"].clone()]);
    let dropped = workspace.run(&["spool", "drop", "--output", "far"]).exit(0);
    assert_eq!(dropped.stdout(), "dropped 4 datapoints in 2 bodies\n");
    assert!(rows(&workspace).is_empty());
}

#[test]
fn what_waits_for_an_output_that_is_gone_is_listed_and_can_be_dropped() {
    let workspace = workspace(closed_port());
    workspace.run(&["run", "--once"]).exit(4);
    let main = format!("main: {{daemon_directory: {}}}", workspace.path("daemon").display());
    workspace.write(
        "collector.yaml",
        format!(
            "{main}\noutputs: [{{file: {{path: out.jsonl}}}}]\njobs: [{{id: a, random: {{}}}}]\n"
        ),
    );
    workspace.run(&["spool", "list"]).exit(0).prints("far (not configured)");
    workspace.run(&["spool", "send"]).exit(0).says("1 body waits in");
    assert_eq!(rows(&workspace).len(), 1);
    workspace.run(&["spool", "drop", "--output", "far"]).exit(0).prints("dropped 2 datapoints");
    assert!(rows(&workspace).is_empty());
}

#[test]
fn nothing_is_sent_or_dropped_while_a_run_is_going() {
    let server = Server::answering(vec![Answer::Hang]);
    let workspace = workspace(server.port());
    let run = workspace.start(&["run", "--once"]);
    while server.requests().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    workspace.run(&["spool", "send"]).exit(6).says("another run holds");
    workspace.run(&["spool", "drop", "--output", "far"]).exit(6).says("another run holds");
    assert_eq!(rows(&workspace).len(), 1);
    run.signal("KILL");
    // The lock is free as soon as the process is gone.
    workspace.run(&["spool", "send", "--wait", "60s"]).exit(0).prints("far: 2 datapoints");
}

#[test]
fn a_spool_that_cannot_be_listed_is_told() {
    let workspace = workspace(closed_port());
    workspace.write("daemon/spool/far.pattoo", "a file in the folder's place");
    workspace.run(&["spool", "list"]).exit(2).says("far.pattoo");
}

#[test]
fn a_spool_that_may_not_be_changed_does_not_seem_to_be_empty() {
    let workspace = workspace(closed_port());
    workspace.run(&["run", "--once"]).exit(4);
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(workspace.path("daemon"), open).expect("the folder");
    workspace.run(&["spool", "send"]).exit(2).says("every user can write");
    workspace.run(&["spool", "drop", "--output", "far"]).exit(2).says("every user can write");
    assert_eq!(rows(&workspace).len(), 1);
}
