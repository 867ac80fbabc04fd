//! Which places of the database a payload fills, so that none is filled twice.

use std::hash::BuildHasher;

use collectors::datapoint::Value;
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::names::Id;
use crate::payload::Payload;

/// What InfluxDB holds one value of: measurement and field, tags, time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) name: u32,
    pub(super) tags: Id,
    pub(super) timestamp_ms: i64,
}

/// Every place, and the batch and datapoint that filled it. The table holds numbers alone, so that most of it stays
/// in the processor's cache.
pub(super) struct Places<'a> {
    payload: &'a Payload,
    filled: Vec<(Place, u32, u32)>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<'a> Places<'a> {
    pub(super) fn new(payload: &'a Payload) -> Self {
        let room = payload.len();
        let (filled, table) = (Vec::with_capacity(room), HashTable::with_capacity(room));
        Self { payload, filled, table, hasher: DefaultHashBuilder::default() }
    }

    /// Fills a place with a datapoint of a batch. `Some`: the value that fills it already.
    pub(super) fn fill(
        &mut self,
        place: Place,
        (batch, point): (usize, usize),
    ) -> Option<Value<'a>> {
        let Self { payload, filled, table, hasher } = self;
        let hash = hasher.hash_one(place);
        let is_same = |&number: &u32| filled[number as usize].0 == place;
        let rehash = |&number: &u32| hasher.hash_one(filled[number as usize].0);
        match table.entry(hash, is_same, rehash) {
            Entry::Occupied(first) => {
                let (_, batch, point) = filled[*first.get() as usize];
                let batch = &payload.batches[batch as usize].batch;
                Some(batch.value(&batch.points()[point as usize]))
            }
            Entry::Vacant(vacant) => {
                // A payload of 2³² datapoints would take 128 GiB.
                let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
                vacant.insert(number(filled.len()));
                filled.push((place, number(batch), number(point)));
                None
            }
        }
    }
}
