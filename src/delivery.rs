//! The spool first, oldest first, then this run; receipts → accepted, kept, quarantined.
//!
//! Every output that has something to do has a thread of its own, so that one that is down does not hold up the others. A body is durable
//! on disk before its first byte is sent, and is removed only when the output has accepted it. Once every output
//! has this run's body, what the jobs go on from may be saved, and not before.

mod backlog;
mod one;
mod sift;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use one::Delivery;

use crate::outputs::{Output, Surroundings};
use crate::payload::Payload;
use crate::report::OutputReport;
use crate::runner::{self, Prepare};
use crate::store::Spool;
use crate::store::spool::Listing;

/// How long past the deadline an output's thread is waited for: its own timeouts end it before.
pub(crate) const GRACE: Duration = Duration::from_millis(500);
/// What is said of an output of which nothing else is known.
const NO_ANSWER: &str = "the output did not answer before the run's deadline";

/// What one output is to be sent.
pub struct Consignment {
    /// The output's id.
    pub id: String,
    /// The output's kind.
    pub kind: &'static str,
    /// The output.
    pub output: Arc<dyn Output>,
    /// What the jobs that feed it have brought.
    pub payload: Payload,
    /// Where its bodies wait; `None` when nothing can be kept.
    pub spool: Option<Spool>,
    /// What waits there, or where it can only be read.
    pub waiting: Listing,
    /// A reason why no body can be made either, so that this run's datapoints are lost to it.
    pub unencodable: Option<String>,
    /// Whether the output is left alone for as long as it has asked for.
    pub heeds_pauses: bool,
    /// What must be done before anything can be sent; an error keeps all where it is.
    pub prepare: Option<Prepare>,
}

impl Consignment {
    /// Whether there is nothing to send, to tidy up, or to say: that its secret cannot be had, or that it asked to be left
    /// alone, matters when there is something for it.
    fn is_nothing(&self) -> bool {
        let Listing { entries, leftovers, error } = &self.waiting;
        let is_nothing_waiting = entries.is_empty() && leftovers.is_empty() && error.is_none();
        self.payload.batches.is_empty() && is_nothing_waiting && self.unencodable.is_none()
    }
}

/// What an output's thread tells.
enum Told {
    /// What has become of its bodies so far.
    Report(Box<OutputReport>),
    /// Whether this run's datapoints are safe: durable, accepted, or none.
    Safe(bool),
}

/// Delivers every consignment and reports in their order, at the deadline at the latest.
///
/// `commit` is called once: as soon as it is known of every output whether this run's datapoints for it are safe.
pub fn deliver(
    consignments: Vec<Consignment>,
    run: &str,
    surroundings: &Arc<Surroundings>,
    deadline: Instant,
    commit: impl FnOnce(&[bool]),
) -> Vec<OutputReport> {
    let (sender, receiver) = channel();
    let mut reports: Vec<OutputReport> = Vec::with_capacity(consignments.len());
    let mut safe: Vec<Option<bool>> = Vec::with_capacity(consignments.len());
    for (index, mut consignment) in consignments.into_iter().enumerate() {
        reports.push(Delivery::new(&consignment).unfinished(NO_ANSWER));
        if consignment.is_nothing() {
            safe.push(Some(true));
            continue;
        }
        safe.push(None);
        let sender = sender.clone();
        let (run, surroundings) = (run.to_owned(), Arc::clone(surroundings));
        let waiting = std::mem::take(&mut consignment.waiting);
        let work = move || {
            // Nobody listens any more when the run is over.
            let tell = |told| drop(sender.send((index, told)));
            let mut delivery = Delivery::new(&consignment);
            // Its counts are true at every moment, also where a panic breaks off.
            let done = catch_unwind(AssertUnwindSafe(|| {
                delivery.run(waiting, &run, &surroundings, deadline, &tell);
            }));
            if let Err(panic) = done {
                let what = runner::describe_panic(&*panic);
                delivery.fault(&format!("panicked, which is a bug in collector: {what}"));
            }
            tell(Told::Report(Box::new(delivery.report)));
        };
        if let Err(error) = thread::Builder::new().name("output".into()).spawn(work) {
            reports[index].note = Some(format!("cannot start a thread: {error}"));
            safe[index] = Some(false);
        }
    }
    drop(sender);
    let end = deadline + GRACE;
    let mut commit = Some(commit);
    let mut settle = |safe: &[Option<bool>], is_over: bool| {
        if (is_over || safe.iter().all(Option::is_some))
            && let Some(commit) = commit.take()
        {
            commit(&safe.iter().map(|safe| safe.unwrap_or(false)).collect::<Vec<_>>());
        }
    };
    settle(&safe, false);
    while let Ok((index, told)) =
        receiver.recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        match told {
            Told::Report(report) => reports[index] = *report,
            Told::Safe(is_safe) => {
                safe[index].get_or_insert(is_safe);
                settle(&safe, false);
            }
        }
    }
    settle(&safe, true);
    reports
}
