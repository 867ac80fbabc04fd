//! The bodies that wait for one output, sent oldest first; what becomes of each of them.

use std::collections::VecDeque;
use std::time::Instant;

use super::one::Delivery;
use super::sift::{Bad, Sifted, sift};
use super::{NO_ANSWER, Told};
use crate::outputs::{Body, Receipt, Surroundings};
use crate::report::{chain, printable};
use crate::store::Spool;
use crate::store::spool::Entry;

/// In so many runs the output has to fail at the oldest body before a younger one is tried in its place: what comes
/// late may be dropped by the server, so the order is kept while it may be the output that is down.
const PATIENCE_RUNS: u32 = 3;

/// So many of them are tried: a source that yields a bad value does so again and again.
const OTHERS_TRIED: usize = 8;

/// What became of a body.
enum Sent {
    /// The output has it.
    In,
    /// It is out of the way.
    Aside,
    /// It waits, and so must those behind it.
    Held,
    /// The output failed at it: it, or the output, is broken.
    Failed(String),
}

impl Delivery<'_> {
    /// Sends what waits while the output takes it. Whether it takes more.
    pub(super) fn empty(
        &mut self,
        spool: &Spool,
        entries: Vec<Entry>,
        is_ready: bool,
        surroundings: &Surroundings,
        deadline: Instant,
        tell: &dyn Fn(Told),
    ) -> bool {
        let mut is_open = is_ready;
        let mut rest = VecDeque::from(entries);
        while is_open && let Some(entry) = rest.pop_front() {
            let mut sent = self.send(spool, &entry, surroundings, deadline);
            if matches!(sent, Sent::Failed(_))
                && !rest.is_empty()
                && self.failed_too_often(spool, &entry)
                && self.others_go_through(spool, &mut rest, surroundings, deadline)
            {
                // Perhaps it has come back just now: then it takes this one too.
                sent = self.send(spool, &entry, surroundings, deadline);
                if let Sent::Failed(reason) = &sent {
                    self.set_aside(spool, &entry, &format!("{reason}; it takes others"));
                    sent = Sent::Aside;
                }
            }
            if let Sent::Held | Sent::Failed(_) = sent {
                rest.push_front(entry);
                is_open = false;
            }
            tell(Told::Report(Box::new(self.unfinished(NO_ANSWER))));
        }
        self.enforce_caps(spool, rest.make_contiguous());
        is_open
    }

    /// Whether the output takes one of the next bodies, in their order; what it takes waits no more.
    fn others_go_through(
        &mut self,
        spool: &Spool,
        rest: &mut VecDeque<Entry>,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> bool {
        let mut place = 0;
        for _ in 0..OTHERS_TRIED {
            let Some(entry) = rest.get(place) else { return false };
            match self.send(spool, entry, surroundings, deadline) {
                Sent::In => {
                    rest.remove(place);
                    return true;
                }
                Sent::Aside => drop(rest.remove(place)),
                Sent::Failed(_) => place += 1,
                Sent::Held => return false,
            }
        }
        false
    }

    /// Sends a body.
    fn send(
        &mut self,
        spool: &Spool,
        entry: &Entry,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Sent {
        let body = match spool.body(entry) {
            Ok(body) => body,
            Err(error) if error.is_passing() => {
                self.fault(&chain(&error));
                return Sent::Held;
            }
            Err(error) => {
                self.set_aside(spool, entry, &chain(&error));
                return Sent::Aside;
            }
        };
        let receipt = self.consignment.output.deliver(&body, surroundings, deadline);
        let is_late = Instant::now() >= deadline;
        match receipt {
            Receipt::Accepted => {
                self.is_in(spool, entry, entry.datapoints);
                Sent::In
            }
            Receipt::Retry { .. } | Receipt::Fault { .. } if body.read_error().is_some() => {
                let error = body.read_error().unwrap_or_default();
                self.set_aside(spool, entry, &format!("`{}`: {error}", entry.path().display()));
                Sent::Aside
            }
            Receipt::Retry { reason, after } => self.hold(spool, &reason, after),
            // At the deadline a server's fault is no sign of anything, and where it asks for time it gets it.
            Receipt::Fault { reason, after } if after.is_some() || is_late => {
                self.hold(spool, &reason, after)
            }
            Receipt::Fault { reason, .. } => {
                self.note(&reason);
                Sent::Failed(reason)
            }
            Receipt::Partly { rejected: 0, reason } => {
                log::info!("output `{}`: {reason}", self.report.output);
                self.is_in(spool, entry, entry.datapoints);
                Sent::In
            }
            Receipt::Partly { rejected, reason } => {
                let rejected = rejected.min(entry.datapoints);
                if self.set_aside(spool, entry, &reason) {
                    self.report.quarantined -= entry.datapoints - rejected;
                    self.report.accepted += entry.datapoints - rejected;
                    self.report.accepted_bodies += 1;
                }
                Sent::Aside
            }
            Receipt::AllBut { part, reason } => {
                let sifted = Sifted::all_but(part, entry.datapoints, reason);
                self.keep_bad(spool, entry, sifted)
            }
            Receipt::Rejected { reason } => {
                let sifted = self.sift(&body, entry.datapoints, reason, surroundings, deadline);
                self.keep_bad(spool, entry, sifted)
            }
        }
    }

    pub(super) fn sift(
        &self,
        body: &Body,
        datapoints: u64,
        reason: String,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Sifted {
        let output = &*self.consignment.output;
        sift(output, body, datapoints, reason, surroundings, deadline)
    }

    /// Keeps what the output will not have of a body, and forgets the rest, which it has.
    fn keep_bad(&mut self, spool: &Spool, entry: &Entry, sifted: Sifted) -> Sent {
        let Sifted { accepted, bad, interrupted } = sifted;
        if let Some((reason, after)) = interrupted {
            let reason = format!("a rejected body is not yet sifted: {reason}");
            // One that takes longer than a run has, in run after run, must not hold up the others.
            if after.is_none() && self.failed_too_often(spool, entry) {
                self.set_aside(spool, entry, &reason);
                return Sent::Aside;
            }
            return self.hold(spool, &reason, after);
        }
        if let [Bad { reason, .. }] = bad.as_slice()
            && accepted == 0
        {
            self.set_aside(spool, entry, reason);
            return Sent::Aside;
        }
        let mut first = None;
        for (number, Bad { part, reason, .. }) in bad.iter().enumerate() {
            let reason = printable(reason);
            match spool.quarantine_part(entry, number, part, &reason) {
                Ok(place) => {
                    first.get_or_insert_with(|| format!("{reason}; kept in `{}`", place.display()));
                }
                Err(error) => {
                    // The whole body stays, and is sifted again.
                    self.note(&reason);
                    self.fault(&chain(&error));
                    return Sent::Aside;
                }
            }
        }
        if let Some(first) = first {
            self.note(&first);
        }
        self.report.quarantined += bad.iter().map(|bad| bad.datapoints).sum::<u64>();
        self.is_in(spool, entry, accepted);
        Sent::Aside
    }

    /// What the output takes of a body is in.
    fn is_in(&mut self, spool: &Spool, entry: &Entry, accepted: u64) {
        self.settle(entry);
        self.report.accepted += accepted;
        self.report.accepted_bodies += u64::from(accepted > 0);
        if let Err(error) = spool.remove(entry) {
            self.fault(&format!("{}: it is in, and will be sent again", chain(&error)));
        }
    }

    /// A body waits no more.
    fn settle(&mut self, entry: &Entry) {
        self.report.waiting_bodies -= 1;
        // Their sum stops at what a number can hold, and a name may say anything.
        self.report.waiting = self.report.waiting.saturating_sub(entry.datapoints);
    }

    /// The output wants nothing now.
    fn hold(&mut self, spool: &Spool, reason: &str, after: Option<std::time::Duration>) -> Sent {
        self.note(reason);
        if let Some(Err(error)) = after.map(|pause| spool.pause(pause)) {
            log::warn!("output `{}`: {}", self.report.output, chain(&error));
        }
        Sent::Held
    }

    /// Counts that the output failed at a body. Whether that is so often that it may be the body.
    fn failed_too_often(&mut self, spool: &Spool, entry: &Entry) -> bool {
        match spool.count_failure(entry) {
            Ok(failures) => failures > PATIENCE_RUNS,
            Err(error) => {
                log::warn!("output `{}`: {}", self.report.output, chain(&error));
                false
            }
        }
    }

    /// Moves a body out of the way of the others. One that cannot be moved goes on waiting.
    fn set_aside(&mut self, spool: &Spool, entry: &Entry, reason: &str) -> bool {
        let reason = printable(reason);
        match spool.quarantine(entry, &reason) {
            Ok(place) => {
                self.settle(entry);
                self.report.quarantined += entry.datapoints;
                self.note(&format!("{reason}; kept in `{}`", place.display()));
                true
            }
            Err(error) => {
                self.note(&reason);
                self.fault(&chain(&error));
                false
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
            let bodies = if beyond.len() == 1 { "body" } else { "bodies" };
            let (count, oldest) = (beyond.len(), oldest.path().display());
            self.note(&format!("{note}; {count} {bodies} given up, first `{oldest}`: {why}"));
        }
    }
}
