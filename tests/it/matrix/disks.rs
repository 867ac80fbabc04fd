//! Faults of the disk on which the daemon directory is.

use std::fs;
use std::process::Command;

use super::{Ended, Fault, Seen, run, workspace};
use crate::server::{Answer, Server, closed_port};
use crate::workspace::Finished;

/// The spool of the only output.
const SPOOL: &str = "daemon/spool/pattoo.pattoo";
/// Leaves no room in the daemon directory.
const FILL: &str = "cat /dev/zero > daemon/full 2>/dev/null || true";

fn damaged_body(damage: fn(&mut Vec<u8>)) -> Seen {
    let port = closed_port();
    let workspace = workspace(port);
    run(&workspace);
    let body = workspace.files(SPOOL).into_iter().find(|name| name.ends_with(".body"));
    let path = workspace.path(SPOOL).join(body.expect("a body waits"));
    let mut bytes = fs::read(&path).expect("the body");
    damage(&mut bytes);
    fs::write(&path, bytes).expect("the damage");
    let _server = Server::on_port(port);
    let first = run(&workspace);
    Seen { first, next: run(&workspace) }
}

/// What the last run has left is damaged: the job, which just ran, runs as for the first time.
fn damaged_state(damage: fn(&mut Vec<u8>)) -> Seen {
    let server = Server::start();
    let workspace = workspace(server.port());
    run(&workspace);
    let path = workspace.path("daemon/state.json");
    let mut bytes = fs::read(&path).expect("the state");
    damage(&mut bytes);
    fs::write(&path, bytes).expect("the damage");
    let first = Ended::of(&workspace.run(&["run", "--report", "json"]));
    Seen { first, next: run(&workspace) }
}

/// Runs twice in a mount namespace where the daemon directory is a file system of its own; `next` mends it.
fn mounted(port: u16, options: &str, before: &str, next: &str) -> Seen {
    let workspace = workspace(port);
    fs::create_dir_all(workspace.path("daemon")).expect("the daemon directory");
    let program = env!("CARGO_BIN_EXE_collector");
    let script = format!(
        "mount -t tmpfs -o mode=700,{options} tmpfs daemon && {{ {before}
 }} &&
         {{ {program} run --once --report json > first.json; echo $? > first.status; {next}
            {program} run --once --report json > next.json; echo $? > next.status; }}"
    );
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .current_dir(workspace.path(""))
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"))
        .output()
        .expect("unshare is installed (package util-linux)");
    let ended = |name: &str| {
        let read = |kind: &str| {
            let path = workspace.path(&format!("{name}.{kind}"));
            fs::read_to_string(path).unwrap_or_else(|_| panic!("no mount namespace: {output:?}"))
        };
        let status = read("status").trim().parse().expect("a status");
        Ended::of(&Finished::seen(status, &read("json")))
    };
    Seen { first: ended("first"), next: ended("next") }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "a body in the spool is cut",
        says: "it is damaged",
        happen: || damaged_body(|body| body.truncate(100)),
    },
    Fault {
        name: "a bit of a body in the spool is flipped",
        says: "it is damaged",
        happen: || damaged_body(|body| body[80] ^= 1),
    },
    Fault {
        name: "the state is cut",
        says: "every job runs as for the first time",
        happen: || damaged_state(|state| state.truncate(100)),
    },
    Fault {
        name: "a bit of the state is flipped",
        says: "every job runs as for the first time",
        happen: || damaged_state(|state| state[110] ^= 1),
    },
    Fault {
        name: "the disk is full",
        says: "No space left on device",
        happen: || {
            let server = Server::start();
            mounted(server.port(), "size=64k", FILL, "rm daemon/full;")
        },
    },
    Fault {
        name: "the disk is full and the server is down",
        says: "No space left on device",
        happen: || mounted(closed_port(), "size=64k", FILL, "rm daemon/full;"),
    },
    Fault {
        name: "the daemon directory is read-only",
        says: "Read-only file system (os error 30); nothing that is not accepted now can be kept",
        happen: || {
            let server = Server::start();
            let remount = |how: &str| format!("mount -o remount,{how} tmpfs daemon;");
            mounted(server.port(), "size=64k", &remount("ro"), &remount("rw"))
        },
    },
    Fault {
        name: "the daemon directory is read-only, and a body waits in it",
        says: "Read-only file system (os error 30); nothing that is not accepted now can be kept",
        happen: || {
            let server = Server::answering(vec![Answer::status(503)]);
            let before = format!(
                "{} run --once; mount -o remount,ro tmpfs daemon;",
                env!("CARGO_BIN_EXE_collector")
            );
            mounted(server.port(), "size=1m", &before, "mount -o remount,rw tmpfs daemon;")
        },
    },
];
