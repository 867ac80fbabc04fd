//! The flows of a batch: one update for each, whatever jobs it comes from.

use std::io::{self, Write};

use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

use super::super::Part;
use super::super::json_lines::Scalar;
use crate::payload::{Encoded, View};

/// What Telemetry keeps for itself.
const EXPIRES_AT: &str = "expires_at";

/// Flows by tag, in the order in which they came.
#[derive(Default)]
pub(super) struct Flows<'a>(IndexMap<String, IndexMap<String, View<'a>>>);

impl<'a> Flows<'a> {
    /// Sets a property, and counts what becomes of the datapoint; of two the newest stays.
    ///
    /// # Errors
    /// Why Telemetry has no place for it.
    pub(super) fn set(
        &mut self,
        tag: String,
        property: String,
        view: View<'a>,
        encoded: &mut Encoded,
    ) -> Result<(), &'static str> {
        if tag.is_empty() {
            return Err("its flow's tag is empty");
        }
        if property.is_empty() {
            return Err("its property's name is empty");
        }
        if property == EXPIRES_AT {
            return Err("Telemetry keeps the property `expires_at` for itself");
        }
        match self.0.entry(tag).or_default().entry(property) {
            Entry::Vacant(place) => {
                place.insert(view);
                encoded.datapoints += 1;
            }
            Entry::Occupied(mut known) => {
                let is_same = known.get().value() == view.value();
                encoded.leave_out(view.job, view.key(), is_same);
                if view.point.timestamp_ms >= known.get().point.timestamp_ms {
                    known.insert(view);
                }
            }
        }
        Ok(())
    }

    /// Writes the batch.
    pub(super) fn write(
        &self,
        as_patch: bool,
        expires_at: Option<i64>,
        to: &mut dyn Write,
    ) -> io::Result<()> {
        let mut data = Map::new();
        for (tag, properties) in &self.0 {
            let mut flow = Map::new();
            for (property, view) in properties {
                flow.insert(property.clone(), serde_json::to_value(Scalar(&view.value()))?);
            }
            flow.extend(expires_at.map(|at| (EXPIRES_AT.to_owned(), at.into())));
            let flow = if as_patch { patch(flow) } else { flow.into() };
            data.insert(tag.clone(), flow);
        }
        serde_json::to_writer(&mut *to, &json!({ "data": data }))?;
        to.write_all(b"\n")
    }
}

/// An operation for each property: `add` also sets what is there already.
fn patch(flow: Map<String, Json>) -> Json {
    let operations = flow.into_iter().map(|(property, value)| {
        let path = format!("/{}", property.replace('~', "~0").replace('/', "~1"));
        json!({ "op": "add", "path": path, "value": value })
    });
    operations.collect()
}

/// A batch, its flows not understood.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    data: IndexMap<String, &'a RawValue>,
}

/// Half of the flows each; `None` for a single one, whose properties belong together.
pub(super) fn halve(body: &[u8]) -> Option<[Part; 2]> {
    let Batch { data } = serde_json::from_slice(body).ok()?;
    let flows: Vec<_> = data.iter().collect();
    let (first, second) = flows.split_at(flows.len() / 2);
    if first.is_empty() { None } else { Some([part(first)?, part(second)?]) }
}

fn part(flows: &[(&String, &&RawValue)]) -> Option<Part> {
    let data: IndexMap<_, _> = flows.iter().copied().collect();
    let mut bytes = serde_json::to_vec(&IndexMap::from([("data", data)])).ok()?;
    bytes.push(b'\n');
    let datapoints = flows.iter().map(|(_, flow)| datapoints_of(flow)).sum();
    Some(Part { bytes, datapoints })
}

/// The flows with a wanted tag as a body of their own, and how many they are; `None` for none, and for what is no body.
pub(super) fn only(body: &[u8], is_wanted: impl Fn(&str) -> bool) -> Option<(Part, usize)> {
    let Batch { data } = serde_json::from_slice(body).ok()?;
    let flows: Vec<_> = data.iter().filter(|(tag, _)| is_wanted(tag)).collect();
    if flows.is_empty() { None } else { Some((part(&flows)?, flows.len())) }
}

/// How many datapoints an update holds.
fn datapoints_of(flow: &RawValue) -> u64 {
    let ours = match serde_json::from_str(flow.get()) {
        Ok(Json::Object(flow)) => flow.keys().filter(|property| *property != EXPIRES_AT).count(),
        Ok(Json::Array(operations)) => {
            let paths = operations.iter().map(|operation| operation["path"].as_str());
            paths.filter(|path| *path != Some("/expires_at")).count()
        }
        _ => 1,
    };
    ours as u64
}

/// The tag of a batch of a single flow.
pub(super) fn only_tag(body: &[u8]) -> Option<String> {
    let Batch { data } = serde_json::from_slice(body).ok()?;
    let mut tags = data.into_keys();
    tags.next().filter(|_| tags.next().is_none())
}
