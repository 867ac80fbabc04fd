//! What it costs to make a body of 100 kB durable, beside an append of the same bytes with `fdatasync`, in the same
//! folder and the same run; and what a long backlog costs to list.
//!
//! The bound is 2.5 times the append.

use std::fs::{self, File, OpenOptions};
use std::io::Write;

use collector::payload::Encoded;
use collector::store::Store;
use criterion::{Criterion, criterion_group, criterion_main};

const BODY_BYTES: usize = 100_000;
const BODIES: i64 = 10_000;

fn durable(criterion: &mut Criterion) {
    // Not below /tmp, which may be memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let spool = store.spool("bench", "bench");
    let body = vec![b'x'; BODY_BYTES];
    let mut group = criterion.benchmark_group("durable");
    group.bench_function("append_fdatasync_100kB", |bencher| {
        let path = folder.path().join("log");
        let mut log: File =
            OpenOptions::new().append(true).create(true).open(path).expect("a file");
        bencher.iter(|| {
            log.write_all(&body).expect("written");
            log.sync_data().expect("flushed");
        });
    });
    group.bench_function("spool_100kB", |bencher| {
        bencher.iter(|| {
            let fill = |to: &mut dyn Write| {
                to.write_all(&body)?;
                Ok(Encoded { datapoints: 1, ..Encoded::default() })
            };
            let (entry, _) = spool.put(1, "run", fill).expect("durable");
            fs::remove_file(entry.path()).expect("removed");
        });
    });
    let long = store.spool("long", "bench");
    for at in 0..BODIES {
        let fill = |_: &mut dyn Write| Ok(Encoded { datapoints: 1, ..Encoded::default() });
        long.put(at, "run", fill).expect("durable");
    }
    group.bench_function("list_10000", |bencher| {
        bencher.iter(|| {
            let listing = long.list();
            assert_eq!(long.beyond_caps(&listing.entries).len(), 0);
            listing.entries.len()
        });
    });
    group.finish();
}

criterion_group!(benches, durable);
criterion_main!(benches);
