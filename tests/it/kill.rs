//! Runs that are killed at any moment, or whose disk fails at any system call: what was collected arrives, a repeat is
//! the same byte for byte, and the state is never ahead of the data.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use collector::state::State;

use crate::server::{Answer, Server};
use crate::workspace::Workspace;

const START_MS: i64 = 1_700_000_040_000;
/// What a run does to the disk and the network.
const SYSTEM_CALLS: [&str; 12] = [
    "openat",
    "mkdir",
    "write",
    "fdatasync",
    "fsync",
    "rename",
    "renameat2",
    "unlink",
    "linkat",
    "ftruncate",
    "sendto",
    "connect",
];

/// A job, and a pattoo server as the only output.
fn workspace(server: &Server) -> Workspace {
    let workspace = Workspace::new(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}
agent: {{run_metrics: false, timeout: 20s}}
jobs: [{{id: a, file: {{path: points.jsonl, format: jsonl}}}}]
",
        server.port()
    ));
    workspace
        .write("points.jsonl", "{\"key\": \"k\", \"value\": 1}\n{\"key\": \"l\", \"value\": 2}\n");
    workspace.agent_id("collector", &"5".repeat(64));
    workspace
}

/// The clock of a body.
fn clock(body: &str) -> i64 {
    let body: serde_json::Value = serde_json::from_str(body).expect("a whole body");
    assert_eq!(body["pattoo_datapoints"]["datapoint_pairs"].as_array().map(Vec::len), Some(2));
    body["pattoo_agent_timestamp"].as_i64().expect("a timestamp")
}

/// The clocks of the bodies that wait; each body is whole, whenever the run was killed.
fn waiting(workspace: &Workspace) -> Vec<i64> {
    let spool = "daemon/spool";
    let bodies = workspace.files(spool).into_iter().filter(|name| name.ends_with(".body"));
    bodies
        .map(|name| {
            assert!(!name.contains("quarantine"), "{name}");
            clock(&fs::read_to_string(workspace.path(spool).join(name)).expect("a body"))
        })
        .collect()
}

/// The clocks of the bodies that the server took, each with the bodies that had it.
fn arrived(server: &Server, taken: impl Fn(usize) -> bool) -> BTreeMap<i64, Vec<String>> {
    let mut arrived: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (place, request) in server.requests().into_iter().enumerate() {
        let text = request.text();
        arrived.entry(clock(&text)).or_default().extend(taken(place).then_some(text));
    }
    arrived
}

/// When the state says that the job last ran; `None` where there is no state.
fn state_says(workspace: &Workspace) -> Option<i64> {
    let read = |name: &str| fs::read(workspace.path(name)).ok();
    let text = read("daemon/state.json").or_else(|| read("daemon/state.previous.json"))?;
    let state = State::parse(&text).expect("a whole state, whenever the run was killed");
    state.jobs.get("a")?.last_start_ms
}

#[test]
fn a_run_killed_at_any_moment_loses_nothing_that_the_state_says_it_has() {
    const KILLS: i64 = 300;
    // Down for every other run, more or less.
    let is_up = |request: usize| !request.is_multiple_of(3) || request >= 2_000;
    let answers = (0..2_000).map(|n| Answer::status(if is_up(n) { 200 } else { 503 })).collect();
    let server = Server::answering(answers);
    let workspace = workspace(&server);
    let mut promised = Vec::new();
    for number in 0..KILLS {
        let at = (START_MS + number * 60_000).to_string();
        let running = workspace.start(&["run", "--once", "--at", &at]);
        // Spread over more than a run's time, and the same in each test.
        let delay = Duration::from_micros((number.unsigned_abs() * 7_919 * 13) % 60_000);
        std::thread::sleep(delay);
        running.kill();
        if let Some(said) = state_says(&workspace) {
            let at_server = arrived(&server, |_| true).contains_key(&said);
            assert!(
                at_server || waiting(&workspace).contains(&said),
                "kill {number} after {delay:?}: the state is ahead of the data"
            );
            promised.push(said);
        }
        promised.extend(waiting(&workspace));
    }
    promised.sort_unstable();
    promised.dedup();
    assert!(promised.len() > 20, "too few runs came so far: {}", promised.len());
    while !waiting(&workspace).is_empty() {
        let at = (START_MS + KILLS * 60_000).to_string();
        workspace.run(&["run", "--once", "--at", &at]);
    }
    let arrived = arrived(&server, is_up);
    for at in promised {
        assert!(arrived.get(&at).is_some_and(|bodies| !bodies.is_empty()), "{at} never arrived");
    }
    for (at, bodies) in arrived {
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{at} came with another body");
    }
}

