//! The first step: which datapoints go into the body, and the numbers of their pairs.
//!
//! Texts are compared once, when they are numbered; everything else compares numbers. The two tables that grow
//! with the datapoints, of values and of series, hold rows and look up there what they compare.

use std::hash::BuildHasher;
use std::io;

use collectors::batch::{AttributesId, Point, Symbol};
use collectors::datapoint::{DataType, Value, trim};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::checksum::Series;
use super::equality::Equality;
use super::limits::{Flaw, Limits};
use super::pairs::{NONE, PIECE_ROWS, Pairs, Row, Shared, Translation, code};
use crate::payload::{Encoded, JobBatch, Payload};

/// Stands for the pair of a key or target that is refused.
const REFUSED: u32 = NONE - 1;
/// Stands for the pair of a key, target or data type that has none yet and may have one.
const GOOD: u32 = NONE - 2;

/// How many datapoints, texts and pairs a payload may have: what 32 bits can number, and room to spare.
const NUMBERED_MAX: usize = 1 << 31;

/// Numbers the pairs of a payload, and counts in `encoded` what becomes of the datapoints.
///
/// # Errors
/// When there is more than 32 bits can number.
pub(super) fn number_pairs<'a>(
    payload: &'a Payload,
    limits: Limits,
    encoded: &mut Encoded,
) -> io::Result<Pairs<'a>> {
    let texts = payload.batches.iter().map(|job| job.batch.text_count()).sum::<usize>();
    if payload.len().max(texts) > NUMBERED_MAX {
        return Err(too_much());
    }
    let mut numbering = Numbering::new(payload, limits);
    for (batch, JobBatch { job, batch: datapoints, .. }) in payload.batches.iter().enumerate() {
        numbering.begin_batch(batch);
        for point in datapoints.points() {
            match numbering.add(batch, point) {
                Ok(Verdict::Sent { labels_dropped }) => {
                    encoded.datapoints += 1;
                    encoded.labels_dropped += u64::from(labels_dropped);
                }
                Ok(Verdict::Duplicate) => encoded.duplicates += 1,
                Ok(Verdict::Superseded) => {
                    encoded.leave_out(job, datapoints.text(point.key), false);
                }
                Err(flaw) => encoded.refuse(job, datapoints.text(point.key), flaw.to_string()),
            }
        }
        if numbering.pairs.count as usize > NUMBERED_MAX {
            return Err(too_much());
        }
    }
    Ok(numbering.pairs)
}

fn too_much() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the payload has more than 2^31 datapoints or pairs",
    )
}

/// What becomes of a datapoint that is not refused.
enum Verdict {
    Sent { labels_dropped: u32 },
    Duplicate,
    Superseded,
}

/// A datapoint of the same series that came before.
enum Earlier<'a> {
    InThisBatch(&'a Point),
    InAnotherBatch { checksum: u32 },
}

struct Numbering<'a> {
    pairs: Pairs<'a>,
    limits: Limits,
    program: &'a str,
    program_flaw: Option<Flaw>,
    /// Rows, by value.
    values: HashTable<u32>,
    /// Rows, by series; where several jobs have the same series, the last of them.
    series: HashTable<u32>,
    hasher: DefaultHashBuilder,
    last_timestamp_ms: Option<i64>,
}

impl<'a> Numbering<'a> {
    fn new(payload: &'a Payload, limits: Limits) -> Self {
        // The tables have their full size from the start, because one that grows is there twice for a while.
        // What stays unused costs a byte.
        let rows = payload.len();
        let program = trim(&payload.agent.program);
        Self {
            pairs: Pairs::new(payload),
            limits,
            program,
            program_flaw: limits.program(program).err(),
            values: HashTable::with_capacity(rows),
            series: HashTable::with_capacity(rows),
            hasher: DefaultHashBuilder::default(),
            last_timestamp_ms: None,
        }
    }

