//! What each fault does to the data, observed with the real program and written as the table in ARCHITECTURE.md:
//! `cargo test --test it matrix -- --nocapture` prints it.

use std::fs;
use std::process::Command;

use crate::server::{Answer, Server, closed_port};
use crate::workspace::{Finished, Workspace};

/// The spool of the only output.
const SPOOL: &str = "daemon/spool/pattoo.pattoo";
const POINTS: &str = "{\"key\": \"k\", \"value\": 1}\n{\"key\": \"l\", \"value\": 2}\n";

/// A fault, and how it is brought about.
struct Fault {
    name: &'static str,
    happen: fn() -> Seen,
}

/// What was seen of a fault: the run in which it happened, and the next one, when it is over.
struct Seen {
    first: Ended,
    next: Ended,
}

/// How a run ended.
struct Ended {
    status: i32,
    data: String,
}

impl Ended {
    /// Of a run with `--report json`.
    fn of(finished: &Finished) -> Self {
        let report: serde_json::Value =
            serde_json::from_str(&finished.stdout()).unwrap_or_default();
        let status = finished.status();
        let output = &report["outputs"][0];
        let count = |name: &str| output[name].as_u64().unwrap_or(0);
        let mut data: Vec<String> = [
            ("accepted", "delivered"),
            ("waiting", "in the spool"),
            ("quarantined", "in quarantine"),
            ("lost", "lost and counted"),
        ]
        .into_iter()
        .filter(|(name, _)| count(name) > 0)
        .map(|(name, word)| format!("{} {word}", count(name)))
        .collect();
        let jobs = report["jobs"].as_array().cloned().unwrap_or_default();
        data.extend(jobs.iter().filter(|job| job["result"] != "ok").map(|job| {
            format!("job `{}` {}", job["job"].as_str().unwrap_or_default(), job["result"])
                .replace('"', "")
        }));
        if data.is_empty() {
            // Without a word of the run only the next one tells.
            data.push(if status < 0 { "not kept" } else { "nothing collected" }.to_owned());
        }
        Self { status, data: data.join(", ") }
    }
}

/// A workspace with a job of two datapoints and a pattoo server on that port.
fn workspace(port: u16) -> Workspace {
    with_jobs(port, "  - {id: a, file: {path: points.jsonl, format: jsonl}}")
}

fn with_jobs(port: u16, jobs: &str) -> Workspace {
    let workspace = Workspace::new(&configuration("127.0.0.1", port, jobs));
    workspace.write("points.jsonl", POINTS);
    workspace
}

fn configuration(address: &str, port: u16, jobs: &str) -> String {
    format!(
        "polling: {{ip_address: {address}, ip_bind_port: {port}}}
agent: {{run_metrics: false, timeout: 4s, delivery_reserve: 3s}}
jobs:
{jobs}
"
    )
}

fn run(workspace: &Workspace) -> Ended {
    Ended::of(&workspace.run(&["run", "--once", "--report", "json"]))
}

/// The server answers the first requests in a way of its own, and then as it should.
fn answers(answers: Vec<Answer>) -> Seen {
    let server = Server::answering(answers);
    let workspace = workspace(server.port());
    let first = run(&workspace);
    Seen { first, next: run(&workspace) }
}

fn status(status: u16) -> Seen {
    answers(vec![Answer::status(status)])
}

