//! The store with real files: what goes in comes out, once, and nothing foreign is touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Label, Value};
use rusqlite::Connection;

use super::read::{Reader, Series};
use super::*;
use crate::payload::{Agent, JobBatch};

const NOW_MS: i64 = 1_700_000_000_456;

/// A store in a folder of its own.
struct Place {
    folder: tempfile::TempDir,
    output: Sqlite,
}

impl Place {
    /// One that keeps everything.
    fn new() -> Self {
        Self::with(Sqlite { retention: None, ..Sqlite::default() })
    }

    fn with(output: Sqlite) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), output }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("daemon").join(FILE)
    }

    fn surroundings(&self, now_ms: i64) -> Surroundings {
        Surroundings {
            agent: agent(),
            config_directory: self.folder.path().to_owned(),
            daemon_directory: Some(self.folder.path().join("daemon")),
            now_ms,
        }
    }

    fn deliver(&self, body: &Body) -> Receipt {
        self.deliver_at(body, NOW_MS)
    }

    fn deliver_at(&self, body: &Body, now_ms: i64) -> Receipt {
        let deadline = Instant::now() + Duration::from_secs(30);
        self.output.deliver(body, &self.surroundings(now_ms), deadline)
    }

    /// Every series with its datapoints.
    fn content(&self) -> Vec<(Series, Vec<(i64, String)>)> {
        let reader = Reader::open(&self.file()).expect("a store").expect("tables");
        let series = reader.series().expect("series");
        series.into_iter().map(|one| (one.clone(), points(&reader, &one, i64::MIN))).collect()
    }

    fn times(&self, key: &str) -> Vec<i64> {
        let content = self.content();
        let found = content.iter().find(|(series, _)| series.key == key);
        found.map(|(_, points)| points.iter().map(|(at, _)| *at).collect()).unwrap_or_default()
    }

    fn retried(&self) -> String {
        match self.deliver(&body(&[point("a", Value::Int(1), DataType::Int)])) {
            Receipt::Retry { reason, after: None } => reason,
            other => panic!("{other:?}"),
        }
    }
}

fn points(reader: &Reader, series: &Series, from_ms: i64) -> Vec<(i64, String)> {
    let mut found = Vec::new();
    let read = reader.points(series, from_ms, |at, value| -> Result<(), Error> {
        found.push((at, format!("{value:?}")));
        Ok(())
    });
    read.expect("datapoints");
    found
}

fn agent() -> Agent {
    Agent { id: "0".repeat(64), program: "p".into(), hostname: "h".into() }
}

fn point<'a>(key: &'a str, value: Value<'a>, data_type: DataType) -> Datapoint<'a> {
    Datapoint::new(key, value, data_type).expect("a datapoint")
}

