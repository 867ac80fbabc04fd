//! The text format that Prometheus scrapes (version 0.0.4), without times: each series with its latest value.

use std::io::{self, Write};

use super::super::Part;
use super::{Gathered, Kind, Labels, Rules};
use crate::payload::{Encoded, Payload};

/// The label that says what was polled.
pub(in crate::outputs) const TARGET: &str = "target";

/// Writes the payload, and after it the metric `freshness`, where there is to be one: the run's clock in seconds.
pub(in crate::outputs) fn encode(
    payload: &Payload,
    rules: Rules<'_>,
    freshness: Option<&str>,
    to: &mut dyn Write,
) -> io::Result<Encoded> {
    let mut encoded = Encoded::default();
    let mut gathered = Gathered::new(payload, rules, &mut encoded);
    gathered.keep_latest(payload, &mut encoded);
    encoded.datapoints = gathered.samples().len() as u64;
    if let Some(name) = freshness {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium")]
        gathered.add(name, payload.timestamp_ms, payload.timestamp_ms as f64 / 1_000.0);
    }
    let targets: Vec<_> = gathered.targets().map(|target| pair(rules.target, target)).collect();
    let labels: Vec<_> = gathered.labels().map(pairs).collect();
    let names: Vec<_> = gathered.metrics().collect();
    // A metric's series must stand together; each has one sample.
    let mut lines: Vec<_> = gathered.series().zip(gathered.samples()).collect();
    lines.sort_by_key(|(series, _)| series.metric);
    let mut line = Vec::with_capacity(256);
    for of_metric in lines.chunk_by(|(a, _), (b, _)| a.metric == b.metric) {
        let Some((first, _)) = of_metric.first() else { continue };
        let name = names[first.metric as usize];
        writeln!(to, "{TYPE}{name} {}", type_of(gathered.kind(first.metric)))?;
        for (series, sample) in of_metric {
            line.clear();
            line.extend_from_slice(name.as_bytes());
            let target = targets[series.target as usize].as_str();
            let others = labels[series.labels as usize].as_str();
            let comma = if target.is_empty() || others.is_empty() { "" } else { "," };
            if !target.is_empty() || !others.is_empty() {
                for part in ["{", target, comma, others, "}"] {
                    line.extend_from_slice(part.as_bytes());
                }
            }
            line.push(b' ');
            put_number(sample.value, &mut line);
            line.push(b'\n');
            to.write_all(&line)?;
        }
    }
    Ok(encoded)
}

/// With this begins each metric, behind which its series stand.
const TYPE: &str = "# TYPE ";

/// The halves of what was encoded, each with whole metrics; `None` when there is one.
pub(in crate::outputs) fn halve(body: &[u8]) -> Option<[Part; 2]> {
    let mut metrics = Vec::new();
    let (mut at, mut datapoints) = (0, 0);
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(TYPE.as_bytes()) {
            metrics.push((at, datapoints));
        } else {
            datapoints += 1;
        }
        at += line.len();
    }
    let (middle, first) = *metrics.get(metrics.len() / 2).filter(|_| metrics.len() > 1)?;
    let part = |bytes: &[u8], datapoints| Part { bytes: bytes.to_vec(), datapoints };
    Some([part(&body[..middle], first), part(&body[middle..], datapoints - first)])
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Mixed => "untyped",
    }
}

fn pairs(labels: &Labels) -> String {
    labels.iter().map(|(name, value)| pair(name, value)).collect::<Vec<_>>().join(",")
}

/// A label as it is written; nothing where there is no value.
fn pair(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let mut pair = format!("{name}=\"");
    for c in value.chars() {
        match c {
            '\\' => pair.push_str("\\\\"),
            '"' => pair.push_str("\\\""),
            '\n' => pair.push_str("\\n"),
            c => pair.push(c),
        }
    }
    pair.push('"');
    pair
}

