//! `collector run`: the exit status tells the truth, and good jobs survive bad ones.

use serde_json::Value;

use crate::server::{Answer, Server, closed_port};
use crate::workspace::{Workspace, make_pipe};

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
fn the_run_reports_what_became_of_the_one_before() {
    let server = Server::deciding(|_| Answer::Status(400, "", "no such thing".into()));
    let yaml = "
agent: {hostname: h}
outputs:
  - file: {path: out.jsonl}
  - webhook: {url: 'http://127.0.0.1:PORT/'}
jobs: [{id: dice, random: {key: dice}, outputs: [webhook]}]
";
    let workspace = Workspace::new(&yaml.replace("PORT", &server.port().to_string()));
    let told = |key: &str, output: &str| {
        let out = std::fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
        let lines = out.lines().map(|line| serde_json::from_str(line).expect("JSON"));
        let is_it = |line: &Value| line["key"] == key && line.to_string().contains(output);
        let values = lines.filter(is_it).map(|line: Value| line["value"].clone());
        values.collect::<Vec<_>>()
    };
    workspace.run(&["run", "--once"]).exit(5);
    assert_eq!(told("collector_runs", ""), [1]);
    assert_eq!(told("collector_last_run_status", ""), [0; 0]);
    workspace.run(&["run", "--once"]).exit(5);
    assert_eq!(told("collector_runs", ""), [1, 2]);
    assert_eq!(told("collector_last_run_status", ""), [5]);
    // A job's datapoint, and what the run said about itself.
    let aside = told("collector_output_quarantined_points", "\"webhook\"")[0].as_u64();
    assert!(aside > Some(1), "{aside:?}");
    assert_eq!(told("collector_output_accepted_points", "\"webhook\""), [0]);
    assert_eq!(told("collector_output_lost_points", "\"webhook\""), [0]);
    assert_eq!(told("collector_output_quarantined_points", "\"file\""), [0]);
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
    workspace.run(&["run", "--once"]).exit(5).says("1 datapoint left out");
    let same = Workspace::new(&yaml.replace("seed: 2", "seed: 1"));
    let report = same.run(&["run", "--once", "--report", "json"]).exit(0);
    report.prints("\"duplicates\": 1").prints("\"accepted\": 1");
}

#[test]
fn a_secret_on_a_dead_disk_costs_its_job_and_no_other() {
    let yaml = format!(
        "{TWO_JOBS}  - id: web\n    timeout: 1s\n    http: {{url: 'http://127.0.0.1:{}/', auth: {{bearer: {{file: pipe}}}}, mapping: {{values: {{a: /a}}}}}}\n",
        closed_port()
    );
    let workspace = Workspace::new(&yaml);
    make_pipe(&workspace.path("pipe"));
    workspace.run(&["run", "--once"]).exit(3).says("job `web` late");
    assert!(workspace.path("out.jsonl").exists());
}

#[test]
fn at_its_deadline_a_job_is_late_and_says_what_it_waited_for() {
    let server = Server::answering(vec![Answer::Hang; 9]);
    let yaml = format!(
        "{TWO_JOBS}  - id: web\n    timeout: 1s\n    http: {{url: 'http://127.0.0.1:{}/x', mapping: {{values: {{a: /a}}}}}}\n  - id: program\n    timeout: 1s\n    exec: {{command: [sh, -c, 'echo waiting for godot >&2; exec sleep 60']}}\n",
        server.port()
    );
    let finished = Workspace::new(&yaml).run(&["run", "--once"]).exit(3);
    finished
        .says("job `web` late")
        .says(&format!("http://127.0.0.1:{}/x", server.port()))
        .says("job `program` late")
        .says("waiting for godot");
}

#[test]
fn errors_that_a_program_reports_count_however_it_ends() {
    let script =
        r#"for i in 1 2 3; do echo "{\"type\":\"error\",\"message\":\"disk $i\"}"; done; exit 7"#;
    let yaml = format!("{TWO_JOBS}  - id: p\n    exec: {{command: [sh, -c, '{script}']}}\n");
    let finished = Workspace::new(&yaml).run(&["run", "--once"]).exit(3);
    finished.says("exit status: 7").says("disk 1 (and 2 more errors)");
}

#[test]
fn what_becomes_of_the_printing_does_not_hide_what_became_of_the_run() {
    let yaml =
        format!("{TWO_JOBS}  - id: bad\n    file: {{path: no, mapping: {{values: {{a: /a}}}}}}\n");
    let workspace = Workspace::new(&yaml);
    for (arguments, status) in
        [(["run", "--once", "--report=json"], 3), (["run", "--once", "--dry-run"], 3)]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        workspace
            .run_to(&arguments, full)
            .exit(status)
            .says("error: standard output: ")
            .says("job `bad` failed");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        workspace.run_to(&arguments, writer).exit(status).says("job `bad` failed");
    }
}

#[test]
fn a_report_and_an_output_cannot_both_have_standard_output() {
    let yaml = TWO_JOBS.replace("outputs:\n", "outputs:\n  - {id: screen, stdout: {}}\n");
    let workspace = Workspace::new(&yaml);
    workspace.run(&["run", "--report", "json"]).exit(2).says("`screen`");
    assert!(!workspace.path("out.jsonl").exists());
    let demonstration = Workspace::empty();
    let report = demonstration.command(&["run", "--report", "json"]).finish().exit(0).stdout();
    assert!(serde_json::from_str::<serde_json::Value>(&report).is_ok(), "{report}");
}

#[test]
fn a_job_may_have_the_name_of_the_runs_own_datapoints() {
    let yaml = "
outputs:
  - {id: a, file: {path: a.jsonl}}
  - {id: b, file: {path: b.jsonl}}
jobs:
  - {id: collector, random: {key: mine}, outputs: [b]}
";
    let workspace = Workspace::new(yaml);
    workspace.run(&["run", "--once"]).exit(0);
    let read = |name: &str| std::fs::read_to_string(workspace.path(name)).expect("the output");
    assert!(!read("a.jsonl").contains("mine") && read("a.jsonl").contains("collector_job"));
    assert!(read("b.jsonl").contains("mine") && read("b.jsonl").contains("collector_job"));
}

#[test]
fn term_delivers_what_there_is_and_leaves_no_program_behind() {
    let yaml = format!(
        "{TWO_JOBS}  - id: long\n    exec: {{command: [sh, -c, 'echo $$ > pid; exec sleep 60'], directory: .}}\n"
    );
    let workspace = Workspace::new(&yaml);
    let run = workspace.start(&["run", "--once", "-v"]);
    let pid = workspace.wait_for_line("pid");
    run.signal("TERM");
    run.finish()
        .exit(3)
        .says("job `long` failed: the run was told to stop")
        .says("info: job `good`: ok");
    let out = std::fs::read_to_string(workspace.path("out.jsonl")).expect("the output");
    assert_eq!(out.lines().count(), 1);
    // A zombie has ended too, and only waits for the system to notice.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let script = "trap \"\" TERM; echo yes > started; while :; do sleep 1; done";
    let server = Server::answering(vec![Answer::Hang; 9]);
    let yaml = format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}{TWO_JOBS}  - id: long\n    exec: {{command: [sh, -c, '{script}'], directory: .}}\n",
        server.port()
    );
    let workspace = Workspace::new(&yaml);
    let run = workspace.start(&["run", "--once"]);
    workspace.wait_for_line("started");
    run.signal("INT");
    // The output does not answer: the run waits for it.
    while server.requests().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    run.signal("INT");
    run.finish().exit(130);
    assert!(workspace.files("daemon").iter().any(|file| file.contains("spool")));
}