fn at(timestamp_ms: i64, datapoint: Datapoint<'_>) -> Datapoint<'_> {
    Datapoint { timestamp_ms: Some(timestamp_ms), ..datapoint }
}

/// The body that the output makes of these datapoints.
fn body(datapoints: &[Datapoint<'_>]) -> Body {
    let mut batch = Batch::default();
    for datapoint in datapoints {
        batch.push(datapoint, "host", &[], NOW_MS).expect("room");
    }
    let payload = Payload {
        agent: agent(),
        timestamp_ms: NOW_MS,
        polling_interval: Duration::from_secs(300),
        batches: vec![JobBatch::new("job".into(), Arc::new(batch))],
    };
    let mut bytes = Vec::new();
    Sqlite::default().encode(&payload, &mut bytes).expect("a body");
    Body::Memory(bytes)
}

fn lines(text: &str) -> Body {
    Body::Memory(text.as_bytes().to_vec())
}

#[test]
fn every_form_of_value_comes_back_exactly() {
    let place = Place::new();
    let float = |number| Value::float(number).expect("finite");
    let values = [
        (Value::Int(i64::MIN), DataType::Int),
        (Value::Int(i64::MAX), DataType::Counter64),
        (Value::Uint(u64::MAX), DataType::Counter64),
        (Value::Uint(1 << 63), DataType::Counter),
        (float(0.0), DataType::Float),
        (float(-0.0), DataType::Float),
        (float(5e-324), DataType::Float),
        (float(f64::MAX), DataType::Float),
        (float(1.0), DataType::Float),
        (float(9_007_199_254_740_993.0), DataType::Float),
        (float(1_125_899_906_842_623.9), DataType::Float),
        (Value::Text("".into()), DataType::String),
        (Value::Text("18446744073709551615".into()), DataType::String),
        (Value::Text("1.0".into()), DataType::String),
        (Value::Text("a\0b\n\"\\ ∑ 🦀 \u{85}".into()), DataType::String),
    ];
    let keys: Vec<String> = (0..values.len()).map(|number| format!("k{number:02}")).collect();
    let sent: Vec<_> =
        keys.iter().zip(&values).map(|(key, (v, t))| point(key, v.clone(), *t)).collect();
    assert_eq!(place.deliver(&body(&sent)), Receipt::Accepted);
    let stored: Vec<_> =
        place.content().into_iter().map(|(series, points)| (series.data_type, points)).collect();
    // `Debug` tells 0.0 from -0.0, which `==` does not.
    let expected: Vec<_> =
        values.iter().map(|(v, t)| (*t, vec![(NOW_MS, format!("{v:?}"))])).collect();
    assert_eq!(stored, expected);
}

#[test]
fn a_body_that_comes_twice_leaves_the_same_rows() {
    let place = Place::new();
    let body = body(&[
        point("a", Value::Int(1), DataType::Int),
        at(5, point("a", Value::Int(2), DataType::Int)),
        point("b", Value::Text("x".into()), DataType::String),
    ]);
    assert_eq!(place.deliver(&body), Receipt::Accepted);
    let once = place.content();
    assert_eq!(place.deliver(&body), Receipt::Accepted);
    assert_eq!(place.content(), once);
    assert_eq!(place.times("a"), [5, NOW_MS]);
}

#[test]
fn a_series_is_key_target_type_and_labels_whatever_their_order()
-> Result<(), Box<dyn std::error::Error>> {
    let place = Place::new();
    let two = [Label::new("a", "1")?, Label::new("b", "2")?];
    let turned = [Label::new("b", "2")?, Label::new("a", "1")?, Label::info("os", "6.1")?];
    let other = [Label::new("a", "1")?, Label::new("b", "3")?];
    let plain = || point("k", Value::Int(1), DataType::Int);
    let bodies = body(&[
        plain().labels(&two).unit("bytes"),
        at(1, plain()).labels(&turned),
        plain().labels(&other),
        plain(),
        plain().target("elsewhere"),
        point("k", Value::Int(1), DataType::Counter),
    ]);
    assert_eq!(place.deliver(&bodies), Receipt::Accepted);
    let content = place.content();
    assert_eq!(content.len(), 5);
    let (series, points) = content
        .iter()
        .find(|(series, _)| series.labels.get("b") == Some(&"2".into()))
        .ok_or("none")?;
    assert_eq!(points.len(), 2);
    // Unit and info are those of the line that came last.
    assert_eq!(
        (series.unit.as_deref(), series.info.get("os").map(String::as_str)),
        (None, Some("6.1"))
    );
    let renewed = body(&[at(2, plain()).labels(&two).unit("bits")]);
    assert_eq!(place.deliver(&renewed), Receipt::Accepted);
    let again = place.content();
    let renewed = again.iter().find(|(one, _)| one.number == series.number).ok_or("none")?;
    assert_eq!((renewed.0.unit.as_deref(), renewed.0.info.len()), (Some("bits"), 0));
    assert_eq!(renewed.1.len(), 3);
    Ok(())
}

#[test]
fn the_file_is_private_and_waits_for_the_disk() {
    let place = Place::new();
    assert_eq!(
        place.deliver(&body(&[point("a", Value::Int(1), DataType::Int)])),
        Receipt::Accepted
    );
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&place.file()), 0o600);
    assert_eq!(mode(place.file().parent().expect("a folder")), 0o700);
    let connection = schema::open(&place.file(), Instant::now()).expect("a store");
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .expect("a pragma")
    };
    assert_eq!(pragma("synchronous"), rusqlite::types::Value::Integer(2));
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
}

#[test]
fn the_log_beside_the_file_stays_short() {
    let place = Place::new();
    let log = place.file().with_extension("db-wal");
    let text = "x".repeat(100_000);
    let mut lengths = Vec::new();
    for number in 0..24 {
        let long = point("a", Value::Text(text.as_str().into()), DataType::String);
        assert_eq!(place.deliver(&body(&[at(number, long)])), Receipt::Accepted);
        lengths.push(fs::metadata(&log).map_or(0, |log| log.len()));
    }
    assert!(lengths.iter().all(|length| *length < 1 << 20), "{lengths:?}");
    assert!(lengths.iter().filter(|length| **length == 0).count() < 5, "{lengths:?}");
    assert_eq!(place.times("a").len(), 24);
}

