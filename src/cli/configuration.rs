//! `collector init` and `collector config`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::args::{Common, Init, Print};
use super::{load, say};
use crate::config::{Environment, schema};
use crate::host;
use crate::report::Status;
use crate::store::Store;

/// The annotated configuration that `collector init` writes.
const SAMPLE: &str = include_str!("../../config/collector.yaml");

pub(super) fn init(options: &Init) -> io::Result<Status> {
    if options.file == Path::new("-") {
        io::stdout().write_all(SAMPLE.as_bytes())?;
        return Ok(Status::Success);
    }
    let file = options.file.display();
    let mut open = OpenOptions::new();
    // It may come to hold secrets, so nobody else reads it.
    open.write(true).mode(0o600);
    let open = match options.force {
        true => open.create(true).truncate(true),
        false => open.create_new(true),
    };
    let written = open.open(&options.file).and_then(|mut to| to.write_all(SAMPLE.as_bytes()));
    match written {
        Ok(()) => {
            writeln!(
                io::stdout(),
                "`{file}` is written. Try: collector run --once --config {file}\n\
                 (or `export COLLECTOR_CONFIG={file}`; /etc/collector/ is where it belongs)"
            )?;
            Ok(Status::Success)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            say(format_args!("error: `{file}` is there already"));
            say(format_args!("hint: `--force` overwrites it"));
            Ok(Status::Usage)
        }
        Err(error) => {
            say(format_args!("error: `{file}`: {error}"));
            Ok(Status::Usage)
        }
    }
}

pub(super) fn print(
    options: &Print,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let mut stdout = io::stdout().lock();
    if options.schema {
        serde_json::to_writer_pretty(&mut stdout, &schema::schema())?;
        writeln!(stdout)?;
        return Ok(Status::Success);
    }
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let hostname = config.agent.hostname.clone().unwrap_or_else(host::fully_qualified_name);
    let daemon_directory = match &config.main.daemon_directory {
        Some(directory) => config.directory.join(directory),
        None => Store::default_directory(environment, rustix::process::getuid().is_root()),
    };
    let effective = config.effective(&hostname, &daemon_directory);
    let text = serde_yaml::to_string(&effective).map_err(io::Error::other)?;
    stdout.write_all(text.as_bytes())?;
    Ok(Status::Success)
}
