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

/// A job's further datapoints are refused: 32 bytes each, they are this run's memory.
const MOST_DATAPOINTS: usize = 10_000_000;
/// How long a text of the source may be where it is told, in characters.
const TEXT_CAP: usize = 300;

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
    /// The first [`REFUSALS_KEPT`] errors that the source reported about itself; the job counts as failed.
    pub errors: Vec<String>,
    /// How many it reported.
    pub errors_total: u64,
    /// What the job's next run goes on from, where this one said so.
    pub cursor: Option<serde_json::Value>,
    /// Since when all counters of the job count, in milliseconds since 1970, where it said so.
    pub counting_since_ms: Option<i64>,
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
    most: usize,
    open: Mutex<Option<Collected>>,
}

impl Sink {
    /// A sink for a job whose datapoints have `target`, `labels` and `now_ms` where they bring none.
    pub fn new(target: String, labels: Vec<Label<'static>>, now_ms: i64) -> Self {
        let open = Mutex::new(Some(Collected::default()));
        Self { inner: Arc::new(Inner { target, labels, now_ms, most: MOST_DATAPOINTS, open }) }
    }

    /// Keeps a datapoint. One that does not fit any more is refused and counted.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn push(&self, datapoint: &Datapoint<'_>) -> Result<(), Sealed> {
        let Inner { target, labels, now_ms, most, .. } = &*self.inner;
        let mut open = self.lock();
        let collected = open.as_mut().ok_or(Sealed)?;
        if collected.batch.len() >= *most {
            let reason = format_args!("a job may have {most} datapoints");
            collected.refuse(datapoint.key.as_str(), reason);
            return Ok(());
        }
        if let Err(full @ Full) = collected.batch.push(datapoint, target, labels, *now_ms) {
            collected.refuse(datapoint.key.as_str(), full);
        }
        Ok(())
    }

    /// Counts and names a datapoint that could not be made.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn refuse(&self, what: &str, reason: impl ToString) -> Result<(), Sealed> {
        self.lock().as_mut().ok_or(Sealed)?.refuse(what, reason);
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
            collected.log(Level::Warn, &line);
        }
        Ok(())
    }

    /// Adds a line to the job's log.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn log(&self, level: Level, line: impl Into<String>) -> Result<(), Sealed> {
        self.lock().as_mut().ok_or(Sealed)?.log(level, &line.into());
        Ok(())
    }

    /// Notes an error that the source reports about itself: the job fails, what it pushed is kept.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn error(&self, message: impl Into<String>) -> Result<(), Sealed> {
        let mut open = self.lock();
        let collected = open.as_mut().ok_or(Sealed)?;
        collected.errors_total += 1;
        if collected.errors.len() < REFUSALS_KEPT {
            collected.errors.push(clean(&message.into(), TEXT_CAP));
        }
        Ok(())
    }

    /// Leaves something for the job's next run, in place of what was left before: how far it has read, or what it
    /// compares with. It is saved only where everything that was pushed before it is safe.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn leave(&self, cursor: serde_json::Value) -> Result<(), Sealed> {
        self.lock().as_mut().ok_or(Sealed)?.cursor = Some(cursor);
        Ok(())
    }

    /// Says since when all counters of the job count, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`Sealed`] when the job's time is over.
    pub fn counting_since(&self, at_ms: i64) -> Result<(), Sealed> {
        self.lock().as_mut().ok_or(Sealed)?.counting_since_ms = Some(at_ms);
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
    /// What is wrong with what was collected, if anything: an error that the source reported, or how much was
    /// refused and why.
    pub fn first_problem(&self) -> Option<String> {
        if let Some(error) = self.errors.first() {
            return Some(error.clone());
        }
        let first = self.refusals.first()?;
        let (count, kept) = (self.refused, self.batch.len());
        Some(format!("{kept} datapoints, {count} refused (`{}`: {})", first.what, first.reason))
    }

    fn refuse(&mut self, what: &str, reason: impl ToString) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS_KEPT {
            let reason = clean(&reason.to_string(), TEXT_CAP);
            self.refusals.push(Refusal { what: clean(what, TEXT_CAP), reason });
        }
    }

    fn log(&mut self, level: Level, line: &str) {
        if self.log.len() == LOG_LINES_KEPT {
            self.log.remove(0);
        }
        self.log.push((level, clean(line, TEXT_CAP)));
    }
}

/// A text of the source as it may be shown: at most `cap` characters and a mark, and nothing in it that a terminal would obey.
pub fn clean(text: &str, cap: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(cap));
    for (place, char) in text.chars().enumerate() {
        if place == cap {
            shown.push('…');
            break;
        }
        if char.is_control() {
            shown.push_str(&format!("\\x{:02x}", u32::from(char)));
        } else {
            shown.push(char);
        }
    }
    shown
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

    #[test]
    fn what_the_source_says_is_shortened_and_cannot_steer_a_terminal() -> Result<(), Sealed> {
        let sink = Sink::new("h".into(), vec![], 7);
        for _ in 0..=REFUSALS_KEPT {
            sink.error("red: \x1b[31m")?;
        }
        sink.refuse(&"é".repeat(1000), "\r")?;
        sink.log(Level::Info, "a\u{9b}b")?;
        let collected = sink.seal().expect("first seal");
        assert_eq!(collected.errors[0], r"red: \x1b[31m");
        assert_eq!(collected.errors_total, REFUSALS_KEPT as u64 + 1);
        assert_eq!(collected.refusals[0].what, format!("{}…", "é".repeat(TEXT_CAP)));
        assert_eq!(collected.refusals[0].reason, r"\x0d");
        assert_eq!(collected.log[0].1, r"a\x9bb");
        Ok(())
    }

    #[test]
    fn a_job_that_has_too_many_datapoints_is_refused_the_rest() -> Result<(), Sealed> {
        let open = Mutex::new(Some(Collected::default()));
        let inner = Inner { target: "h".into(), labels: vec![], now_ms: 7, most: 2, open };
        let sink = Sink { inner: Arc::new(inner) };
        let point = Datapoint::new("k", Value::Int(1), DataType::Int).expect("a good datapoint");
        (0..5).try_for_each(|_| sink.push(&point))?;
        let collected = sink.seal().expect("first seal");
        assert_eq!((collected.batch.len(), collected.refused), (2, 3));
        Ok(())
    }
}