#[test]
fn what_is_older_than_the_retention_goes_and_its_series_with_it() {
    let day = 86_400_000;
    let place = Place::with(Sqlite::default());
    let int = |key| point(key, Value::Int(1), DataType::Int);
    let old = body(&[
        at(NOW_MS - 31 * day, int("a")),
        at(NOW_MS - 29 * day, int("a")),
        at(NOW_MS - 32 * day, int("gone")),
    ]);
    // At its own time nothing of it is old.
    assert_eq!(place.deliver_at(&old, NOW_MS - 29 * day), Receipt::Accepted);
    assert_eq!(place.content().len(), 2);
    assert_eq!(place.deliver(&body(&[int("a")])), Receipt::Accepted);
    assert_eq!(place.times("a"), [NOW_MS - 29 * day, NOW_MS]);
    assert_eq!(place.content().len(), 1);
    let keeps = Place::new();
    assert_eq!(keeps.deliver(&old), Receipt::Accepted);
    assert_eq!(keeps.content().len(), 2);
}

#[test]
fn the_removal_of_what_is_old_is_bounded_and_comes_to_an_end() {
    let place = Place::with(Sqlite::default());
    let keys: Vec<String> = (0..25_000).map(|number| format!("k{number}")).collect();
    let old: Vec<_> =
        keys.iter().map(|key| at(1, point(key, Value::Int(1), DataType::Int))).collect();
    assert_eq!(place.deliver_at(&body(&old), 1), Receipt::Accepted);
    let left = || {
        let connection = Connection::open(place.file()).expect("a store");
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("rows");
        (count("SELECT count(*) FROM datapoints"), count("SELECT count(*) FROM series"))
    };
    let now = body(&[point("new", Value::Int(1), DataType::Int)]);
    let mut seen = Vec::new();
    for _ in 0..3 {
        assert_eq!(place.deliver(&now), Receipt::Accepted);
        seen.push(left());
    }
    assert_eq!(seen, [(14_999, 25_001), (4_997, 25_001), (1, 1)]);
}

#[test]
fn another_writer_is_waited_for_until_the_deadline() {
    let place = Place::new();
    let one = body(&[point("a", Value::Int(1), DataType::Int)]);
    assert_eq!(place.deliver(&one), Receipt::Accepted);
    let mut other = Connection::open(place.file()).expect("a store");
    let lock = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .expect("the lock");
    let deadline = Instant::now() + Duration::from_millis(150);
    let receipt = place.output.deliver(&one, &place.surroundings(NOW_MS), deadline);
    assert!(
        matches!(&receipt, Receipt::Retry { reason, .. }
            if reason.contains("collector.db") && reason.contains("locked")),
        "{receipt:?}"
    );
    drop(lock);
    assert_eq!(place.deliver(&one), Receipt::Accepted);
}

#[test]
fn two_runs_may_make_and_fill_the_store_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let place = &place;
            scope.spawn(move || {
                for number in 0..5 {
                    let int = point("a", Value::Int(number), DataType::Int);
                    let receipt = place.deliver(&body(&[at(thread * 100 + number, int)]));
                    assert_eq!(receipt, Receipt::Accepted);
                }
            });
        }
    });
    assert_eq!(place.content().len(), 1);
    assert_eq!(place.times("a").len(), 20);
}

#[test]
fn a_file_of_another_kind_is_named_and_left_alone() {
    let place = Place::new();
    fs::create_dir_all(place.file().parent().expect("a folder")).expect("the folder");
    let garbage = vec![0xa5; 8192];
    fs::write(place.file(), &garbage).expect("the file");
    let reason = place.retried();
    assert!(reason.contains("collector.db`: file is not a database"), "{reason}");
    assert_eq!(fs::read(place.file()).expect("the file"), garbage);
    assert!(place.output.check(&place.surroundings(NOW_MS), Instant::now()).is_err());

    fs::remove_file(place.file()).expect("removed");
    let foreign = Connection::open(place.file()).expect("a database");
    foreign
        .execute_batch("CREATE TABLE series (a); INSERT INTO series VALUES (1)")
        .expect("a table");
    drop(foreign);
    let before = fs::read(place.file()).expect("the file");
    assert!(place.retried().ends_with("collector.db` is another program's database"));
    assert_eq!(fs::read(place.file()).expect("the file"), before);
}

