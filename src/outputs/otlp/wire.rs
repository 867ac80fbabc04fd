//! Data points as an `ExportMetricsServiceRequest` in protobuf.
//!
//! Attributes are encoded once for each job, target and set, and put together for each data point.

use std::io::{self, Write};

use prost::Message;

use super::Origin;
use super::points::{JOB, Metric, Number, Point, Points, TARGET};
use crate::outputs::protobuf::{field_bytes, fixed64, put_bytes, put_head, put_varint, varint};

/// How much is put together before it is written.
const CHUNK_BYTES: usize = 64 * 1024;
/// A time or a value: eight bytes and the number of its field.
const FIXED_BYTES: usize = 1 + 8;
/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u64 = 2;
/// What a sum says of itself: its temporality, and that it is monotonic.
const SUM_BYTES: usize = 4;

/// Writes the request.
pub(super) fn write(points: &Points<'_>, origin: &Origin, to: &mut dyn Write) -> io::Result<()> {
    let pieces = Pieces::new(points);
    // What each metric's gauge or sum takes, in the order of the metrics.
    let data = points.metrics().map(|(metric, points)| {
        let points = points.map(|point| field_bytes(pieces.bytes(point))).sum::<usize>();
        points + if metric.is_sum { SUM_BYTES } else { 0 }
    });
    let data: Vec<usize> = data.collect();
    let metrics = points.metrics().zip(&data);
    let metrics = metrics.map(|((metric, _), data)| field_bytes(metric_bytes(metric, *data)));
    let scope = origin.scope.encode_to_vec();
    let resource = origin.resource.encode_to_vec();
    let of_scope = field_bytes(scope.len()) + metrics.sum::<usize>();
    let of_resource = field_bytes(resource.len()) + field_bytes(of_scope);

    let mut chunk = Vec::with_capacity(2 * CHUNK_BYTES);
    put_head(1, of_resource, &mut chunk);
    put_bytes(1, &resource, &mut chunk);
    put_head(2, of_scope, &mut chunk);
    put_bytes(1, &scope, &mut chunk);
    for ((metric, points), data) in points.metrics().zip(data) {
        put_head(2, metric_bytes(metric, data), &mut chunk);
        put_bytes(1, metric.name.as_bytes(), &mut chunk);
        if !metric.unit.is_empty() {
            put_bytes(3, metric.unit.as_bytes(), &mut chunk);
        }
        put_head(if metric.is_sum { 7 } else { 5 }, data, &mut chunk);
        for point in points {
            pieces.put(point, &mut chunk);
            if chunk.len() >= CHUNK_BYTES {
                to.write_all(&chunk)?;
                chunk.clear();
            }
        }
        if metric.is_sum {
            chunk.push(varint(2));
            put_varint(CUMULATIVE, &mut chunk);
            chunk.push(varint(3));
            put_varint(1, &mut chunk);
        }
    }
    to.write_all(&chunk)
}

fn metric_bytes(metric: &Metric<'_>, data: usize) -> usize {
    let unit = if metric.unit.is_empty() { 0 } else { field_bytes(metric.unit.len()) };
    field_bytes(metric.name.len()) + unit + field_bytes(data)
}

/// Every attribute that there is, encoded as a field of a data point.
struct Pieces {
    jobs: Vec<Vec<u8>>,
    targets: Vec<Vec<u8>>,
    attributes: Vec<Vec<u8>>,
}

impl Pieces {
    fn new(points: &Points<'_>) -> Self {
        let one = |name: &str, value: &str| {
            let mut bytes = Vec::new();
            if !value.is_empty() {
                put_attribute(name, value, &mut bytes);
            }
            bytes
        };
        let set = |attributes: &super::points::Attributes<'_>| {
            let mut bytes = Vec::new();
            for (name, value) in attributes {
                put_attribute(name, value, &mut bytes);
            }
            bytes
        };
        Self {
            jobs: points.jobs().map(|job| one(JOB, job)).collect(),
            targets: points.targets().map(|target| one(TARGET, target)).collect(),
            attributes: points.attributes().map(set).collect(),
        }
    }

    fn of(&self, point: &Point) -> [&[u8]; 3] {
        [
            &self.jobs[point.job as usize],
            &self.targets[point.target as usize],
            &self.attributes[point.attributes as usize],
        ]
    }

    fn bytes(&self, point: &Point) -> usize {
        let fixed = if point.start_ns == 0 { 2 } else { 3 };
        fixed * FIXED_BYTES + self.of(point).iter().map(|piece| piece.len()).sum::<usize>()
    }

    fn put(&self, point: &Point, to: &mut Vec<u8>) {
        put_head(1, self.bytes(point), to);
        if point.start_ns != 0 {
            to.push(fixed64(2));
            to.extend_from_slice(&point.start_ns.to_le_bytes());
        }
        to.push(fixed64(3));
        to.extend_from_slice(&point.time_ns.to_le_bytes());
        let (field, value) = match point.value {
            Number::Double(float) => (4, float.to_le_bytes()),
            Number::Int(int) => (6, int.to_le_bytes()),
        };
        to.push(fixed64(field));
        to.extend_from_slice(&value);
        self.of(point).iter().for_each(|piece| to.extend_from_slice(piece));
    }
}

/// A `KeyValue` with a text.
fn put_attribute(name: &str, value: &str, to: &mut Vec<u8>) {
    let any = field_bytes(value.len());
    put_head(7, field_bytes(name.len()) + field_bytes(any), to);
    put_bytes(1, name.as_bytes(), to);
    put_head(2, any, to);
    put_bytes(1, value.as_bytes(), to);
}
