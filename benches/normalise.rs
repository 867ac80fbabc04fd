//! How long it takes to make pattoo's body, per datapoint, beside yardsticks that do less.
//!
//! `keys_in_one_target` against `keys_in_20_targets` shows that a large target costs nothing extra: both have
//! 20 000 different keys. `keys_shared_by_20_targets` has 1 000, and most of each checksum is remembered.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use collector::outputs::pattoo::{Limits, Settings, encode_with};
use collector::payload::{Agent, JobBatch, Payload};
use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Value};
use criterion::{BenchmarkId, Criterion, Throughput};
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, PartialEq)]
enum Keys {
    Shared,
    Own,
}

fn payload(targets: usize, keys: usize, sharing: Keys) -> Payload {
    let mut batch = Batch::default();
    for target in 0..targets {
        let target_name = format!("target-{target}.example.org");
        for key in 0..keys {
            let first = if sharing == Keys::Own { target * keys } else { 0 };
            let name = format!("metric_{}", first + key);
            let value = Value::float(different_float(target * keys + key)).expect("finite");
            let point = Datapoint::new(&name, value, DataType::Float).expect("a good datapoint");
            batch.push(&point, &target_name, &[], 1_700_000_000_123).expect("room");
        }
    }
    Payload {
        agent: Agent {
            id: "0123456789abcdef".repeat(4),
            program: "bench".into(),
            hostname: "collector.example.org".into(),
        },
        timestamp_ms: 1_700_000_000_456,
        polling_interval: Duration::from_secs(300),
        batches: vec![JobBatch::new("bench".into(), Arc::new(batch))],
    }
}

/// Of 15 to 17 digits, as measurements that were computed have.
#[expect(clippy::cast_precision_loss, reason = "any number will do")]
fn different_float(number: usize) -> f64 {
    (number as f64 * 0.618_033_988_749_894_9).fract() * 1000.0
}

fn encode(payload: &Payload, threads: usize) -> u64 {
    let settings = Settings { limits: Limits::Server, threads };
    encode_with(payload, settings, &mut io::sink()).expect("a sink takes all").datapoints
}

/// Yardstick: the same datapoints as flat JSON, each with its names.
fn flat_json(payload: &Payload, to: &mut dyn Write) -> io::Result<()> {
    for datapoint in payload.datapoints() {
        let json = serde_json::json!({
            "key": datapoint.key(),
            "target": datapoint.target(),
            "value": match datapoint.value() {
                Value::Float(number) => number.get(),
                _ => 0.0,
            },
            "timestamp": datapoint.point.timestamp_ms,
        });
        serde_json::to_writer(&mut *to, &json)?;
        to.write_all(b"\n")?;
    }
    Ok(())
}

/// Yardstick: the checksums alone, as the protocol describes them.
fn plain_checksums(payload: &Payload) -> String {
    let hex = |parts: &[&str]| {
        let mut digest = Sha256::new();
        parts.iter().for_each(|part| digest.update(part));
        let digits: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        digits
    };
    let mut last = String::new();
    for datapoint in payload.datapoints() {
        last = hex(&[datapoint.key(), "101"]);
        for (name, value) in [
            ("pattoo_agent_hostname", payload.agent.hostname.as_str()),
            ("pattoo_agent_id", &payload.agent.id),
            ("pattoo_agent_polled_target", datapoint.target()),
            ("pattoo_agent_program", &payload.agent.program),
        ] {
            last = hex(&[&last, name, value]);
        }
    }
    last
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalise");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for (name, targets, keys, sharing) in [
        ("size", 1, 1_000, Keys::Shared),
        ("size", 100, 1_000, Keys::Shared),
        ("size", 1_000, 1_000, Keys::Shared),
        ("keys_in_one_target", 1, 20_000, Keys::Own),
        ("keys_in_20_targets", 20, 1_000, Keys::Own),
        ("keys_shared_by_20_targets", 20, 1_000, Keys::Shared),
    ] {
        let payload = payload(targets, keys, sharing);
        group.throughput(Throughput::Elements(payload.len() as u64));
        for threads in [1, 2] {
            let id = BenchmarkId::new(name, format!("{}/{threads}_threads", payload.len()));
            group.bench_function(id, |bencher| bencher.iter(|| encode(&payload, threads)));
        }
    }
    group.finish();
}

/// Paired runs, and the median of their ratios: what else the machine does meets both.
fn compare(name: &str, pairs: usize, ours: impl Fn(), other: impl Fn()) {
    let time = |run: &dyn Fn()| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    let mut ratios: Vec<_> = (0..pairs).map(|_| time(&ours) / time(&other)).collect();
    ratios.sort_by(f64::total_cmp);
    eprintln!("{name}: {:.2} ({pairs} pairs)", ratios[ratios.len() / 2]);
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion);
    criterion.final_summary();

    let large = payload(100, 1_000, Keys::Shared);
    let ours = || {
        black_box(encode(&large, 1));
    };
    eprintln!("median ratios, of 100 000 datapoints where nothing else is said:");
    compare("body / flat JSON of the same datapoints", 25, ours, || {
        flat_json(&large, &mut io::sink()).expect("a sink takes all");
    });
    compare("body / its checksums as the protocol describes them", 25, ours, || {
        black_box(plain_checksums(&large));
    });
    compare(
        "two threads / one",
        25,
        || {
            black_box(encode(&large, 2));
        },
        ours,
    );
    let one = payload(1, 20_000, Keys::Own);
    let many = payload(20, 1_000, Keys::Own);
    let shared = payload(20, 1_000, Keys::Shared);
    let run = |payload| {
        move || {
            black_box(encode(payload, 1));
        }
    };
    compare("20 000 keys in one target / the same keys in 20", 25, run(&one), run(&many));
    compare("20 000 keys in one target / 1 000 keys in each of 20", 25, run(&one), run(&shared));
    let small = payload(1, 1_000, Keys::Shared);
    let million = payload(1_000, 1_000, Keys::Shared);
    compare("a datapoint of 1 000 000 / one of 100 000", 7, run(&million), || {
        for _ in 0..10 {
            black_box(encode(&large, 1));
        }
    });
    compare(
        "a datapoint of 1 000 / one of 100 000",
        25,
        || {
            for _ in 0..100 {
                black_box(encode(&small, 1));
            }
        },
        ours,
    );
}
