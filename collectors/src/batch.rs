//! What one job has collected: datapoints of 32 bytes each, their text stored once.
//!
//! A run may carry a million datapoints that share a few thousand keys, targets and label sets. Text is
//! interned as it is pushed; everything downstream (de-duplication, identities of series) then compares
//! numbers instead of text.

use std::borrow::Cow;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::datapoint::{DataType, Datapoint, Finite, LabelKind, Value};

/// A text of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

impl Symbol {
    /// Its number: texts count from 0, so that a table over them is a plain vector.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A set of labels and a unit, as used by any number of datapoints of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttributesId(u32);

impl AttributesId {
    /// Its number: sets count from 0, and 0 is the empty one.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A label as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredLabel {
    /// Its normalised name.
    pub name: Symbol,
    /// Its value.
    pub value: Symbol,
    /// Identity or info.
    pub kind: LabelKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Int,
    Uint,
    Float,
    Text,
}

/// A datapoint as stored.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    bits: u64,
    /// What was measured.
    pub key: Symbol,
    /// What was polled.
    pub target: Symbol,
    /// Labels and unit.
    pub attributes: AttributesId,
    /// What the value means.
    pub data_type: DataType,
    form: Form,
}

// The bound on resident memory per datapoint rests on this.
const _: () = assert!(size_of::<Point>() == 32);

#[derive(Debug, Clone, Copy)]
struct AttributeSet {
    labels_start: u32,
    labels_end: u32,
    unit: Option<Symbol>,
}

/// More text than 32-bit offsets can address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the job's text exceeds 4 GiB")]
pub struct Full;

/// The datapoints of one job, in the order in which they were pushed.
#[derive(Debug, Default)]
pub struct Batch {
    texts: Interner,
    labels: Vec<StoredLabel>,
    sets: Vec<AttributeSet>,
    set_table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    points: Vec<Point>,
}

impl Batch {
    /// Stores a datapoint.
    ///
    /// `target` and `now_ms` stand in where the datapoint has none of its own; `extra` are the job's labels,
    /// added behind the datapoint's where it has none of that name. Of two labels of one name the first wins.
    ///
    /// # Errors
    /// [`Full`] when the batch's text would exceed 4 GiB.
    pub fn push(
        &mut self,
        datapoint: &Datapoint<'_>,
        target: &str,
        extra: &[crate::datapoint::Label<'_>],
        now_ms: i64,
    ) -> Result<(), Full> {
        let key = self.texts.intern(datapoint.key.as_str())?;
        let target = self.texts.intern(datapoint.target.unwrap_or(target))?;
        let attributes = self.attributes(datapoint, extra)?;
        let (form, bits) = match &datapoint.value {
            Value::Int(int) => (Form::Int, int.cast_unsigned()),
            // One number has one form, whoever made it: outputs treat what is beyond an i64 in a way of their own.
            Value::Uint(uint) if i64::try_from(*uint).is_ok() => (Form::Int, *uint),
            Value::Uint(uint) => (Form::Uint, *uint),
            Value::Float(float) => (Form::Float, float.get().to_bits()),
            Value::Text(text) => (Form::Text, u64::from(self.texts.intern(text)?.0)),
        };
        self.points.push(Point {
            timestamp_ms: datapoint.timestamp_ms.unwrap_or(now_ms),
            bits,
            key,
            target,
            attributes,
            data_type: datapoint.data_type,
            form,
        });
        Ok(())
    }

    /// Adds a datapoint of the same target, labels and moment as one that is there: what follows from that one.
    ///
    /// # Errors
    /// [`Full`] when the batch's text would exceed 4 GiB.
    pub fn derive(
        &mut self,
        of: Point,
        key: &str,
        value: Finite,
        unit: Option<&str>,
    ) -> Result<(), Full> {
        let key = self.texts.intern(key)?;
        let unit = unit.map(|unit| self.texts.intern(unit)).transpose()?;
        let (start, end) = match self.sets.get(of.attributes.index()) {
            Some(set) => (set.labels_start, set.labels_end),
            None => (0, 0),
        };
        let attributes = self.attribute_set(start, end, unit)?;
        let bits = value.get().to_bits();
        self.points.push(Point {
            key,
            attributes,
            bits,
            form: Form::Float,
            data_type: DataType::Float,
            ..of
        });
        Ok(())
    }

    /// Takes out the datapoints at the places for which `keep` is false.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut place = 0;
        self.points.retain(|_| {
            place += 1;
            keep(place - 1)
        });
    }

