//! Where a collector pushes what it finds; what was pushed stays, whatever happens to the collector.
//!
//! The runner holds the other end. When a job is late its sink is sealed: what had been pushed is taken,
//! what comes after is turned away.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::{Batch, Full};
use crate::datapoint::{Datapoint, Label};

/// How many refusals are kept in full; the others are only counted.
pub const REFUSALS_KEPT: usize = 20;
/// How many lines of a job's log are kept; a longer log loses its oldest lines.
pub const LOG_LINES_KEPT: usize = 200;

/// A datapoint, or a part of one, that could not be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The key, label or place that was refused, as it was given.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// How grave a line of a job's log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something went wrong.
    Error,
    /// Something is odd.
    Warn,
    /// Worth knowing.
    Info,
    /// For whoever looks for a fault.
    Debug,
}

/// What a job had pushed when its sink was sealed.
#[derive(Debug, Default)]
pub struct Collected {
    /// The datapoints.
    pub batch: Batch,
    /// The first [`REFUSALS_KEPT`] refused datapoints.
    pub refusals: Vec<Refusal>,
    /// How many datapoints were refused.
    pub refused: u64,
    /// Labels that were left off their datapoints, which were kept.
    pub labels_dropped: u64,
    /// The job's own log.
    pub log: Vec<(Level, String)>,
    /// Errors that the source reported about itself; the job counts as failed.
    pub errors: Vec<String>,
}

/// The sink was sealed: the job is late, or the run is over. Stop collecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job's time is over")]
pub struct Sealed;

/// A job's way to hand over datapoints.
#[derive(Debug, Clone)]
pub struct Sink {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    target: String,
    labels: Vec<Label<'static>>,
    now_ms: i64,
    open: Mutex<Option<Collected>>,
}

impl Sink {
    /// A sink for a job whose datapoints have `target`, `labels` and `now_ms` where they bring none.
    pub fn new(target: String, labels: Vec<Label<'static>>, now_ms: i64) -> Self {
        let open = Mutex::new(Some(Collected::default()));
        Self { inner: Arc::new(Inner { target, labels, now_ms, open }) }
    }

    /// Keeps a datapoint. One that does not fit any more is refused and counted.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn push(&self, datapoint: &Datapoint<'_>) -> Result<(), Sealed> {
        let Inner { target, labels, now_ms, .. } = &*self.inner;
        let mut open = self.lock();
        let collected = open.as_mut().ok_or(Sealed)?;
        if let Err(full @ Full) = collected.batch.push(datapoint, target, labels, *now_ms) {
            collected.refuse(datapoint.key.as_str(), full.to_string());
        }
        Ok(())
    }

    /// Counts and names a datapoint that could not be made.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn refuse(&self, what: &str, reason: impl ToString) -> Result<(), Sealed> {
        self.lock().as_mut().ok_or(Sealed)?.refuse(what, reason.to_string());
        Ok(())
    }

    /// Counts a label that was left off its datapoint.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn drop_label(&self, name: &str, reason: impl ToString) -> Result<(), Sealed> {
        let mut open = self.lock();
        let collected = open.as_mut().ok_or(Sealed)?;
        collected.labels_dropped += 1;
        if collected.labels_dropped == 1 {
            let line = format!("label `{name}` left off: {}", reason.to_string());
            collected.log(Level::Warn, line);
        }
        Ok(())
    }

    /// Adds a line to the job's log.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn log(&self, level: Level, line: impl Into<String>) -> Result<(), Sealed> {
        self.lock().as_mut().ok_or(Sealed)?.log(level, line.into());
        Ok(())
    }

    /// Notes an error that the source reports about itself: the job fails, what it pushed is kept.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn error(&self, message: impl Into<String>) -> Result<(), Sealed> {
        let mut open = self.lock();
        let collected = open.as_mut().ok_or(Sealed)?;
        if collected.errors.len() < REFUSALS_KEPT {
            collected.errors.push(message.into());
        }
        Ok(())
    }

    /// Whether the job's time is over.
    pub fn is_sealed(&self) -> bool {
        self.lock().is_none()
    }

    /// Ends the job's time and takes what it had pushed; `None` when that had been done before.
    pub fn seal(&self) -> Option<Collected> {
        self.lock().take()
    }

    /// How many datapoints there are so far.
    pub fn len(&self) -> usize {
        self.lock().as_ref().map_or(0, |collected| collected.batch.len())
    }

    /// Whether nothing was pushed so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Option<Collected>> {
        // A panic inside `push` leaves the batch without the last datapoint, never with half of one.
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collected {
    fn refuse(&mut self, what: &str, reason: String) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS_KEPT {
            self.refusals.push(Refusal { what: what.to_owned(), reason });
        }
    }

    fn log(&mut self, level: Level, line: String) {
        if self.log.len() == LOG_LINES_KEPT {
            self.log.remove(0);
        }
        self.log.push((level, line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapoint::{DataType, Value};

    #[test]
    fn what_was_pushed_before_the_seal_is_kept_and_what_comes_after_is_turned_away() {
        let sink = Sink::new("h".into(), vec![], 7);
        let point = Datapoint::new("k", Value::Int(1), DataType::Int).expect("a good datapoint");
        sink.push(&point).expect("open");
        let collected = sink.seal().expect("first seal");
        assert_eq!(collected.batch.len(), 1);
        assert_eq!(sink.push(&point), Err(Sealed));
        assert!(sink.seal().is_none());
    }
}
