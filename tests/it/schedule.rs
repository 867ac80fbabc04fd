//! Runs by the clock: whose turn it is, what is left for the next run, what is missing.

use std::fs;

use crate::server::{Server, closed_port};
use crate::workspace::Workspace;

const MINUTE_MS: i64 = 60_000;
const START_MS: i64 = 1_700_000_040_000;

/// Three jobs of different intervals that append a line each time they run.
fn three_jobs() -> Workspace {
    Workspace::new(
        "polling: {polling_interval: 60}
agent: {run_metrics: false}
outputs: [{file: {path: points.jsonl}}]
jobs:
  - {id: a, exec: {command: [echo, '{\"key\": \"a\", \"value\": 1}']}}
  - {id: b, every: 5m, exec: {command: [echo, '{\"key\": \"b\", \"value\": 1}']}}
  - {id: c, every: 1h, exec: {command: [echo, '{\"key\": \"c\", \"value\": 1}']}}
",
    )
}

fn keys(workspace: &Workspace) -> String {
    let lines = std::fs::read_to_string(workspace.path("points.jsonl")).unwrap_or_default();
    let key = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line");
        line["key"].as_str().expect("a key").to_owned()
    };
    lines.lines().map(key).collect()
}

fn at(minute: i64) -> String {
    (START_MS + minute * MINUTE_MS + minute % 7 * 100).to_string()
}

#[test]
fn a_crontab_each_minute_drives_jobs_of_1_5_and_60_minutes() {
    let workspace = three_jobs();
    for minute in 0..=60 {
        workspace.run(&["run", "--at", &at(minute)]).exit(0).silent();
    }
    let keys = keys(&workspace);
    let count = |key| keys.matches(key).count();
    assert_eq!((count('a'), count('b'), count('c')), (61, 13, 2), "{keys}");
    assert!(keys.starts_with("abcaaaaab") && keys.ends_with("abc"), "{keys}");
}

#[test]
fn nothing_due_is_silent_and_once_runs_all() {
    let workspace = three_jobs();
    workspace.run(&["run", "--at", &at(0)]).exit(0).silent();
    workspace.run(&["run", "--at", &at(0)]).exit(0).silent();
    assert_eq!(keys(&workspace), "abc");
    workspace.run(&["run", "--once", "--only", "c", "--at", &at(0)]).exit(0).silent();
    assert_eq!(keys(&workspace), "abcc");
}

#[test]
fn what_waits_is_sent_and_told_also_when_nothing_is_due() {
    let port = closed_port();
    let workspace = Workspace::new(&format!(
        "polling: {{polling_interval: 3600, ip_address: 127.0.0.1, ip_bind_port: {port}}}
agent: {{timeout: 5s}}
jobs: [{{id: a, random: {{}}}}]
"
    ));
    workspace.run(&["run", "--at", &at(0)]).exit(4);
    let state = || fs::read(workspace.path("daemon/state.json")).expect("the state");
    let before = state();
    workspace.run(&["run", "--at", &at(1)]).exit(4).says("wait in 1 body");
    assert_eq!(state(), before, "there was nothing to note");
    let server = Server::on_port(port);
    workspace.run(&["run", "--at", &at(2)]).exit(0).silent();
    workspace.run(&["run", "--at", &at(3)]).exit(0).silent();
    assert_eq!(server.requests().len(), 1, "no run without jobs has anything of its own to say");
    workspace.run(&["run", "--only", "a", "--at", &at(4)]).exit(0).says("nothing is due before");
}

#[test]
fn a_clock_that_goes_back_stops_no_job_and_one_that_leaps_is_told() {
    let workspace = three_jobs();
    let year = 366 * 24 * 60;
    workspace.run(&["run", "--at", &at(year)]).exit(0).silent();
    workspace.run(&["run", "--at", &at(0)]).exit(0).silent();
    assert_eq!(keys(&workspace), "abcabc");
    workspace
        .run(&["run", "--at", &at(year)])
        .exit(0)
        .says("job `c` is meant to run every 1h: 8783 runs missed since the last one");
}

#[test]
fn missed_runs_are_a_datapoint() {
    let workspace = Workspace::new(
        "polling: {polling_interval: 60}
outputs: [{stdout: {}}]
jobs: [{id: a, random: {}}]
",
    );
    let first = workspace.run(&["run", "--at", &at(0)]).exit(0).stdout();
    assert!(!first.contains("missed_runs"), "there was no run before: {first}");
    let late = workspace.run(&["run", "--at", &at(3)]).exit(0).says("2 runs missed").stdout();
    assert!(late.lines().any(|line| line.contains("missed_runs") && line.contains('2')), "{late}");
}

