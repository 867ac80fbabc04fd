//! One invocation: event → configuration → plan → run → answer. It blocks.

use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::answer::{self, Beginning};
use super::event::{Asked, clock};
use super::failure::Failure;
use super::ground::Ground;
use crate::config::{Config, Origin};
use crate::delivery;
use crate::heartbeat::{self, Heartbeat};
use crate::host::wall_clock_ms;
use crate::plan::{self, Plan, Request};
use crate::report::log::Log;
use crate::report::{Report, chain};
use crate::run::Entry;
use crate::runner::Stop;
use crate::state::State;

/// What is left of an invocation when its run ends: for outputs that do not end by themselves, and for the answer.
///
/// Measured with a debug build on two busy x86 cores: with an output that hangs the answer arrives 38 to 124 ms after the
/// run's deadline. The rest is for an output that does not heed its own, which is waited for a little longer.
pub(super) const MARGIN: Duration = delivery::GRACE.saturating_add(Duration::from_millis(250));
/// What is left when the last request about what lasts is given up.
const LAST_REQUEST: Duration = Duration::from_millis(200);
/// A run is not begun for less.
const SHORTEST_RUN: Duration = Duration::from_millis(100);

/// One event and what came with it.
pub(super) struct Invocation {
    pub(super) event: Value,
    pub(super) started: Instant,
    /// When Lambda ends it, as far as it says.
    pub(super) deadline: Option<Instant>,
    /// The function's name.
    pub(super) function: String,
    /// The ARN that was invoked.
    pub(super) arn: String,
}

impl Invocation {
    /// Whether there is time for a run.
    pub(super) fn check_time(&self) -> Result<(), Failure> {
        let left = self.deadline.map(|end| end.saturating_duration_since(self.started));
        match left.filter(|left| *left < MARGIN + SHORTEST_RUN) {
            Some(left) => Err(Failure::NoTime(left)),
            None => Ok(()),
        }
    }

    /// Does what the event asks for.
    pub(super) fn run(self) -> Result<Box<RawValue>, Failure> {
        let asked = Asked::of(&self.event)?;
        // Programs that an earlier invocation left behind.
        collectors::end_children(Duration::ZERO);
        let config = configuration(self.ends_by(MARGIN))?;
        let fails_on_job_failure = config.agent.fail_on_job_failure;
        let ground = Ground::new(&config, &|name| std::env::var_os(name), self.identity())?;
        let environment = |name: &str| ground.variable(name);
        let shard = asked.shard;
        let (ends_by, killed_at) = (self.ends_by(MARGIN), self.ends_by(LAST_REQUEST));
        let entry = Entry { ends_by, killed_at, ..Entry::of_shard(shard) };
        let entrance = match asked.is_dry_run {
            true => crate::run::look(&config, &environment, &entry),
            false => crate::run::enter(&config, &environment, &entry).map_err(Failure::Locked)?,
        };
        let is_dry_run = asked.is_dry_run;
        let heartbeat = heartbeat::wanted(&config, &asked.only, shard);
        let (mut plan, warning) = self.plan(config, asked, &entrance.found.state)?;
        ground.check(&plan)?;
        let stop = Stop::default();
        let doubt = ground.doubt(&entrance, &plan.program);
        let finish = |mut report: Report| {
            report.warnings.extend(warning);
            report.warnings.extend(doubt);
            ground.warn(&mut report);
            report.warnings.iter().for_each(|warning| log::warn!("{warning}"));
            report
        };
        if is_dry_run {
            let mut shown = Beginning::default();
            let (report, written) =
                crate::run::rehearse(plan, &entrance, &environment, &stop, &mut |_| {}, &mut shown);
            written.map_err(|error| Failure::Bug(error.to_string()))?;
            return rehearsed(&finish(report), shown);
        }
        let has_jobs = !plan.jobs.is_empty();
        // What waits is sent, and a run without jobs has nothing to say about itself.
        plan.run_metrics &= has_jobs;
        let heartbeat = heartbeat
            .filter(|_| has_jobs || entrance.is_anything_waiting(&plan.outputs))
            .map(|section| Heartbeat::start(&section, &plan.config_directory, &environment));
        let log = Log::of(&plan);
        let mut report = crate::run::run(plan, &entrance, &environment, &stop, &mut |_| {});
        drop(entrance);
        if let Some(heartbeat) = heartbeat {
            report.warnings.extend(heartbeat.end(&report, self.ends_by(LAST_REQUEST)));
        }
        let report = finish(report);
        if let Err(error) = log.append(&report) {
            log::warn!("{}", chain(&error));
        }
        match Failure::of(&report, fails_on_job_failure) {
            Some(failure) => Err(failure),
            None => {
                report.failures().iter().for_each(|failure| log::error!("{failure}"));
                answer::of(report)
            }
        }
    }

    /// What this run will do, and what is odd about its clock.
    fn plan(
        &self,
        config: Config,
        asked: Asked,
        state: &State,
    ) -> Result<(Plan, Option<String>), Failure> {
        let interval = config.polling.interval().get();
        let starts = plan::last_starts(&config, &asked.only, asked.shard, state);
        let (now_ms, warning) = clock(asked.time_ms, wall_clock_ms(), interval, &starts);
        let ends_by = self.ends_by(MARGIN);
        let Asked { only, is_once: once, shard, .. } = asked;
        let request = Request { now_ms, started: self.started, only, once, shard, ends_by };
        let plan = Plan::new(config, request, state).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Failure::Event(errors.join("; "))
        });
        let mut plan = plan?;
        // The machine has a name that says nothing and is another one in each instance.
        plan.hostname.get_or_insert_with(|| self.function.clone());
        Ok((plan, warning))
    }

    /// When what must end so long before the invocation has ended.
    fn ends_by(&self, margin: Duration) -> Option<Instant> {
        self.deadline.map(|end| end.checked_sub(margin).unwrap_or(self.started))
    }

    /// What the function's identity is made from.
    fn identity(&self) -> &str {
        if self.arn.is_empty() { &self.function } else { &self.arn }
    }
}

/// What `COLLECTOR_CONFIG` names. What is in AWS is fetched when what is remembered of it has grown old, and
/// waited for until `ends_by`.
fn configuration(ends_by: Option<Instant>) -> Result<Config, Failure> {
    let origin = Origin::choose(None, &|name| std::env::var_os(name));
    if origin == Origin::Demonstration {
        let message = "there is none; the function's variable COLLECTOR_CONFIG names it: a file of the package, \
             `ssm:/name` or `s3://bucket/key`";
        return Err(Failure::Configuration(message.to_owned()));
    }
    Config::load_by(&origin, ends_by)
        .map_err(|mistakes| Failure::Configuration(mistakes.to_string()))
}

/// The answer to a dry run: the report, and what would have been sent.
fn rehearsed(report: &Report, shown: Beginning) -> Result<Box<RawValue>, Failure> {
    let bug = |error: serde_json::Error| Failure::Bug(error.to_string());
    let mut answer = serde_json::to_value(report).map_err(bug)?;
    answer["shown"] = shown.into_text().into();
    to_raw_value(&answer).map_err(bug)
}
