//! What the lines of a payload share: measurements, sets of tags, fields, each escaped and stored once.

use std::collections::HashMap;
use std::hash::BuildHasher;

use collectors::batch::{Batch, Point, Symbol};
use collectors::datapoint::LabelKind;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::template::{Piece, Template};
use super::escape;
use super::line::Layout;

/// A text of [`Texts`].
pub(super) type Id = u32;

/// Each text once. Equal texts have equal ids, whatever job they come from.
#[derive(Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    table: HashTable<Id>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    pub(super) fn get(&self, id: Id) -> &[u8] {
        slice(&self.bytes, &self.ends, id)
    }

    /// Stores what `write` appends.
    fn store(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Id {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let Self { bytes, ends, table, hasher } = self;
        let hash = hasher.hash_one(&bytes[start..]);
        if let Some(&id) = table.find(hash, |&id| slice(bytes, ends, id) == &bytes[start..]) {
            bytes.truncate(start);
            return id;
        }
        let id = number(ends.len());
        ends.push(bytes.len());
        table.insert_unique(hash, id, |&id| hasher.hash_one(slice(bytes, ends, id)));
        id
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], id: Id) -> &'a [u8] {
    let index = id as usize;
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &bytes[start..ends[index]]
}

/// A measurement and a field, with `=` behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) measurement: Id,
    pub(super) field: Id,
}

/// Every [`Name`] of a payload, by a number.
#[derive(Default)]
pub(super) struct Names {
    names: Vec<Name>,
    numbers: HashMap<Name, u32, DefaultHashBuilder>,
}

impl Names {
    pub(super) fn get(&self, number: u32) -> Name {
        self.names[number as usize]
    }

    fn number(&mut self, name: Name) -> u32 {
        let Self { names, numbers } = self;
        *numbers.entry(name).or_insert_with(|| {
            names.push(name);
            number(names.len() - 1)
        })
    }
}

/// A number for each thing of which fewer than 2³² are in memory: a batch has not more texts than that.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The names of a batch's datapoints, each made once.
pub(super) struct NamesOf<'a> {
    layout: &'a Layout<'a>,
    batch: &'a Batch,
    /// By key, where the target makes no difference.
    by_key: Option<Vec<Option<u32>>>,
    by_both: HashMap<(Symbol, Symbol), u32, DefaultHashBuilder>,
}

impl<'a> NamesOf<'a> {
    pub(super) fn new(layout: &'a Layout<'a>, batch: &'a Batch) -> Self {
        let has_target =
            [layout.measurement, layout.field].iter().any(|name| name.has(&Piece::Target));
        let by_key = (!has_target).then(|| vec![None; batch.text_count()]);
        Self { layout, batch, by_key, by_both: HashMap::default() }
    }

    /// The number of a datapoint's name.
    pub(super) fn of(&mut self, point: &Point, texts: &mut Texts, names: &mut Names) -> u32 {
        let Self { layout, batch, by_key, by_both } = self;
        let make = || {
            let mut store = |template: &Template, escape: fn(&str, &mut Vec<u8>), end: &[u8]| {
                texts.store(|out| {
                    for piece in template.pieces() {
                        let text = match piece {
                            Piece::Text(text) => text,
                            Piece::Key => batch.text(point.key),
                            Piece::Target => batch.text(point.target),
                            Piece::Host => layout.host,
                            // The options refuse them.
                            Piece::Label(_) | Piece::Labels => "",
                        };
                        escape(text, out);
                    }
                    out.extend_from_slice(end);
                })
            };
            let measurement = store(layout.measurement, escape::measurement, b"");
            names.number(Name { measurement, field: store(layout.field, escape::name, b"=") })
        };
        match by_key {
            Some(by_key) => *by_key[point.key.index()].get_or_insert_with(make),
            None => *by_both.entry((point.key, point.target)).or_insert_with(make),
        }
    }
}

/// The sets of tags of a batch's datapoints, each written once: a comma before each tag, and a space behind the last.
pub(super) struct TagsOf<'a> {
    layout: &'a Layout<'a>,
    batch: &'a Batch,
    /// By target, where it makes a difference, and attributes.
    known: HashMap<u64, Id, DefaultHashBuilder>,
    last: Option<(u64, Id)>,
}

impl<'a> TagsOf<'a> {
    pub(super) fn new(layout: &'a Layout<'a>, batch: &'a Batch) -> Self {
        Self { layout, batch, known: HashMap::default(), last: None }
    }

    pub(super) fn of(&mut self, point: &Point, texts: &mut Texts) -> Id {
        let Self { layout, batch, known, last } = self;
        let target = if layout.target_tag.is_some() { point.target.index() as u64 } else { 0 };
        let place = target << 32 | point.attributes.index() as u64;
        if let Some((known, id)) = *last
            && known == place
        {
            return id;
        }
        let make = || texts.store(|out| write_tags(layout, point, batch, out));
        let id = *known.entry(place).or_insert_with(make);
        *last = Some((place, id));
        id
    }
}

/// Names that InfluxDB keeps for itself.
pub(super) const RESERVED: [&str; 3] = ["time", "_measurement", "_field"];

fn write_tags(layout: &Layout<'_>, point: &Point, batch: &Batch, out: &mut Vec<u8>) {
    let stored = batch.labels(point.attributes).iter();
    let stored = stored.filter(|label| layout.info || label.kind == LabelKind::Identity);
    let labels = stored.map(|label| (batch.text(label.name), batch.text(label.value)));
    let mut tags: Vec<(String, &str)> = Vec::new();
    let own = [
        (layout.host_tag, layout.host),
        (layout.target_tag, batch.text(point.target)),
        (layout.unit_tag, batch.unit(point.attributes).unwrap_or_default()),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name?, value)));
    let is_own = |name: &str, tags: &[(String, &str)]| tags.iter().any(|(known, _)| known == name);
    for (name, value) in labels {
        let mut name = name.trim_end_matches('\\').to_owned();
        while RESERVED.contains(&name.as_str()) || is_own(&name, &tags) || name.is_empty() {
            name.push('_');
        }
        tags.push((name, value));
    }
    // A label of the same name says it better.
    for (name, value) in own {
        if !is_own(name, &tags) {
            tags.push((name.to_owned(), value));
        }
    }
    tags.retain(|(_, value)| !value.trim_end_matches('\\').is_empty());
    tags.sort_unstable();
    for (name, value) in &tags {
        out.push(b',');
        escape::name(name, out);
        out.push(b'=');
        escape::name(value, out);
    }
    out.push(b' ');
}