    fn begin_batch(&mut self, batch: usize) {
        let datapoints = &self.pairs.payload.batches[batch].batch;
        self.pairs.texts.reserve(datapoints.text_count());
        self.pairs.batches.push(Translation {
            first_row: number(self.pairs.rows.len()),
            texts: vec![NONE; datapoints.text_count()],
            label_sets: vec![NONE; datapoints.attributes_count()],
        });
    }

    fn add(&mut self, batch: usize, point: &'a Point) -> Result<Verdict, Flaw> {
        let row = self.pairs.rows.len();
        if row.is_multiple_of(PIECE_ROWS) {
            self.pairs.starts.push(self.pairs.count);
        }
        self.pairs.rows.push(Row { value: NONE, checksum: NONE });
        let datapoints = &self.pairs.payload.batches[batch].batch;
        let value = datapoints.value(point);
        self.limits.value(&value)?;
        let shared = self.shared(batch, point)?;
        let series = self.pairs.series(shared, point.data_type);
        let known_checksum = match self.earlier(series, batch, number(row)) {
            None => None,
            Some(Earlier::InAnotherBatch { checksum }) => Some(checksum),
            Some(Earlier::InThisBatch(earlier)) => {
                let is_same_time = earlier.timestamp_ms == point.timestamp_ms;
                let is_same = is_same_time && datapoints.value(earlier) == value;
                return Ok(if is_same { Verdict::Duplicate } else { Verdict::Superseded });
            }
        };
        // Numbered in the order in which the datapoint has them.
        self.number_shared(shared, point.data_type);
        let value = self.number_value(&value, number(row));
        self.number_timestamp(point.timestamp_ms);
        let checksum = known_checksum.unwrap_or_else(|| next(&mut self.pairs.count));
        self.pairs.rows[row] = Row { value, checksum };
        self.pairs.first_sent.get_or_insert(row);
        Ok(Verdict::Sent { labels_dropped: self.pairs.labels.get(shared.labels).dropped })
    }

    /// What the datapoint shares with others, once that is found to be good.
    fn shared(&mut self, batch: usize, point: &Point) -> Result<Shared, Flaw> {
        if let Some(flaw) = self.program_flaw {
            return Err(flaw);
        }
        let shared = Shared {
            key: self.text(batch, point.key),
            target: self.text(batch, point.target),
            labels: self.label_set(batch, point.attributes),
        };
        let Self { pairs, limits, program, .. } = self;
        let Pairs { texts, keys, targets, labels, keys_without_3, .. } = pairs;
        if keys.len() < texts.len() {
            keys.resize(texts.len(), NONE);
        }
        let key = texts.get(shared.key);
        check(&mut keys[shared.key as usize], || limits.key(program, key))?;
        let target = targets.entry(shared.target).or_insert(NONE);
        check(target, || limits.target(texts.get(shared.target)))?;
        if let Some(flaw) = labels.get(shared.labels).flaw {
            return Err(flaw);
        }
        if point.data_type == DataType::String
            && let Some(rest) = key.strip_suffix('3')
        {
            keys_without_3.insert(shared.key, texts.intern(rest));
        }
        Ok(shared)
    }

    fn text(&mut self, batch: usize, symbol: Symbol) -> u32 {
        let known = &mut self.pairs.batches[batch].texts[symbol.index()];
        if *known == NONE {
            let text = self.pairs.payload.batches[batch].batch.text(symbol);
            // Of keys, labels and targets, only a target may still have white space around it.
            *known = self.pairs.texts.intern(trim(text));
        }
        *known
    }

    fn label_set(&mut self, batch: usize, attributes: AttributesId) -> u32 {
        let known = &mut self.pairs.batches[batch].label_sets[attributes.index()];
        if *known == NONE {
            *known = self.pairs.labels.add(batch, attributes, self.limits, self.program);
        }
        *known
    }

