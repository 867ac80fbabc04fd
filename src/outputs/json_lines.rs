//! The datapoints as JSON Lines: the form in which an `exec` or `file` job with `format: jsonl` reads them.

use std::io::{self, Write};

use collectors::datapoint::{LabelKind, Value};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::Part;
use crate::payload::{Encoded, Payload, View};

/// Writes one object a line: `key`, `value`, `data_type`, `target`, `timestamp`, and `unit`, `labels`, `info`
/// where there are any.
///
/// # Errors
/// Only those of `to`.
pub fn encode(payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
    encode_if(payload, to, |_, _| true)
}

/// The same for those datapoints that `wants` lets through; it counts the others itself.
///
/// # Errors
/// Only those of `to`.
pub fn encode_if(
    payload: &Payload,
    to: &mut dyn Write,
    mut wants: impl FnMut(View<'_>, &mut Encoded) -> bool,
) -> io::Result<Encoded> {
    let mut encoded = Encoded::default();
    let mut line = Vec::with_capacity(256);
    for view in payload.datapoints() {
        if !wants(view, &mut encoded) {
            continue;
        }
        line.clear();
        serde_json::to_writer(&mut line, &Line(view))?;
        line.push(b'\n');
        to.write_all(&line)?;
        encoded.datapoints += 1;
    }
    Ok(encoded)
}

/// Two halves of a body that has a datapoint a line.
pub fn halve(body: &[u8]) -> Option<[Part; 2]> {
    let lines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
    let all = lines(body);
    if all < 2 {
        return None;
    }
    let end = memchr::memchr_iter(b'\n', body).nth(all / 2 - 1)? + 1;
    let part = |bytes: &[u8]| Part { bytes: bytes.to_vec(), datapoints: lines(bytes) as u64 };
    let (first, second) = body.split_at(end);
    Some([part(first), part(second)])
}

/// Appends one datapoint as such an object, without a line end.
///
/// # Errors
/// None: a vector takes all, and every part of a datapoint can be written.
pub fn write_datapoint(view: View<'_>, to: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(to, &Line(view)).map_err(io::Error::from)
}

struct Line<'a>(View<'a>);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let view = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", view.key())?;
        map.serialize_entry("value", &Scalar(&view.value()))?;
        map.serialize_entry("data_type", view.point.data_type.as_str())?;
        map.serialize_entry("target", view.target())?;
        map.serialize_entry("timestamp", &view.point.timestamp_ms)?;
        if let Some(unit) = view.unit() {
            map.serialize_entry("unit", unit)?;
        }
        for (name, kind) in [("labels", LabelKind::Identity), ("info", LabelKind::Info)] {
            if view.labels(kind).next().is_some() {
                map.serialize_entry(name, &Labels(view, kind))?;
            }
        }
        map.end()
    }
}

/// A value as a JSON number or text, exactly.
pub struct Scalar<'a>(pub &'a Value<'a>);

impl Serialize for Scalar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Uint(uint) => serializer.serialize_u64(*uint),
            Value::Float(float) => serializer.serialize_f64(float.get()),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}

struct Labels<'a>(View<'a>, LabelKind);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.labels(self.1))
    }
}
