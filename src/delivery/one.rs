//! One output's share of a run: its body made durable, then everything that waits for it sent.

use std::io::Write;
use std::time::Instant;

use super::sift::Sifted;
use super::{Consignment, NO_ANSWER, Told};
use crate::outputs::{Body, Receipt, Surroundings};
use crate::report::{OutputReport, chain, printable};
use crate::store::Spool;
use crate::store::spool::{Entry, Listing};

/// What is said of an output whose secrets are on a disk that hangs.
const NO_SECRETS: &str = "its secrets could not be read before the run's deadline";

/// Where a body stands in the report until its fate is known: as waiting when it is on disk, as lost otherwise.
pub(super) struct Delivery<'a> {
    pub(super) consignment: &'a Consignment,
    pub(super) report: OutputReport,
}

/// Why what waits is not sent where nothing else keeps it from being sent.
const CANNOT_BE_WRITTEN: &str = "the place where it waits cannot be written";

/// Where this run's datapoints are.
enum Ours {
    /// There are none, or none that may be sent.
    Nothing,
    /// On disk.
    Spooled(Entry),
    /// Nowhere but here, and how many datapoints they are.
    Fleeting(Body, u64),
    /// Lost already.
    Lost,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(consignment: &'a Consignment) -> Self {
        let report = OutputReport {
            output: consignment.id.clone(),
            kind: consignment.kind.to_owned(),
            lost: consignment.payload.len() as u64,
            ..OutputReport::default()
        };
        Self { consignment, report }
    }

    /// The report should nothing more be heard.
    pub(super) fn unfinished(&self, why: &str) -> OutputReport {
        let mut report = self.report.clone();
        // Without a word where there was nothing to do.
        let is_open = report.waiting_bodies > 0 || report.lost > 0 || report.note.is_some();
        report.note = is_open.then(|| printable(why).into_owned());
        report
    }

    pub(super) fn note(&mut self, text: &str) {
        self.report.note = Some(printable(text).into_owned());
    }

    /// A fault of ours or of the spool's: it never counts as success, and never stops the bodies behind.
    pub(super) fn fault(&mut self, text: &str) {
        self.report.faults.push(printable(text).into_owned());
    }

    /// Spools, then delivers. Tells what is safe, and after each body what became of it.
    pub(super) fn run(
        &mut self,
        waiting: Listing,
        run: &str,
        surroundings: &Surroundings,
        deadline: Instant,
        tell: &dyn Fn(Told),
    ) {
        let ours = match &self.consignment.unencodable {
            Some(reason) => {
                self.note(reason);
                if self.consignment.payload.is_empty() { Ours::Nothing } else { Ours::Lost }
            }
            None => self.keep_payload(run),
        };
        match &ours {
            Ours::Nothing => tell(Told::Safe(true)),
            Ours::Lost => tell(Told::Safe(false)),
            Ours::Spooled(_) | Ours::Fleeting(..) => {}
        }
        let (spooled, fleeting) = match ours {
            Ours::Spooled(entry) => (Some(entry), None),
            Ours::Fleeting(body, datapoints) => (None, Some((body, datapoints))),
            Ours::Nothing | Ours::Lost => (None, None),
        };
        let entries = self.queue(waiting, spooled.clone());
        if let Some((ours, spool)) = spooled.zip(self.consignment.spool.as_ref()) {
            // One that has no room in the spool will be given up where it is not taken now.
            let has_room = spool.beyond_caps(&entries).iter().all(|(entry, _)| **entry != ours);
            tell(Told::Safe(has_room));
        }
        tell(Told::Report(Box::new(self.unfinished(NO_ANSWER))));
        let mut is_open = self.is_ready(deadline, tell);
        if let Some(spool) = &self.consignment.spool {
            is_open = self.empty(spool, entries, is_open, surroundings, deadline, tell);
        }
        if let Some((body, datapoints)) = fleeting {
            let is_in = is_open && self.send_once(&body, datapoints, surroundings, deadline);
            tell(Told::Safe(is_in));
            is_open = is_in;
        }
        if is_open {
            let Consignment { output, payload, .. } = self.consignment;
            let untold = output.tell_failures(payload, surroundings, deadline);
            let untold = untold.iter().map(|what| printable(what).into_owned());
            self.report.warnings.extend(untold);
        }
        if self.consignment.spool.is_none() && self.report.waiting_bodies > 0 {
            self.report.note.get_or_insert_with(|| CANNOT_BE_WRITTEN.to_owned());
        }
    }

