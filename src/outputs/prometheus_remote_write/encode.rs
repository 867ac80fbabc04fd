//! A payload as a write request.
//!
//! Labels are encoded once for each metric, target and set, and put together for each series.

use std::io::{self, Write};

use super::blocks::Blocks;
use crate::outputs::prometheus::{Gathered, Labels, Rules, Sample, Series};
use crate::outputs::protobuf::{
    field_bytes, fixed64, put_bytes, put_head, put_varint, varint, varint_bytes,
};
use crate::payload::{Encoded, Payload};

/// The labels that every series has, in their order; those of a datapoint stand before, between and behind them.
const OWN: [&str; 3] = ["__name__", TARGET, JOB];
/// The label that says what was polled.
pub(super) const TARGET: &str = "instance";
/// The label that says which job brought the datapoint.
pub(super) const JOB: &str = "job";

/// Writes the payload as one compressed write request.
pub(super) fn encode(
    payload: &Payload,
    rules: Rules<'_>,
    to: &mut dyn Write,
) -> io::Result<Encoded> {
    let mut encoded = Encoded::default();
    let gathered = Gathered::new(payload, rules, &mut encoded);
    encoded.datapoints = gathered.samples().len() as u64;
    let pieces = Pieces::new(&gathered);
    // Each series has a sample, and they stand in the order of the series.
    let timeseries = || {
        let samples = gathered.samples().chunk_by(|a, b| a.series == b.series);
        gathered.series().zip(samples).map(|(series, samples)| (pieces.of(*series), samples))
    };
    let bytes = timeseries().map(|(labels, samples)| field_bytes(series_bytes(labels, samples)));
    let mut blocks = Blocks::begin(bytes.map(|bytes| bytes as u64).sum(), to)?;
    for (labels, samples) in timeseries() {
        let content = blocks.content();
        put_head(1, series_bytes(labels, samples), content);
        labels.iter().for_each(|label| content.extend_from_slice(label));
        for sample in samples {
            put_sample(sample, content);
        }
        blocks.settle()?;
    }
    blocks.finish()?;
    Ok(encoded)
}

fn series_bytes(labels: [&[u8]; 7], samples: &[Sample]) -> usize {
    let labels: usize = labels.iter().map(|label| label.len()).sum();
    labels + samples.iter().map(|sample| field_bytes(sample_bytes(sample))).sum::<usize>()
}

fn sample_bytes(sample: &Sample) -> usize {
    1 + size_of::<f64>() + 1 + varint_bytes(sample.at_ms.cast_unsigned())
}

fn put_sample(sample: &Sample, to: &mut Vec<u8>) {
    put_head(2, sample_bytes(sample), to);
    to.push(fixed64(1));
    to.extend_from_slice(&sample.value.to_le_bytes());
    to.push(varint(2));
    put_varint(sample.at_ms.cast_unsigned(), to);
}

/// Every label that there is, encoded.
struct Pieces {
    metrics: Texts,
    targets: Texts,
    jobs: Texts,
    labels: Vec<Cut>,
}

/// The labels of a set, cut where those that every series has go in between.
struct Cut {
    bytes: Vec<u8>,
    at: [usize; OWN.len()],
}

impl Pieces {
    fn new(gathered: &Gathered<'_>) -> Self {
        let [name, target, job] = OWN;
        Self {
            metrics: Texts::new(name, gathered.metrics()),
            targets: Texts::new(target, gathered.targets()),
            jobs: Texts::new(job, gathered.jobs()),
            labels: gathered.labels().map(Cut::new).collect(),
        }
    }

    /// The labels of a series, in their order.
    fn of(&self, series: Series) -> [&[u8]; 7] {
        let Cut { bytes, at: [name, target, job] } = &self.labels[series.labels as usize];
        [
            &bytes[..*name],
            self.metrics.get(series.metric),
            &bytes[*name..*target],
            self.targets.get(series.target),
            &bytes[*target..*job],
            self.jobs.get(series.job),
            &bytes[*job..],
        ]
    }
}

impl Cut {
    fn new(labels: &Labels) -> Self {
        let mut bytes = Vec::new();
        let mut at = [0; OWN.len()];
        for (name, value) in labels.iter() {
            put_label(name, value, &mut bytes);
            for (own, at) in OWN.iter().zip(&mut at) {
                if name < *own {
                    *at = bytes.len();
                }
            }
        }
        Self { bytes, at }
    }
}

/// A label with every value that it has, end to end.
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn new<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for value in values {
            // An empty label is no label.
            if !value.is_empty() {
                put_label(name, value, &mut bytes);
            }
            ends.push(bytes.len());
        }
        Self { bytes, ends }
    }

    fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        &self.bytes[self.ends[number]..self.ends[number + 1]]
    }
}

fn put_label(name: &str, value: &str, to: &mut Vec<u8>) {
    put_head(1, field_bytes(name.len()) + field_bytes(value.len()), to);
    put_bytes(1, name.as_bytes(), to);
    put_bytes(2, value.as_bytes(), to);
}
