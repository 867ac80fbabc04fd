//! Any bytes as what a file, a server or a program has to say, in every format that the mapping knows. The first
//! byte chooses the format. What is read is in the sink or refused by name.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use collectors::{Collector, Context, Sink};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fn formats(path: &Path) -> Vec<Box<dyn Collector>> {
    let values = json!({
        "a": "/a", "b": {"from": "$..b", "type": "int"}, "c": {"from": "c", "type": "float", "scale": 0.1},
        "s": {"from": "/s", "type": "string", "optional": true},
    });
    let columns = json!({"a": "a", "c": {"from": "c", "type": "float"}});
    let mapping = json!({"each": "/list", "labels": {"l": "/l"}, "target": "/t", "values": values});
    let all = [
        json!({"path": path, "format": "json", "mapping": {"values": values}}),
        json!({"path": path, "format": "json", "mapping": mapping}),
        json!({"path": path, "format": "csv", "mapping": {"labels": {"l": "l"}, "values": columns}}),
        json!({"path": path, "format": "value"}),
        json!({"path": path, "format": "regex", "mapping": {
            "pattern": "(?<a>[0-9.]+) +(?<c>[^ \n]+)", "values": columns}}),
        json!({"path": path, "format": "jsonl"}),
    ];
    let file = collectors::find("file").expect("the file collector");
    let decode = |options| (file.decode)(options).unwrap_or_else(|problems| panic!("{problems:?}"));
    all.iter().map(decode).collect()
}

fuzz_target!(|bytes: &[u8]| {
    static FORMATS: OnceLock<Vec<Box<dyn Collector>>> = OnceLock::new();
    let Some((choice, text)) = bytes.split_first() else { return };
    let path = std::env::temp_dir().join(format!("collector-fuzz-{}", std::process::id()));
    if std::fs::write(&path, text).is_err() {
        return;
    }
    let formats = FORMATS.get_or_init(|| formats(&path));
    let context = Context {
        job: "fuzz".into(),
        now_ms: 0,
        deadline: Instant::now() + Duration::from_secs(60),
        cursor: None,        directory: Path::new("/").into(),
        environment: Vec::new().into(),
    };
    let sink = Sink::new("target".into(), Vec::new(), 0);
    let result = formats[usize::from(*choice) % formats.len()].collect(&context, &sink);
    let collected = sink.seal().unwrap_or_default();
    // Nothing is dropped without a number or a reason.
    assert!(collected.refused as usize >= collected.refusals.len());
    drop(result);
});
