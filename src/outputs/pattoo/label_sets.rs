//! The label sets of a payload: their pairs, and which of them are the same identity.

use std::collections::HashMap;
use std::hash::BuildHasher;

use collectors::batch::{AttributesId, Batch};
use collectors::datapoint::LabelKind;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::limits::{Flaw, Limits, is_reserved};
use super::numbering::{next, number};
use crate::payload::Payload;

/// An attribute set of one batch.
#[derive(Debug)]
pub(super) struct LabelSet {
    batch: u32,
    attributes: AttributesId,
    /// Equal for sets that are the same part of an identity.
    pub identity: u32,
    /// How many labels are left off.
    pub dropped: u32,
    /// Whether it is numbered yet, and where its pairs then are.
    pairs: Option<(u32, u32)>,
    /// One above its highest pair.
    pub pairs_end: u32,
    /// Why its datapoints are refused.
    pub flaw: Option<Flaw>,
}

/// Every attribute set that some datapoint has.
#[derive(Debug)]
pub(super) struct LabelSets<'a> {
    payload: &'a Payload,
    sets: Vec<LabelSet>,
    pairs: Vec<u32>,
    pair_of: HashMap<(u32, u32), u32, DefaultHashBuilder>,
    identities: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl<'a> LabelSets<'a> {
    pub(super) fn new(payload: &'a Payload) -> Self {
        Self {
            payload,
            sets: Vec::new(),
            pairs: Vec::new(),
            pair_of: HashMap::default(),
            identities: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(super) fn get(&self, set: u32) -> &LabelSet {
        &self.sets[set as usize]
    }

    /// The pairs of a numbered set, in order.
    pub(super) fn pairs(&self, set: u32) -> &[u32] {
        match self.get(set).pairs {
            Some((start, end)) => &self.pairs[start as usize..end as usize],
            None => &[],
        }
    }

    /// The labels that are sent, in order, as name and value.
    pub(super) fn labels(&self, set: u32) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        sent(self.payload, self.get(set)).map(|(name, value, _)| (name, value))
    }

    /// The labels that are part of a series' identity, in order.
    pub(super) fn identity(&self, set: u32) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        identity(self.payload, self.get(set))
    }

    /// Takes up a set.
    pub(super) fn add(
        &mut self,
        batch: usize,
        attributes: AttributesId,
        limits: Limits,
        program: &str,
    ) -> u32 {
        let id = number(self.sets.len());
        let mut set = LabelSet {
            batch: number(batch),
            attributes,
            identity: id,
            dropped: 0,
            pairs: None,
            pairs_end: 0,
            flaw: None,
        };
        let all = self.payload.batches[batch].batch.labels(attributes).len();
        set.dropped = number(all - sent(self.payload, &set).count());
        set.flaw = sent(self.payload, &set)
            .find_map(|(name, value, _)| limits.label(program, name, value).err());
        let Self { payload, sets, identities, hasher, .. } = self;
        let hash = identity_hash(payload, &set, hasher);
        let same = |&other: &u32| is_same_identity(payload, &sets[other as usize], &set);
        if let Some(&other) = identities.find(hash, same) {
            set.identity = other;
        } else {
            identities
                .insert_unique(hash, id, |&id| identity_hash(payload, &sets[id as usize], hasher));
        }
        sets.push(set);
        id
    }

    /// Numbers the pairs of a set that has a datapoint, unless that was done before. `text` numbers texts,
    /// `count` counts the pairs.
    pub(super) fn number(
        &mut self,
        set: u32,
        count: &mut u32,
        mut text: impl FnMut(&'a str) -> u32,
    ) {
        if self.get(set).pairs.is_some() {
            return;
        }
        let start = self.pairs.len();
        for (name, value, _) in sent(self.payload, &self.sets[set as usize]) {
            let pair = self.pair_of.entry((text(name), text(value))).or_insert_with(|| next(count));
            self.pairs.push(*pair);
        }
        let pairs_end = self.pairs[start..].iter().max().map_or(0, |highest| highest + 1);
        let set = &mut self.sets[set as usize];
        set.pairs = Some((number(start), number(self.pairs.len())));
        set.pairs_end = pairs_end;
    }
}

fn sent<'a>(
    payload: &'a Payload,
    set: &LabelSet,
) -> impl Iterator<Item = (&'a str, &'a str, LabelKind)> + use<'a> {
    let batch: &Batch = &payload.batches[set.batch as usize].batch;
    let labels = batch.labels(set.attributes).iter();
    labels
        .map(|label| (batch.text(label.name), batch.text(label.value), label.kind))
        .filter(|(name, ..)| !is_reserved(name))
}

fn identity<'a>(
    payload: &'a Payload,
    set: &LabelSet,
) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    sent(payload, set)
        .filter(|(.., kind)| *kind == LabelKind::Identity)
        .map(|(name, value, _)| (name, value))
}

/// A checksum's link is made of name and value with nothing between them, so `ab` = `c` and `a` = `bc` are the
/// same link.
fn is_same_identity(payload: &Payload, one: &LabelSet, other: &LabelSet) -> bool {
    let mut ones = identity(payload, one);
    let mut others = identity(payload, other);
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some((name, value)), Some((other_name, other_value))) => {
                let link = name.bytes().chain(value.bytes());
                if !link.eq(other_name.bytes().chain(other_value.bytes())) {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

fn identity_hash(payload: &Payload, set: &LabelSet, hasher: &DefaultHashBuilder) -> u64 {
    let mut links = Vec::new();
    for (name, value) in identity(payload, set) {
        links.extend_from_slice(name.as_bytes());
        links.extend_from_slice(value.as_bytes());
        // UTF-8 never has this byte.
        links.push(0xff);
    }
    hasher.hash_one(links)
}
