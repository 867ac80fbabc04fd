//! A file for the textfile collector of Prometheus' node_exporter.
//!
//! node_exporter reads every `*.prom` file in the folder that `--collector.textfile.directory` names. The file is
//! written anew with each run: under another name in the same folder, with mode 0644, and then put in its place, so that
//! node_exporter sees the old one or the new one. The folder must be there.
//!
//! Each datapoint is a value of the metric that its key names (`prefix` goes before it), with the labels `target` and
//! its own; counters are of the type `counter`, all else is a `gauge`. The format has no times: of a series that has
//! several, the latest is written and the others are counted. `collector_textfile_timestamp_seconds` is the time of
//! the run, so that an alert can tell when there are no new ones. Names, labels and text are made legal as in
//! `prometheus_remote_write`; a datapoint's own label `job` or `instance` is called `exported_job` or
//! `exported_instance`. Give a `prefix` where a name could be one of node_exporter's own.
//!
//! The file holds what the last run brought, so all jobs that feed it must run together: they have one interval, and a run
//! with `--only` or `--shard` warns of the jobs that are gone from it. Two files in one folder need different prefixes, and
//! `agent: {run_metrics: false}` or one of them no metrics of the run: node_exporter takes no series twice.
//!
//! An old file would make no sense later, so nothing waits: what cannot be written is lost, and counted.
//!
//! ```yaml
//! outputs:
//!   - textfile:
//!       path: /var/lib/prometheus/node-exporter/collector.prom
//! ```

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use collectors::decode::Problem;
use rustix::fs::OFlags;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prometheus::exposition::{self, TARGET};
use super::prometheus::{Rules, Text, check_prefix};
use super::{Body, Destination, Output, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};

/// The metric that tells when the file was written.
const FRESHNESS: &str = "collector_textfile_timestamp_seconds";
/// Whoever scrapes must be able to read it.
const MODE: u32 = 0o644;

/// The options of `textfile`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Textfile {
    /// The file, whose name must end in `.prom`; a relative path starts at the configuration's folder.
    path: PathBuf,
    /// What every metric's name begins with.
    #[serde(default)]
    prefix: String,
    /// What becomes of text.
    #[serde(default)]
    text: Text,
    /// Whether info goes out as labels too.
    #[serde(default)]
    info: bool,
}

impl Output for Textfile {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let rules = Rules {
            prefix: &self.prefix,
            job: None,
            target: TARGET,
            taken: &["job", "instance"],
            reserved: &[],
            info: self.info,
            text: self.text,
        };
        exposition::encode(payload, rules, Some(FRESHNESS), to)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        let url = surroundings.path(&self.path).display().to_string();
        Destination { method: "WRITE", url, headers: Vec::new() }
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, _: Instant) -> Receipt {
        let path = surroundings.path(&self.path);
        match replace(&path, body) {
            Ok(()) => Receipt::Accepted,
            Err(error) => {
                Receipt::Retry { reason: format!("`{}`: {error}", path.display()), after: None }
            }
        }
    }

    fn can_wait(&self) -> bool {
        false
    }

    fn is_replaced(&self) -> bool {
        true
    }

    fn check(&self, surroundings: &Surroundings, _: Instant) -> Result<String, String> {
        let path = surroundings.path(&self.path);
        let folder = folder_of(&path);
        let told = |error: &dyn std::fmt::Display| format!("`{}`: {error}", folder.display());
        if !folder.is_dir() {
            return Err(told(&"there is no such folder"));
        }
        let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(folder, access).map_err(|error| told(&error))?;
        Ok(format!("`{}` can be written", path.display()))
    }

    fn conflicts(&self) -> Vec<Problem> {
        let is_read = self.path.extension().is_some_and(|extension| extension == "prom");
        let path = (!is_read && self.path.file_name().is_some()).then(|| {
            let message = format!("`{}` does not end in `.prom`", self.path.display());
            Problem::at(&["path"], message).hint("node_exporter reads no other files")
        });
        let nameless = self.path.file_name().is_none();
        let nameless = nameless.then(|| Problem::at(&["path"], "this is no file's name"));
        let prefix = check_prefix(&self.prefix).err();
        let prefix = prefix.map(|message| Problem::at(&["prefix"], message));
        path.into_iter().chain(nameless).chain(prefix).collect()
    }
}

/// Puts a file with this content in the place of what is there. It is not flushed: should the machine stop, the next
/// run writes it anew.
fn replace(path: &Path, body: &Body) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    // Not `.prom`: nobody reads it yet.
    name.push(".new");
    let beside = folder_of(path).join(name);
    let mut file = ours(&beside)?;
    let written = file
        .set_len(0)
        .and_then(|()| io::copy(&mut body.open()?, &mut file).map(drop))
        .and_then(|()| file.set_permissions(Permissions::from_mode(MODE)))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell.
        fs::remove_file(&beside).ok();
    }
    written
}

/// The file of that name, which no other run writes to. One that was killed may have left it.
fn ours(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another run is writing it"),
            TryLockError::Error(error) => error,
        })?;
        // Before it was locked, another run may have put it in its place.
        let (ours, there) = (file.metadata()?, fs::symlink_metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(file);
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        Body::Memory(text.as_bytes().to_vec())
    }

    #[test]
    fn the_file_is_replaced_as_a_whole_and_can_be_read_by_all() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("c.prom");
        // What a run that was killed has left, longer than what follows.
        fs::write(folder.path().join(".c.prom.new"), "half a file of a run that was killed")?;
        replace(&path, &body("one\n"))?;
        let reader = File::open(&path)?;
        replace(&path, &body("two\n"))?;
        assert_eq!(io::read_to_string(reader)?, "one\n", "who reads the old one reads all of it");
        assert_eq!(fs::read_to_string(&path)?, "two\n");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn two_runs_do_not_write_into_one_file() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("c.prom");
        let other = ours(&folder.path().join(".c.prom.new"))?;
        let error = replace(&path, &body("x")).expect_err("it is held");
        assert_eq!(error.to_string(), "another run is writing it");
        assert!(folder.path().join(".c.prom.new").exists(), "it is the other's");
        drop(other);
        replace(&path, &body("x"))
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing_behind() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("c.prom");
        fs::create_dir(&path)?;
        assert!(replace(&path, &body("x")).is_err());
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Ok(())
    }
}
