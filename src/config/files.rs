//! The files of a configuration, with what they include.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use collectors::decode::{Problem, Segment, Side};
use serde_json::Value;

use super::origin::{FILE_NAMES, Origin, is_there};
use super::problems::{Mistake, Source};
use super::remote::Remote;
use super::{locate, tree};

/// What is run where there is no configuration.
pub const DEMONSTRATION: &str = include_str!("demonstration.yaml");

/// Lists and maps are refused beyond this depth before the parser sees them: it takes seconds for a megabyte of `[`.
const DEPTH_CAP: usize = 2_000;
/// A configuration file is refused beyond this, in bytes.
const FILE_CAP_BYTES: u64 = 16 * 1024 * 1024;
/// How many files a configuration may have, with what it includes.
const FILES_CAP: usize = 1_000;

/// One file, parsed.
pub(super) struct File {
    pub(super) source: Arc<Source>,
    pub(super) tree: Value,
}

impl File {
    /// Whether sections that are unknown here belong to somebody else.
    pub(super) fn is_foreign(&self) -> bool {
        let name = self.source.path.file_name().and_then(|name| name.to_str());
        matches!(name, Some("pattoo.yaml" | "pattoo_agent.yaml"))
    }
}

/// Every file of the configuration that could be read, and what is wrong with them as files. What is far away is waited for
/// until `ends_by`.
pub(super) fn read(origin: &Origin, ends_by: Option<Instant>) -> (Vec<File>, Vec<Mistake>) {
    let mut reading = Reading::default();
    match origin {
        Origin::Demonstration => {
            let path = PathBuf::from("<the built-in demonstration>");
            reading.parse(Source { path, text: DEMONSTRATION.to_owned() });
        }
        Origin::Remote(remote) => reading.remote(remote, ends_by),
        Origin::File(path) => reading.file(path),
        Origin::Directory(directory) => {
            let present = FILE_NAMES.iter().map(|name| directory.join(name));
            let present: Vec<_> = present.filter(|path| is_there(path)).collect();
            if present.is_empty() {
                let message = format!("no configuration here: none of {}", FILE_NAMES.join(", "));
                reading.mistakes.push(Mistake::of_file(directory, message));
            }
            for path in present {
                reading.file(&path);
            }
        }
    }
    (reading.files, reading.mistakes)
}

#[derive(Default)]
struct Reading {
    files: Vec<File>,
    mistakes: Vec<Mistake>,
    seen: BTreeSet<PathBuf>,
}

impl Reading {
    fn file(&mut self, path: &Path) {
        if self.seen.len() == FILES_CAP {
            let message = format!("more than {FILES_CAP} files are included");
            self.mistakes.push(Mistake::of_file(path, message));
            self.seen.insert(path.to_owned());
        }
        // A file that is included twice, or includes itself, counts once.
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.seen.len() > FILES_CAP || !self.seen.insert(identity) {
            return;
        }
        match read_text(path) {
            Ok(text) => self.parse(Source { path: path.to_owned(), text }),
            Err(message) => self.mistakes.push(Mistake::of_file(path, message)),
        }
    }

    fn remote(&mut self, remote: &Remote, ends_by: Option<Instant>) {
        let path = PathBuf::from(remote.to_string());
        match remote.fetch(ends_by) {
            Ok(text) => self.parse(Source { path, text }),
            Err(message) => self.mistakes.push(Mistake::of_file(&path, message)),
        }
    }

    fn parse(&mut self, source: Source) {
        if depth(&source.text) > DEPTH_CAP {
            let message = format!("brackets are open {DEPTH_CAP} deep: this is no configuration");
            self.mistakes.push(Mistake::of_file(&source.path, message));
            return;
        }
        let source = Arc::new(source);
        match tree::parse(&source.text) {
            Err(error) => {
                let place = locate::place_of(&error);
                let message = match error.to_string().split_once(" at line ") {
                    Some((what, _)) => format!("this is no YAML: {what}"),
                    None => format!("this is no YAML: {error}"),
                };
                self.mistakes.push(Mistake::of_text(&source, place, message));
            }
            Ok((tree, problems)) => {
                let problems = problems.into_iter().map(|problem| Mistake::new(&source, problem));
                self.mistakes.extend(problems);
                match &tree {
                    Value::Object(map) if !map.is_empty() => {}
                    Value::Object(_) | Value::Null => {
                        let mistake = Mistake::of_file(&source.path, "the configuration is empty");
                        let hint = "`collector init` writes one to start from";
                        self.mistakes.push(mistake.hint(hint));
                    }
                    _ => {
                        let problem = Problem::at(&[], "expected sections such as `jobs:`");
                        self.mistakes.push(Mistake::new(&source, problem));
                    }
                }
                let included = self.included(&source, &tree);
                self.files.push(File { source, tree });
                for path in included {
                    self.file(&path);
                }
            }
        }
    }

    /// What `include` names: a pattern or a list of them, from the file's own folder.
    fn included(&mut self, source: &Arc<Source>, tree: &Value) -> Vec<PathBuf> {
        let patterns: Vec<(Vec<Segment>, &Value)> = match tree.get("include") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list
                .iter()
                .enumerate()
                .map(|(i, value)| (vec![Segment::Key("include".into()), Segment::Index(i)], value))
                .collect(),
            Some(value) => vec![(vec![Segment::Key("include".into())], value)],
        };
        // What is kept in AWS lies in no folder.
        let folder = match Remote::of(&source.path) {
            Some(_) => Path::new("."),
            None => source.path.parent().unwrap_or(Path::new(".")),
        };
        let mut paths = Vec::new();
        for (path, pattern) in patterns {
            let problem = match expand(folder, pattern) {
                Ok(found) => {
                    paths.extend(found);
                    continue;
                }
                Err(message) => Problem { path, side: Side::Value, message, hint: None },
            };
            self.mistakes.push(Mistake::new(source, problem));
        }
        paths
    }
}

/// How deep brackets are open at the deepest place, quotes and comments not regarded.
fn depth(text: &str) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// The files that a pattern names, sorted. A pattern with wildcards may name none, a plain name may not.
fn expand(folder: &Path, pattern: &Value) -> Result<Vec<PathBuf>, String> {
    let Value::String(pattern) = pattern else {
        return Err("expected a file name or a pattern such as `conf.d/*.yaml`".into());
    };
    // The folder is no pattern, whatever characters its name has.
    let rooted = match Path::new(pattern).is_absolute() {
        true => pattern.clone(),
        false => format!("{}/{pattern}", glob::Pattern::escape(&folder.to_string_lossy())),
    };
    let found =
        glob::glob(&rooted).map_err(|error| format!("`{pattern}` is no pattern: {error}"))?;
    let found = found.collect::<Result<Vec<PathBuf>, _>>();
    let found = found.map_err(|error| format!("`{pattern}`: {error}"))?;
    if found.is_empty() && !pattern.contains(['*', '?', '[']) {
        return Err(format!("`{pattern}` is not there"));
    }
    Ok(found)
}

fn read_text(path: &Path) -> Result<String, String> {
    // A pipe would be waited for without end.
    let kind = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !kind.is_file() {
        return Err("this is no file".into());
    }
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut bytes = Vec::new();
    file.take(FILE_CAP_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_CAP_BYTES {
        return Err(format!("larger than {} MiB: this is no configuration", FILE_CAP_BYTES >> 20));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!("not UTF-8 text: byte {} is wrong", error.utf8_error().valid_up_to())
    })
}
