//! A payload as line protocol: a line for each datapoint.

use std::io::{self, Write};

use collectors::batch::{Batch, Point};
use collectors::datapoint::{DataType, Value};

use super::super::template::Template;
use super::escape;
use super::names::{Name, Names, NamesOf, TagsOf, Texts};
use super::places::{Place, Places};
use super::series::Series;
use crate::payload::{Encoded, JobBatch, Payload};

/// So much is handed on at once: it stays in the nearest cache while it is made. Threads that make it cost more than
/// they save on a busy machine.
const PIECE_BYTES: usize = 16 << 10;
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

impl Layout<'_> {
    /// Whether all datapoints of a batch have the same field.
    pub(super) fn has_one_field(&self) -> bool {
        self.field.is_of_jobs()
    }
}

/// Writes a line for each datapoint. Of two for one place InfluxDB would keep the last without a word, so that only
/// the first is written, and the others are counted.
pub(super) fn encode(
    payload: &Payload,
    layout: &Layout<'_>,
    to: &mut dyn Write,
) -> io::Result<Encoded> {
    let mut encoded = Encoded::default();
    let mut shared = Shared::new(layout);
    let (mut series, mut places) = (Series::with_room_for(payload.len()), None);
    let (mut end, mut piece) = (LineEnd::default(), Vec::new());
    for (batch_index, JobBatch { job, batch, .. }) in payload.batches.iter().enumerate() {
        let mut places_of = PlacesOf::new(layout, job, batch);
        for (point_index, point) in batch.points().iter().enumerate() {
            let value = batch.value(point);
            let place = match places_of.of(point, &value, &mut shared) {
                Ok(place) => place,
                Err(reason) => {
                    encoded.refuse(job, batch.text(point.key), reason);
                    continue;
                }
            };
            let at = (batch_index, point_index);
            series.note(place.name, place.tags);
            if series.may_repeat() {
                let filled = || filled_before(at, payload, layout, &mut shared);
                if let Some(first) = places.get_or_insert_with(filled).fill(place, at) {
                    encoded.leave_out(job, batch.text(point.key), first == value);
                    continue;
                }
            }
            encoded.datapoints += 1;
            shared.write(place, &mut piece);
            write_value(layout, &value, point.data_type, &mut piece);
            end.put(point.timestamp_ms, &mut piece);
            if piece.len() >= PIECE_BYTES {
                to.write_all(&piece)?;
                piece.clear();
            }
        }
    }
    to.write_all(&piece)?;
    Ok(encoded)
}

/// What the lines of a payload have in common.
struct Shared {
    texts: Texts,
    names: Names,
    has_one_field: bool,
}

impl Shared {
    fn new(layout: &Layout<'_>) -> Self {
        let (texts, names) = (Texts::default(), Names::default());
        Self { texts, names, has_one_field: layout.has_one_field() }
    }

    /// Writes what stands before a line's value.
    fn write(&self, place: Place, out: &mut Vec<u8>) {
        let Name { measurement, field, .. } = self.names.get(place.name);
        out.extend_from_slice(self.texts.get(*measurement));
        out.extend_from_slice(self.texts.by_id(place.tags));
        if !self.has_one_field {
            out.extend_from_slice(self.texts.get(*field));
        }
    }
}

/// The places of a batch's datapoints.
struct PlacesOf<'a> {
    layout: &'a Layout<'a>,
    names: NamesOf<'a>,
    tags: TagsOf<'a>,
}

impl<'a> PlacesOf<'a> {
    fn new(layout: &'a Layout<'a>, job: &'a str, batch: &'a Batch) -> Self {
        let (names, tags) = (NamesOf::new(layout, job, batch), TagsOf::new(layout, job, batch));
        Self { layout, names, tags }
    }

    /// The place of a datapoint, or why there can be no line for it.
    #[inline]
    fn of(
        &mut self,
        point: &Point,
        value: &Value<'_>,
        Shared { texts, names, .. }: &mut Shared,
    ) -> Result<Place, &'static str> {
        let name = self.names.of(point, texts, names);
        let why = || refusal(self.layout, value, point.timestamp_ms);
        match names.get(name).flaw.or_else(why) {
            Some(reason) => Err(reason),
            None => {
                let tags = self.tags.of(point, texts);
                Ok(Place { name, tags, timestamp_ms: point.timestamp_ms })
            }
        }
    }
}

/// The places that the datapoints before that one fill, of which no two have the same.
#[cold]
fn filled_before<'a>(
    (batches, points): (usize, usize),
    payload: &'a Payload,
    layout: &Layout<'_>,
    shared: &mut Shared,
) -> Places<'a> {
    let mut places = Places::new(payload);
    for (batch_index, JobBatch { job, batch, .. }) in payload.batches[..=batches].iter().enumerate()
    {
        let before = if batch_index == batches { points } else { batch.len() };
        let mut places_of = PlacesOf::new(layout, job, batch);
        for (point_index, point) in batch.points()[..before].iter().enumerate() {
            if let Ok(place) = places_of.of(point, &batch.value(point), shared) {
                places.fill(place, (batch_index, point_index));
            }
        }
    }
    places
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
