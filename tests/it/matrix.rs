//! What each fault does to the data, observed with the real program and written as the table in ARCHITECTURE.md:
//! `cargo test --test it matrix -- --nocapture` prints it.

mod clocks;
mod disks;
mod jobs;
mod processes;
mod servers;

use std::fs;

use serde_json::Value;

use crate::workspace::{Finished, Workspace};

/// The job of which every run collects two datapoints.
const JOB: &str = "  - {id: a, file: {path: points.jsonl, format: jsonl}}";
const POINTS: &str = "{\"key\": \"k\", \"value\": 1}\n{\"key\": \"l\", \"value\": 2}\n";

/// A fault, and how it is brought about.
struct Fault {
    name: &'static str,
    /// What the run in which it happens says of it; empty where it can say nothing.
    says: &'static str,
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
    said: String,
}

impl Ended {
    /// Of a run with `--report json`.
    fn of(finished: &Finished) -> Self {
        let report = serde_json::from_str(&finished.stdout()).unwrap_or_default();
        let said = finished.stdout() + &finished.stderr();
        Self::reported(finished.status(), &report, said)
    }

    fn reported(status: i32, report: &Value, said: String) -> Self {
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
        Self { status, data: data.join(", "), said }
    }
}

/// A workspace with a job of two datapoints and a pattoo server on that port.
fn workspace(port: u16) -> Workspace {
    with_jobs(port, JOB)
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

/// The same configuration, with another server or other jobs.
fn configure(workspace: &Workspace, text: &str) {
    let main = format!("main: {{daemon_directory: {}}}\n", workspace.path("daemon").display());
    workspace.write("collector.yaml", main + text);
}

fn run(workspace: &Workspace) -> Ended {
    Ended::of(&workspace.run(&["run", "--once", "--report", "json"]))
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what the test is asked for")]
fn the_table_of_faults_is_what_happens() {
    let faults = [servers::FAULTS, disks::FAULTS, processes::FAULTS, jobs::FAULTS, clocks::FAULTS];
    let threads: Vec<_> = faults
        .into_iter()
        .flatten()
        .map(|fault| (fault, std::thread::spawn(|| (fault.happen)())))
        .collect();
    let mut table =
        "| fault | exit status | the datapoints | the next run | then |\n|---|---|---|---|---|\n"
            .to_owned();
    let mut unsaid = String::new();
    for (Fault { name, says, .. }, thread) in threads {
        let Seen { first, next } = thread.join().unwrap_or_else(|_| panic!("{name}"));
        if !first.said.contains(says) {
            unsaid.push_str(&format!("{name}: nothing of {says:?} in\n{}\n", first.said));
        }
        let line = format!(
            "| {name} | {} | {} | {} | {} |\n",
            first.status, first.data, next.status, next.data
        );
        table.push_str(&line);
    }
    println!("{table}");
    assert!(unsaid.is_empty(), "{unsaid}");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md"))
        .expect("the document");
    assert!(text.contains(&table), "ARCHITECTURE.md has another table than this:\n{table}");
}