#[test]
fn the_plan_is_shown_and_holds() {
    let workspace = three_jobs();
    workspace.run(&["run", "--at", &at(0)]).exit(0);
    let shown = workspace.run(&["plan", "--json", "--at", &at(5)]).exit(0).stdout();
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let due: Vec<_> = shown.as_array().expect("a list").iter().map(|j| &j["is_due"]).collect();
    assert_eq!(due, [true, true, false]);
    assert_eq!(shown[0]["missed_runs"], 4);
    assert_eq!(shown[2]["next_ms"], START_MS + 60 * MINUTE_MS);
    workspace.run(&["run", "--at", &at(5)]).exit(0);
    assert_eq!(keys(&workspace), "abcab");
    let table = workspace.run(&["plan", "--at", &at(5)]).exit(0).stdout();
    assert!(table.contains("2023-11-14T22:19:00Z"), "{table}");
}

#[test]
fn a_state_that_is_cut_or_flipped_anywhere_is_a_warning_at_most() {
    let workspace = three_jobs();
    workspace.run(&["run", "--at", &at(0)]).exit(0);
    workspace.run(&["run", "--at", &at(1)]).exit(0);
    let [path, before] =
        ["daemon/state.json", "daemon/state.previous.json"].map(|name| workspace.path(name));
    let sound = std::fs::read(&path).expect("the state");
    let older = std::fs::read(&before).expect("the state before");
    for (number, end) in (0..sound.len()).step_by(sound.len() / 20).enumerate() {
        let mut damaged = sound[..end].to_vec();
        if number % 2 == 0 {
            damaged = sound.clone();
            damaged[end] ^= 0x10;
        }
        std::fs::write(&path, &damaged).expect("the damage");
        std::fs::write(&before, &older).expect("the state before");
        workspace.run(&["run", "--at", &at(2)]).exit(0).says("the state before it is used");
        std::fs::write(&path, &damaged).expect("the damage");
        std::fs::write(&before, "").expect("the damage");
        workspace.run(&["run", "--at", &at(2)]).exit(0).says("runs as for the first time");
        workspace.run(&["run", "--at", &at(2)]).exit(0).silent();
    }
}

#[test]
fn state_is_listed_shown_and_reset() {
    let workspace = three_jobs();
    workspace.run(&["run", "--at", &at(0)]).exit(0);
    workspace.run(&["state", "list"]).exit(0).prints("2023-11-14T22:14:00Z");
    workspace.run(&["state", "show", "b"]).exit(0).prints("\"last_start_ms\": 1700000040000");
    workspace.run(&["state", "reset", "bb"]).exit(2).says("did you mean");
    workspace.run(&["state", "reset", "b", "c"]).exit(0).silent();
    workspace.run(&["run", "--at", &at(0)]).exit(0);
    assert_eq!(keys(&workspace), "abcbc");
}

#[test]
fn a_rate_warms_up_and_then_tells_the_growth_between_two_runs() {
    let workspace = Workspace::new(
        "agent: {run_metrics: false}
outputs: [{file: {path: points.jsonl}}]
jobs:
  - id: a
    rates: [{show: rate, keep_counter: false}]
    exec: {command: [cat, count], format: jsonl}
",
    );
    let count = |value: u64| {
        workspace.write(
            "count",
            format!("{{\"key\": \"k\", \"value\": {value}, \"data_type\": \"counter64\"}}\n"),
        );
    };
    count(1_000);
    let report = ["run", "--once", "--report", "json", "--at"];
    let first = workspace.run(&[&report[..], &[&at(0)]].concat()).exit(0).stdout();
    assert!(first.contains("warming up: 1 counter"), "{first}");
    count(1_600);
    workspace.run(&["run", "--once", "--at", &(START_MS + MINUTE_MS).to_string()]).exit(0).silent();
    let points = std::fs::read_to_string(workspace.path("points.jsonl")).expect("points");
    let point: serde_json::Value = serde_json::from_str(&points).expect("one point");
    assert_eq!((&point["key"], &point["value"]), (&"k_per_second".into(), &10.0.into()));
}

#[test]
fn counters_go_on_from_what_was_kept_and_never_from_what_was_lost() {
    let server = closed_port();
    let workspace = Workspace::new(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {server}}}
agent: {{run_metrics: false}}
jobs:
  - id: a
    rates: [{{show: delta}}]
    exec: {{command: [cat, count], format: jsonl}}
"
    ));
    let count = |value: u64| {
        workspace.write(
            "count",
            format!("{{\"key\": \"k\", \"value\": {value}, \"data_type\": \"counter64\"}}\n"),
        );
    };
    let counted = || {
        let shown = workspace.run(&["state", "show", "a"]).exit(0).stdout();
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        shown["counters"].as_object().and_then(|map| map.values().next()?["value"].as_u64())
    };
    count(10);
    workspace.run(&["run", "--once"]).exit(4);
    assert_eq!(counted(), Some(10), "it waits in the spool");
    // Where the spool should be there is none, so the next body is lost.
    std::fs::rename(workspace.path("daemon/spool"), workspace.path("daemon/kept")).expect("moved");
    workspace.write("daemon/spool", "");
    count(20);
    workspace.run(&["run", "--once"]).exit(5);
    assert_eq!(counted(), Some(10), "what was lost is not gone on from");
}

