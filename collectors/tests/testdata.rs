//! Runs every case of `testdata/<collector>/<case>/`.
//!
//! A case is a folder: `config.json` has the collector's options, relative paths in it start at the folder
//! (`input/…` by habit), and `expected.json` has what the collector must push, in that order, with the log
//! lines and the error it must leave. After a change that was meant, write the expectations anew and read the
//! difference before you commit it:
//!
//! ```sh
//! UPDATE_EXPECTED=1 cargo test -p collectors --test testdata
//! ```

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use collectors::batch::{Batch, Point};
use collectors::datapoint::{LabelKind, Value};
use collectors::decode;
use collectors::sink::Collected;
use collectors::{Context, Sink, find};
use serde_json::{Map, json};

/// The clock of every case: 2026-01-01T00:00:00Z.
const NOW_MS: i64 = 1_767_225_600_000;
const JOB_TIME: Duration = Duration::from_secs(60);

#[test]
fn every_case_gives_what_it_must() {
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let mut wrong = String::new();
    let mut cases = 0;
    for collector in folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")) {
        let folders = folders(&collector);
        assert!(!folders.is_empty(), "{}: no case", collector.display());
        for case in folders {
            cases += 1;
            let actual = run(&file_name(&collector), &case);
            let path = case.join("expected.json");
            if update {
                fs::write(&path, &actual).expect("the expectation is written");
                continue;
            }
            let expected = fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            if let Some(difference) = difference(&expected, &actual) {
                writeln!(wrong, "{}: {difference}", path.display()).expect("text grows");
            }
        }
    }
    assert!(cases > 0, "no cases at all");
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_collector_that_can_has_a_case() {
    // A server and programs are more than a folder can hold; their tests bring real ones.
    let without = ["http", "exec"];
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let names: Vec<_> = folders(&testdata).iter().map(|path| file_name(path)).collect();
    for collector in collectors::COLLECTORS {
        let has_case = names.iter().any(|name| name == collector.name);
        let can_have_none = without.contains(&collector.name);
        assert!(has_case != can_have_none, "`{}` in testdata: {has_case}", collector.name);
    }
}

/// The folders in `path`, by name.
fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    let stray = folders.iter().find(|path| !path.is_dir());
    assert_eq!(stray, None, "not a folder");
    folders
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Runs a case and writes down what came of it.
fn run(name: &str, case: &Path) -> String {
    let definition = find(name).unwrap_or_else(|| panic!("`{name}`: no such collector"));
    let path = case.join("config.json");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let options =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let collector = (definition.decode)(&options).unwrap_or_else(|problems| {
        let told = problems.iter().map(|p| format!("{}: {}", decode::Path(&p.path), p.message));
        panic!("{}: {}", path.display(), told.collect::<Vec<_>>().join("; "))
    });
    let context = Context {
        job: Arc::from("case"),
        cursor: None,
        now_ms: NOW_MS,
        deadline: Instant::now() + JOB_TIME,
        directory: Arc::from(case),
        environment: Arc::from([]),
    };
    let sink = Sink::new("host".to_owned(), Vec::new(), NOW_MS);
    let outcome = collector.collect(&context, &sink);
    let collected = sink.seal().expect("sealed once");
    write_down(&collected, outcome.err().map(|error| chain(&error)), case)
}

/// An error with its causes.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").expect("text grows");
        cause = error.source();
    }
    text
}

/// As JSON with a line for each datapoint; paths lose the folder that the case happens to be in.
fn write_down(collected: &Collected, error: Option<String>, case: &Path) -> String {
    let here = format!("{}/", case.display());
    let local = |text: &str| json!(text.replace(&here, ""));
    let mut sections = Vec::new();
    let points = collected.batch.points().iter();
    let points = points.map(|point| datapoint(&collected.batch, point).to_string()).collect();
    sections.push(section("datapoints", points));
    if collected.refused > 0 {
        let refusals = collected.refusals.iter();
        let told =
            refusals.map(|r| json!({"what": r.what, "reason": local(&r.reason)}).to_string());
        sections.push(section("refusals", told.collect()));
        sections.push(format!("\"refused\": {}", collected.refused));
    }
    if collected.labels_dropped > 0 {
        sections.push(format!("\"labels_dropped\": {}", collected.labels_dropped));
    }
    if !collected.log.is_empty() {
        let lines = collected.log.iter();
        let lines = lines.map(|(level, line)| local(&format!("{level:?}: {line}")).to_string());
        sections.push(section("log", lines.collect()));
    }
    if !collected.errors.is_empty() {
        let errors = collected.errors.iter().map(|error| local(error).to_string());
        sections.push(section("errors", errors.collect()));
    }
    if let Some(error) = error {
        sections.push(format!("\"error\": {}", local(&error)));
    }
    let text = format!("{{\n{}\n}}\n", sections.join(",\n"));
    let parsed = serde_json::from_str::<serde_json::Value>(&text);
    assert!(parsed.is_ok(), "no JSON was written: {parsed:?}");
    text
}

fn section(name: &str, lines: Vec<String>) -> String {
    if lines.is_empty() {
        return format!("\"{name}\": []");
    }
    format!("\"{name}\": [\n  {}\n]", lines.join(",\n  "))
}

fn datapoint(batch: &Batch, point: &Point) -> serde_json::Value {
    let mut fields = Map::new();
    let value = match batch.value(point) {
        Value::Int(int) => json!(int),
        Value::Uint(uint) => json!(uint),
        Value::Float(float) => json!(float.get()),
        Value::Text(text) => json!(text),
    };
    fields.insert("key".into(), json!(batch.text(point.key)));
    fields.insert("value".into(), value);
    fields.insert("data_type".into(), json!(point.data_type.as_str()));
    fields.insert("target".into(), json!(batch.text(point.target)));
    for (name, kind) in [("labels", LabelKind::Identity), ("info", LabelKind::Info)] {
        let labels = batch.labels(point.attributes).iter().filter(|label| label.kind == kind);
        let labels: Map<_, _> = labels
            .map(|label| (batch.text(label.name).to_owned(), json!(batch.text(label.value))))
            .collect();
        if !labels.is_empty() {
            fields.insert(name.into(), labels.into());
        }
    }
    if let Some(unit) = batch.unit(point.attributes) {
        fields.insert("unit".into(), json!(unit));
    }
    if point.timestamp_ms != NOW_MS {
        fields.insert("timestamp_ms".into(), json!(point.timestamp_ms));
    }
    fields.into()
}

/// The first line in which the two differ.
fn difference(expected: &str, actual: &str) -> Option<String> {
    let (mut expected_lines, mut actual_lines) = (expected.lines(), actual.lines());
    for number in 1.. {
        match (expected_lines.next(), actual_lines.next()) {
            (None, None) => break,
            (expected, actual) if expected == actual => {}
            (expected, actual) => {
                let [expected, actual] =
                    [expected, actual].map(|line| line.unwrap_or("(the end)").trim());
                return Some(format!("line {number}\n  expected {expected}\n  got      {actual}"));
            }
        }
    }
    None
}
