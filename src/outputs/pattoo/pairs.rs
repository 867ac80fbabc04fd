//! The pairs of a payload: which number each has, and which of them make up a datapoint.

use std::collections::HashMap;
use std::ops::Range;

use collectors::batch::Point;
use collectors::datapoint::DataType;
use hashbrown::DefaultHashBuilder;

use super::checksum::{Chain, Checksums, Identity, Series};
use super::label_sets::LabelSets;
use super::texts::Texts;
use crate::payload::Payload;

/// How many datapoints make a piece of the body: enough to outweigh handing it over, few enough to fit a cache.
pub(super) const PIECE_ROWS: usize = 1024;

/// Where there is no number, or none yet.
pub(super) const NONE: u32 = u32::MAX;

/// The highest code of a data type.
const TYPE_CODE_MAX: usize = 101;

/// A table whose keys are numbers.
pub(super) type Numbers<K> = HashMap<K, u32, DefaultHashBuilder>;

/// What is kept of a datapoint: the pairs that are its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// [`NONE`]: the datapoint is left out.
    pub value: u32,
    pub checksum: u32,
}

/// A batch's own numbers of texts and attribute sets → the payload's; [`NONE`] for what no datapoint uses.
#[derive(Debug)]
pub(super) struct Translation {
    pub first_row: u32,
    pub texts: Vec<u32>,
    pub label_sets: Vec<u32>,
}

/// What a datapoint shares with others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared {
    /// The key's text.
    pub key: u32,
    /// The target's text.
    pub target: u32,
    /// The label set.
    pub labels: u32,
}

/// The pairs of a payload.
#[derive(Debug)]
pub(super) struct Pairs<'a> {
    pub payload: &'a Payload,
    /// Keys, targets, and names and values of labels.
    pub texts: Texts<'a>,
    pub batches: Vec<Translation>,
    pub labels: LabelSets<'a>,
    /// By text.
    pub keys: Vec<u32>,
    /// By text.
    pub targets: Numbers<u32>,
    /// The polling interval; host name, id, (target,) and program follow.
    pub agent: u32,
    /// By code.
    pub data_types: [u32; TYPE_CODE_MAX + 1],
    pub timestamps: Numbers<i64>,
    /// Keys of text, without the `3` at their end: see [`Pairs::identity`].
    pub keys_without_3: Numbers<u32>,
    /// One for each datapoint.
    pub rows: Vec<Row>,
    /// The first datapoint that is sent.
    pub first_sent: Option<usize>,
    /// For each piece the first pair that is not in an earlier piece.
    pub starts: Vec<u32>,
    /// How many pairs there are so far.
    pub count: u32,
    pub chain: Chain,
}

impl<'a> Pairs<'a> {
    pub(super) fn new(payload: &'a Payload) -> Self {
        Self {
            payload,
            texts: Texts::default(),
            batches: Vec::with_capacity(payload.batches.len()),
            labels: LabelSets::new(payload),
            keys: Vec::new(),
            targets: Numbers::default(),
            agent: NONE,
            data_types: [NONE; TYPE_CODE_MAX + 1],
            timestamps: Numbers::default(),
            keys_without_3: Numbers::default(),
            rows: Vec::with_capacity(payload.len()),
            first_sent: None,
            starts: Vec::with_capacity(payload.len() / PIECE_ROWS + 1),
            count: 0,
            chain: Chain::new(&payload.agent),
        }
    }

    /// In how many pieces the body is written.
    pub(super) fn pieces(&self) -> usize {
        self.starts.len()
    }

    /// A thread's workplace.
    pub(super) fn checksums(&self) -> Checksums<'_> {
        self.chain.checksums(self.rows.len())
    }

    /// The datapoint of that row, and its batch's place.
    pub(super) fn locate(&self, row: u32) -> (usize, &'a Point) {
        let batch = self.batches.partition_point(|batch| batch.first_row <= row) - 1;
        let index = (row - self.batches[batch].first_row) as usize;
        (batch, &self.payload.batches[batch].batch.points()[index])
    }

    pub(super) fn shared(&self, batch: usize, point: &Point) -> Shared {
        let translation = &self.batches[batch];
        Shared {
            key: translation.texts[point.key.index()],
            target: translation.texts[point.target.index()],
            labels: translation.label_sets[point.attributes.index()],
        }
    }

    pub(super) fn series(&self, shared: Shared, data_type: DataType) -> Series {
        let identity = self.identity(shared, data_type);
        Series { identity, target: shared.target }
    }

    /// What makes the series at its target.
    ///
    /// The chain of checksums begins with key and code and nothing between them: the text `k3` (code 2) and the
    /// counter `k` (code 32) are one series.
    fn identity(&self, shared: Shared, data_type: DataType) -> Identity {
        let labels = self.labels.get(shared.labels).identity;
        if data_type == DataType::String
            && let Some(&key) = self.keys_without_3.get(&shared.key)
        {
            return Identity { key, data_type: code(DataType::Counter), labels };
        }
        Identity { key: shared.key, data_type: code(data_type), labels }
    }

    /// The datapoints of `rows`, batch by batch: the batch's place, its first row here, and the datapoints.
    pub(super) fn stretches(
        &self,
        rows: Range<usize>,
    ) -> impl Iterator<Item = (usize, usize, &'a [Point])> {
        let first_row = |batch: usize| self.batches[batch].first_row as usize;
        let first = self.batches.partition_point(|batch| batch.first_row as usize <= rows.start);
        (first.saturating_sub(1)..self.batches.len())
            .take_while(move |&batch| first_row(batch) < rows.end)
            .map(move |batch| {
                let points = self.payload.batches[batch].batch.points();
                let start = rows.start.saturating_sub(first_row(batch)).min(points.len());
                let end = (rows.end - first_row(batch)).min(points.len());
                (batch, first_row(batch) + start, &points[start..end])
            })
    }
}

/// The data type's number in the protocol.
pub(super) fn code(data_type: DataType) -> u8 {
    match data_type {
        DataType::Int => 99,
        DataType::Float => 101,
        DataType::Counter => 32,
        DataType::Counter64 => 64,
        DataType::String => 2,
    }
}
