//! The spool first, oldest first, then this run; receipts → accepted, kept, quarantined.
//!
//! Every output has a thread of its own, so that one that is down does not hold up the others. A body is durable
//! on disk before its first byte is sent, and is removed only when the output has accepted it.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::outputs::{Body, Output, Receipt, Surroundings};
use crate::payload::Payload;
use crate::report::{OutputReport, chain, printable};
use crate::runner::{self, Prepare};
use crate::store::spool::{Entry, Listing, Spool};

/// How long past the deadline an output's thread is waited for: its own timeouts end it before.
const GRACE: Duration = Duration::from_millis(500);
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
    /// A reason why no body can be made either, so that this run's datapoints are lost to it.
    pub unencodable: Option<String>,
    /// What must be done before anything can be sent; an error keeps all where it is.
    pub prepare: Option<Prepare>,
}

/// Delivers every consignment and reports in their order, at the deadline at the latest.
pub fn deliver(
    consignments: Vec<Consignment>,
    run: &str,
    surroundings: &Arc<Surroundings>,
    deadline: Instant,
) -> Vec<OutputReport> {
    let (sender, receiver) = channel();
    let mut reports: Vec<OutputReport> = Vec::with_capacity(consignments.len());
    for (index, consignment) in consignments.into_iter().enumerate() {
        reports.push(Delivery::new(&consignment).unfinished(NO_ANSWER));
        let sender = sender.clone();
        let (run, surroundings) = (run.to_owned(), Arc::clone(surroundings));
        let work = move || {
            // Nobody listens any more when the run is over.
            let tell = |report| drop(sender.send((index, report)));
            let mut delivery = Delivery::new(&consignment);
            // Its counts are true at every moment, also where a panic breaks off.
            let done = catch_unwind(AssertUnwindSafe(|| {
                delivery.run(&run, &surroundings, deadline, &tell);
            }));
            match done {
                Ok(()) => tell(delivery.report),
                Err(panic) => {
                    let what = runner::describe_panic(&*panic);
                    delivery.fault(&format!("panicked, which is a bug in collector: {what}"));
                    tell(delivery.report);
                }
            }
        };
        if let Err(error) = thread::Builder::new().name("output".into()).spawn(work) {
            reports[index].note = Some(format!("cannot start a thread: {error}"));
        }
    }
    drop(sender);
    let end = deadline + GRACE;
    while let Ok((index, report)) =
        receiver.recv_timeout(end.saturating_duration_since(Instant::now()))
    {
        reports[index] = report;
    }
    reports
}

/// Where a body stands in the report until its fate is known: as waiting when it is on disk, as lost otherwise.
struct Delivery<'a> {
    consignment: &'a Consignment,
    report: OutputReport,
}

impl<'a> Delivery<'a> {
    fn new(consignment: &'a Consignment) -> Self {
        let report = OutputReport {
            output: consignment.id.clone(),
            kind: consignment.kind.to_owned(),
            lost: consignment.payload.len() as u64,
            ..OutputReport::default()
        };
        Self { consignment, report }
    }

    /// The report should nothing more be heard.
    fn unfinished(&self, why: &str) -> OutputReport {
        let mut report = self.report.clone();
        // Without a word where there was nothing to do.
        let is_open = report.waiting_bodies > 0 || report.lost > 0 || report.note.is_some();
        report.note = is_open.then(|| printable(why).into_owned());
        report
    }

    fn note(&mut self, text: &str) {
        self.report.note = Some(printable(text).into_owned());
    }

    /// A fault of ours or of the spool's: it never counts as success, and never stops the bodies behind.
    fn fault(&mut self, text: &str) {
        self.report.faults.push(printable(text).into_owned());
    }

    /// Spools, then delivers. Tells what is safe, and after each body what became of it.
    fn run(
        &mut self,
        run: &str,
        surroundings: &Surroundings,
        deadline: Instant,
        tell: &dyn Fn(OutputReport),
    ) {
        let (ours, in_memory) = match &self.consignment.unencodable {
            Some(reason) => {
                self.note(reason);
                (None, None)
            }
            None => self.keep_payload(run),
        };
        let entries = self.waiting(ours);
        tell(self.unfinished(NO_ANSWER));
        let mut is_open = self.is_ready();
        if let Some(spool) = &self.consignment.spool {
            let mut rest = entries.as_slice();
            while is_open && let Some((entry, behind)) = rest.split_first() {
                is_open = self.send_spooled(spool, entry, surroundings, deadline);
                if is_open {
                    rest = behind;
                }
                tell(self.unfinished(NO_ANSWER));
            }
            self.enforce_caps(spool, rest);
        }
        if let Some((body, datapoints)) = in_memory
            && is_open
        {
            self.send_once(&body, datapoints, surroundings, deadline);
        }
    }

    /// Whether anything can be sent to the output now.
    fn is_ready(&mut self) -> bool {
        let Consignment { unencodable, prepare, spool, .. } = self.consignment;
        if let Some(reason) = unencodable {
            self.note(reason);
            return false;
        }
        if let Some(Err(reason)) = prepare.as_ref().map(|prepare| prepare()) {
            self.note(&reason);
            return false;
        }
        if let Some(until) = spool.as_ref().and_then(Spool::paused_until) {
            self.note(&format!("it asked to be left alone until {until:.0}"));
            return false;
        }
        true
    }

    /// Everything that waits, oldest first; `ours` also when it cannot be listed.
    fn waiting(&mut self, ours: Option<Entry>) -> Vec<Entry> {
        let Some(spool) = &self.consignment.spool else { return Vec::new() };
        let Listing { mut entries, error } = spool.list();
        if let Some(error) = error {
            self.fault(&chain(&error));
        }
        if let Some(ours) = ours
            && let Err(place) = entries.binary_search(&ours)
        {
            entries.insert(place, ours);
        }
        self.report.waiting_bodies = entries.len() as u64;
        self.report.waiting = entries.iter().map(|entry| entry.datapoints).sum();
        entries
    }

