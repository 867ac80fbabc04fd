//! `collector run`.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use collectors::period::Period;

use super::args::{Common, ReportFormat, Run};
use super::progress::Progress;
use super::{load, say, signals};
use crate::config::{Config, Environment, Origin};
use crate::heartbeat::Heartbeat;
use crate::host::wall_clock_ms;
use crate::plan::{self, Plan, Request};
use crate::report::{Report, Status, table};
use crate::run::Entrance;
use crate::runner::Stop;
use crate::schedule::Turn;
use crate::shard::Shard;
use crate::state::State;
use crate::store::lock::NotLocked;

/// The longest that a run waits for another.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

pub(super) fn run(
    options: &Run,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let mut started = Instant::now();
    let is_demonstration =
        Origin::choose(common.config.as_deref(), environment) == Origin::Demonstration;
    let shard = options.shard.as_deref().map(|text| Shard::of_pod(text, environment));
    let shard = match shard.transpose() {
        Ok(shard) => shard,
        Err(error) => {
            say(format_args!("error: {error}"));
            return Ok(Status::Usage);
        }
    };
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    log::debug!("configuration read in {}", table::short(started.elapsed()));
    let Entrance { lock, found } = if options.dry_run {
        crate::run::look(&config, environment)
    } else {
        match crate::run::enter(&config, environment, until(options.wait)) {
            Ok(entrance) => entrance,
            Err(held) => {
                let found = crate::run::look(&config, environment).found;
                return Ok(turned_away(options, &config, shard, &found.state, &held));
            }
        }
    };
    let stop = Stop::default();
    if let Err(error) = signals::stop_in_order(&stop) {
        say(format_args!("warning: a signal will end the run at once: {error}"));
    }
    let is_by_the_clock = !options.once && !options.dry_run && options.at.is_none();
    if is_by_the_clock && is_anything_due(options, &config, shard, &found.state) {
        stop.sleep(crate::run::splay(&config, environment));
    }
    if options.wait.is_some() || is_by_the_clock {
        // The run's time and clock begin when it can.
        started = Instant::now();
    }
    let now_ms = options.at.unwrap_or_else(wall_clock_ms);
    let only = options.only.clone();
    let request = Request { only, shard, once: options.once, ..Request::for_all(now_ms, started) };
    // A part of the jobs tells nothing about the others.
    let is_told = !options.dry_run && options.only.is_empty() && shard.is_none();
    let heartbeat = config.heartbeat.clone().filter(|_| is_told);
    let mut plan = match Plan::new(config, request, &found.state) {
        Ok(plan) => plan,
        Err(errors) => {
            errors.iter().for_each(|error| say(format_args!("error: {error}")));
            return Ok(Status::Usage);
        }
    };
    if plan.jobs.is_empty()
        && let Some(next_ms) = plan.next_ms
    {
        if io::stderr().is_terminal() && !common.quiet {
            let next = table::moment(next_ms);
            say(format_args!("nothing is due before {next}; `--once` runs every job now"));
        }
        return Ok(Status::Success);
    }
    if options.report.is_some() {
        // Standard output holds the report then, and nothing else.
        let printing = plan.outputs.iter().find(|output| output.kind == "stdout");
        if let Some(output) = printing.filter(|_| !is_demonstration) {
            say(format_args!(
                "error: `--report` and the output `{}` both want standard output",
                output.id
            ));
            return Ok(Status::Usage);
        }
        plan.outputs.retain(|output| output.kind != "stdout");
    }
    let is_watched = io::stdout().is_terminal() && !common.quiet;
    let ids = plan.jobs.iter().map(|job| job.id.to_string()).collect();
    let mut progress = Progress::new(ids, is_watched && io::stderr().is_terminal());
    let mut watch = |event| progress.show(event);
    let log = Log::of(&plan);
    let heartbeat =
        heartbeat.map(|section| Heartbeat::start(&section, &plan.config_directory, environment));
    let (mut report, shown) = if options.dry_run {
        let mut stdout = io::stdout().lock();
        crate::run::rehearse(plan, environment, &stop, &mut watch, &mut stdout)
    } else {
        (crate::run::run(plan, &found, environment, &stop, &mut watch), Ok(()))
    };
    progress.finish();
    // The next run need not wait for what is only talk about this one.
    drop(lock);
    if let Some(heartbeat) = heartbeat {
        report.warnings.extend(heartbeat.end(&report));
    }
    if !options.dry_run {
        log.append(&report);
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

/// Another run has the lock: that matters where there was something to do.
fn turned_away(
    options: &Run,
    config: &Config,
    shard: Option<Shard>,
    state: &State,
    held: &NotLocked,
) -> Status {
    if !options.once && !is_anything_due(options, config, shard, state) {
        return Status::Success;
    }
    say(format_args!("error: {held}"));
    Status::Locked
}

fn is_anything_due(options: &Run, config: &Config, shard: Option<Shard>, state: &State) -> bool {
    let now_ms = options.at.unwrap_or_else(wall_clock_ms);
    let is_asked_for = |id: &str| options.only.is_empty() || options.only.iter().any(|o| o == id);
    let jobs = plan::schedule(config, state, now_ms).into_iter();
    jobs.zip(plan::in_shard(config, shard))
        .filter(|(job, is_in_shard)| *is_in_shard && is_asked_for(job.id))
        .any(|(job, _)| matches!(job.turn, Turn::Due { .. }))
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
    for failure in report.failures() {
        say(format_args!("error: {failure}"));
    }
}

/// Takes the daemon directory's lock, if there can be one, and what the last run left. That another run has it is told.
pub(super) fn enter(
    config: &Config,
    environment: Environment<'_>,
    wait: Option<Period>,
) -> Result<Entrance, Status> {
    crate::run::enter(config, environment, until(wait)).map_err(|held| {
        say(format_args!("error: {held}"));
        Status::Locked
    })
}

/// Until when another run is waited for.
fn until(wait: Option<Period>) -> Instant {
    Instant::now() + wait.map(Period::get).unwrap_or_default().min(LONGEST_WAIT)
}

/// The log of runs, where the configuration wants one.
pub(super) struct Log {
    directory: Option<PathBuf>,
    program: String,
}

impl Log {
    pub(super) fn of(plan: &Plan) -> Self {
        let directory = plan.log_directory.as_ref().map(|log| plan.config_directory.join(log));
        Self { directory, program: plan.program.clone() }
    }

    /// Appends a run. A log that cannot be written is told.
    pub(super) fn append(&self, report: &Report) {
        if let Some(directory) = &self.directory
            && let Err(error) = crate::report::log::append(directory, &self.program, report)
        {
            say(format_args!("warning: `{}`: {error}", directory.display()));
        }
    }
}
