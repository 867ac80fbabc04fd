//! `collector install`.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use gix_imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};

use super::args::{Common, Install, Starter};
use super::{load, say};
use crate::config::{Config, Environment, Origin};
use crate::install::{Made, Setup, Target, cron, inside, systemd};
use crate::report::Status;
use crate::store::durable;

pub(super) fn install(
    options: &Install,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let (Origin::File(path) | Origin::Directory(path)) =
        Origin::choose(common.config.as_deref(), environment)
    else {
        say(format_args!("error: there is no configuration to run by the clock"));
        say(format_args!("hint: `collector init /etc/collector/collector.yaml` writes one"));
        return Ok(Status::Usage);
    };
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let root = std::path::absolute(&options.root)?;
    let binary = match &options.binary {
        Some(binary) => std::path::absolute(binary)?,
        None => std::env::current_exe()?,
    };
    let path = std::path::absolute(path)?;
    let setup = Setup::of(&config, inside(&root, &path), inside(&root, &binary), &root);
    let made = match options.by {
        Starter::Cron => cron::make(&setup),
        Starter::Systemd => systemd::make(&setup),
    };
    let mut made = match made {
        Ok(made) => made,
        Err(flaw) => {
            say(format_args!("error: {flaw}"));
            return Ok(Status::Usage);
        }
    };
    if options.by == Starter::Systemd {
        made.notes.extend(unreadable(&config));
    }
    let status = match options.action.apply {
        true => apply(&made, &root)?,
        false => print(&made)?,
    };
    for note in made.notes.iter().filter(|_| !common.quiet) {
        say(format_args!("note: {note}"));
    }
    if let Some(next) = made.next.filter(|_| options.action.apply && status == Status::Success) {
        say(format_args!("next: {next}"));
    }
    Ok(status)
}

fn print(made: &Made) -> io::Result<Status> {
    let mut stdout = io::stdout().lock();
    for Target { path, text } in &made.files {
        writeln!(stdout, "# --- {path}\n{text}")?;
    }
    stdout.flush()?;
    Ok(Status::Success)
}

/// Shows what is different, and then makes it so.
fn apply(made: &Made, root: &Path) -> io::Result<Status> {
    let mut stdout = io::stdout().lock();
    let mut status = Status::Success;
    for Target { path, text } in &made.files {
        let place = root.join(path.trim_start_matches('/'));
        let before = match fs::read(&place) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                status = refused(&place, &error);
                continue;
            }
        };
        let shown = place.display();
        if before.as_ref() == Some(text) {
            writeln!(stdout, "unchanged: {shown}")?;
            continue;
        }
        write!(stdout, "{}", difference(before.as_deref(), path, text))?;
        stdout.flush()?;
        match put(&place, text) {
            Ok(()) => writeln!(stdout, "written: {shown}")?,
            Err(error) => status = refused(&place, &error),
        }
    }
    stdout.flush()?;
    Ok(status)
}

/// A unified diff; of a file that is not there, all of it.
fn difference(before: Option<&str>, path: &str, text: &str) -> String {
    let Some(before) = before else {
        let lines: Vec<_> = text.lines().map(|line| format!("+{line}\n")).collect();
        return format!(
            "--- /dev/null\n+++ {path}\n@@ -0,0 +1,{} @@\n{}",
            lines.len(),
            lines.concat()
        );
    };
    let lines = InternedInput::new(before, text);
    let mut diff = Diff::compute(Algorithm::Histogram, &lines);
    diff.postprocess_lines(&lines);
    let printer = BasicLineDiffPrinter(&lines.interner);
    let hunks = diff.unified_diff(&printer, UnifiedDiffConfig::default(), &lines);
    format!("--- {path}\n+++ {path}\n{hunks}")
}

fn put(place: &Path, text: &str) -> io::Result<()> {
    // As others make folders there: these are no secrets.
    fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
    durable::write(place, |file| file.write_all(text.as_bytes()))?;
    fs::set_permissions(place, Permissions::from_mode(0o644))
}

fn refused(place: &Path, error: &io::Error) -> Status {
    say(format_args!("error: `{}`: {error}", place.display()));
    if error.kind() == io::ErrorKind::PermissionDenied {
        say(format_args!("hint: run it as root, or put the files elsewhere with `--root DIR`"));
    }
    Status::Usage
}

/// The service has a user of its own, who must be able to read the configuration.
fn unreadable(config: &Config) -> Option<String> {
    let is_private = |path: &&PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 == 0)
    };
    let private: Vec<_> = config.files.iter().filter(is_private).collect();
    let paths = private.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    (!paths.is_empty()).then(|| {
        format!(
            "the service's user cannot read {}; `chmod o+r` mends that, with secrets as {{credential: NAME}}",
            paths.join(", ")
        )
    })
}
