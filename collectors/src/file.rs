//! Datapoints from a file that some other program writes.
//!
//! The file is read once per run. `format: jsonl` takes one datapoint per line, as the programs of `exec` print
//! them: `{"key": "temperature", "value": 21.5, "unit": "celsius", "labels": {"room": "a1"}}`; the file may have
//! any length. The other formats are read as a whole (`max_bytes`) and mapped as in `http`: `mapping.values`
//! names each datapoint and where its value is: by JSON Pointer or JSONPath, by column (`csv`), or by group
//! (`regex`). A name that ends in `.gz` is uncompressed while it is read.
//!
//! | key | unit | type |
//! |---|---|---|
//! | as in the file, or as `mapping.values` names them | `unit` of the value | `type` of the value |
//!
//! A file that is missing, too long or not of its format fails the job. A value that is missing or of the wrong
//! type is refused by name, and the others are kept.
//!
//! ```yaml
//! jobs:
//!   - id: load
//!     file:
//!       path: /proc/loadavg
//!       format: regex
//!       mapping:
//!         pattern: '^(?<one>[\d.]+) (?<five>[\d.]+) (?<fifteen>[\d.]+)'
//!         values:
//!           load_1m: {from: one, type: float}
//!           load_5m: {from: five, type: float}
//!           load_15m: {from: fifteen, type: float}
//! ```

use std::fs;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Context, Error};
use crate::content::{Content, default_max_bytes};
use crate::decode::Problem;
use crate::mapping::Mapping;
use crate::sink::Sink;
use crate::{bounded, protocol};

/// The options of `file`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct File {
    /// The file; a relative path starts at the configuration's folder.
    path: PathBuf,
    /// What it is made of.
    #[serde(default = "Content::json")]
    format: Content,
    /// The longest file that is read, uncompressed; a longer one is an error. `jsonl` has no limit.
    #[serde(default = "default_max_bytes")]
    max_bytes: u64,
    /// How its content becomes datapoints; not for `jsonl`.
    #[serde(default)]
    mapping: Mapping,
}

impl Collector for File {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
        let path = context.path(&self.path);
        let target = path.display().to_string();
        let file = fs::File::open(&path).map_err(|error| Error::at(&target, error))?;
        let file = BufReader::new(file);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
            self.read(MultiGzDecoder::new(file), &target, sink)
        } else {
            self.read(file, &target, sink)
        }
    }

    fn conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.path.as_os_str().is_empty() {
            problems.push(Problem::at(&["path"], "the path is empty"));
        }
        problems.extend(self.format.conflicts(&self.mapping));
        problems
    }
}

impl File {
    fn read(&self, content: impl Read, target: &str, sink: &Sink) -> Result<(), Error> {
        match self.format.mapped() {
            Some(format) => {
                let body = bounded::read(content, self.max_bytes, "`max_bytes`")
                    .map_err(|error| Error::at(target, error))?;
                self.mapping.apply(format, &body, sink).map_err(|error| error.at(target))
            }
            None => {
                let mut lines = BufReader::new(content);
                protocol::read_datapoints(&mut lines, target, sink)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::decode::decode;
    use crate::sink::Collected;

    fn collect(folder: &Path, options: serde_json::Value) -> (Result<(), Error>, Collected) {
        let file: File = decode(&options).expect("options");
        let context = Context {
            job: "job".into(),
            now_ms: 5,
            deadline: Instant::now() + Duration::from_secs(60),
            cursor: None,
            directory: Arc::from(folder),
            environment: Arc::from([]),
        };
        let sink = Sink::new("host".into(), Vec::new(), 5);
        let result = file.collect(&context, &sink);
        (result, sink.seal().expect("open"))
    }

    fn told(error: &dyn std::error::Error) -> String {
        match error.source() {
            Some(cause) => format!("{error}: {}", told(cause)),
            None => error.to_string(),
        }
    }

    #[test]
    fn a_relative_path_starts_at_the_configuration_and_gz_is_uncompressed() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = fs::File::create(folder.path().join("a.csv.gz")).expect("a file");
        let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gz.write_all(b"disk,free\nsda,7\nsdb,8\n").expect("written");
        gz.finish().expect("written");
        let (result, collected) = collect(
            folder.path(),
            json!({"path": "a.csv.gz", "format": "csv", "mapping": {"values": {"free": "free"}}}),
        );
        result.expect("collected");
        assert_eq!(collected.batch.len(), 2);
    }

    #[test]
    fn lines_of_datapoints_need_no_mapping() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = "{\"key\": \"a\", \"value\": 1}\n\n{\"key\": \"b\", \"value\": \"x\"}\n";
        fs::write(folder.path().join("a.jsonl"), lines).expect("written");
        let options = json!({"path": "a.jsonl", "format": "jsonl", "max_bytes": 1});
        let (result, collected) = collect(folder.path(), options);
        result.expect("collected");
        assert_eq!(collected.batch.len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("long"), "12345").expect("written");
        fs::write(folder.path().join("not.gz"), "no gzip at all").expect("written");
        fs::create_dir(folder.path().join("folder")).expect("made");
        for (path, reason) in [
            ("missing", "No such file or directory"),
            ("long", "there are more than 4 bytes (`max_bytes`)"),
            ("not.gz", "invalid gzip header"),
            ("folder", "Is a directory"),
        ] {
            let options = json!({"path": path, "format": "value", "max_bytes": 4});
            let (result, collected) = collect(folder.path(), options);
            let error = told(&result.expect_err(path));
            let full = folder.path().join(path);
            assert!(error.starts_with(&format!("`{}`: ", full.display())), "{error}");
            assert!(error.contains(reason), "{error}");
            assert_eq!(collected.batch.len(), 0);
        }
    }

    #[test]
    fn a_file_that_gives_nothing_is_a_conflict() {
        let conflicts = |options: serde_json::Value| {
            decode::<File>(&options).expect("options").conflicts().len()
        };
        assert_eq!(conflicts(json!({"path": "x"})), 1);
        assert_eq!(conflicts(json!({"path": "x", "format": "value"})), 0);
        assert_eq!(conflicts(json!({"path": "", "format": "value"})), 1);
        assert_eq!(conflicts(json!({"path": "x", "format": "jsonl"})), 0);
        let values = json!({"values": {"v": "/v"}});
        assert_eq!(conflicts(json!({"path": "x", "format": "jsonl", "mapping": values})), 1);
    }
}
