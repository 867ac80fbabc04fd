//! Jobs that failed, told at a flow each.
//!
//! Not in the body: that may wait for days, and this is about now.

use serde_json::json;

use super::super::template::Template;
use super::boards::{Api, Error};
use crate::payload::Payload;
use crate::report::chain;

/// Tells every job that failed. Gives back what could not be told, and why.
pub(super) fn tell(api: &Api<'_>, tag: &Template, payload: &Payload) -> Vec<String> {
    let mut untold = Vec::new();
    let failed = |batch: &&crate::payload::JobBatch| batch.failure.is_some();
    let mut rest = payload.batches.iter().filter(failed);
    while let Some(batch) = rest.next() {
        let failure = batch.failure.as_deref().unwrap_or_default();
        let tag = tag.of_job(&batch.job, &payload.agent.hostname);
        // The first line says what; the rest is what the source said.
        let error = failure.lines().next().unwrap_or_default();
        let told = api.tell_error(&tag, &json!({"error": error, "output": failure}));
        let Err(error) = told else { continue };
        let (job, why) = (&batch.job, chain(&error));
        untold.push(format!("that job `{job}` failed is not told: {why}"));
        if matches!(error, Error::Http(_)) || error.after().is_some() {
            // Nobody is there any more, or wants to be asked: the others need not wait for that.
            untold.extend(
                rest.by_ref()
                    .map(|batch| format!("that job `{}` failed is not told: as above", batch.job)),
            );
        }
    }
    untold
}
