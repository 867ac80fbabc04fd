//! `run --shard`: every job in exactly one shard.

use std::collections::BTreeSet;

use crate::workspace::Workspace;

fn twenty_jobs() -> Workspace {
    let jobs = (0..20).map(|i| format!("  - {{id: job-{i}, random: {{}}}}\n"));
    let jobs: String = jobs.collect();
    Workspace::new(&format!("outputs: [{{file: {{path: out.jsonl}}}}]\njobs:\n{jobs}"))
}

fn ran(report: &str) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(report).expect("a report");
    let jobs = report["jobs"].as_array().expect("jobs").iter();
    jobs.map(|job| job["job"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn every_job_runs_in_exactly_one_shard() {
    let workspace = twenty_jobs();
    let mut all = Vec::new();
    for number in 1..=4 {
        let shard = format!("{number}/4");
        let run = workspace.run(&["run", "--once", "--report", "json", "--shard", &shard]).exit(0);
        all.extend(ran(&run.stdout()));
    }
    let each: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), each.len()), (20, 20), "{all:?}");
}

#[test]
fn a_pod_of_an_indexed_job_runs_its_own_shard() {
    let workspace = twenty_jobs();
    let arguments = ["run", "--once", "--report", "json", "--shard"];
    let third = workspace.run(&[&arguments[..], &["3/4"]].concat()).exit(0);
    let pod = workspace
        .command(&[&arguments[..], &["4"]].concat())
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"))
        .env("JOB_COMPLETION_INDEX", "2")
        .finish()
        .exit(0);
    assert_eq!(ran(&pod.stdout()), ran(&third.stdout()));
}

#[test]
fn a_shard_that_is_not_there_is_told() {
    let workspace = twenty_jobs();
    workspace.run(&["run", "--shard", "5/4"]).exit(2).says("there is no shard 5 of 4");
    workspace.run(&["run", "--shard", "4"]).exit(2).says("$JOB_COMPLETION_INDEX");
    workspace.run(&["run", "--shard", "x"]).exit(2).says("expected `K/N`");
}