/// A whole number without a fraction, anything else as the shortest text that reads back as the same float.
fn put_number(number: f64, to: &mut Vec<u8>) {
    const TWO_POW_53: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < TWO_POW_53 {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and within 53 bits")]
        to.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
    } else {
        to.extend_from_slice(zmij::Buffer::new().format(number).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use collectors::batch::Batch;
    use collectors::datapoint::{DataType, Datapoint, Label, Value};

    use super::super::Text;
    use super::*;
    use crate::payload::{Agent, JobBatch};

    const RULES: Rules<'_> = Rules {
        prefix: "",
        job: None,
        target: TARGET,
        taken: &["job", "instance"],
        reserved: &[],
        info: false,
        text: Text::Label,
    };

    fn point<'a>(key: &'a str, value: Value<'a>, data_type: DataType) -> Datapoint<'a> {
        Datapoint::new(key, value, data_type).expect("a datapoint")
    }

    fn text(datapoints: &[Datapoint<'_>], freshness: Option<&str>) -> (String, Encoded) {
        let mut batch = Batch::default();
        for datapoint in datapoints {
            batch.push(datapoint, "h", &[], 1_700_000_000_456).expect("room");
        }
        let payload = Payload {
            agent: Agent { id: String::new(), program: "p".into(), hostname: "h".into() },
            timestamp_ms: 1_700_000_000_456,
            polling_interval: Duration::from_secs(300),
            batches: vec![JobBatch::new("j".into(), Arc::new(batch))],
        };
        let mut bytes = Vec::new();
        let encoded = encode(&payload, RULES, freshness, &mut bytes).expect("a vector");
        (String::from_utf8(bytes).expect("text"), encoded)
    }

    #[test]
    fn halves_are_of_whole_metrics() {
        for (body, expected) in [
            ("", None),
            ("# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 2\n", None),
            (
                "# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 2\n# TYPE c gauge\nc 3\n# TYPE d gauge\nd 4\n",
                Some((
                    "# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 2\n",
                    2,
                    "# TYPE c gauge\nc 3\n# TYPE d gauge\nd 4\n",
                    2,
                )),
            ),
        ] {
            let halves = halve(body.as_bytes()).map(|[a, b]| {
                let text = |part: &Part| String::from_utf8_lossy(&part.bytes).into_owned();
                (text(&a), a.datapoints, text(&b), b.datapoints)
            });
            let expected = expected
                .map(|(a, m, b, n): (&str, u64, &str, u64)| (a.to_owned(), m, b.to_owned(), n));
            assert_eq!(halves, expected);
        }
    }

    #[test]
    fn the_series_of_a_metric_stand_together_under_its_type() {
        let labels = [Label::new("path", "a\"b\\c\nd").expect("a label")];
        let job = [Label::new("job", "x").expect("a label")];
        let float = Value::float(0.25).expect("finite");
        let (text, encoded) = text(
            &[
                point("reads", Value::Int(7), DataType::Counter64).labels(&labels),
                point("load", float, DataType::Float).target(""),
                point("reads", Value::Uint(u64::MAX), DataType::Counter).target("o"),
                point("load", Value::Int(-3), DataType::Counter).target("").labels(&job),
                point("os", Value::Text("Debian".into()), DataType::String),
            ],
            Some("fresh_seconds"),
        );
        assert_eq!(
            text,
            "# TYPE reads counter
reads{target=\"h\",path=\"a\\\"b\\\\c\\nd\"} 7
reads{target=\"o\"} 1.8446744073709552e+19
# TYPE load untyped
load 0.25
load{exported_job=\"x\"} -3
# TYPE os_info gauge
os_info{target=\"h\",value=\"Debian\"} 1
# TYPE fresh_seconds gauge
fresh_seconds 1700000000.456
"
        );
        assert_eq!(encoded, Encoded { datapoints: 5, ..Encoded::default() });
    }

    #[test]
    fn a_series_has_its_latest_value_and_the_others_are_counted() {
        let at = |at_ms, value| Datapoint {
            timestamp_ms: Some(at_ms),
            ..point("k", Value::Int(value), DataType::Int)
        };
        let other = point("other", Value::Int(0), DataType::Int);
        let (text, encoded) = text(&[at(2, 1), other, at(3, 5), at(1, 5), at(3, 6)], None);
        assert_eq!(
            text,
            "# TYPE k gauge\nk{target=\"h\"} 5\n# TYPE other gauge\nother{target=\"h\"} 0\n"
        );
        let expected = Encoded {
            datapoints: 2,
            superseded: 2,
            duplicates: 1,
            superseded_named: vec!["job `j`, key `k`".to_owned()],
            ..Encoded::default()
        };
        assert_eq!(encoded, expected);
    }

    #[test]
    fn a_datapoint_may_say_itself_how_fresh_it_is() {
        let own = point("fresh", Value::Int(5), DataType::Int).target("");
        assert_eq!(text(&[own], Some("fresh")).0, "# TYPE fresh gauge\nfresh 5\n");
    }

    #[test]
    fn numbers_read_back_as_they_were() {
        for number in [0.0, -0.5, 1e15, 9.1e15, 1e300, 5e-324, f64::MAX, 0.1] {
            let mut bytes = Vec::new();
            put_number(number, &mut bytes);
            let text = String::from_utf8(bytes).expect("text");
            assert_eq!(text.parse(), Ok(number), "{text}");
        }
    }
}
