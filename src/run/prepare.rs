//! How secrets are resolved: in the thread of what needs them, and within its time.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Instant;

use collectors::Collector;
use collectors::secret::Secret;

use crate::config::Environment;
use crate::outputs::Surroundings;
use crate::plan::{Plan, PlannedOutput};
use crate::report::chain;
use crate::runner::Prepare;
use crate::secrets;

/// How a job's secrets are resolved within its own time: what a file is on may hang.
pub(super) fn prepare_job(
    collector: &Arc<dyn Collector>,
    environment: Environment<'_>,
    surroundings: &Arc<Surroundings>,
) -> Option<Prepare> {
    let variables = needed(&collector.secrets(), environment)?;
    let (collector, surroundings) = (Arc::clone(collector), Arc::clone(surroundings));
    Some(Arc::new(move |deadline| {
        resolve(&collector.secrets(), &variables, &surroundings, deadline)
    }))
}

/// Begins to fetch what the secrets of all jobs and outputs need from afar, so that it is asked for together.
pub(super) fn announce(plan: &Plan) {
    let jobs = plan.jobs.iter().flat_map(|job| job.collector.secrets());
    let outputs = plan.outputs.iter().flat_map(|output| output.output.secrets());
    secrets::announce(jobs.chain(outputs), plan.secrets_ttl);
}

/// As [`prepare_job`], for an output.
pub(super) fn prepare_output(
    output: &PlannedOutput,
    environment: Environment<'_>,
    surroundings: &Arc<Surroundings>,
) -> Option<Prepare> {
    let output = Arc::clone(&output.output);
    let variables = needed(&output.secrets(), environment)?;
    let surroundings = Arc::clone(surroundings);
    Some(Arc::new(move |deadline| resolve(&output.secrets(), &variables, &surroundings, deadline)))
}

/// The variables that secrets need; `None` when all of them stand in the configuration.
fn needed(secrets: &[&Secret], environment: Environment<'_>) -> Option<HashMap<String, OsString>> {
    let is_needed = secrets.iter().any(|secret| secret.reference().is_some());
    is_needed.then(|| secrets::variables(secrets, environment))
}

fn resolve(
    secrets: &[&Secret],
    variables: &HashMap<String, OsString>,
    surroundings: &Surroundings,
    deadline: Instant,
) -> Result<(), String> {
    let environment = |name: &str| variables.get(name).cloned();
    secrets::resolve(secrets, &environment, &surroundings.config_directory, deadline)
        .map_err(|error| chain(&error))
}
