//! Everything before a run can begin: what was asked for, the lock, the delay, the plan.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use collectors::period::Period;

use super::super::args::{Common, Run};
use super::super::{load, planned, say, shard, signals, tell_all};
use crate::config::{Config, Environment, Origin};
use crate::heartbeat::{self, Heartbeat};
use crate::host::wall_clock_ms;
use crate::plan::{self, Plan, Request};
use crate::report::{Status, table};
use crate::run::{Entrance, Entry};
use crate::runner::Stop;
use crate::schedule::Turn;
use crate::shard::Shard;
use crate::state::State;
use crate::store::lock::NotLocked;

/// The longest that a run waits for another.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// A run that can begin.
pub(super) struct Begun {
    pub(super) plan: Plan,
    /// The lock, and what the last run left.
    pub(super) entrance: Entrance,
    pub(super) stop: Stop,
    /// Who is told that the run begins, where somebody is.
    pub(super) heartbeat: Option<Heartbeat>,
}

/// Prepares a run.
///
/// # Errors
/// The exit status where there is no run, for which everything has been said.
pub(super) fn begin(
    options: &Run,
    common: &Common,
    environment: Environment<'_>,
) -> Result<Begun, Status> {
    let started = Instant::now();
    let shard = shard(&options.part, environment)?;
    let config = load(common, environment).ok_or(Status::Usage)?;
    log::debug!("configuration read in {}", table::short(started.elapsed()));
    if let Err(errors) = plan::check_names(&config, &options.only) {
        tell_all(&errors);
        return Err(Status::Usage);
    }
    let stop = Stop::default();
    if let Err(error) = signals::stop_in_order(&stop) {
        say(format_args!("warning: a signal will end the run at once: {error}"));
    }
    let is_by_the_clock = !options.once && !options.dry_run && options.at.is_none();
    if is_by_the_clock {
        wait_for_our_moment(options, &config, shard, environment, &stop);
    }
    let entrance = if options.dry_run {
        crate::run::look(&config, environment, &Entry::of_shard(shard))
    } else {
        let entry = Entry { wait_until: Some(until(options.wait)), ..Entry::of_shard(shard) };
        crate::run::enter(&config, environment, &entry).map_err(|held| {
            let found = crate::run::look(&config, environment, &Entry::of_shard(shard)).found;
            let due = due(options, &config, shard, &found.state);
            turned_away(options, &due, &held)
        })?
    };
    // The run's time and clock begin when it can.
    let has_waited = options.wait.is_some() || is_by_the_clock;
    let started = if has_waited { Instant::now() } else { started };
    let now_ms = options.at.unwrap_or_else(wall_clock_ms);
    let only = options.only.clone();
    let request = Request { only, shard, once: options.once, ..Request::for_all(now_ms, started) };
    let heartbeat = heartbeat::wanted(&config, &options.only, shard).filter(|_| !options.dry_run);
    let mut plan = planned(config, request, &entrance.found.state).ok_or(Status::Usage)?;
    if plan.jobs.is_empty()
        && let Some(next_ms) = plan.next_ms
    {
        let is_asked_for = options.report.is_some() || options.dry_run;
        if !is_asked_for && !entrance.is_anything_waiting(&plan.outputs) {
            tell_when_asked(options, common, next_ms);
            // It may be the other's run that was just now.
            if let Some(foreign) = entrance.found.foreign.as_ref().filter(|_| !common.quiet) {
                say(format_args!("warning: {foreign}"));
            }
            return Err(Status::Success);
        }
        // A run without jobs: what waits is sent, and the run has nothing to say about itself.
        plan.run_metrics = false;
    }
    if options.report.is_some() {
        let is_demonstration =
            Origin::choose(common.config.as_deref(), environment) == Origin::Demonstration;
        leave_standard_output(&mut plan, is_demonstration)?;
    }
    if let Some(lock) = &entrance.lock {
        lock.tell_jobs(plan.jobs.iter().map(|job| &*job.id));
    }
    let heartbeat =
        heartbeat.map(|section| Heartbeat::start(&section, &plan.config_directory, environment));
    Ok(Begun { plan, entrance, stop, heartbeat })
}

