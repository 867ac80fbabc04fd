//! What one run has to say: the datapoints of every job, and who says it.

use std::sync::Arc;
use std::time::Duration;

use collectors::batch::{Batch, Point};
use collectors::datapoint::Value;

/// Who collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// 64 hex digits, made once per machine and program.
    pub id: String,
    /// The agent's program name.
    pub program: String,
    /// The host's name, fully qualified where it is known.
    pub hostname: String,
}

/// One run's datapoints, in the order of the configuration's jobs.
#[derive(Debug)]
pub struct Payload {
    /// Who collected.
    pub agent: Agent,
    /// The run's clock, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// How often runs are meant to happen.
    pub polling_interval: Duration,
    /// What each job brought.
    pub batches: Vec<JobBatch>,
}

/// What one job brought.
#[derive(Debug, Clone)]
pub struct JobBatch {
    /// The job's id.
    pub job: Arc<str>,
    /// Its datapoints.
    pub batch: Arc<Batch>,
    /// When each counter among the datapoints began to count, by its place; empty where nobody asked.
    pub starts: Arc<[Option<i64>]>,
    /// Why the job failed, with nothing secret in it; `None` when it did not, or when that is not to be told yet.
    pub failure: Option<Arc<str>>,
}

/// How many refusals are named; the others are only counted.
pub const REFUSALS_NAMED: usize = 20;
/// As many datapoints that were left out are named.
const SUPERSEDED_NAMED: usize = 3;

/// What an output's encoder made of a payload. Every datapoint is in exactly one of the four counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Datapoints in the body.
    pub datapoints: u64,
    /// Datapoints left out because they say the same again: series, moment and value.
    pub duplicates: u64,
    /// Datapoints left out because their series had another value before: they are lost for this output. Mostly a
    /// label is missing that would tell two series apart.
    pub superseded: u64,
    /// The jobs and keys of the first few of those, as far as the output tells.
    pub superseded_named: Vec<String>,
    /// Datapoints that the output must not be sent.
    pub refused: u64,
    /// Labels that the output must not be sent; their datapoints went without them.
    pub labels_dropped: u64,
    /// The first [`REFUSALS_NAMED`] refusals.
    pub refusals: Vec<Refused>,
}

/// A datapoint that an output must not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The job that brought it.
    pub job: Arc<str>,
    /// Its key.
    pub key: String,
    /// Why.
    pub reason: String,
}

impl Encoded {
    /// Counts a datapoint whose series and moment another one had before, and names it where it says something else.
    pub fn leave_out(&mut self, job: &Arc<str>, key: &str, is_same: bool) {
        if is_same {
            self.duplicates += 1;
            return;
        }
        self.superseded += 1;
        let name = || format!("job `{job}`, key `{key}`");
        if self.superseded_named.len() < SUPERSEDED_NAMED
            && !self.superseded_named.contains(&name())
        {
            self.superseded_named.push(name());
        }
    }

    /// Counts a refusal, and names it while there is room.
    pub fn refuse(&mut self, job: &Arc<str>, key: &str, reason: impl Into<String>) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS_NAMED {
            self.refusals.push(Refused {
                job: Arc::clone(job),
                key: key.to_owned(),
                reason: reason.into(),
            });
        }
    }
}

impl Payload {
    /// How many datapoints there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(|job| job.batch.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same run with the batches whose place `wanted` names, for an output that not every job feeds.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let chosen = self.batches.iter().enumerate().filter(|(place, _)| wanted(*place));
        let chosen = chosen.map(|(_, job)| job);
        Self {
            agent: self.agent.clone(),
            timestamp_ms: self.timestamp_ms,
            polling_interval: self.polling_interval,
            batches: chosen.cloned().collect(),
        }
    }

    /// Every datapoint, in order.
    pub fn datapoints(&self) -> impl Iterator<Item = View<'_>> {
        self.batches.iter().flat_map(JobBatch::datapoints)
    }

    /// The datapoint at that place among all of them.
    pub fn datapoint(&self, mut place: usize) -> Option<View<'_>> {
        for job in &self.batches {
            match job.batch.points().get(place) {
                Some(point) => return Some(View { job: &job.job, batch: &job.batch, point }),
                None => place -= job.batch.len(),
            }
        }
        None
    }
}

impl JobBatch {
    /// Datapoints of a job that went well.
    pub fn new(job: Arc<str>, batch: Arc<Batch>) -> Self {
        Self { job, batch, starts: Arc::default(), failure: None }
    }

    /// Its datapoints, in order.
    pub fn datapoints(&self) -> impl Iterator<Item = View<'_>> {
        let Self { job, batch, .. } = self;
        batch.points().iter().map(move |point| View { job, batch, point })
    }

    /// When the counter at that place began to count, in milliseconds since 1970; `None` when that is not known.
    pub fn start_ms(&self, place: usize) -> Option<i64> {
        self.starts.get(place).copied().flatten()
    }
}

/// A datapoint with its text at hand.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The job that brought it.
    pub job: &'a Arc<str>,
    batch: &'a Batch,
    /// The datapoint as stored.
    pub point: &'a Point,
}

impl<'a> View<'a> {
    /// What was measured.
    pub fn key(&self) -> &'a str {
        self.batch.text(self.point.key)
    }

    /// What was polled.
    pub fn target(&self) -> &'a str {
        self.batch.text(self.point.target)
    }

    /// The measurement.
    pub fn value(&self) -> Value<'a> {
        self.batch.value(self.point)
    }

    /// The unit, where the collector gave one.
    pub fn unit(&self) -> Option<&'a str> {
        self.batch.unit(self.point.attributes)
    }

    /// Labels of that kind as name and value, in order.
    pub fn labels(
        &self,
        kind: collectors::datapoint::LabelKind,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let batch = self.batch;
        let labels = batch.labels(self.point.attributes).iter();
        labels
            .filter(move |label| label.kind == kind)
            .map(move |label| (batch.text(label.name), batch.text(label.value)))
    }
}