    /// A body waits no more.
    fn settle(&mut self, entry: &Entry) {
        self.report.waiting_bodies -= 1;
        self.report.waiting -= entry.datapoints;
    }

    /// Encodes this run's payload into the spool; where that cannot be, into memory, to be sent once.
    fn keep_payload(&mut self, run: &str) -> (Option<Entry>, Option<(Body, u64)>) {
        let Consignment { payload, output, spool, .. } = self.consignment;
        if payload.is_empty() {
            return (None, None);
        }
        if let Some(spool) = spool.as_ref().filter(|_| output.can_wait()) {
            let encode = |to: &mut dyn Write| output.encode(payload, to);
            match spool.put(payload.timestamp_ms, run, encode) {
                Ok((entry, encoded)) => {
                    self.report.lost = 0;
                    let is_empty = encoded.datapoints == 0;
                    self.report.count(encoded);
                    if !is_empty {
                        return (Some(entry), None);
                    }
                    if let Err(error) = spool.remove(&entry) {
                        log::warn!("{}", chain(&error));
                    }
                    return (None, None);
                }
                Err(error) => {
                    log::warn!("output `{}`: cannot spool: {}", self.report.output, chain(&error));
                }
            }
        }
        let mut bytes = Vec::new();
        match output.encode(payload, &mut bytes) {
            Ok(encoded) => {
                let datapoints = encoded.datapoints;
                self.report.lost = datapoints;
                self.report.count(encoded);
                (None, (datapoints > 0).then_some((Body::Memory(bytes), datapoints)))
            }
            Err(error) => {
                self.note(&format!("cannot encode: {error}"));
                (None, None)
            }
        }
    }

    /// Sends a body of the spool. Whether the output takes more.
    fn send_spooled(
        &mut self,
        spool: &Spool,
        entry: &Entry,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> bool {
        let body = match spool.body(entry) {
            Ok(body) => body,
            Err(error) => {
                self.set_aside(spool, entry, &chain(&error));
                return true;
            }
        };
        match self.consignment.output.deliver(&body, surroundings, deadline) {
            Receipt::Accepted => {
                self.settle(entry);
                self.report.accepted += entry.datapoints;
                self.report.accepted_bodies += 1;
                if let Err(error) = spool.remove(entry) {
                    self.fault(&format!("{}: it is in, and will be sent again", chain(&error)));
                }
                true
            }
            Receipt::Partly { rejected, reason } => {
                self.set_aside(spool, entry, &reason);
                let accepted = entry.datapoints.saturating_sub(rejected);
                self.report.quarantined -= accepted;
                self.report.accepted += accepted;
                true
            }
            Receipt::Retry { reason, after } | Receipt::Fault { reason, after } => {
                match body.read_error() {
                    Some(error) => {
                        let reason = format!("`{}`: {error}", entry.path().display());
                        self.set_aside(spool, entry, &reason);
                        true
                    }
                    None => {
                        self.note(&reason);
                        if let Some(Err(error)) = after.map(|pause| spool.pause(pause)) {
                            log::warn!("output `{}`: {}", self.report.output, chain(&error));
                        }
                        false
                    }
                }
            }
            Receipt::Rejected { reason } => {
                self.set_aside(spool, entry, &reason);
                true
            }
        }
    }

    /// Moves a body out of the way of the others. One that cannot be moved goes on waiting.
    fn set_aside(&mut self, spool: &Spool, entry: &Entry, reason: &str) {
        let reason = printable(reason);
        match spool.quarantine(entry, &reason) {
            Ok(place) => {
                self.settle(entry);
                self.report.quarantined += entry.datapoints;
                self.note(&format!("{reason}; kept in `{}`", place.display()));
            }
            Err(error) => {
                self.note(&reason);
                self.fault(&chain(&error));
            }
        }
    }

    /// Gives up what is more than the spool may hold, of what the output does not take now.
    fn enforce_caps(&mut self, spool: &Spool, entries: &[Entry]) {
        let beyond = spool.beyond_caps(entries);
        for (entry, why) in &beyond {
            match spool.remove(entry) {
                Ok(()) => {
                    self.settle(entry);
                    self.report.lost += entry.datapoints;
                    let (id, path) = (&self.report.output, entry.path().display());
                    log::warn!("output `{id}`: `{path}` is given up: {why}");
                }
                Err(error) => self.fault(&chain(&error)),
            }
        }
        if let Some((oldest, why)) = beyond.first() {
            let note = self.report.note.take().unwrap_or_default();
            let (count, oldest) = (beyond.len(), oldest.path().display());
            self.note(&format!("{note}; {count} bodies given up, first `{oldest}`: {why}"));
        }
    }

    /// Sends a body that is kept nowhere.
    fn send_once(
        &mut self,
        body: &Body,
        datapoints: u64,
        surroundings: &Surroundings,
        deadline: Instant,
    ) {
        match self.consignment.output.deliver(body, surroundings, deadline) {
            Receipt::Accepted => {
                self.report.lost -= datapoints;
                self.report.accepted += datapoints;
                self.report.accepted_bodies += 1;
            }
            Receipt::Partly { rejected, reason } => {
                let accepted = datapoints.saturating_sub(rejected);
                self.report.lost -= accepted;
                self.report.accepted += accepted;
                self.note(&reason);
            }
            Receipt::Retry { reason, .. }
            | Receipt::Fault { reason, .. }
            | Receipt::Rejected { reason } => self.note(&reason),
        }
    }
}

#[cfg(test)]
mod tests;
