//! `collector spool list`.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use comfy_table::Cell;
use serde::Serialize;

use super::super::args::{ListFormat, SpoolList};
use super::super::{say, text};
use super::Failure;
use super::bodies::{Bodies, Found};
use crate::config::Config;
use crate::report::{Status, table};
use crate::store::Store;

/// A body as JSON.
#[derive(Serialize)]
struct Row<'a> {
    body: &'a str,
    output: &'a str,
    /// Whether the output is configured; if not, nobody will send it.
    configured: bool,
    place: &'a str,
    /// The clock of the run that made it, in milliseconds since 1970.
    timestamp: i64,
    /// For how long it has waited, or lain in quarantine.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    datapoints: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    path: &'a Path,
}

pub(super) fn list(options: &SpoolList, config: &Config, store: &Store) -> Result<Status, Failure> {
    let bodies = Bodies::find(config, store)?;
    let ids = bodies.short_ids();
    let mut stdout = BufWriter::new(io::stdout().lock());
    match options.format {
        ListFormat::Json => {
            for found in &bodies.all {
                let (bytes, age) = measured(found);
                let row = Row {
                    body: found.entry.name(),
                    output: &found.output,
                    configured: found.is_configured,
                    place: found.place.as_str(),
                    timestamp: found.entry.timestamp_ms,
                    age_seconds: age.map(|age| age.as_secs()),
                    datapoints: found.entry.datapoints,
                    bytes,
                    reason: found.reason(),
                    path: found.entry.path(),
                };
                serde_json::to_writer(&mut stdout, &row).map_err(io::Error::from)?;
                writeln!(stdout)?;
            }
        }
        ListFormat::Table if bodies.all.is_empty() => {
            if bodies.errors.is_empty() {
                say(format_args!("nothing waits, and nothing is in quarantine"));
            }
        }
        ListFormat::Table => write_table(&mut stdout, &bodies, &ids)?,
    }
    stdout.flush()?;
    for error in &bodies.errors {
        say(format_args!("error: {error}"));
    }
    Ok(if bodies.errors.is_empty() { Status::Success } else { Status::Usage })
}

fn write_table(to: &mut dyn Write, bodies: &Bodies, ids: &[&str]) -> io::Result<()> {
    let columns = ["body", "output", "place", "collected", "age", "points", "bytes", "reason"];
    let mut rows = table::plain(&columns);
    for (found, id) in bodies.all.iter().zip(ids) {
        let (bytes, age) = measured(found);
        let output = match found.is_configured {
            true => found.output.clone(),
            false => format!("{} (not configured)", found.output),
        };
        let reason = found.reason().unwrap_or_default();
        rows.add_row(vec![
            Cell::new(text::visible(id)),
            Cell::new(text::visible(&output)),
            Cell::new(found.place.as_str()),
            Cell::new(text::time(found.entry.timestamp_ms)),
            table::number(age.map(text::age).unwrap_or_default()),
            table::number(found.entry.datapoints),
            table::number(bytes.map(|bytes| bytes.to_string()).unwrap_or_default()),
            Cell::new(text::visible(&reason)),
        ]);
    }
    writeln!(to, "{}", table::trimmed(&rows))
}

/// Bytes and age, where the file is one and still there.
fn measured(found: &Found) -> (Option<u64>, Option<Duration>) {
    let file = found.spool.measure(&found.entry);
    (file.map(|file| file.bytes), file.and_then(|file| file.age()))
}
