//! Datapoints as JSON Lines in a file, compressed with gzip when its name ends in `.gz`.
//!
//! Each run appends its datapoints, one object a line: `key`, `value`, `data_type`, `target`, `timestamp` (ms),
//! and `unit`, `labels`, `info` where there are any. A `file` job with `format: jsonl` reads them back. A
//! compressed file gets one gzip member a run, which `zcat` reads as one. The file is made with mode 0600, its
//! folder with 0700. Runs that write to the same file take turns.
//!
//! What could not be written whole is taken back, so that a full disk leaves no half line. Where a run is killed
//! while it writes, the next one takes back what that one had begun (the file `.<name>.append` beside it says
//! where), and writes it anew. A pipe or device is written to as it is: what has gone out cannot be taken back, and
//! comes twice when the rest did not fit; a pipe that nobody reads is tried again in the next run.
//!
//! ```yaml
//! outputs:
//!   - file:
//!       path: /var/lib/collector/datapoints.jsonl.gz
//! ```

mod append;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use flate2::Compression;
use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Body, Destination, Output, Receipt, Surroundings, json_lines};
use crate::payload::{Encoded, Payload};

/// The options of `file`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct File {
    /// Where to append; a relative path starts at the configuration's folder.
    path: PathBuf,
}

impl File {
    fn is_compressed(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == "gz")
    }
}

impl Output for File {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        if !self.is_compressed() {
            return json_lines::encode(payload, to);
        }
        let mut encoder = GzEncoder::new(to, Compression::default());
        let encoded = json_lines::encode(payload, &mut encoder)?;
        encoder.finish()?;
        Ok(encoded)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        Destination {
            method: "APPEND",
            url: surroundings.path(&self.path).display().to_string(),
            headers: Vec::new(),
        }
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        let path = surroundings.path(&self.path);
        match append::append(&path, body, deadline) {
            Ok(()) => Receipt::Accepted,
            Err(error) => {
                Receipt::Retry { reason: format!("`{}`: {error}", path.display()), after: None }
            }
        }
    }

    fn check(&self, surroundings: &Surroundings, _: Instant) -> Result<String, String> {
        let path = surroundings.path(&self.path);
        can_be_written(&path)
    }
}

/// Whether a file can be written, or made, there.
pub(super) fn can_be_written(path: &Path) -> Result<String, String> {
    let mut place = path;
    while !place.exists() {
        place = place.parent().ok_or_else(|| format!("`{}` cannot be made", path.display()))?;
    }
    match rustix::fs::access(place, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Ok(format!("`{}` can be written", path.display())),
        Err(error) => Err(format!("`{}`: {error}", place.display())),
    }
}
