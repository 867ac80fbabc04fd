//! What becomes of each kind of datapoint.

use std::sync::Arc;
use std::time::Duration;

use collectors::batch::Batch;
use collectors::datapoint::{Datapoint, Label};
use proptest::prelude::*;

use super::*;
use crate::payload::Agent;

fn payload(batches: Vec<(&str, Batch)>) -> Payload {
    Payload {
        agent: Agent { id: "i".into(), program: "p".into(), hostname: "web.example.org".into() },
        timestamp_ms: 7,
        polling_interval: Duration::from_secs(300),
        batches: batches
            .into_iter()
            .map(|(job, batch)| JobBatch::new(job.into(), Arc::new(batch)))
            .collect(),
    }
}

fn push(batch: &mut Batch, key: &str, value: Value<'_>, data_type: DataType, labels: &[Label<'_>]) {
    let point = Datapoint::new(key, value, data_type).expect("a datapoint").labels(labels);
    batch.push(&point, "db1", &[], 5).expect("room");
}

struct Set {
    measurement: &'static str,
    field: &'static str,
    change: fn(&mut Layout<'_>),
}

const USUAL: Set = Set { measurement: "{key}", field: "value", change: |_| {} };

fn lines(payload: &Payload, set: &Set) -> (String, Encoded) {
    let template = |text| Template::parse(text).expect("a template");
    let (measurement, field) = (template(set.measurement), template(set.field));
    let mut layout = Layout {
        measurement: &measurement,
        field: &field,
        host: &payload.agent.hostname,
        host_tag: Some("host"),
        target_tag: Some("target"),
        unit_tag: None,
        info: false,
        has_unsigned: false,
        all_floats: false,
    };
    (set.change)(&mut layout);
    let mut out = Vec::new();
    let encoded = encode(payload, &layout, &mut out).expect("a vector takes all");
    (String::from_utf8(out).expect("text"), encoded)
}

fn one(value: Value<'_>, data_type: DataType, set: &Set) -> String {
    let mut batch = Batch::default();
    push(&mut batch, "k", value, data_type, &[]);
    let (line, encoded) = lines(&payload(vec![("a", batch)]), set);
    match encoded.refusals.first() {
        Some(refused) => refused.reason.clone(),
        None => line,
    }
}

const TAGS: &str = "host=web.example.org,target=db1";

#[test]
fn tags_are_sorted_and_what_is_empty_is_left_out() {
    let label = |name, value| Label::new(name, value).expect("a label");
    let mut batch = Batch::default();
    let labels = [
        label("zone", "b c"),
        label("area", "x=1,2"),
        label("none", ""),
        label("drive", "C:\\"),
        Label::info("kernel", "6.1").expect("a label"),
    ];
    push(&mut batch, "disk used", Value::Int(3), DataType::Int, &labels);
    let payload = payload(vec![("a", batch)]);
    let (line, _) = lines(&payload, &USUAL);
    let tags = format!("area=x\\=1\\,2,drive=C:,{TAGS},zone=b\\ c");
    assert_eq!(line, format!("disk\\ used,{tags} value=3i 5\n"));
    let (line, _) = lines(&payload, &Set { change: |layout| layout.info = true, ..USUAL });
    assert!(line.contains(",kernel=6.1,"), "{line}");
}

#[test]
fn a_label_takes_the_place_of_an_own_tag_and_a_reserved_name_is_changed() {
    let label = |name, value| Label::new(name, value).expect("a label");
    let mut batch = Batch::default();
    let labels = [label("host", "other"), label("time", "noon"), label("time_", "late")];
    push(&mut batch, "k", Value::Int(3), DataType::Int, &labels);
    let (line, _) = lines(&payload(vec![("a", batch)]), &USUAL);
    assert_eq!(line, "k,host=other,target=db1,time_=noon,time__=late value=3i 5\n");
}

#[test]
fn a_fields_type_follows_the_data_type() {
    let float = |number| Value::float(number).expect("finite");
    let line = |value: &str| format!("k,{TAGS} value={value} 5\n");
    let big = u64::MAX;
    assert_eq!(one(Value::Int(-3), DataType::Int, &USUAL), line("-3i"));
    assert_eq!(one(Value::Int(3), DataType::Counter64, &USUAL), line("3i"));
    assert_eq!(one(Value::Int(3), DataType::Float, &USUAL), line("3"));
    assert_eq!(one(float(3.0), DataType::Float, &USUAL), line("3.0"));
    assert_eq!(one(float(1e300), DataType::Float, &USUAL), line("1e+300"));
    assert_eq!(
        one(Value::Text("a \"b\"".into()), DataType::String, &USUAL),
        line("\"a \\\"b\\\"\"")
    );
    assert!(one(Value::Uint(big), DataType::Counter64, &USUAL).contains("numbers: float"));
    let unsigned = Set { change: |layout| layout.has_unsigned = true, ..USUAL };
    assert_eq!(one(Value::Uint(big), DataType::Counter64, &unsigned), line(&format!("{big}u")));
    let floats = Set { change: |layout| layout.all_floats = true, ..USUAL };
    assert_eq!(one(Value::Int(3), DataType::Int, &floats), line("3"));
    assert_eq!(one(Value::Uint(big), DataType::Counter64, &floats), line(&big.to_string()));
}

#[test]
fn keys_can_be_fields_of_one_measurement() {
    let set = Set { measurement: "{host}-{target}", field: "{key}", ..USUAL };
    let expected = format!("web.example.org-db1,{TAGS} k=3i 5\n");
    assert_eq!(one(Value::Int(3), DataType::Int, &set), expected);
}

#[test]
fn what_influxdb_would_lose_without_a_word_is_refused_by_name() {
    let mut batch = Batch::default();
    push(&mut batch, "#comment", Value::Int(1), DataType::Int, &[]);
    push(&mut batch, "time", Value::Int(1), DataType::Int, &[]);
    let far = Datapoint::new("far", Value::Int(1), DataType::Int).expect("a datapoint");
    let far = Datapoint { timestamp_ms: Some(i64::MIN), ..far };
    batch.push(&far, "db1", &[], 5).expect("room");
    push(&mut batch, "good", Value::Int(1), DataType::Int, &[]);
    let payload = payload(vec![("a", batch)]);
    let names = |set: &Set| {
        let (_, encoded) = lines(&payload, set);
        assert_eq!(encoded.datapoints + encoded.refused, 4);
        let refusals = encoded.refusals.into_iter();
        refusals.map(|refused| refused.key).collect::<Vec<_>>()
    };
    assert_eq!(names(&USUAL), ["#comment", "far"]);
    assert_eq!(names(&Set { measurement: "m", field: "{key}", ..USUAL }), ["time", "far"]);
}

#[test]
fn of_two_values_for_one_place_the_first_is_sent_and_the_other_counted() {
    let mut first = Batch::default();
    push(&mut first, "k", Value::Int(1), DataType::Int, &[]);
    push(&mut first, "k", Value::Int(1), DataType::Int, &[]);
    let mut second = Batch::default();
    push(&mut second, "other", Value::Int(1), DataType::Int, &[]);
    push(&mut second, "k", Value::Int(2), DataType::Int, &[]);
    let (text, encoded) = lines(&payload(vec![("a", first), ("b", second)]), &USUAL);
    assert_eq!(text, format!("k,{TAGS} value=1i 5\nother,{TAGS} value=1i 5\n"));
    let counts = (encoded.datapoints, encoded.duplicates, encoded.superseded);
    assert_eq!(counts, (2, 1, 1));
}

#[test]
fn a_repeat_is_found_where_there_is_no_room_to_note_every_series() {
    let mut batch = Batch::default();
    let number = |index: i64| if index == 3_000 { 0 } else { index };
    for index in 0..=3_000 {
        let name = number(index).to_string();
        let label = [Label::new("disk", &name).expect("a label")];
        push(&mut batch, &format!("k{name}"), Value::Int(index), DataType::Int, &label);
    }
    let (text, encoded) = lines(&payload(vec![("a", batch)]), &USUAL);
    assert_eq!((encoded.datapoints, encoded.superseded), (3_000, 1));
    assert!(text.len() > 4 * PIECE_BYTES && text.lines().count() == 3_000);
    for (index, line) in text.lines().enumerate() {
        assert_eq!(line, format!("k{index},disk={index},{TAGS} value={index}i 5"));
    }
}

proptest! {
    #[test]
    fn every_line_ends_where_it_is_said_to(
        points in proptest::collection::vec((".{1,8}", ".{0,8}", ".{1,4}", ".{0,6}"), 1..20),
    ) {
        let mut batch = Batch::default();
        for (key, text, name, value) in &points {
            let Ok(label) = Label::new(name, value) else { continue };
            let text = Value::Text(text.as_str().into());
            let Ok(point) = Datapoint::new(key, text, DataType::String) else { continue };
            batch.push(&point.labels(&[label]), "t", &[], 5).expect("room");
        }
        let (text, encoded) = lines(&payload(vec![("a", batch)]), &USUAL);
        let mut rest = text.as_bytes();
        let mut count = 0;
        while !rest.is_empty() {
            let (line, after) = rest.split_at(escape::line_bytes(rest));
            prop_assert!(line.ends_with(b" 5\n"));
            rest = after;
            count += 1;
        }
        prop_assert_eq!(count, encoded.datapoints);
    }

    /// As many payloads of one datapoint tell what a payload of them all must hold.
    #[test]
    fn of_two_for_one_place_the_first_is_written(
        batches in proptest::collection::vec(
            proptest::collection::vec((0..3_u8, 0..2_u8, 0..2_u8, 0..3_i64, 0..4_u64), 0..12), 1..4,
        ),
        has_own_field in any::<bool>(),
    ) {
        let set = if has_own_field {
            Set { measurement: "m", field: "{key}", change: |_| {} }
        } else {
            Set { measurement: "{target}.{key}", field: "{job}", change: |_| {} }
        };
        let fill = |batch: &mut Batch, (key, target, label, timestamp_ms, value): (u8, u8, u8, i64, u64)| {
            // One in four is refused.
            let value = if value == 0 { Value::Uint(u64::MAX) } else { Value::Uint(value) };
            let label = [Label::new("disk", ["a", "b"][usize::from(label)]).expect("a label")];
            let point = Datapoint::new(["k", "l", "time"][usize::from(key)], value, DataType::Int);
            let target = ["t", "u"][usize::from(target)];
            batch.push(&point.expect("a datapoint").labels(&label), target, &[], timestamp_ms).expect("room");
        };
        let (mut expected, mut known, mut refused) = (String::new(), Vec::<(_, u64)>::new(), 0);
        let (mut duplicates, mut superseded) = (0, 0);
        let mut all = Vec::new();
        for (job, points) in ["a", "b", "a"].into_iter().zip(batches) {
            let mut batch = Batch::default();
            for point in points {
                fill(&mut batch, point);
                let mut alone = Batch::default();
                fill(&mut alone, point);
                let (line, encoded) = lines(&payload(vec![(job, alone)]), &set);
                refused += encoded.refused;
                let Some((place, _)) = line.rsplit_once('=') else { continue };
                let place = (place.to_owned(), point.3);
                match known.iter().find(|(known, _)| *known == place) {
                    Some((_, first)) if *first == point.4 => duplicates += 1,
                    Some(_) => superseded += 1,
                    None => {
                        known.push((place, point.4));
                        expected.push_str(&line);
                    }
                }
            }
            all.push((job, batch));
        }
        let (text, encoded) = lines(&payload(all), &set);
        prop_assert_eq!(text, expected);
        prop_assert_eq!((encoded.datapoints, encoded.refused), (known.len() as u64, refused));
        prop_assert_eq!((encoded.duplicates, encoded.superseded), (duplicates, superseded));
    }
}
