//! A payload as line protocol: a line for each datapoint.

use std::io::{self, Write};

use collectors::datapoint::{DataType, Value};

use super::super::template::Template;
use super::escape;
use super::names::{Id, Name, Names, NamesOf, TagsOf, Texts};
use super::places::{Place, Places};
use super::series::Series;
use crate::payload::{Encoded, JobBatch, Payload};

/// So much is written at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
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
    let (mut texts, mut names) = (Texts::default(), Names::default());
    let lines = Lines::new(payload, layout, &mut texts, &mut names);
    let mut places = lines.may_repeat.then(|| Places::new(payload));
    let mut out = Vec::with_capacity(PIECE_BYTES + 4096);
    let mut end = LineEnd::default();
    let mut lines = lines.all.into_iter();
    for (batch_place, JobBatch { job, batch, .. }) in payload.batches.iter().enumerate() {
        let lines = lines.by_ref().take(batch.len());
        for (point_place, (point, (number, tags))) in batch.points().iter().zip(lines).enumerate() {
            let &Name { measurement, field, flaw } = names.get(number);
            let value = batch.value(point);
            if let Some(reason) = flaw.or_else(|| refusal(layout, &value, point.timestamp_ms)) {
                encoded.refuse(job, batch.text(point.key), reason);
                continue;
            }
            if let Some(places) = &mut places {
                let place = Place { name: number, tags, timestamp_ms: point.timestamp_ms };
                if let Some(first) = places.first(place, (batch_place, point_place)) {
                    encoded.leave_out(job, batch.text(point.key), first == value);
                    continue;
                }
            }
            for text in [measurement, texts.by_id(tags), field] {
                texts.copy(text, &mut out);
            }
            write_value(layout, &value, point.data_type, &mut out);
            out.extend_from_slice(end.of(point.timestamp_ms));
            encoded.datapoints += 1;
            if out.len() >= PIECE_BYTES {
                to.write_all(&out)?;
                out.clear();
            }
        }
    }
    to.write_all(&out)?;
    Ok(encoded)
}

/// What the line of each datapoint begins with: its name, and its set of tags.
struct Lines {
    all: Vec<(u32, Id)>,
    /// Whether a series may have several datapoints.
    may_repeat: bool,
}

impl Lines {
    fn new(payload: &Payload, layout: &Layout<'_>, texts: &mut Texts, names: &mut Names) -> Self {
        let mut all = Vec::with_capacity(payload.len());
        let mut series = Series::with_room_for(payload.len());
        for JobBatch { batch, .. } in &payload.batches {
            let mut names_of = NamesOf::new(layout, batch);
            let mut tags_of = TagsOf::new(layout, batch);
            for point in batch.points() {
                let name = names_of.of(point, texts, names);
                let tags = tags_of.of(point, texts).id;
                series.note(name, tags);
                all.push((name, tags));
            }
        }
        Self { all, may_repeat: series.may_repeat() }
    }
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

/// What stands behind the value: most datapoints have the time of the one before.
#[derive(Default)]
struct LineEnd {
    of: Option<i64>,
    text: Vec<u8>,
}

impl LineEnd {
    fn of(&mut self, timestamp_ms: i64) -> &[u8] {
        if self.of != Some(timestamp_ms) {
            self.of = Some(timestamp_ms);
            self.text.clear();
            self.text.push(b' ');
            let mut buffer = itoa::Buffer::new();
            self.text.extend_from_slice(buffer.format(timestamp_ms).as_bytes());
            self.text.push(b'\n');
        }
        &self.text
    }
}

#[cfg(test)]
mod tests;
