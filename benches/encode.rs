//! How long it takes to make a body, beside a plain writer that makes the same bytes: it knows every name as it goes
//! on the wire, and neither checks, nor sorts, nor looks for repeats.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::outputs::{Output, find};
use collector::payload::{Agent, JobBatch, Payload};
use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Label, Value};
use criterion::{BenchmarkId, Criterion, Throughput};

const NOW_MS: i64 = 1_700_000_000_123;

/// A datapoint with its text at hand.
struct Plain {
    key: String,
    target: String,
    disk: String,
    value: f64,
}

/// 100 000 datapoints: 1 000 keys of each of 100 targets, with ten disks.
fn datapoints() -> Vec<Plain> {
    let all = (0..100).flat_map(|target| (0..1_000).map(move |key| (target, key)));
    all.map(|(target, key)| Plain {
        key: format!("metric_{key}"),
        target: format!("target-{target}.example.org"),
        disk: format!("disk{}", key % 10),
        value: (f64::from(target * 1_000 + key) * 0.618_033_988_749_894_9).fract() * 1000.0,
    })
    .collect()
}

fn payload(datapoints: &[Plain]) -> Payload {
    let mut batch = Batch::default();
    for Plain { key, target, disk, value } in datapoints {
        let labels = [
            Label::new("disk", disk).expect("a label"),
            Label::new("bus", "scsi").expect("a label"),
        ];
        let value = Value::float(*value).expect("finite");
        let point = Datapoint::new(key, value, DataType::Float).expect("a good datapoint");
        batch.push(&point.labels(&labels), target, &[], NOW_MS).expect("room");
    }
    Payload {
        agent: Agent {
            id: "0123456789abcdef".repeat(4),
            program: "bench".into(),
            hostname: "collector.example.org".into(),
        },
        timestamp_ms: NOW_MS,
        polling_interval: Duration::from_secs(300),
        batches: vec![JobBatch::new("bench".into(), Arc::new(batch))],
    }
}

fn output(name: &str, options: &serde_json::Value) -> Box<dyn Output> {
    let definition = find(name).expect("an output");
    (definition.decode)(options).unwrap_or_else(|problems| panic!("{name}: {problems:?}"))
}

fn encode(output: &dyn Output, payload: &Payload) -> Vec<u8> {
    let mut body = Vec::new();
    output.encode(payload, &mut body).expect("a vector takes all");
    body
}

fn varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

fn field(tag: u8, content: &[u8], to: &mut Vec<u8>) {
    to.push(tag);
    varint(content.len() as u64, to);
    to.extend_from_slice(content);
}

/// The body of `prometheus_remote_write`.
fn remote_write(datapoints: &[Plain]) -> Vec<u8> {
    let (mut content, mut series) = (Vec::new(), Vec::new());
    let (mut label, mut sample) = (Vec::new(), Vec::new());
    for Plain { key, target, disk, value } in datapoints {
        series.clear();
        for (name, value) in [
            ("__name__", key.as_str()),
            ("bus", "scsi"),
            ("disk", disk),
            ("instance", target),
            ("job", "bench"),
        ] {
            label.clear();
            field(10, name.as_bytes(), &mut label);
            field(18, value.as_bytes(), &mut label);
            field(10, &label, &mut series);
        }
        sample.clear();
        sample.push(9);
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(16);
        varint(NOW_MS.cast_unsigned(), &mut sample);
        field(18, &sample, &mut series);
        field(10, &series, &mut content);
    }
    snap::raw::Encoder::new().compress_vec(&content).expect("a body below 4 GiB")
}

/// The body of `influxdb`.
fn line_protocol(datapoints: &[Plain]) -> Vec<u8> {
    let mut lines = Vec::new();
    for Plain { key, target, disk, value } in datapoints {
        for text in [
            key.as_str(),
            ",bus=scsi,disk=",
            disk,
            ",host=collector.example.org,target=",
            target,
            " value=",
            zmij::Buffer::new().format_finite(*value),
            " ",
            itoa::Buffer::new().format(NOW_MS),
            "\n",
        ] {
            lines.extend_from_slice(text.as_bytes());
        }
    }
    lines
}

