//! What waits: nothing of it is forgotten, and nothing in it stops the rest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::server::{Answer, Server, closed_port};
use crate::workspace::Workspace;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SPOOL: &str = "daemon/spool/pattoo.pattoo";

fn yaml(port: u16) -> String {
    format!(
        "polling: {{polling_interval: 300, ip_address: 127.0.0.1, ip_bind_port: {port}}}
agent: {{run_metrics: false, hostname: h, timeout: 2s, delivery_reserve: 1s}}
jobs:
  - id: dice
    random: {{seed: 1}}
"
    )
}

fn workspace(port: u16) -> Workspace {
    let workspace = Workspace::new(&yaml(port));
    workspace.agent_id("collector", ID);
    workspace
}

fn bodies(workspace: &Workspace) -> usize {
    workspace.files(SPOOL).iter().filter(|name| name.ends_with(".body")).count()
}

#[test]
fn a_spool_that_cannot_be_listed_is_no_success() {
    let server = Server::start();
    let workspace = workspace(server.port());
    workspace.write(SPOOL, "a file in the folder's place");
    workspace.run(&["run", "--once"]).exit(4).says(SPOOL);
    // What could not be kept was sent all the same.
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_unreadable_body_is_moved_out_of_the_way() {
    let server = Server::start();
    let workspace = workspace(server.port());
    let name = "09223372036854776808-run-5.body";
    fs::create_dir_all(workspace.path(SPOOL).join(name)).expect("a folder in a body's place");
    workspace.run(&["run", "--once"]).exit(5).says("no regular file").says("5 datapoints");
    assert_eq!(server.requests().len(), 1);
    assert!(workspace.path(SPOOL).join("quarantine").join(name).exists());
    workspace.run(&["run", "--once"]).exit(0).silent();
}

#[test]
fn a_body_that_cannot_even_be_moved_stops_none_behind_it() {
    let server = Server::start();
    let workspace = workspace(server.port());
    let name = "09223372036854776808-run-5.body";
    fs::create_dir_all(workspace.path(SPOOL).join(name)).expect("a folder in a body's place");
    workspace.write(&format!("{SPOOL}/quarantine"), "a file in the folder's place");
    workspace.run(&["run", "--once"]).exit(4).says("5 datapoints wait in 1 body");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_asks_for_a_pause_gets_it() {
    let server = Server::answering(vec![Answer::Status(
        503,
        "Retry-After: 600\r\n",
        "not\u{1b}[2Jnow".into(),
    )]);
    let workspace = workspace(server.port());
    workspace.run(&["run", "--once"]).exit(4).says("503: not\\u{1b}[2Jnow");
    workspace.run(&["run", "--once"]).exit(4).says("left alone until 20").says("2 bodies");
    assert_eq!(server.requests().len(), 1);
    fs::remove_file(workspace.path(SPOOL).join("retry_after")).expect("the pause");
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_waited_for_too_long_is_given_up_and_named() {
    let workspace = workspace(closed_port());
    workspace.run(&["run", "--once"]).exit(4);
    let files = workspace.files(SPOOL);
    let old = fs::File::options().write(true).open(workspace.path(SPOOL).join(&files[0]));
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(8 * 86_400);
    old.expect("the body").set_modified(long_ago).expect("a time");
    let finished = workspace.run(&["run", "--once"]).exit(5).says("1 datapoint lost");
    finished.says(&files[0]).says("it waited for too long");
    assert_eq!(bodies(&workspace), 1);
}

#[test]
fn what_waits_for_an_output_that_is_gone_is_told() {
    let workspace = workspace(closed_port());
    workspace.run(&["run", "--once"]).exit(4);
    let main = format!("main: {{daemon_directory: {}}}", workspace.path("daemon").display());
    workspace.write(
        "collector.yaml",
        format!(
            "{main}\noutputs: [{{file: {{path: out.jsonl}}}}]\njobs: [{{id: a, random: {{}}}}]\n"
        ),
    );
    workspace.run(&["run", "--once"]).exit(0).says("1 body waits in").says(SPOOL);
}

#[test]
fn nothing_goes_out_under_a_substitute_for_an_id_that_is_broken() {
    let server = Server::start();
    let workspace = workspace(server.port());
    workspace.agent_id("collector", "garbage");
    workspace.run(&["run", "--once"]).exit(5).says("holds no agent id").says("restore it");
    assert!(server.requests().is_empty());
    workspace.agent_id("collector", ID);
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn two_outputs_of_one_file_never_mix_their_lines() {
    let jobs: String =
        (0..50).map(|n| format!("  - {{id: j{n}, random: {{key: k{n}}}}}\n")).collect();
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false}}
outputs:
  - {{id: a, file: {{path: out.jsonl}}}}
  - {{id: b, file: {{path: ./out.jsonl}}}}
jobs:
{jobs}"
    ));
    workspace.run(&["run", "--once"]).exit(0).silent();
    let text = fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    assert_eq!(text.lines().count(), 100);
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a whole line");
    }
}

#[test]
fn a_daemon_directory_that_everybody_can_write_to_is_not_used() {
    let server = Server::start();
    let workspace = workspace(server.port());
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(workspace.path("daemon"), open).expect("the folder");
    workspace.run(&["run", "--once"]).exit(5).says("every user can write").says("chmod o-w");
    assert!(server.requests().is_empty());
    assert_eq!(workspace.files("daemon"), ["agent_id/collector.agent_id"]);
}

#[test]
fn the_embedded_store_is_not_put_where_everybody_can_write() {
    let workspace = Workspace::new("outputs: [sqlite: {}]\njobs: [{id: a, random: {}}]\n");
    workspace.write("daemon/collector.db", "");
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(workspace.path("daemon"), open).expect("the folder");
    workspace.run(&["run", "--once"]).exit(5).says("set `path`");
    assert_eq!(fs::read(workspace.path("daemon/collector.db")).expect("the file"), b"");
}

#[test]
fn a_run_that_is_killed_while_it_appends_leaves_no_half_line_behind() {
    let jobs: String =
        (0..100).map(|n| format!("  - {{id: j{n}, random: {{key: k{n}}}}}\n")).collect();
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false}}\noutputs: [file: {{path: out.jsonl}}]\njobs:\n{jobs}"
    ));
    let before = "{}\n".repeat(20_000);
    workspace.write("out.jsonl", &before);
    // The kernel writes up to the limit (64 KiB), and kills whoever goes on.
    let killed = Command::new("sh")
        .args(["-c", "ulimit -f 128; exec \"$0\" run --once"])
        .arg(env!("CARGO_BIN_EXE_collector"))
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"))
        .status()
        .expect("it starts");
    assert_eq!(killed.code(), None, "{killed}");
    let half = fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    assert!(half.len() > before.len() && !half.ends_with('\n'), "{}", half.len());
    workspace.run(&["run", "--once"]).exit(0).silent();
    let after = fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    let added = after.strip_prefix(&before).expect("what was there");
    assert_eq!(added.lines().count(), 200);
    for line in added.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("a whole line");
    }
}
