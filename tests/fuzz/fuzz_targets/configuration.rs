//! Any bytes as a configuration: it is read, or every mistake is told; each message can be printed.

#![no_main]

use collector::config::{Config, Origin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("collector-fuzz-{}.yaml", std::process::id()));
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    match Config::load(&Origin::File(path)) {
        Ok(config) => drop(config.effective("host", std::path::Path::new("/d"))),
        Err(mistakes) => assert!(!mistakes.to_string().is_empty()),
    }
});
