//! What jobs and outputs say of themselves that others must be held against: ids, who feeds whom, and how often.

use std::collections::HashMap;
use std::sync::Arc;

use collectors::decode::{Problem, Segment, Side};
use collectors::period::Period;
use serde_json::Value;

use super::problems::{Mistake, Source};
use super::{JobEntry, OutputEntry};

/// What a job or output says of itself that others must be held against.
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) is_enabled: bool,
    /// The outputs that a job names.
    pub(super) feeds: Option<Vec<String>>,
    source: Arc<Source>,
    path: Vec<Segment>,
}

impl Claim {
    /// From an entry as written; `None` when it has no id to go by.
    pub(super) fn of(
        tree: &Value,
        default_id: Option<&str>,
        source: &Arc<Source>,
        path: &[Segment],
    ) -> Option<Self> {
        let id = tree.get("id").and_then(Value::as_str).or(default_id)?.to_owned();
        let texts = |list: &Vec<Value>| {
            list.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
        };
        Some(Self {
            id,
            is_enabled: tree.get("enabled").and_then(Value::as_bool).unwrap_or(true),
            feeds: tree.get("outputs").and_then(Value::as_array).map(texts),
            source: Arc::clone(source),
            path: path.to_owned(),
        })
    }

    pub(super) fn mistake(
        &self,
        below: &[Segment],
        message: String,
        hint: Option<String>,
    ) -> Mistake {
        let path = [self.path.as_slice(), below].concat();
        Mistake::new(&self.source, Problem { path, side: Side::Value, message, hint })
    }
}

/// A mistake for each id that another claim, or an implied output, has already.
pub(super) fn taken_twice(
    what: &str,
    claims: &[Claim],
    implied: &[&str],
    found: &mut Vec<Mistake>,
) {
    let mut seen: HashMap<&str, &Claim> = HashMap::new();
    for claim in claims {
        let id = claim.id.as_str();
        let hint = if let Some(first) = seen.get(id) {
            let at = collectors::decode::Path(&first.path);
            format!("{at} in `{}` has it; ids are unique", first.source.path.display())
        } else if implied.contains(&id) {
            "the output that `polling.ip_address` implies has it; ids are unique".to_owned()
        } else {
            seen.insert(id, claim);
            continue;
        };
        let below = [Segment::Key("id".into())];
        found.push(claim.mistake(&below, format!("the {what} id `{id}` is taken"), Some(hint)));
    }
}

/// How often each job runs.
pub(super) struct Rhythms<'a> {
    /// For jobs that do not say.
    pub(super) interval: Period,
    pub(super) jobs: Vec<&'a JobEntry>,
}

impl Rhythms<'_> {
    /// A mistake for each job whose datapoints another job's next run would take out of an output.
    pub(super) fn check(&self, output: &OutputEntry, claims: &[Claim], found: &mut Vec<Mistake>) {
        if !output.enabled || !output.output.is_replaced() {
            return;
        }
        let every = |job: &JobEntry| job.settings.every.unwrap_or(self.interval);
        let feeds = |job: &JobEntry| job.settings.enabled && job.settings.feeds(&output.id);
        let mut jobs = self.jobs.iter().filter(|job| feeds(job));
        let Some(first) = jobs.next() else { return };
        for job in jobs.filter(|job| every(job) != every(first)) {
            let id = &job.settings.id;
            let Some(claim) = claims.iter().find(|claim| claim.id == *id) else { continue };
            let message = format!(
                "`{id}` runs every {} and `{}` every {}, but the output `{}` holds only what the last run brought",
                every(job),
                first.settings.id,
                every(first),
                output.id
            );
            let below = job.settings.every.map(|_| Segment::Key("every".into()));
            let hint = "give them one interval, or an output each (`outputs: [ID]` in the job)";
            found.push(claim.mistake(below.as_slice(), message, Some(hint.to_owned())));
        }
    }
}
