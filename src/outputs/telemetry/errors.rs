//! Jobs that failed, told at a flow each.
//!
//! Not in the body: that may wait for days, and this is about now.

use serde_json::json;

use super::super::template::Template;
use super::boards::Api;
use crate::payload::Payload;
use crate::report::chain;

/// Tells every job that failed. Gives back what could not be told, and why.
pub(super) fn tell(api: &Api<'_>, tag: &Template, payload: &Payload) -> Vec<String> {
    let mut untold = Vec::new();
    for batch in &payload.batches {
        let Some(failure) = &batch.failure else { continue };
        let tag = tag.of_job(&batch.job, &payload.agent.hostname);
        // The first line says what; the rest is what the source said.
        let error = failure.lines().next().unwrap_or_default();
        if let Err(error) = api.tell_error(&tag, &json!({"error": error, "output": &**failure})) {
            let job = &batch.job;
            untold.push(format!("that job `{job}` failed is not told: {}", chain(&error)));
        }
    }
    untold
}