/// The body of `otlp`: metric by metric. The lengths of what stands around the data points are put in afterwards.
fn otlp(datapoints: &[Plain]) -> Vec<u8> {
    let (mut any, mut pair) = (Vec::new(), Vec::new());
    let mut attribute = |name: &str, value: &str, number: u8, to: &mut Vec<u8>| {
        any.clear();
        pair.clear();
        field(10, value.as_bytes(), &mut any);
        field(10, name.as_bytes(), &mut pair);
        field(18, &any, &mut pair);
        field(number, &pair, to);
    };
    let (mut scope, mut point, mut metric) = (Vec::new(), Vec::new(), Vec::new());
    let mut gauge = Vec::new();
    field(10, b"collector", &mut metric);
    field(18, env!("CARGO_PKG_VERSION").as_bytes(), &mut metric);
    field(10, &metric, &mut scope);
    for key in 0..1_000 {
        gauge.clear();
        for Plain { target, disk, value, .. } in datapoints[key..].iter().step_by(1_000) {
            point.clear();
            point.push(25);
            point.extend_from_slice(&(NOW_MS.cast_unsigned() * 1_000_000).to_le_bytes());
            point.push(33);
            point.extend_from_slice(&value.to_le_bytes());
            for (name, value) in
                [("job", "bench"), ("target", target), ("bus", "scsi"), ("disk", disk)]
            {
                attribute(name, value, 58, &mut point);
            }
            field(10, &point, &mut gauge);
        }
        metric.clear();
        field(10, datapoints[key].key.as_bytes(), &mut metric);
        field(42, &gauge, &mut metric);
        field(18, &metric, &mut scope);
    }
    let (mut resource, mut all, mut body) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in [
        ("service.name", "collector"),
        ("service.instance.id", "0123456789abcdef".repeat(4).as_str()),
        ("host.name", "collector.example.org"),
    ] {
        attribute(name, value, 10, &mut resource);
    }
    field(10, &resource, &mut all);
    field(18, &scope, &mut all);
    field(10, &all, &mut body);
    body
}

/// Paired runs, and the median of their ratios: what else the machine does meets both.
fn compare(name: &str, ours: impl Fn(), other: impl Fn()) {
    const PAIRS: usize = 25;
    let time = |run: &dyn Fn()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<_> = (0..PAIRS).map(|_| time(&ours) / time(&other)).collect();
    ratios.sort_by(f64::total_cmp);
    eprintln!(
        "{name} / a plain writer of the same bytes: {:.2} ({PAIRS} pairs)",
        ratios[PAIRS / 2]
    );
}

/// An output, its options, and its plain writer.
type Case = (&'static str, serde_json::Value, fn(&[Plain]) -> Vec<u8>);

fn main() {
    let influxdb = serde_json::json!({
        "url": "http://localhost", "version": 1, "database": {"name": "metrics"}
    });
    let cases: [Case; 3] = [
        ("prometheus_remote_write", serde_json::json!({"url": "http://localhost"}), remote_write),
        ("influxdb", influxdb, line_protocol),
        ("otlp", serde_json::json!({"endpoint": "http://localhost"}), otlp),
    ];
    let datapoints = datapoints();
    let payload = payload(&datapoints);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("encode");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(payload.len() as u64));
    for (name, options, plain) in &cases {
        let output = output(name, options);
        assert!(encode(&*output, &payload) == plain(&datapoints), "{name}: other bytes");
        group.bench_function(BenchmarkId::new(*name, payload.len()), |bencher| {
            bencher.iter(|| encode(&*output, &payload));
        });
        compare(
            name,
            || {
                black_box(encode(&*output, &payload));
            },
            || {
                black_box(plain(&datapoints));
            },
        );
    }
    group.finish();
    criterion.final_summary();
}
