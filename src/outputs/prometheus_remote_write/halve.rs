//! A write request taken apart into two.

use prost::Message;
use snap::raw::{Decoder, Encoder, decompress_len};

use super::messages::{Sample, TimeSeries, WriteRequest};
use crate::outputs::Part;
use crate::outputs::protobuf::put_bytes;

/// No body that is larger once it is decompressed is taken apart. What this program makes is smaller: the spool
/// holds no more.
const CONTENT_BYTES_MAX: usize = 1 << 30;

/// Only the samples of a series: its labels are skipped over.
#[derive(Clone, PartialEq, Message)]
struct Samples {
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

/// Two halves of a body; `None` for a body of a single sample, and for what is no body. A series is taken apart only
/// when it is the last.
pub(super) fn halve(body: &[u8]) -> Option<[Part; 2]> {
    let content = decompress(body)?;
    let series = series(&content)?;
    let counts = series.iter().map(|series| Samples::decode(*series).ok());
    let counts = counts.map(|samples| Some(samples?.samples.len() as u64));
    let counts: Vec<u64> = counts.collect::<Option<_>>()?;
    if let [only] = series.as_slice() {
        return halve_series(only);
    }
    let total: u64 = counts.iter().sum();
    let mut first = 0;
    let mut cut = 0;
    // The last series is left for the second half.
    for count in &counts[..counts.len().checked_sub(1)?] {
        if cut > 0 && first + count > total.div_ceil(2) {
            break;
        }
        first += count;
        cut += 1;
    }
    let (left, right) = series.split_at(cut);
    Some([part(left, first)?, part(right, total - first)?])
}

fn halve_series(series: &[u8]) -> Option<[Part; 2]> {
    let whole = TimeSeries::decode(series).ok()?;
    if whole.samples.len() < 2 {
        return None;
    }
    let (left, right) = whole.samples.split_at(whole.samples.len() / 2);
    let of = |samples: &[Sample]| {
        let series = TimeSeries { labels: whole.labels.clone(), samples: samples.to_vec() };
        part(&[series.encode_to_vec().as_slice()], samples.len() as u64)
    };
    Some([of(left)?, of(right)?])
}

fn part(series: &[&[u8]], datapoints: u64) -> Option<Part> {
    let mut content = Vec::new();
    series.iter().for_each(|series| put_bytes(1, series, &mut content));
    Some(Part { bytes: Encoder::new().compress_vec(&content).ok()?, datapoints })
}

/// The encoded series of a write request.
fn series(mut content: &[u8]) -> Option<Vec<&[u8]>> {
    let mut series = Vec::new();
    while let Some((head, rest)) = content.split_first() {
        if *head != crate::outputs::protobuf::delimited(1) {
            return None;
        }
        content = rest;
        let length = prost::decode_length_delimiter(&mut content).ok()?;
        let (one, rest) = content.split_at_checked(length)?;
        series.push(one);
        content = rest;
    }
    Some(series)
}

fn decompress(body: &[u8]) -> Option<Vec<u8>> {
    decompress_len(body).ok().filter(|length| *length <= CONTENT_BYTES_MAX)?;
    Decoder::new().decompress_vec(body).ok()
}

/// The first series of a body, as Prometheus writes it.
pub(super) fn subject(body: &[u8]) -> Option<String> {
    let request = WriteRequest::decode(decompress(body)?.as_slice()).ok()?;
    let series = request.timeseries.first()?;
    let name = series.labels.iter().find(|label| label.name == "__name__")?;
    let labels = series.labels.iter().filter(|label| label.name != "__name__");
    let labels: Vec<_> = labels.map(|label| format!("{}={:?}", label.name, label.value)).collect();
    Some(format!("{}{{{}}}", name.value, labels.join(",")))
}
