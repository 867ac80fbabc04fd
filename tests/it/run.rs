//! `collector run`: the exit status tells the truth, and good jobs survive bad ones.

use crate::server::{Server, closed_port};
use crate::workspace::Workspace;

const TWO_JOBS: &str = "
agent: {run_metrics: false, hostname: h}
outputs:
  - file: {path: out.jsonl}
jobs:
  - id: good
    random: {seed: 1}
";

#[test]
fn without_a_configuration_this_machine_is_shown_and_stored() {
    let workspace = Workspace::empty();
    let run = workspace.command(&["run", "--once"]).finish().exit(0);
    run.prints("memory_total_bytes").prints("load");
    assert_eq!(workspace.files("state").iter().filter(|f| f.ends_with(".db")).count(), 1);
}

#[test]
fn a_failed_job_is_named_and_costs_the_others_nothing() {
    let yaml = format!(
        "{TWO_JOBS}  - id: bad\n    file: {{path: not/there.json, mapping: {{values: {{a: /a}}}}}}\n"
    );
    let workspace = Workspace::new(&yaml);
    workspace.run(&["run", "--once"]).exit(3).says("job `bad` failed").says("not/there.json");
    let out = std::fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    assert_eq!(out.lines().count(), 1);
}

#[test]
fn only_chooses_jobs_and_misspelt_ids_are_told() {
    let yaml = format!("{TWO_JOBS}  - id: second\n    random: {{key: other}}\n");
    let workspace = Workspace::new(&yaml);
    workspace.run(&["run", "--once", "--only", "second"]).exit(0);
    let out = std::fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    assert!(out.contains("other_0") && !out.contains("random_0"), "{out}");
    workspace.run(&["run", "--only", "secnod"]).exit(2).says("did you mean `second`?");
}

#[test]
fn the_report_is_json_with_every_job_and_output() {
    let port = closed_port();
    let yaml = format!(
        "{TWO_JOBS}  - id: web\n    http: {{url: 'http://127.0.0.1:{port}/?key=hush', mapping: {{values: {{a: /a}}}}}}\n"
    );
    let finished = Workspace::new(&yaml).run(&["run", "--once", "--report", "json"]).exit(3);
    let report: serde_json::Value = serde_json::from_str(&finished.stdout()).expect("JSON");
    assert_eq!(report["status"], 3);
    assert_eq!(report["jobs"][0]["result"], "ok");
    assert_eq!(report["jobs"][1]["result"], "failed");
    assert_eq!(report["outputs"][0]["accepted"], 1);
    assert!(!finished.stdout().contains("hush") && !finished.stderr().contains("hush"));
}

#[test]
fn a_dry_run_shows_everything_and_leaves_nothing_behind() {
    let server = Server::start();
    let yaml =
        format!("polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}{TWO_JOBS}", server.port());
    let workspace = Workspace::new(&yaml);
    workspace
        .run(&["run", "--once", "--dry-run"])
        .exit(0)
        .prints(&format!("POST http://127.0.0.1:{}/pattoo/api/v1/agent/receive/", server.port()))
        .prints("APPEND ")
        .prints("pattoo_agent_timestamp");
    assert!(server.requests().is_empty());
    assert!(workspace.files("daemon").is_empty());
    assert!(!workspace.path("out.jsonl").exists());
}

#[test]
fn a_job_feeds_the_outputs_that_it_names() {
    let yaml = "
agent: {run_metrics: false}
outputs:
  - {id: a, file: {path: a.jsonl}}
  - {id: b, file: {path: b.jsonl}}
jobs:
  - {id: all, random: {key: all}}
  - {id: one, random: {key: one}, outputs: [b]}
";
    let workspace = Workspace::new(yaml);
    workspace.run(&["run", "--once"]).exit(0).silent();
    let read = |name: &str| std::fs::read_to_string(workspace.path(name)).expect("the output");
    assert_eq!(read("a.jsonl").lines().count(), 1);
    assert_eq!(read("b.jsonl").lines().count(), 2);
}

#[test]
fn the_run_reports_on_itself() {
    let yaml = TWO_JOBS.replace("run_metrics: false, ", "");
    let workspace = Workspace::new(&yaml);
    workspace.run(&["run", "--once"]).exit(0);
    let out = std::fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    for key in ["collector_job_duration_seconds", "collector_job_success", "collector_job_points"] {
        assert!(out.contains(key), "{key} is missing in {out}");
    }
}

#[test]
fn the_same_clock_and_sources_give_the_same_bytes() {
    let workspace = Workspace::new(TWO_JOBS);
    let dry = || workspace.run(&["run", "--once", "--dry-run", "--at", "1700000000000"]).exit(0);
    assert_eq!(dry().stdout(), dry().stdout());
}

#[test]
fn a_missing_secret_fails_its_job_and_no_other() {
    let yaml = format!(
        "{TWO_JOBS}  - id: web\n    http: {{url: 'http://127.0.0.1:{}/', auth: {{bearer: {{env: NO_SUCH}}}}, mapping: {{values: {{a: /a}}}}}}\n",
        closed_port()
    );
    let workspace = Workspace::new(&yaml);
    workspace.run(&["run", "--once"]).exit(3).says("secret {env: NO_SUCH}");
    assert!(workspace.path("out.jsonl").exists());
}

#[test]
fn without_a_place_for_what_lasts_the_run_goes_on_and_says_so() {
    let workspace = Workspace::empty();
    workspace.write("a-file", "");
    workspace
        .write("collector.yaml", format!("main: {{daemon_directory: a-file/below}}{TWO_JOBS}"));
    workspace.run(&["run", "--once"]).exit(0).says("daemon directory");
    assert!(workspace.path("out.jsonl").exists());
}

#[test]
fn two_values_of_one_series_and_moment_are_told() {
    let yaml = "
agent: {run_metrics: false}
jobs:
  - {id: a, target: t, random: {seed: 1}}
  - {id: b, target: t, random: {seed: 2}}
";
    let workspace = Workspace::new(yaml);
    workspace.run(&["run", "--once"]).exit(5).says("1 datapoints left out");
    let same = Workspace::new(&yaml.replace("seed: 2", "seed: 1"));
    let report = same.run(&["run", "--once", "--report", "json"]).exit(0);
    report.prints("\"duplicates\": 1").prints("\"accepted\": 1");
}