#[test]
fn a_damaged_store_keeps_the_datapoints_waiting() {
    let place = Place::new();
    let keys: Vec<String> = (0..2_000).map(|number| format!("key_{number}")).collect();
    let many: Vec<_> = keys.iter().map(|key| point(key, Value::Int(1), DataType::Int)).collect();
    assert_eq!(place.deliver(&body(&many)), Receipt::Accepted);
    let connection = Connection::open(place.file()).expect("a store");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("one file");
    drop(connection);
    let mut bytes = fs::read(place.file()).expect("the file");
    bytes[4096..].fill(0x5a);
    fs::write(place.file(), bytes).expect("the file");
    let reason = place.retried();
    assert!(reason.contains("collector.db`: database disk image is malformed"), "{reason}");
}

#[test]
fn a_store_of_a_later_release_is_refused_with_both_versions() {
    let place = Place::new();
    let one = body(&[point("a", Value::Int(1), DataType::Int)]);
    assert_eq!(place.deliver(&one), Receipt::Accepted);
    let connection = Connection::open(place.file()).expect("a store");
    connection.pragma_update(None, "user_version", 7).expect("a pragma");
    drop(connection);
    let reason = place.retried();
    assert!(
        reason.contains("has version 7, and this collector knows versions up to 1"),
        "{reason}"
    );
    assert!(matches!(Reader::open(&place.file()), Err(Error::Newer { found: 7, .. })));
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let place = Place::new();
    fs::write(place.folder.path().join("daemon"), "a file").expect("the file");
    let reason = place.retried();
    assert!(reason.contains("daemon`: File exists"), "{reason}");
    assert!(place.output.check(&place.surroundings(NOW_MS), Instant::now()).is_err());
    assert!(matches!(Reader::open(&place.file()), Err(Error::File { .. })));
}

#[test]
fn a_bad_line_rejects_the_whole_body_by_its_number() {
    let place = Place::new();
    let good = r#"{"key":"a","value":1,"data_type":"int","target":"h","timestamp":1}"#;
    for (bad, why) in [
        ("garbage", "expected value"),
        (r#"{"key":"a"}"#, "missing field"),
        (&good.replace(":1,", ":true,"), "`true` is no value"),
        (&good.replace(":1,", ":1e999,"), "not a finite number"),
        (&good.replace("\"a\"", "7"), "invalid type"),
        (&good[..20], "EOF"),
    ] {
        match place.deliver(&lines(&format!("{good}\n{bad}\n"))) {
            Receipt::Rejected { reason } => {
                assert!(reason.starts_with("line 2: ") && reason.contains(why), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(place.content(), []);
    assert!(place.deliver(&lines("")) == Receipt::Accepted);
}

#[test]
fn a_late_body_leaves_nothing_behind() {
    let place = Place::new();
    let keys: Vec<String> = (0..3_000).map(|number| format!("k{number}")).collect();
    let many: Vec<_> = keys.iter().map(|key| point(key, Value::Int(1), DataType::Int)).collect();
    let past = Instant::now();
    let receipt = place.output.deliver(&body(&many), &place.surroundings(NOW_MS), past);
    assert!(matches!(&receipt, Receipt::Retry { reason, .. } if reason.contains("time was over")));
    assert_eq!(place.content(), []);
}

#[test]
fn what_is_read_is_what_there_is() {
    let place = Place::new();
    assert!(Reader::open(&place.file()).expect("no error").is_none());
    let int = |key| point(key, Value::Int(3), DataType::Int);
    let sent = body(&[at(NOW_MS - 9, int("a")), at(NOW_MS - 5, int("a")), int("a"), int("b")]);
    assert_eq!(place.deliver(&sent), Receipt::Accepted);
    let reader = Reader::open(&place.file()).expect("a store").expect("tables");
    // A run that comes meanwhile is not seen.
    assert_eq!(place.deliver(&body(&[int("c")])), Receipt::Accepted);
    let series = reader.series().expect("series");
    assert_eq!(series.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let extents = reader.extents(&series).expect("extents");
    assert_eq!(extents[&series[0].number].points, 3);
    assert_eq!(extents[&series[1].number].newest, Some((NOW_MS, Value::Int(3))));
    assert_eq!(points(&reader, &series[0], NOW_MS - 5).len(), 2);
}
