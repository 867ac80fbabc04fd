//! What the lines of a payload share: measurements, sets of tags, fields, each escaped and stored once. Where a batch has
//! one field, that is part of its sets of tags.

use std::collections::HashMap;
use std::hash::BuildHasher;

use collectors::batch::{Batch, Point, Symbol};
use collectors::datapoint::LabelKind;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::template::{Piece, Template};
use super::escape;
use super::line::Layout;

/// The number of a text: equal texts have equal numbers.
pub(super) type Id = u32;

/// Where a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Text {
    pub(super) id: Id,
    start: usize,
    length: usize,
}

/// Each text once. Equal texts are one, whatever job they come from.
#[derive(Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    texts: Vec<Text>,
    table: HashTable<Id>,
    hasher: DefaultHashBuilder,
}

impl Texts {
    /// A text.
    pub(super) fn get(&self, text: Text) -> &[u8] {
        slice(&self.bytes, text)
    }

    /// The text of that number.
    pub(super) fn by_id(&self, id: Id) -> &[u8] {
        self.get(self.texts[id as usize])
    }

    /// Stores what `write` appends.
    fn store(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Text {
        let Self { bytes, texts, table, hasher } = self;
        let start = texts.last().map_or(0, |last| last.start + last.length);
        bytes.truncate(start);
        write(bytes);
        let text = Text { id: number(texts.len()), start, length: bytes.len() - start };
        let hash = hasher.hash_one(slice(bytes, text));
        let is_same = |&id: &Id| slice(bytes, texts[id as usize]) == slice(bytes, text);
        if let Some(&id) = table.find(hash, is_same) {
            return texts[id as usize];
        }
        texts.push(text);
        let rehash = |&id: &Id| hasher.hash_one(slice(bytes, texts[id as usize]));
        table.insert_unique(hash, text.id, rehash);
        text
    }
}

fn slice(bytes: &[u8], text: Text) -> &[u8] {
    &bytes[text.start..text.start + text.length]
}

/// A measurement and a field, with `=` behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) measurement: Text,
    pub(super) field: Text,
    /// Why there can be no line with it.
    pub(super) flaw: Option<&'static str>,
}

/// Every [`Name`] of a payload, by a number.
#[derive(Default)]
pub(super) struct Names {
    names: Vec<Name>,
    numbers: HashMap<(Id, Id), u32, DefaultHashBuilder>,
}

impl Names {
    pub(super) fn get(&self, number: u32) -> &Name {
        &self.names[number as usize]
    }

    fn number(&mut self, measurement: Text, field: Text, texts: &Texts) -> u32 {
        let Self { names, numbers } = self;
        *numbers.entry((measurement.id, field.id)).or_insert_with(|| {
            let flaw = flaw(texts.get(measurement), texts.get(field));
            names.push(Name { measurement, field, flaw });
            number(names.len() - 1)
        })
    }
}

fn flaw(measurement: &[u8], field: &[u8]) -> Option<&'static str> {
    match (measurement, field) {
        ([], _) => Some("its measurement is empty"),
        // Such a line is skipped as a comment, and counts as written.
        ([b'#', ..], _) => Some("InfluxDB takes a measurement that begins with `#` for a comment"),
        (_, b"=") => Some("its field is empty"),
        (_, b"time=") => Some("InfluxDB has no field `time`"),
        _ => None,
    }
}

/// A number for each thing of which fewer than 2³² are in memory: a batch has not more texts than that.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// The names of a batch's datapoints, each made once.
pub(super) struct NamesOf<'a> {
    layout: &'a Layout<'a>,
    job: &'a str,
    batch: &'a Batch,
    /// By key, where the target makes no difference.
    by_key: Option<Vec<Option<u32>>>,
    by_both: HashMap<(Symbol, Symbol), u32, DefaultHashBuilder>,
}

impl<'a> NamesOf<'a> {
    pub(super) fn new(layout: &'a Layout<'a>, job: &'a str, batch: &'a Batch) -> Self {
        let has_target =
            [layout.measurement, layout.field].iter().any(|name| name.has(&Piece::Target));
        let by_key = (!has_target).then(|| vec![None; batch.text_count()]);
        Self { layout, job, batch, by_key, by_both: HashMap::default() }
    }

    /// The number of a datapoint's name.
    pub(super) fn of(&mut self, point: &Point, texts: &mut Texts, names: &mut Names) -> u32 {
        let Self { layout, job, batch, by_key, by_both } = self;
        let make = || {
            let words = Words { host: layout.host, job, batch, point };
            let measurement =
                texts.store(|out| words.fill(layout.measurement, escape::measurement, out));
            let field = texts.store(|out| words.fill_field(layout.field, out));
            names.number(measurement, field, texts)
        };
        match by_key {
            Some(by_key) => *by_key[point.key.index()].get_or_insert_with(make),
            None => *by_both.entry((point.key, point.target)).or_insert_with(make),
        }
    }
}

/// What stands for the pieces of a template.
struct Words<'a> {
    host: &'a str,
    job: &'a str,
    batch: &'a Batch,
    point: &'a Point,
}

impl Words<'_> {
    fn fill(&self, template: &Template, escape: fn(&str, &mut Vec<u8>), out: &mut Vec<u8>) {
        for piece in template.pieces() {
            let text = match piece {
                Piece::Text(text) => text,
                Piece::Key => self.batch.text(self.point.key),
                Piece::Target => self.batch.text(self.point.target),
                Piece::Host => self.host,
                Piece::Job => self.job,
                // The options refuse them.
                Piece::Label(_) | Piece::Labels => "",
            };
            escape(text, out);
        }
    }

    fn fill_field(&self, template: &Template, out: &mut Vec<u8>) {
        self.fill(template, escape::name, out);
        out.push(b'=');
    }
}

/// How many sets of tags are found without a look into the table.
const RECENT: usize = 64;

/// The sets of tags of a batch's datapoints, each written once: a comma before each tag, and a space behind the last.
/// Behind that is the field, where all datapoints of the batch have the same.
pub(super) struct TagsOf<'a> {
    layout: &'a Layout<'a>,
    job: &'a str,
    batch: &'a Batch,
    /// By target, where it makes a difference, and attributes.
    known: HashMap<u64, Id, DefaultHashBuilder>,
    /// Those that were used last, each at the place that its attributes have.
    recent: [Option<(u64, Id)>; RECENT],
}

impl<'a> TagsOf<'a> {
    pub(super) fn new(layout: &'a Layout<'a>, job: &'a str, batch: &'a Batch) -> Self {
        Self { layout, job, batch, known: HashMap::default(), recent: [None; RECENT] }
    }

    /// The number of a datapoint's tags.
    pub(super) fn of(&mut self, point: &Point, texts: &mut Texts) -> Id {
        let Self { layout, job, batch, known, recent } = self;
        let target = if layout.target_tag.is_some() { point.target.index() as u64 } else { 0 };
        let key = target << 32 | point.attributes.index() as u64;
        let recent = &mut recent[point.attributes.index() % RECENT];
        match recent {
            Some((known, id)) if *known == key => *id,
            _ => {
                let write = |out: &mut Vec<u8>| {
                    write_tags(layout, point, batch, out);
                    if layout.has_one_field() {
                        let words = Words { host: layout.host, job, batch, point };
                        words.fill_field(layout.field, out);
                    }
                };
                let id = *known.entry(key).or_insert_with(|| texts.store(write).id);
                *recent = Some((key, id));
                id
            }
        }
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