    /// Whether anything can be sent to the output now.
    fn is_ready(&mut self, deadline: Instant, tell: &dyn Fn(Told)) -> bool {
        let Consignment { unencodable, prepare, spool, heeds_pauses, .. } = self.consignment;
        if let Some(reason) = unencodable {
            self.note(reason);
            return false;
        }
        if let Some(prepare) = prepare {
            tell(Told::Report(Box::new(self.unfinished(NO_SECRETS))));
            if let Err(reason) = prepare(deadline) {
                self.note(&reason);
                return false;
            }
            tell(Told::Report(Box::new(self.unfinished(NO_ANSWER))));
        }
        if *heeds_pauses && let Some(until) = spool.as_ref().and_then(Spool::paused_until) {
            self.note(&format!("it asked to be left alone until {until:.0}"));
            return false;
        }
        true
    }

    /// Everything that waits, oldest first, with `ours`, which may be younger than the listing.
    fn queue(&mut self, mut waiting: Listing, ours: Option<Entry>) -> Vec<Entry> {
        if let Some(spool) = &self.consignment.spool {
            for path in &waiting.leftovers {
                log::debug!("`{}` is removed: its run was killed", path.display());
                spool.sweep(path);
            }
        }
        match (&waiting.error, &self.consignment.spool) {
            (Some(error), Some(_)) => self.fault(&chain(error)),
            (Some(error), None) if !error.is_no_folder() => {
                self.fault(&format!("nobody knows what waits for it: {}", chain(error)));
            }
            _ => {}
        }
        if let Some(ours) = ours
            && let Err(place) = waiting.entries.binary_search(&ours)
        {
            waiting.entries.insert(place, ours);
        }
        self.report.waiting_bodies = waiting.entries.len() as u64;
        self.report.waiting = waiting.datapoints();
        waiting.entries
    }

    /// Encodes this run's payload into the spool; where that cannot be, into memory, to be sent once.
    fn keep_payload(&mut self, run: &str) -> Ours {
        let Consignment { payload, output, spool, .. } = self.consignment;
        if payload.is_empty() {
            return Ours::Nothing;
        }
        if let Some(spool) = spool.as_ref().filter(|_| output.can_wait()) {
            let encode = |to: &mut dyn Write| output.encode(payload, to);
            match spool.put(payload.timestamp_ms, run, encode) {
                Ok((entry, encoded)) => {
                    self.report.lost = 0;
                    let is_empty = encoded.datapoints == 0;
                    self.report.count(encoded);
                    if !is_empty {
                        return Ours::Spooled(entry);
                    }
                    if let Err(error) = spool.remove(&entry) {
                        log::warn!("{}", chain(&error));
                    }
                    return Ours::Nothing;
                }
                Err(error) => {
                    let warning = format!("cannot spool: {}", chain(&error));
                    self.report.warnings.push(printable(&warning).into_owned());
                }
            }
        }
        let mut bytes = Vec::new();
        match output.encode(payload, &mut bytes) {
            Ok(encoded) => {
                let datapoints = encoded.datapoints;
                self.report.lost = datapoints;
                self.report.count(encoded);
                match datapoints {
                    0 => Ours::Nothing,
                    _ => Ours::Fleeting(Body::Memory(bytes), datapoints),
                }
            }
            Err(error) => {
                self.note(&format!("cannot encode: {error}"));
                Ours::Lost
            }
        }
    }

    /// Sends a body that is kept nowhere. Whether the output has all that it will ever take of it.
    fn send_once(
        &mut self,
        body: &Body,
        datapoints: u64,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> bool {
        let mut take = |accepted: u64| {
            self.report.lost -= accepted.min(self.report.lost);
            self.report.accepted += accepted;
            self.report.accepted_bodies += 1;
        };
        match self.consignment.output.deliver(body, surroundings, deadline) {
            Receipt::Accepted => {
                take(datapoints);
                true
            }
            Receipt::Partly { rejected, reason } => {
                take(datapoints.saturating_sub(rejected));
                self.note(&reason);
                true
            }
            Receipt::AllBut { part, reason } => {
                self.count_sifted(&Sifted::all_but(part, datapoints, reason))
            }
            Receipt::Retry { reason, .. } | Receipt::Fault { reason, .. } => {
                self.note(&reason);
                false
            }
            Receipt::Rejected { reason } => {
                let sifted = self.sift(body, datapoints, reason, surroundings, deadline);
                self.count_sifted(&sifted)
            }
        }
    }

    /// Counts what came of a body that is kept nowhere. Whether it was sifted to its end.
    fn count_sifted(&mut self, sifted: &Sifted) -> bool {
        self.report.lost -= sifted.accepted.min(self.report.lost);
        self.report.accepted += sifted.accepted;
        let why = sifted.interrupted.as_ref().map(|(reason, _)| reason.as_str());
        if let Some(reason) = why.or(sifted.bad.first().map(|bad| bad.reason.as_str())) {
            self.note(reason);
        }
        sifted.interrupted.is_none()
    }
}
