//! The second step: what the numbers of the first stand for, as text.
//!
//! Pairs are numbered in the order in which the datapoints have them. So walking the datapoints again in the
//! same order, a pair is new where it has the number that comes next: no list of pairs is kept, and any thread
//! that knows the first number of a piece can write it.

use std::ops::Range;

use collectors::datapoint::trim;

use super::checksum::Checksums;
use super::json;
use super::pairs::{NONE, PIECE_ROWS, Pairs, Shared, code};

impl Pairs<'_> {
    /// Appends the `key_value_pairs` that first appear in that piece.
    pub(super) fn write_pairs(
        &self,
        piece: usize,
        checksums: &mut Checksums<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut pen = Pen { out, next: self.starts[piece] };
        let mut timestamps = self.timestamps();
        for (batch, first_row, points) in self.stretches(self.rows_of(piece)) {
            let datapoints = &self.payload.batches[batch].batch;
            for (point, row) in points.iter().zip(&self.rows[first_row..]) {
                if row.value == NONE {
                    continue;
                }
                let shared = self.shared(batch, point);
                self.write_shared(shared, &mut pen);
                let code = code(point.data_type);
                if pen.is_next(self.data_types[usize::from(code)]) {
                    pen.pair("pattoo_data_type", |out| json::int(code, out));
                }
                if pen.is_next(row.value) {
                    pen.pair("pattoo_value", |out| json::value(&datapoints.value(point), out));
                }
                if pen.is_next(timestamps(point.timestamp_ms)) {
                    pen.pair("pattoo_timestamp", |out| json::int(point.timestamp_ms, out));
                }
                if pen.is_next(row.checksum) {
                    let checksum = checksums.checksum(
                        self.series(shared, point.data_type),
                        (self.texts.get(shared.key), code),
                        self.labels.identity(shared.labels),
                        self.texts.get(shared.target),
                    );
                    pen.pair("pattoo_checksum", |out| {
                        out.push(b'"');
                        out.extend_from_slice(&checksum);
                        out.push(b'"');
                    });
                }
            }
        }
    }

    /// Labels, agent, target and key.
    fn write_shared(&self, shared: Shared, pen: &mut Pen<'_>) {
        if pen.next < self.labels.get(shared.labels).pairs_end {
            let pairs = self.labels.pairs(shared.labels);
            for (pair, (name, value)) in pairs.iter().zip(self.labels.labels(shared.labels)) {
                pen.label(*pair, name, value);
            }
        }
        let agent = &self.payload.agent;
        let is_first = pen.next == self.agent;
        if is_first {
            let interval_ms = self.payload.polling_interval.as_millis().to_string();
            pen.text(self.agent, "pattoo_agent_polling_interval", &interval_ms);
            pen.text(self.agent + 1, "pattoo_agent_hostname", trim(&agent.hostname));
            pen.text(self.agent + 2, "pattoo_agent_id", trim(&agent.id));
        }
        let target = self.targets[&shared.target];
        pen.text(target, "pattoo_agent_polled_target", self.texts.get(shared.target));
        if is_first {
            pen.text(self.agent + 4, "pattoo_agent_program", trim(&agent.program));
        }
        let key = self.keys[shared.key as usize];
        pen.text(key, "pattoo_key", self.texts.get(shared.key));
    }

    /// Appends the `datapoint_pairs` of that piece.
    pub(super) fn write_datapoints(&self, piece: usize, out: &mut Vec<u8>) {
        let mut timestamps = self.timestamps();
        // Up to the program, datapoints in a row have much in common.
        let mut beginning = Vec::new();
        let mut beginning_of = None;
        for (batch, first_row, points) in self.stretches(self.rows_of(piece)) {
            for ((point, row), at) in points.iter().zip(&self.rows[first_row..]).zip(first_row..) {
                if row.value == NONE {
                    continue;
                }
                let shared = self.shared(batch, point);
                if beginning_of != Some((shared.labels, shared.target)) {
                    beginning_of = Some((shared.labels, shared.target));
                    self.begin_datapoint(shared, &mut beginning);
                }
                if self.first_sent != Some(at) {
                    out.extend_from_slice(b", ");
                }
                out.extend_from_slice(&beginning);
                let data_type = self.data_types[usize::from(code(point.data_type))];
                let timestamp = timestamps(point.timestamp_ms);
                let own = [self.keys[shared.key as usize], data_type, row.value, timestamp];
                for pair in own {
                    json::int(pair, out);
                    out.extend_from_slice(b", ");
                }
                json::int(row.checksum, out);
                out.push(b']');
            }
        }
    }

    fn begin_datapoint(&self, shared: Shared, beginning: &mut Vec<u8>) {
        beginning.clear();
        beginning.push(b'[');
        let target = self.targets[&shared.target];
        let agent = [self.agent, self.agent + 1, self.agent + 2, target, self.agent + 4];
        for pair in self.labels.pairs(shared.labels).iter().chain(&agent) {
            json::int(*pair, beginning);
            beginning.extend_from_slice(b", ");
        }
    }

    fn rows_of(&self, piece: usize) -> Range<usize> {
        let start = piece * PIECE_ROWS;
        start..(start + PIECE_ROWS).min(self.rows.len())
    }

    /// Looks up timestamps' pairs; the same one again costs nothing.
    fn timestamps(&self) -> impl FnMut(i64) -> u32 {
        let mut last = None;
        move |timestamp_ms| match last {
            Some((known_ms, pair)) if known_ms == timestamp_ms => pair,
            _ => {
                let pair = self.timestamps[&timestamp_ms];
                last = Some((timestamp_ms, pair));
                pair
            }
        }
    }
}

/// Appends those pairs that are new.
struct Pen<'a> {
    out: &'a mut Vec<u8>,
    next: u32,
}

impl Pen<'_> {
    fn is_next(&self, pair: u32) -> bool {
        pair == self.next
    }

    /// Appends the next pair. `name` needs no escapes.
    fn pair(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.open();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\", ");
        write(self.out);
        self.out.push(b']');
    }

    fn text(&mut self, pair: u32, name: &str, value: &str) {
        if self.is_next(pair) {
            self.pair(name, |out| json::string(value, out));
        }
    }

    fn label(&mut self, pair: u32, name: &str, value: &str) {
        if self.is_next(pair) {
            self.open();
            json::string(name, self.out);
            self.out.extend_from_slice(b", ");
            json::string(value, self.out);
            self.out.push(b']');
        }
    }

    fn open(&mut self) {
        let before: &[u8] = if self.next == 0 { b"\"" } else { b", \"" };
        self.out.extend_from_slice(before);
        json::int(self.next, self.out);
        self.out.extend_from_slice(b"\": [");
        self.next += 1;
    }
}