    /// The datapoints, in the order in which they were pushed.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// How many datapoints there are.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// How many different texts there are: every [`Symbol::index`] is below this.
    pub fn text_count(&self) -> usize {
        self.texts.ends.len()
    }

    /// How many different attribute sets there are: every [`AttributesId::index`] is below this.
    pub fn attributes_count(&self) -> usize {
        self.sets.len().max(1)
    }

    /// The text behind a symbol.
    pub fn text(&self, symbol: Symbol) -> &str {
        self.texts.get(symbol.0)
    }

    /// The value of one of this batch's datapoints.
    #[inline]
    pub fn value(&self, point: &Point) -> Value<'_> {
        match point.form {
            Form::Int => Value::Int(point.bits.cast_signed()),
            Form::Uint => Value::Uint(point.bits),
            Form::Float => {
                // Only finite floats were pushed, so this always succeeds.
                Value::float(f64::from_bits(point.bits)).unwrap_or(Value::Int(0))
            }
            #[expect(clippy::cast_possible_truncation, reason = "a symbol's 32 bits were stored")]
            Form::Text => Value::Text(Cow::Borrowed(self.texts.get(point.bits as u32))),
        }
    }

    /// The labels of an attribute set, in order.
    pub fn labels(&self, attributes: AttributesId) -> &[StoredLabel] {
        match self.sets.get(attributes.index()) {
            Some(set) => &self.labels[set.labels_start as usize..set.labels_end as usize],
            None => &[],
        }
    }

    /// The unit of an attribute set.
    pub fn unit(&self, attributes: AttributesId) -> Option<&str> {
        self.sets.get(attributes.index())?.unit.map(|unit| self.text(unit))
    }

    fn attributes(
        &mut self,
        datapoint: &Datapoint<'_>,
        extra: &[crate::datapoint::Label<'_>],
    ) -> Result<AttributesId, Full> {
        if datapoint.labels.is_empty() && extra.is_empty() && datapoint.unit.is_none() {
            return Ok(AttributesId(0));
        }
        // The new set is laid out at the end of `labels` and taken back when it was known already.
        let start = self.labels.len();
        for label in datapoint.labels.iter().chain(extra) {
            let name = self.texts.intern(label.name())?;
            if self.labels[start..].iter().all(|known| known.name != name) {
                let value = self.texts.intern(label.value())?;
                self.labels.push(StoredLabel { name, value, kind: label.kind() });
            }
        }
        let unit = datapoint.unit.map(|unit| self.texts.intern(unit)).transpose()?;
        let [start, end] = [start, self.labels.len()].map(u32::try_from);
        let (start, end) = (start.map_err(|_| Full)?, end.map_err(|_| Full)?);
        let known = self.sets.len();
        let id = self.attribute_set(start, end, unit)?;
        if id.index() < known {
            self.labels.truncate(start as usize);
        }
        Ok(id)
    }

    /// The set of these labels and this unit, which may be known already.
    fn attribute_set(
        &mut self,
        start: u32,
        end: u32,
        unit: Option<Symbol>,
    ) -> Result<AttributesId, Full> {
        if self.sets.is_empty() {
            self.sets.push(AttributeSet { labels_start: 0, labels_end: 0, unit: None });
        }
        let Self { labels, sets, set_table, hasher, .. } = self;
        let wanted = &labels[start as usize..end as usize];
        if wanted.is_empty() && unit.is_none() {
            return Ok(AttributesId(0));
        }
        let hash = hasher.hash_one((wanted, unit));
        let content = |id: u32| {
            let set = &sets[id as usize];
            (&labels[set.labels_start as usize..set.labels_end as usize], set.unit)
        };
        if let Some(&id) = set_table.find(hash, |&id| content(id) == (wanted, unit)) {
            return Ok(AttributesId(id));
        }
        let id = u32::try_from(sets.len()).map_err(|_| Full)?;
        set_table.insert_unique(hash, id, |&id| hasher.hash_one(content(id)));
        sets.push(AttributeSet { labels_start: start, labels_end: end, unit });
        Ok(AttributesId(id))
    }
}