    /// The datapoint of the same series that came before; `row` takes its place if that was another batch's.
    fn earlier(&mut self, series: Series, batch: usize, row: u32) -> Option<Earlier<'a>> {
        let Self { pairs, series: table, hasher, .. } = self;
        let series_of = |&row: &u32| {
            let (batch, point) = pairs.locate(row);
            pairs.series(pairs.shared(batch, point), point.data_type)
        };
        let is_same = |row: &u32| series_of(row) == series;
        let hash = series_hash(series, hasher);
        match table.entry(hash, is_same, |row| series_hash(series_of(row), hasher)) {
            Entry::Vacant(entry) => {
                entry.insert(row);
                None
            }
            Entry::Occupied(mut entry) => {
                let earlier = *entry.get();
                if earlier >= pairs.batches[batch].first_row {
                    return Some(Earlier::InThisBatch(pairs.locate(earlier).1));
                }
                *entry.get_mut() = row;
                Some(Earlier::InAnotherBatch { checksum: pairs.rows[earlier as usize].checksum })
            }
        }
    }

    fn number_shared(&mut self, shared: Shared, data_type: DataType) {
        let Pairs { texts, keys, targets, labels, agent, data_types, count, .. } = &mut self.pairs;
        labels.number(shared.labels, count, |text| texts.intern(text));
        let is_first = *agent == NONE;
        if is_first {
            // Polling interval, host name and id stand before the first target, the program behind it.
            *agent = *count;
            *count += 3;
        }
        if let Some(target) = targets.get_mut(&shared.target) {
            number_once(target, count);
        }
        if is_first {
            *count += 1;
        }
        number_once(&mut keys[shared.key as usize], count);
        number_once(&mut data_types[usize::from(code(data_type))], count);
    }

    fn number_value(&mut self, value: &Value<'_>, row: u32) -> u32 {
        let Self { pairs, values, hasher, .. } = self;
        let value_of = |row: u32| {
            let (batch, point) = pairs.locate(row);
            pairs.payload.batches[batch].batch.value(point)
        };
        let equality = Equality::of(value);
        let hash = hasher.hash_one(&equality);
        let is_same = |&row: &u32| Equality::of(&value_of(row)) == equality;
        match values.entry(hash, is_same, |&row| hasher.hash_one(Equality::of(&value_of(row)))) {
            Entry::Occupied(entry) => pairs.rows[*entry.get() as usize].value,
            Entry::Vacant(entry) => {
                entry.insert(row);
                next(&mut pairs.count)
            }
        }
    }

    fn number_timestamp(&mut self, timestamp_ms: i64) {
        // Most datapoints of a run have the run's own.
        if self.last_timestamp_ms == Some(timestamp_ms) {
            return;
        }
        self.last_timestamp_ms = Some(timestamp_ms);
        let Pairs { timestamps, count, .. } = &mut self.pairs;
        timestamps.entry(timestamp_ms).or_insert_with(|| next(count));
    }
}

/// A hash that puts 16 neighbouring keys of a target side by side.
///
/// Sources list their keys in the same order for each target. In a large table this saves most of the waiting
/// for memory. `hashbrown` takes the place from the low bits, and from the high ones what it compares first.
fn series_hash(mut series: Series, hasher: &DefaultHashBuilder) -> u64 {
    let neighbour = u64::from(series.identity.key & 0xf);
    series.identity.key >>= 4;
    let neighbourhood = hasher.hash_one(series);
    (neighbourhood & !0xf | neighbour) ^ neighbour << 60
}

/// A count or place as the 32 bits that are kept of it.
#[expect(clippy::cast_possible_truncation, reason = "`number_pairs` has seen to it that they fit")]
pub(super) fn number(count: usize) -> u32 {
    count as u32
}

/// The number of a new pair.
pub(super) fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}

fn number_once(pair: &mut u32, count: &mut u32) {
    if *pair >= GOOD {
        *pair = next(count);
    }
}

/// Judges once, and again only to say what is wrong.
fn check(state: &mut u32, judge: impl Fn() -> Result<(), Flaw>) -> Result<(), Flaw> {
    match *state {
        NONE => {
            let verdict = judge();
            *state = if verdict.is_ok() { GOOD } else { REFUSED };
            verdict
        }
        REFUSED => judge(),
        _ => Ok(()),
    }
}
