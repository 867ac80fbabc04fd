//! `collector run`.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use collectors::period::Period;

use super::args::{Common, ReportFormat, Run};
use super::progress::Progress;
use super::{load, say};
use crate::config::Environment;
use crate::plan::{Plan, Request};
use crate::report::{Report, Status, table};

/// The longest that a run waits for another.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

pub(super) fn run(
    options: &Run,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let mut started = Instant::now();
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    log::debug!("configuration read in {}", table::short(started.elapsed()));
    let _lock = if options.dry_run {
        None
    } else {
        let wait = options.wait.map(Period::get).unwrap_or_default().min(LONGEST_WAIT);
        match crate::run::enter(&config, environment, Instant::now() + wait) {
            Ok(lock) => lock,
            Err(held) => {
                say(format_args!("error: {held}"));
                return Ok(Status::Locked);
            }
        }
    };
    if options.wait.is_some() {
        // The run's time and clock begin when the other one has ended.
        started = Instant::now();
    }
    let now_ms = options.at.unwrap_or_else(wall_clock_ms);
    let request = Request { now_ms, started, only: options.only.clone() };
    let mut plan = match Plan::new(config, request) {
        Ok(plan) => plan,
        Err(errors) => {
            errors.iter().for_each(|error| say(format_args!("error: {error}")));
            return Ok(Status::Usage);
        }
    };
    if options.report.is_some() {
        // Standard output holds the report then, and nothing else.
        plan.outputs.retain(|output| output.kind != "stdout");
    }
    let is_watched = io::stdout().is_terminal() && !common.quiet;
    let ids = plan.jobs.iter().map(|job| job.id.to_string()).collect();
    let mut progress = Progress::new(ids, is_watched && io::stderr().is_terminal());
    let mut watch = |event| progress.show(event);
    let log_directory = plan.log_directory.as_ref().map(|log| plan.config_directory.join(log));
    let program = plan.program.clone();
    let report = if options.dry_run {
        crate::run::rehearse(plan, environment, &mut watch, &mut io::stdout().lock())?
    } else {
        crate::run::run(plan, environment, &mut watch)
    };
    progress.finish();
    if let Some(directory) = log_directory.filter(|_| !options.dry_run)
        && let Err(error) = crate::report::log::append(&directory, &program, &report)
    {
        say(format_args!("warning: `{}`: {error}", directory.display()));
    }
    tell(&report, options, is_watched, common.quiet)?;
    Ok(report.status)
}

fn tell(report: &Report, options: &Run, is_watched: bool, is_quiet: bool) -> io::Result<()> {
    for warning in report.warnings.iter().filter(|_| !is_quiet) {
        say(format_args!("warning: {warning}"));
    }
    if options.report == Some(ReportFormat::Json) {
        let mut stdout = io::stdout().lock();
        serde_json::to_writer_pretty(&mut stdout, report)?;
        writeln!(stdout)?;
    } else if is_watched {
        say(format_args!("\n{}\n", table::of_report(report)));
        say(format_args!("{}", table::delivery_line(report)));
    }
    for failure in report.failures() {
        say(format_args!("error: {failure}"));
    }
    Ok(())
}

/// The wall clock, read once a run. Before 1970 it is taken for broken and counts as 1970.
pub(super) fn wall_clock_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