/// Each text once, end to end.
#[derive(Debug, Default)]
struct Interner {
    bytes: String,
    ends: Vec<u32>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    fn intern(&mut self, text: &str) -> Result<Symbol, Full> {
        let hash = self.hasher.hash_one(text);
        let Self { bytes, ends, table, hasher } = self;
        if let Some(&id) = table.find(hash, |&id| slice(bytes, ends, id) == text) {
            return Ok(Symbol(id));
        }
        let end = u32::try_from(bytes.len() + text.len()).map_err(|_| Full)?;
        let id = u32::try_from(ends.len()).map_err(|_| Full)?;
        bytes.push_str(text);
        ends.push(end);
        table.insert_unique(hash, id, |&id| hasher.hash_one(slice(bytes, ends, id)));
        Ok(Symbol(id))
    }

    fn get(&self, id: u32) -> &str {
        slice(&self.bytes, &self.ends, id)
    }
}

fn slice<'a>(bytes: &'a str, ends: &[u32], id: u32) -> &'a str {
    let index = id as usize;
    let start = if index == 0 { 0 } else { ends[index - 1] as usize };
    &bytes[start..ends[index] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapoint::Label;

    #[test]
    fn one_number_has_one_form() -> Result<(), Box<dyn std::error::Error>> {
        let mut batch = Batch::default();
        for value in [7, i64::MAX.unsigned_abs(), 1 << 63] {
            let point = Datapoint::new("k", Value::Uint(value), DataType::Counter64)?;
            batch.push(&point, "h", &[], 5)?;
        }
        let values: Vec<_> = batch.points().iter().map(|point| batch.value(point)).collect();
        assert_eq!(values, [Value::Int(7), Value::Int(i64::MAX), Value::Uint(1 << 63)]);
        Ok(())
    }

    #[test]
    fn text_and_label_sets_are_stored_once() -> Result<(), Box<dyn std::error::Error>> {
        let mut batch = Batch::default();
        let job = [Label::new("room", "job")?, Label::new("site", "x")?];
        for value in 0..3 {
            let labels = [Label::new("Room", " a1 ")?, Label::new("ROOM", "dropped")?];
            let point = Datapoint::new("temp", Value::Int(value), DataType::Int)?.labels(&labels);
            batch.push(&point, "h", &job, 5)?;
        }
        batch.push(&Datapoint::new("temp", Value::Int(9), DataType::Int)?, "h", &[], 5)?;
        assert_eq!(batch.attributes_count(), 2);
        let labels: Vec<_> = batch
            .labels(batch.points()[2].attributes)
            .iter()
            .map(|l| (batch.text(l.name), batch.text(l.value)))
            .collect();
        assert_eq!(labels, [("room", "a1"), ("site", "x")]);
        assert!(batch.labels(batch.points()[3].attributes).is_empty());
        assert_eq!(batch.value(&batch.points()[1]), Value::Int(1));
        Ok(())
    }

    #[test]
    fn what_follows_from_a_datapoint_has_its_labels_and_a_unit_of_its_own()
    -> Result<(), Box<dyn std::error::Error>> {
        let mut batch = Batch::default();
        let labels = [Label::new("room", "a1")?];
        let point = Datapoint::new("sent", Value::Int(7), DataType::Counter64)?.labels(&labels);
        batch.push(&Datapoint { unit: Some("bytes"), ..point }, "h", &[], 5)?;
        let Value::Float(rate) = Value::float(2.5)? else { panic!("a float") };
        for _ in 0..2 {
            batch.derive(batch.points()[0], "sent_per_second", rate, Some("bytes/s"))?;
        }
        batch.retain(|place| place != 0);
        let point = batch.points()[0];
        assert_eq!((batch.len(), batch.attributes_count()), (2, 3));
        assert_eq!(
            (batch.text(point.key), batch.unit(point.attributes)),
            ("sent_per_second", Some("bytes/s"))
        );
        assert_eq!((batch.text(point.target), batch.value(&point)), ("h", Value::float(2.5)?));
        assert_eq!(batch.text(batch.labels(point.attributes)[0].value), "a1");
        Ok(())
    }
}