/// Sleeps for this agent's share of `agent.splay`, where there is something to do. Before the lock is taken: others
/// may run meanwhile.
fn wait_for_our_moment(
    options: &Run,
    config: &Config,
    shard: Option<Shard>,
    environment: Environment<'_>,
    stop: &Stop,
) {
    let splay = crate::run::splay(config, environment);
    if splay.is_zero() {
        return;
    }
    let found = crate::run::look(config, environment, &Entry::of_shard(shard)).found;
    if !due(options, config, shard, &found.state).is_empty() {
        log::info!("waits for {}, its share of `agent.splay`", table::short(splay));
        stop.sleep(splay);
    }
}

/// That nothing is due is no news for cron, but for a person.
fn tell_when_asked(options: &Run, common: &Common, next_ms: i64) {
    let is_watched = io::stderr().is_terminal() && !common.quiet;
    if is_watched || common.verbose > 0 || !options.only.is_empty() {
        let next = table::moment(next_ms);
        say(format_args!("nothing is due before {next}; `--once` runs every job now"));
    }
}

/// Standard output holds the report, and nothing else.
fn leave_standard_output(plan: &mut Plan, is_demonstration: bool) -> Result<(), Status> {
    let printing = plan.outputs.iter().find(|output| output.kind == "stdout");
    if let Some(output) = printing.filter(|_| !is_demonstration) {
        say(format_args!(
            "error: `--report` and the output `{}` both want standard output",
            output.id
        ));
        return Err(Status::Usage);
    }
    plan.outputs.retain(|output| output.kind != "stdout");
    Ok(())
}

/// Another run has the lock: that matters where there was something to do that it does not do.
fn turned_away(options: &Run, due: &[&str], held: &NotLocked) -> Status {
    let is_at_work = |job: &&str| match held {
        NotLocked::Held { jobs, .. } => jobs.iter().any(|running| running == job),
        NotLocked::Taken { .. } | NotLocked::Impossible(_) => false,
    };
    if !options.once && due.iter().all(is_at_work) {
        return Status::Success;
    }
    say(format_args!("error: {held}"));
    say(format_args!("hint: `--wait 30s` waits for it"));
    Status::Locked
}

/// The jobs whose turn it is, of those that were asked for.
fn due<'a>(options: &Run, config: &'a Config, shard: Option<Shard>, state: &State) -> Vec<&'a str> {
    let now_ms = options.at.unwrap_or_else(wall_clock_ms);
    let is_asked_for = |id: &str| options.only.is_empty() || options.only.iter().any(|o| o == id);
    let jobs = plan::schedule(config, state, now_ms).into_iter();
    jobs.zip(plan::in_shard(config, shard))
        .filter(|(job, is_in_shard)| *is_in_shard && is_asked_for(job.id))
        .filter(|(job, _)| matches!(job.turn, Turn::Due { .. }))
        .map(|(job, _)| job.id)
        .collect()
}

/// Takes the lock, if there can be one, and what the last run left. That another run has it is told.
pub(in crate::cli) fn enter(
    config: &Config,
    environment: Environment<'_>,
    wait: Option<Period>,
    shard: Option<Shard>,
) -> Result<Entrance, Status> {
    let entry = Entry { wait_until: Some(until(wait)), ..Entry::of_shard(shard) };
    crate::run::enter(config, environment, &entry).map_err(|held| {
        say(format_args!("error: {held}"));
        Status::Locked
    })
}

/// Until when another run is waited for.
fn until(wait: Option<Period>) -> Instant {
    Instant::now() + wait.map(Period::get).unwrap_or_default().min(LONGEST_WAIT)
}
