//! Every golden body of the official library, byte for byte, through the program itself: a `file` job for each
//! target, and `run --dry-run --at`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::workspace::Workspace;

#[test]
fn every_golden_body_is_reproduced_byte_for_byte() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pattoo");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).expect("the golden cases") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".case.json") else { continue };
        let case: Value =
            serde_json::from_slice(&fs::read(&path).expect("the case")).expect("JSON");
        let expected = fs::read(folder.join(format!("{name}.body.json"))).expect("the case's body");
        let body = through_the_program(&case["input"]);
        assert_eq!(
            String::from_utf8_lossy(&body),
            String::from_utf8_lossy(&expected),
            "golden case {name}"
        );
        cases += 1;
    }
    assert!(cases >= 10, "only {cases} golden cases were found");
}

fn through_the_program(input: &Value) -> Vec<u8> {
    let mut yaml = format!(
        "polling: {{polling_interval: {}}}\n\
         outputs: [{{pattoo: {{ip_address: 127.0.0.1, limits: library}}}}]\n\
         agent: {{program: {}, hostname: {}, run_metrics: false}}\njobs:\n",
        input["polling_interval_s"], input["program"], input["hostname"]
    );
    let targets = input["targets"].as_array().expect("targets");
    for number in 0..targets.len() {
        writeln!(
            yaml,
            "  - id: target_{number}\n    file: {{path: target_{number}.jsonl, format: jsonl}}"
        )
        .expect("text");
    }
    let workspace = Workspace::new(&yaml);
    let program = input["program"].as_str().expect("a program");
    let program = collectors::datapoint::trim(program);
    workspace.agent_id(program, input["agent_id"].as_str().expect("an agent id"));
    for (number, target) in targets.iter().enumerate() {
        let points = target["datapoints"].as_array().expect("datapoints");
        let lines: String =
            points.iter().filter_map(|point| line(&target["target"], point)).collect();
        workspace.write(&format!("target_{number}.jsonl"), lines);
    }
    let at = input["post_time_ms"].to_string();
    let finished = workspace.run(&["run", "--dry-run", "--once", "--at", &at]).exit(0);
    let stdout = finished.stdout_bytes();
    let blank = stdout.windows(2).position(|two| two == b"\n\n").expect("a blank line");
    stdout[blank + 2..].strip_suffix(b"\n").expect("a newline at the end").to_vec()
}

/// A datapoint of a case as a line of JSON Lines. The library leaves out one without a data type.
fn line(target: &Value, point: &Value) -> Option<String> {
    let data_type = match point["data_type"].as_i64()? {
        99 => "int",
        101 => "float",
        32 => "counter",
        64 => "counter64",
        2 => "string",
        other => panic!("unknown data type {other}"),
    };
    let mut line = format!(
        "{{\"key\": {}, \"value\": {}, \"data_type\": \"{data_type}\", \"target\": {}, \
         \"timestamp\": {}",
        scalar(&point["key"]),
        scalar(&point["value"]),
        scalar(target),
        point["timestamp_ms"],
    );
    // Each as a member of its own: labels and info may alternate, and keep their order.
    for entry in point["metadata"].as_array().expect("metadata") {
        let member = if entry["update_checksum"] == json!(true) { "labels" } else { "info" };
        let (name, value) = (scalar(&entry["key"]), scalar(&entry["value"]));
        write!(line, ", \"{member}\": {{{name}: {value}}}").expect("text");
    }
    Some(line + "}\n")
}

/// `{"int": "7"}` → `7`, with the number's text as it is.
fn scalar(value: &Value) -> String {
    let (form, text) = value.as_object().and_then(|map| map.iter().next()).expect("a scalar");
    match form.as_str() {
        "int" | "float" => text.as_str().expect("digits").to_owned(),
        "bool" => text.to_string(),
        "none" => "null".to_owned(),
        _ => text.to_string(),
    }
}
