//! The spool first, oldest first, then this run; receipts → accepted, kept, quarantined.
//!
//! Every output has a thread of its own, so that one that is down does not hold up the others. A body is durable
//! on disk before its first byte is sent, and is removed only when the output has accepted it.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::outputs::{Body, Output, Receipt, Surroundings};
use crate::payload::Payload;
use crate::report::{OutputReport, chain};
use crate::runner::Prepare;
use crate::store::spool::{Entry, Spool};

/// How long past the deadline an output's thread is waited for: its own timeouts end it before.
const GRACE: Duration = Duration::from_millis(500);

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
        reports.push(OutputReport {
            output: consignment.id.clone(),
            kind: consignment.kind.to_owned(),
            // Stands if the thread does not come back before it has made anything durable.
            lost: consignment.payload.len() as u64,
            note: Some("the output did not answer before the run's deadline".to_owned()),
            ..OutputReport::default()
        });
        let sender = sender.clone();
        let (run, surroundings) = (run.to_owned(), Arc::clone(surroundings));
        let work = move || {
            // Nobody listens any more when the run is over.
            let tell = |report| drop(sender.send((index, report)));
            Delivery::new(&consignment).run(&run, &surroundings, deadline, &tell);
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

struct Delivery<'a> {
    consignment: &'a Consignment,
    report: OutputReport,
}

impl<'a> Delivery<'a> {
    fn new(consignment: &'a Consignment) -> Self {
        let report = OutputReport {
            output: consignment.id.clone(),
            kind: consignment.kind.to_owned(),
            ..OutputReport::default()
        };
        Self { consignment, report }
    }

    /// Spools, then delivers. Tells once what is safe, and again what became of it.
    fn run(
        mut self,
        run: &str,
        surroundings: &Surroundings,
        deadline: Instant,
        tell: &dyn Fn(OutputReport),
    ) {
        let in_memory = self.spool_payload(run);
        tell(self.unanswered(in_memory.is_some()));
        let prepared = self.consignment.prepare.as_ref().map_or(Ok(()), |prepare| prepare());
        let mut is_open = prepared.is_ok();
        self.report.note = prepared.err();
        if let Some(spool) = &self.consignment.spool {
            match spool.entries() {
                Ok(entries) => {
                    for entry in &entries {
                        if is_open {
                            is_open = self.send_spooled(spool, entry, surroundings, deadline);
                        }
                        if !is_open {
                            self.report.waiting_bodies += 1;
                            self.report.waiting += entry.datapoints;
                        }
                    }
                }
                Err(error) => self.report.note = Some(chain(&error)),
            }
        }
        if let Some((body, datapoints)) = in_memory {
            self.send_once(&body, datapoints, is_open, surroundings, deadline);
        }
        tell(self.report);
    }

    /// What is to be reported should the output never answer.
    fn unanswered(&self, in_memory: bool) -> OutputReport {
        let mut report = self.report.clone();
        report.note = Some("the output did not answer before the run's deadline".to_owned());
        let entries = self.consignment.spool.as_ref().and_then(|spool| spool.entries().ok());
        for entry in entries.into_iter().flatten() {
            report.waiting_bodies += 1;
            report.waiting += entry.datapoints;
        }
        if in_memory {
            report.lost = self.consignment.payload.len() as u64;
        }
        report
    }

    /// Encodes this run's payload into the spool; where that cannot be, into memory, to be sent once.
    fn spool_payload(&mut self, run: &str) -> Option<(Body, u64)> {
        let Consignment { payload, output, spool, .. } = self.consignment;
        if payload.is_empty() {
            return None;
        }
        if let Some(spool) = spool.as_ref().filter(|_| output.can_wait()) {
            let encode = |to: &mut dyn Write| output.encode(payload, to);
            match spool.put(payload.timestamp_ms, run, encode) {
                Ok((entry, encoded)) => {
                    if encoded.datapoints == 0
                        && let Err(error) = spool.remove(&entry)
                    {
                        log::warn!("{}", chain(&error));
                    }
                    self.report.count(encoded);
                    return None;
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
                self.report.count(encoded);
                (datapoints > 0).then_some((Body::Memory(bytes), datapoints))
            }
            Err(error) => {
                self.report.lost = payload.len() as u64;
                self.report.note = Some(format!("cannot encode: {error}"));
                None
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
                log::warn!("{}", chain(&error));
                return true;
            }
        };
        match self.consignment.output.deliver(&body, surroundings, deadline) {
            Receipt::Accepted => {
                self.report.accepted += entry.datapoints;
                self.report.accepted_bodies += 1;
                if let Err(error) = spool.remove(entry) {
                    // It is in, and will be sent again: that is worth a word, and loses nothing.
                    log::warn!("output `{}`: {}", self.report.output, chain(&error));
                }
                true
            }
            Receipt::Retry { reason, .. } => {
                self.report.note = Some(reason);
                false
            }
            Receipt::Rejected { reason } => {
                match spool.quarantine(entry, &reason) {
                    Ok(place) => {
                        self.report.quarantined += entry.datapoints;
                        self.report.note = Some(format!("{reason}; kept in `{}`", place.display()));
                    }
                    Err(error) => {
                        self.report.note = Some(format!("{reason}; {}", chain(&error)));
                        return false;
                    }
                }
                true
            }
        }
    }

    /// Sends a body that is kept nowhere.
    fn send_once(
        &mut self,
        body: &Body,
        datapoints: u64,
        is_open: bool,
        surroundings: &Surroundings,
        deadline: Instant,
    ) {
        if !is_open {
            self.report.lost += datapoints;
            return;
        }
        match self.consignment.output.deliver(body, surroundings, deadline) {
            Receipt::Accepted => {
                self.report.accepted += datapoints;
                self.report.accepted_bodies += 1;
            }
            Receipt::Retry { reason, .. } | Receipt::Rejected { reason } => {
                self.report.lost += datapoints;
                self.report.note = Some(reason);
            }
        }
    }
}
