//! A payload as line protocol: a line for each datapoint.

use std::io::{self, Write};

use collectors::datapoint::{DataType, Value};

use super::super::template::Template;
use super::escape;
use super::names::{Id, Name, Names, NamesOf, TagsOf, Texts};
use super::places::{Place, Places};
use super::series::Series;
use crate::payload::{Encoded, JobBatch, Payload};

/// So many lines are written at once. Threads that make them cost more than they save on a busy machine.
const PIECE_LINES: usize = 1024;
/// InfluxDB counts nanoseconds in 64 bits: so many milliseconds before and after 1970.
const TIME_LIMIT_MS: u64 = i64::MAX as u64 / 1_000_000;

/// How a datapoint becomes a line.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) measurement: &'a Template,
    pub(super) field: &'a Template,
    pub(super) host: &'a str,
    pub(super) host_tag: Option<&'a str>,
    pub(super) target_tag: Option<&'a str>,
    pub(super) unit_tag: Option<&'a str>,
    /// Whether info labels are tags too.
    pub(super) info: bool,
    /// Whether integers above 2⁶³ − 1 can be written.
    pub(super) has_unsigned: bool,
    /// Whether integers are written as floats.
    pub(super) all_floats: bool,
}

/// Writes a line for each datapoint. Of two for one place InfluxDB would keep the last without a word, so that only
/// the first is written, and the others are counted.
pub(super) fn encode(
    payload: &Payload,
    layout: &Layout<'_>,
    to: &mut dyn Write,
) -> io::Result<Encoded> {
    let mut encoded = Encoded::default();
    let lines = Lines::new(payload, layout, &mut encoded);
    encoded.datapoints = lines.all.len() as u64;
    let (mut end, mut piece) = (LineEnd::default(), Vec::new());
    for some in lines.all.chunks(PIECE_LINES) {
        piece.clear();
        some.iter().for_each(|line| lines.write(line, payload, layout, &mut end, &mut piece));
        to.write_all(&piece)?;
    }
    Ok(encoded)
}

/// What a line is made of: the place of its datapoint, its name, and its set of tags.
struct Line {
    batch: u32,
    point: u32,
    name: u32,
    tags: Id,
}

/// Every line there will be, and the texts that they share.
struct Lines {
    all: Vec<Line>,
    texts: Texts,
    names: Names,
}

impl Lines {
    /// What becomes no line is counted.
    fn new(payload: &Payload, layout: &Layout<'_>, encoded: &mut Encoded) -> Self {
        let all = Vec::with_capacity(payload.len());
        let mut lines = Self { all, texts: Texts::default(), names: Names::default() };
        let mut series = Series::with_room_for(payload.len());
        for (batch_place, JobBatch { job, batch, .. }) in payload.batches.iter().enumerate() {
            let Self { all, texts, names } = &mut lines;
            let mut names_of = NamesOf::new(layout, job, batch);
            let mut tags_of = TagsOf::new(layout, batch);
            for (point_place, point) in batch.points().iter().enumerate() {
                let name = names_of.of(point, texts, names);
                let why = || refusal(layout, &batch.value(point), point.timestamp_ms);
                if let Some(reason) = names.get(name).flaw.or_else(why) {
                    encoded.refuse(job, batch.text(point.key), reason);
                    continue;
                }
                let tags = tags_of.of(point, texts).id;
                series.note(name, tags);
                let (batch, point) = (number(batch_place), number(point_place));
                all.push(Line { batch, point, name, tags });
            }
        }
        if series.may_repeat() {
            lines.leave_out_repeats(payload, encoded);
        }
        lines
    }

    fn leave_out_repeats(&mut self, payload: &Payload, encoded: &mut Encoded) {
        let mut places = Places::new(payload);
        self.all.retain(|line| {
            let JobBatch { job, batch, .. } = &payload.batches[line.batch as usize];
            let point = &batch.points()[line.point as usize];
            let place =
                Place { name: line.name, tags: line.tags, timestamp_ms: point.timestamp_ms };
            let first = places.first(place, (line.batch as usize, line.point as usize));
            if let Some(first) = &first {
                encoded.leave_out(job, batch.text(point.key), *first == batch.value(point));
            }
            first.is_none()
        });
    }

    fn write(
        &self,
        line: &Line,
        payload: &Payload,
        layout: &Layout<'_>,
        end: &mut LineEnd,
        out: &mut Vec<u8>,
    ) {
        let batch = &payload.batches[line.batch as usize].batch;
        let point = &batch.points()[line.point as usize];
        let Name { measurement, field, .. } = self.names.get(line.name);
        for text in [*measurement, self.texts.by_id(line.tags), *field] {
            self.texts.copy(text, out);
        }
        write_value(layout, &batch.value(point), point.data_type, out);
        end.put(point.timestamp_ms, out);
    }
}

/// A payload of 2³² datapoints would take 128 GiB.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Why there can be no such line, whatever its name.
fn refusal(layout: &Layout<'_>, value: &Value<'_>, timestamp_ms: i64) -> Option<&'static str> {
    if matches!(value, Value::Uint(_)) && !layout.has_unsigned && !layout.all_floats {
        return Some("InfluxDB 1 holds no integer above 2^63 - 1; `numbers: float` rounds it");
    }
    (timestamp_ms.unsigned_abs() >= TIME_LIMIT_MS)
        .then_some("its time is beyond the years 1677 to 2262 that InfluxDB can hold")
}

/// A field has one type for ever, so the data type decides where it can: a float that happens to be whole is none
/// the less a float.
fn write_value(layout: &Layout<'_>, value: &Value<'_>, data_type: DataType, out: &mut Vec<u8>) {
    let as_float = layout.all_floats || data_type == DataType::Float;
    let suffix: &[u8] = match value {
        Value::Int(int) => {
            out.extend_from_slice(itoa::Buffer::new().format(*int).as_bytes());
            if as_float { b"" } else { b"i" }
        }
        Value::Uint(uint) => {
            out.extend_from_slice(itoa::Buffer::new().format(*uint).as_bytes());
            if as_float { b"" } else { b"u" }
        }
        Value::Float(float) => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(float.get()).as_bytes());
            b""
        }
        Value::Text(text) => {
            escape::text(text, out);
            b""
        }
    };
    out.extend_from_slice(suffix);
}

/// How much stands behind a value at most: a space, 20 digits with their sign, and a line feed.
const END_BYTES: usize = 32;

/// What stands behind the value: most datapoints have the time of the one before.
#[derive(Default)]
struct LineEnd {
    of: Option<i64>,
    text: [u8; END_BYTES],
    length: usize,
}

impl LineEnd {
    /// Appends it. A copy of known length is a few instructions, and no call.
    fn put(&mut self, timestamp_ms: i64, out: &mut Vec<u8>) {
        if self.of != Some(timestamp_ms) {
            self.of = Some(timestamp_ms);
            let mut buffer = itoa::Buffer::new();
            let digits = buffer.format(timestamp_ms).as_bytes();
            self.length = digits.len() + 2;
            self.text[0] = b' ';
            self.text[1..=digits.len()].copy_from_slice(digits);
            self.text[self.length - 1] = b'\n';
        }
        let end = out.len() + self.length;
        out.extend_from_slice(&self.text);
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests;