#[test]
fn a_job_is_told_of_from_its_third_failure_in_a_row_on() {
    let workspace = Workspace::new(
        "outputs: [{file: {path: points.jsonl}}]
jobs: [{id: a, alert_after: 3, exec: {command: [cat, count]}}]
",
    );
    for _ in 0..2 {
        workspace.run(&["run", "--once"]).exit(3).silent();
    }
    workspace.run(&["run", "--once"]).exit(3).says("job `a` failed");
    workspace.write("count", "{\"key\": \"k\", \"value\": 1}\n");
    workspace.run(&["run", "--once"]).exit(0).silent();
    std::fs::remove_file(workspace.path("count")).expect("removed");
    workspace.run(&["run", "--once"]).exit(3).silent();
}

#[test]
fn a_job_that_brings_too_little_or_what_is_too_old_has_failed() {
    let workspace = Workspace::new(
        "outputs: [{file: {path: points.jsonl}}]
agent: {run_metrics: false}
jobs:
  - {id: few, expect: {min_points: 2}, exec: {command: [echo, '{\"key\": \"k\", \"value\": 1}']}}
  - {id: old, expect: {max_age: 5m}, exec: {command: [echo, '{\"key\": \"k\", \"value\": 1, \"timestamp\": 1700000000000}']}}
",
    );
    let finished = workspace.run(&["run", "--once", "--at", "1700000301000"]).exit(3);
    let finished = finished.says("job `few` failed: expected at least 2 datapoints, got 1");
    finished.says("job `old` failed: expected a datapoint of the last 5m, the newest is 301s old");
    assert_eq!(keys(&workspace), "kk", "what was brought is delivered all the same");
}

#[test]
fn a_run_is_delayed_by_its_own_share_and_not_when_a_person_asks() {
    let workspace = Workspace::new(
        "polling: {polling_interval: 3600}
agent: {splay: 3000}
jobs: [{id: a, random: {}}]
",
    );
    workspace.agent_id("collector", &"5".repeat(64));
    workspace.run(&["run", "--once"]).exit(0);
    workspace.run(&["state", "reset", "a"]).exit(0);
    let running = workspace.start(&["run"]);
    running.wait_for_thread("signals");
    // While it waits nobody else need.
    workspace.run(&["run", "--once", "--only", "a", "--dry-run"]).exit(0);
    running.signal("TERM");
    running.finish().exit(3).says("job `a` not started");
    workspace.run(&["plan"]).exit(0).prints("never");
}

#[test]
fn a_run_that_has_nothing_to_do_does_not_mind_another_one() {
    let workspace = Workspace::new(
        "polling: {polling_interval: 60}
outputs: [{file: {path: points.jsonl}}]
jobs:
  - {id: fast, random: {}}
  - {id: slow, timeout: 1h, exec: {command: [sh, -c, 'echo here > here; sleep 3600']}}
",
    );
    workspace.run(&["run", "--only", "fast", "--at", &at(0)]).exit(0).silent();
    let running = workspace.start(&["run", "--only", "slow", "--once"]);
    workspace.wait_for_line("here");
    workspace.run(&["run", "--only", "fast", "--at", &at(0)]).exit(0).silent();
    workspace.run(&["run", "--only", "fast", "--at", &at(1)]).exit(6).says("another run holds");
    running.signal("TERM");
    running.finish().exit(3);
}

#[test]
fn two_configurations_in_one_daemon_directory_are_told() {
    let workspace =
        Workspace::new("outputs: [{file: {path: points.jsonl}}]\njobs: [{id: a, random: {}}]\n");
    workspace.run(&["run", "--at", &at(0)]).exit(0).silent();
    let text = std::fs::read(workspace.path("collector.yaml")).expect("the configuration");
    workspace.write("other.yaml", text);
    // Its job is not due, for the other's just ran.
    let other = ["run", "--config", "other.yaml", "--at", &at(1)];
    workspace.run(&other).exit(0).says("collector.yaml").says("set `main.daemon_directory`");
    let other = ["run", "--config", "other.yaml", "--once", "--at", &at(1)];
    workspace.run(&other).exit(0).says("collector.yaml");
    workspace.run(&other).exit(0).silent();
    workspace.run(&["run", "--once", "--at", &at(2)]).exit(0).says("other.yaml");
    // The same file by another name.
    std::fs::create_dir(workspace.path("folder")).expect("a folder");
    let same = ["run", "--config", "folder/../collector.yaml", "--once", "--at", &at(2)];
    workspace.run(&same).exit(0).silent();
}
