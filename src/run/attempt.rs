//! Jobs and outputs tried, and nothing delivered: `collector check --connect`.

use std::sync::Arc;
use std::time::Duration;

use collectors::sink::Level;
use collectors::{Collector, Context, Sink};

use super::outcome::{noted, verdict};
use super::prepare::prepare_output;
use super::{Entrance, Keep, collect};
use crate::config::Environment;
use crate::outputs::{Output, Surroundings};
use crate::plan::Plan;
use crate::report::JobResult;
use crate::runner::{self, Outcome, Stop, Task};
use crate::store::Place;

/// What came of trying a job or an output.
pub struct Attempt {
    /// `job `id`` or `output `id``.
    pub what: String,
    /// What it said, or why it failed.
    pub result: Result<String, String>,
}

/// Tries every job (whose collectors are expected to log what they found) and every output; delivers nothing.
pub fn attempt(plan: Plan, entrance: &Entrance, environment: Environment<'_>) -> Vec<Attempt> {
    let stop = Stop::default();
    let collected = collect(plan, entrance, environment, &stop, &mut |_| {}, Keep::Nothing);
    let checks = collected.outputs.iter().map(|output| Task {
        id: output.id.as_str().into(),
        collector: Arc::new(Check {
            output: Arc::clone(&output.output),
            surroundings: Arc::clone(&collected.surroundings),
        }),
        sink: Sink::new(String::new(), Vec::new(), 0),
        timeout: CHECK_TIMEOUT,
        prepare: prepare_output(output, environment, &collected.surroundings),
        cursor: None,
    });
    let checked = runner::run(checks.collect(), collected.limits.clone(), &mut |_| {});
    let outputs = collected.outputs.iter().zip(checked);
    let outputs = outputs.map(|(output, outcome)| Attempt::of_outcome(&output.id, outcome));
    let jobs = collected
        .jobs
        .into_iter()
        .map(|job| Attempt::of(format!("job `{}`", job.job), job.result, job.note, job.log.last()));
    jobs.chain(outputs).collect()
}

/// What came of reading the state from a bucket, where it is kept in one.
pub fn attempt_store(entrance: &Entrance) -> Option<Attempt> {
    let place = entrance.place.as_ref().filter(|place| matches!(place, Place::Bucket(..)))?;
    let result = match &entrance.found.warning {
        Some(warning) => Err(warning.clone()),
        None => Ok("its state can be read".to_owned()),
    };
    Some(Attempt { what: format!("{} `{place}`", place.noun()), result })
}

impl Attempt {
    fn of_outcome(output: &str, outcome: Outcome) -> Self {
        let Outcome { ending, collected, .. } = outcome;
        let (result, parts) = verdict(ending, &collected);
        let said = collected.log.last().map(|(_, line)| line);
        Self::of(format!("output `{output}`"), result, noted(&parts), said)
    }

    fn of(what: String, result: JobResult, note: Option<String>, said: Option<&String>) -> Self {
        let result = match (result.is_success(), note) {
            (true, Some(note)) => Ok(note),
            (true, None) => Ok(said.cloned().unwrap_or_default()),
            (false, note) => Err(note.unwrap_or_default()),
        };
        Self { what, result }
    }
}

/// How long it may take to try an output.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// An output that is tried as a job is, so that it is fenced as one.
struct Check {
    output: Arc<dyn Output>,
    surroundings: Arc<Surroundings>,
}

impl Collector for Check {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), collectors::Error> {
        match self.output.check(&self.surroundings, context.deadline) {
            Ok(said) => sink.log(Level::Info, said)?,
            Err(reason) => sink.error(reason)?,
        }
        Ok(())
    }
}
