//! `collector run`.

mod begin;

use std::io::{self, IsTerminal, Write};

use super::args::{Common, ReportFormat, Run};
use super::progress::Progress;
use super::say;
use crate::config::Environment;
use crate::report::log::Log;
use crate::report::{Report, Status, chain, table};
use begin::{Begun, begin};

pub(super) use begin::enter;

pub(super) fn run(
    options: &Run,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let Begun { plan, entrance, stop, heartbeat } = match begin(options, common, environment) {
        Ok(begun) => begun,
        Err(status) => return Ok(status),
    };
    let is_watched = io::stdout().is_terminal() && !common.quiet;
    let ids = plan.jobs.iter().map(|job| job.id.to_string()).collect();
    let mut progress = Progress::new(ids, is_watched && io::stderr().is_terminal());
    let mut watch = |event| progress.show(event);
    let log = Log::of(&plan);
    let (mut report, shown) = if options.dry_run {
        let mut stdout = io::stdout().lock();
        crate::run::rehearse(plan, &entrance, environment, &stop, &mut watch, &mut stdout)
    } else {
        (crate::run::run(plan, &entrance, environment, &stop, &mut watch), Ok(()))
    };
    progress.finish();
    // The next run need not wait for what is only talk about this one.
    drop(entrance);
    if let Some(heartbeat) = heartbeat {
        report.warnings.extend(heartbeat.end(&report, None));
    }
    if !options.dry_run {
        append_log(&log, &report);
    }
    let shown = shown.and_then(|()| print(&report, options));
    tell(&report, options, is_watched, common.quiet);
    match shown {
        // Whoever reads our output may have seen enough: what became of the run stands.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(format_args!("error: standard output: {error}"));
            Ok(report.status.max(Status::Bug))
        }
        _ => Ok(report.status),
    }
}

fn print(report: &Report, options: &Run) -> io::Result<()> {
    if options.report == Some(ReportFormat::Json) {
        let mut stdout = io::stdout().lock();
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
        stdout.flush()?;
    }
    Ok(())
}

fn tell(report: &Report, options: &Run, is_watched: bool, is_quiet: bool) {
    if options.report.is_none() && is_watched {
        say(format_args!("\n{}\n", table::of_report(report)));
        say(format_args!("{}", table::delivery_line(report)));
    }
    tell_failures(report, is_quiet);
}

/// What went wrong, on standard error.
pub(super) fn tell_failures(report: &Report, is_quiet: bool) {
    for warning in report.warnings.iter().filter(|_| !is_quiet) {
        say(format_args!("warning: {warning}"));
    }
    for failure in report.failures_to_tell() {
        say(format_args!("error: {failure}"));
    }
}

/// Appends a run to the log of runs. A log that cannot be written is told.
pub(super) fn append_log(log: &Log, report: &Report) {
    if let Err(error) = log.append(report) {
        say(format_args!("warning: {}", chain(&error)));
    }
}