fn damaged(damage: fn(&mut Vec<u8>)) -> Seen {
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

/// A job that goes wrong, beside one that does not.
fn job(options: &str) -> Seen {
    let server = Server::start();
    let jobs = format!(
        "  - {{id: a, file: {{path: points.jsonl, format: jsonl}}}}\n  - {{id: bad, timeout: 500ms, {options}}}"
    );
    let workspace = with_jobs(server.port(), &jobs);
    let first = run(&workspace);
    workspace.write("mended", "");
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

/// A run that is ended from outside while a job hangs, and the run after it.
fn signalled(name: &str) -> Seen {
    let server = Server::start();
    let jobs = "  - {id: a, file: {path: points.jsonl, format: jsonl}}
  - {id: hangs, timeout: 1h, exec: {command: [sh, -c, 'echo > here; while [ ! -e mended ]; do sleep 0.1; done']}}";
    let workspace = with_jobs(server.port(), jobs);
    let running = workspace.start(&["run", "--once", "--report", "json"]);
    workspace.wait_for_line("here");
    running.signal(name);
    let first = Ended::of(&running.finish());
    workspace.write("mended", "");
    Seen { first, next: run(&workspace) }
}

fn two_at_once() -> Seen {
    let server = Server::start();
    let jobs = "  - {id: a, file: {path: points.jsonl, format: jsonl}}
  - {id: hangs, timeout: 1h, exec: {command: [sh, -c, 'echo > here; while [ ! -e mended ]; do sleep 0.1; done']}}";
    let workspace = with_jobs(server.port(), jobs);
    let running = workspace.start(&["run", "--once"]);
    workspace.wait_for_line("here");
    let first = run(&workspace);
    workspace.write("mended", "");
    running.finish();
    Seen { first, next: run(&workspace) }
}

/// A run at a clock that is wrong, and one at the right time.
fn at_clock(wrong: &str) -> Seen {
    let server = Server::start();
    let workspace = workspace(server.port());
    workspace.run(&["run", "--at", "2026-01-01T00:00:00Z"]).exit(0);
    let at = |time: &str| Ended::of(&workspace.run(&["run", "--report", "json", "--at", time]));
    let first = at(wrong);
    Seen { first, next: at("2026-01-01T00:05:00Z") }
}

/// Leaves no room in the daemon directory.
const FILL: &str = "cat /dev/zero > daemon/full 2>/dev/null || true";

const FAULTS: &[Fault] = &[
    Fault {
        name: "the server refuses the connection",
        happen: || {
            let port = closed_port();
            let workspace = workspace(port);
            let first = run(&workspace);
            let _server = Server::on_port(port);
            Seen { first, next: run(&workspace) }
        },
    },
    Fault {
        name: "the server's name is gone from the DNS",
        happen: || {
            let server = Server::start();
            let jobs = "  - {id: a, file: {path: points.jsonl, format: jsonl}}";
            let workspace = with_jobs(server.port(), jobs);
            let configure = |address| {
                let main =
                    format!("main: {{daemon_directory: {}}}\n", workspace.path("daemon").display());
                workspace
                    .write("collector.yaml", main + &configuration(address, server.port(), jobs));
            };
            configure("pattoo.invalid");
            let first = run(&workspace);
            configure("127.0.0.1");
            Seen { first, next: run(&workspace) }
        },
    },
    Fault { name: "the server hangs before it answers", happen: || answers(vec![Answer::Hang]) },
    Fault { name: "the server hangs in mid-answer", happen: || answers(vec![Answer::HangHalfway]) },
    Fault { name: "the server closes the connection", happen: || answers(vec![Answer::Close]) },
    Fault {
        name: "the server answers what is not HTTP",
        happen: || answers(vec![Answer::Garbage]),
    },
    Fault {
        name: "200 with a body that means nothing",
        happen: || answers(vec![Answer::Status(200, "", "<html>\u{0}".repeat(100))]),
    },
    Fault { name: "301", happen: || status(301) },
    Fault { name: "401", happen: || status(401) },
    Fault {
        name: "400 for a body with one bad datapoint",
        happen: || answers(vec![Answer::status(400), Answer::status(400), Answer::status(200)]),
    },
    Fault { name: "413: the body is too large, its halves are not", happen: || status(413) },
    Fault {
        name: "429 with `Retry-After: 60`",
        happen: || answers(vec![Answer::Status(429, "Retry-After: 60\r\n", String::new())]),
    },
    Fault { name: "500", happen: || status(500) },
    Fault { name: "503", happen: || status(503) },
    Fault { name: "a body in the spool is cut", happen: || damaged(|body| body.truncate(100)) },
    Fault {
        name: "a bit of a body in the spool is flipped",
        happen: || damaged(|body| body[80] ^= 1),
    },
    Fault {
        name: "the disk is full",
        happen: || {
            let server = Server::start();
            mounted(server.port(), "size=64k", FILL, "rm daemon/full;")
        },
    },
    Fault {
        name: "the disk is full and the server is down",
        happen: || mounted(closed_port(), "size=64k", FILL, "rm daemon/full;"),
    },
    Fault {
        name: "the daemon directory is read-only",
        happen: || {
            let server = Server::start();
            let remount = |how: &str| format!("mount -o remount,{how} tmpfs daemon;");
            mounted(server.port(), "size=64k", &remount("ro"), &remount("rw"))
        },
    },
    Fault {
        name: "the daemon directory is read-only, and a body waits in it",
        happen: || {
            let server = Server::answering(vec![Answer::status(503)]);
            let before = format!(
                "{} run --once; mount -o remount,ro tmpfs daemon;",
                env!("CARGO_BIN_EXE_collector")
            );
            mounted(server.port(), "size=1m", &before, "mount -o remount,rw tmpfs daemon;")
        },
    },
    Fault { name: "another run is going", happen: two_at_once },
    Fault { name: "SIGTERM while a job hangs", happen: || signalled("TERM") },
    Fault { name: "SIGHUP while a job hangs", happen: || signalled("HUP") },
    Fault { name: "kill -9 while a job hangs", happen: || signalled("KILL") },
    Fault {
        name: "a job hangs for ever",
        happen: || job("exec: {command: [sh, -c, '[ -e mended ] || sleep 600']}"),
    },
    Fault {
        name: "a job ignores TERM",
        happen: || {
            job(
                "exec: {command: [sh, -c, 'trap \"\" TERM; while [ ! -e mended ]; do sleep 0.1; done']}",
            )
        },
    },
    Fault {
        name: "a job floods",
        happen: || job("exec: {command: [sh, -c, '[ -e mended ] || exec yes']}"),
    },
    Fault { name: "a job fails", happen: || job("exec: {command: [test, -e, mended]}") },
    Fault { name: "the clock is a year ahead", happen: || at_clock("2027-01-01T00:00:00Z") },
    Fault { name: "the clock is a year behind", happen: || at_clock("2025-01-01T00:00:00Z") },
];

#[test]
#[expect(clippy::print_stdout, reason = "the table is what the test is asked for")]
fn the_table_of_faults_is_what_happens() {
    let threads: Vec<_> =
        FAULTS.iter().map(|fault| (fault, std::thread::spawn(|| (fault.happen)()))).collect();
    let mut table =
        "| fault | exit status | the datapoints | the next run | then |\n|---|---|---|---|---|\n"
            .to_owned();
    for (Fault { name, .. }, thread) in threads {
        let Seen { first, next } = thread.join().unwrap_or_else(|_| panic!("{name}"));
        let line = format!(
            "| {name} | {} | {} | {} | {} |\n",
            first.status, first.data, next.status, next.data
        );
        table.push_str(&line);
    }
    println!("{table}");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md"))
        .expect("the document");
    assert!(text.contains(&table), "ARCHITECTURE.md has another table than this:\n{table}");
}