/// Runs under strace with one injection into a system call. The exit status, `None` when the run was killed, and how
/// many datapoints the run says it collected.
fn inject(workspace: &Workspace, call: &str, how: &str, at: &str) -> (Option<i32>, u64) {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:{how}")])
        .arg(env!("CARGO_BIN_EXE_collector"))
        .args(["run", "--once", "--report", "json", "--at", at])
        .env_clear()
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"))
        .stdin(Stdio::null())
        .output()
        .expect("strace is installed (package strace)");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let collected = report["jobs"][0]["datapoints"].as_u64().unwrap_or(0);
    let status = output.status;
    (if status.signal().is_some() { None } else { status.code() }, collected)
}

#[test]
fn a_run_killed_at_each_system_call_that_writes_loses_nothing() {
    let mut kills = 0;
    for call in SYSTEM_CALLS {
        for nth in 1.. {
            let server = Server::start();
            let workspace = workspace(&server);
            let first = START_MS.to_string();
            let how = format!("signal=KILL:when={nth}");
            let (status, _) = inject(&workspace, call, &how, &first);
            if let Some(said) = state_says(&workspace) {
                let is_there =
                    arrived(&server, |_| true).contains_key(&said) || waiting(&workspace) == [said];
                assert!(is_there, "{call} {nth}: the state is ahead of the data");
            }
            let waited = waiting(&workspace);
            let second = (START_MS + 60_000).to_string();
            workspace.run(&["run", "--once", "--at", &second]).exit(0).silent();
            assert!(waiting(&workspace).is_empty(), "{call} {nth}");
            let arrived = arrived(&server, |_| true);
            assert!(arrived.contains_key(&(START_MS + 60_000)), "{call} {nth}");
            for at in waited {
                assert!(arrived.contains_key(&at), "{call} {nth}: {at} never arrived");
            }
            for bodies in arrived.values() {
                assert!(bodies.iter().all(|body| *body == bodies[0]), "{call} {nth}");
            }
            match status {
                None => kills += 1,
                Some(status) => {
                    assert_eq!(status, 0, "{call} {nth} was not reached");
                    break;
                }
            }
        }
    }
    assert!(kills > 30, "only {kills} kills: strace may not trace here");
}

#[test]
fn a_disk_that_fails_at_any_system_call_loses_nothing_in_silence() {
    let mut failures = 0;
    for (call, error) in [
        ("openat", "ENOSPC"),
        ("mkdir", "ENOSPC"),
        ("write", "ENOSPC"),
        ("fdatasync", "EIO"),
        ("fsync", "EIO"),
        ("rename", "EIO"),
        ("renameat2", "EROFS"),
        ("linkat", "EROFS"),
        ("unlink", "EROFS"),
    ] {
        let most = {
            let server = Server::start();
            reached(&workspace(&server), call)
        };
        // Once only, and from then on.
        for suffix in ["", "+"] {
            for nth in 1..=most {
                let server = Server::start();
                let workspace = workspace(&server);
                let at = START_MS.to_string();
                let how = format!("error={error}:when={nth}{suffix}");
                let (status, collected) = inject(&workspace, call, &how, &at);
                let status = status.expect("the program ends by itself");
                let is_in = arrived(&server, |_| true).contains_key(&START_MS);
                let is_kept = waiting(&workspace).contains(&START_MS);
                let what = format!("{call} {nth}{suffix}: status {status}");
                match status {
                    // 1: the report could not be printed.
                    0 | 1 => assert!(is_in, "{what}, and nothing arrived"),
                    4 => assert!(is_in || is_kept || collected == 0, "{what}, and nothing waits"),
                    // The source could not be read, or the configuration: nothing was collected.
                    2 | 3 => assert!(!is_kept, "{what}"),
                    // The program itself could not be loaded.
                    127 => {}
                    _ => assert_eq!(status, 5, "{what}"),
                }
                if status != 0 {
                    failures += 1;
                }
                let second = (START_MS + 60_000).to_string();
                workspace.run(&["run", "--once", "--at", &second]).exit(0);
                assert!(waiting(&workspace).is_empty(), "{what}");
                assert!(!is_kept || arrived(&server, |_| true).contains_key(&START_MS), "{what}");
            }
        }
    }
    assert!(failures > 10, "only {failures} failures: strace may not inject here");
}

/// How often a run makes a system call, in its busiest thread.
fn reached(workspace: &Workspace, call: &str) -> usize {
    let path = workspace.path("trace");
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&path)
        .args(["-e", &format!("trace={call}"), env!("CARGO_BIN_EXE_collector"), "run", "--once"])
        .env_clear()
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"))
        .output();
    assert!(traced.is_ok_and(|output| output.status.success()), "strace");
    let trace = fs::read_to_string(path).expect("the trace");
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    for line in trace.lines().filter(|line| line.contains(&format!("{call}("))) {
        *calls.entry(line.split_whitespace().next().unwrap_or_default()).or_default() += 1;
    }
    calls.values().copied().max().unwrap_or(0)
}
