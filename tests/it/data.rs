//! `collector data`: what a run has stored is there to be read.

use std::fs;
use std::path::Path;

use collector::outputs::sqlite::read::Reader;

use crate::workspace::Workspace;

const DICE: &str = "
agent: {run_metrics: false, hostname: h}
jobs:
  - id: dice
    labels: {table: '7'}
    random: {key: dice, count: 2, seed: 42}
";

/// A workspace that has run at these times.
fn rolled(at: &[&str]) -> Workspace {
    let workspace = Workspace::new(DICE);
    for time in at {
        workspace.run(&["run", "--once", "--at", time]).exit(0).silent();
    }
    workspace
}

fn json(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn what_runs_store_is_listed_in_three_forms() {
    let workspace = rolled(&["2030-01-01T00:00:00Z", "2030-01-01T00:05:00.5Z"]);
    let table = workspace.run(&["data", "list"]).exit(0).stdout();
    let lines: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        "SERIES KEY TARGET LABELS TYPE UNIT POINTS VALUE TIME".split(' ').collect::<Vec<_>>()
    );
    assert_eq!(lines[1][..6], ["1", "dice_0", "h", "table=7", "float", "2"]);
    assert_eq!(lines[1][7], "2030-01-01T00:05:00.500Z");
    assert_eq!(lines.len(), 3);

    let listed =
        json(&workspace.run(&["data", "list", "--format", "json", "E_1"]).exit(0).stdout());
    let [one] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((&one["key"], &one["points"]), (&"dice_1".into(), &2.into()));
    assert_eq!(one["labels"], serde_json::json!({"table": "7"}));

    let csv = workspace.run(&["data", "list", "--format", "csv"]).exit(0).stdout();
    assert!(csv.starts_with("series,key,target,labels,data_type,unit,points,value,time\n1,dice_0,h,table=7,float,,2,0."), "{csv}");
}

#[test]
fn a_series_is_read_by_number_or_key_as_it_was_sent() {
    let workspace = rolled(&["2030-01-01T00:00:00Z", "2030-01-01T00:05:00Z"]);
    let sent = workspace
        .run(&["run", "--once", "--dry-run", "--at", "2030-01-01T00:00:00Z"])
        .exit(0)
        .stdout();
    let sent = sent.lines().find(|line| line.starts_with('{')).expect("a line").to_owned();
    let read = workspace.run(&["data", "get", "dice_0", "--format", "json"]).exit(0).stdout();
    assert_eq!(json(&read)[0], json(&sent)[0]);
    assert_eq!(workspace.run(&["data", "get", "1", "--format", "json"]).exit(0).stdout(), read);

    let value = &json(&read)[0]["value"];
    let csv = workspace.run(&["data", "get", "1", "--format", "csv"]).exit(0).stdout();
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(
        rows[..2],
        [
            "time,timestamp,value".to_owned(),
            format!("2030-01-01T00:00:00.000Z,1893456000000,{value}")
        ]
    );

    let table = workspace.run(&["data", "get", " DICE_0 "]).exit(0).stdout();
    assert_eq!(table.lines().count(), 3, "no sparkline where nobody watches: {table}");
    assert!(
        table.lines().nth(1).is_some_and(|line| line.starts_with("2030-01-01T00:00:00.000Z  "))
    );
}

#[test]
fn since_is_counted_from_now() {
    let workspace = Workspace::new(DICE);
    workspace.run(&["run", "--once"]).exit(0);
    let two_hours_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    workspace.run(&["run", "--once", "--at", &two_hours_ago.to_string()]).exit(0);
    let points = |arguments: &[&str]| workspace.run(arguments).exit(0).stdout().lines().count();
    assert_eq!(points(&["data", "get", "1", "--format", "json"]), 2);
    assert_eq!(points(&["data", "get", "1", "--format", "json", "--since", "1h"]), 1);
    workspace.run(&["data", "get", "1", "--since", "soon"]).exit(2).says("is no duration");
}

#[test]
fn a_misspelt_or_ambiguous_series_is_told() {
    let more =
        format!("{DICE}  - id: other\n    target: elsewhere\n    random: {{key: dice, seed: 1}}\n");
    let workspace = Workspace::new(&more);
    workspace.run(&["run", "--once"]).exit(0);
    workspace.run(&["data", "get", "dise_1"]).exit(2).says("did you mean `dice_1`?").says("hint: ");
    workspace.run(&["data", "get", "99"]).exit(2).says("there is no series `99`");
    let several = workspace.run(&["data", "get", "dice_0"]).exit(2);
    several.says("the key `dice_0` has 2 series").says("1: h table=7").says("3: elsewhere");
}

#[test]
fn before_the_first_run_there_is_nothing_and_that_is_said() {
    let workspace = Workspace::new(DICE);
    let list = workspace.run(&["data", "list", "--format", "csv"]).exit(0);
    assert_eq!(list.stdout().lines().count(), 1);
    list.says("nothing is stored yet in `")
        .says("daemon/collector.db")
        .says("collector run --once");
    workspace.run(&["data", "get", "dice_0"]).exit(2).says("nothing is stored yet");
    assert_eq!(workspace.files("daemon"), [""; 0]);
}

#[test]
fn the_configured_file_is_read_and_a_configuration_without_one_is_told() {
    let store = |path: &str| format!("outputs: [{{sqlite: {{path: {path}}}}}]{DICE}");
    let workspace = Workspace::new(&store("data/own.db"));
    workspace.run(&["run", "--once"]).exit(0);
    assert_eq!(workspace.run(&["data", "list"]).exit(0).stdout().lines().count(), 3);
    assert!(workspace.path("data/own.db").exists());
    let none = Workspace::new(&format!("outputs: [{{stdout: {{}}}}]{DICE}"));
    none.run(&["data", "list"]).exit(2).says("no output `sqlite`").says("hint: ");
}

#[test]
fn a_damaged_store_loses_nothing_and_is_not_overwritten() {
    let workspace = rolled(&[]);
    workspace.write("daemon/collector.db", "not a database, but somebody's notes\n".repeat(300));
    let before = fs::read(workspace.path("daemon/collector.db")).expect("the file");
    let run = workspace.run(&["run", "--once"]).exit(4);
    run.says("collector.db`: file is not a database");
    assert_eq!(fs::read(workspace.path("daemon/collector.db")).expect("the file"), before);
    workspace.run(&["data", "list"]).exit(2).says("file is not a database");
    workspace.run(&["check", "--connect"]).exit(3).prints("file is not a database");

    fs::remove_file(workspace.path("daemon/collector.db")).expect("removed");
    workspace.run(&["run", "--once"]).exit(0);
    let points = stored(&workspace.path("daemon/collector.db"));
    assert_eq!(points, [2, 2], "the body that waited came first");
}

/// How many datapoints each series has.
fn stored(path: &Path) -> Vec<u64> {
    let reader = Reader::open(path).expect("a store").expect("tables");
    let series = reader.series().expect("series");
    let extents = reader.extents(&series).expect("extents");
    series.iter().map(|one| extents[&one.number].points).collect()
}
