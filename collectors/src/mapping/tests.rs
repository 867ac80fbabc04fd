use serde_json::json;

use super::*;
use crate::batch::{Batch, Point};
use crate::datapoint::LabelKind;
use crate::decode::{Problem, decode};
use crate::sink::Collected;

fn mapping(options: serde_json::Value) -> Mapping {
    decode(&options).expect("a mapping")
}

fn apply(options: serde_json::Value, format: Format, body: impl AsRef<[u8]>) -> Collected {
    let sink = Sink::new("job".into(), Vec::new(), 5);
    mapping(options).apply(format, body.as_ref(), &sink).expect("an answer");
    sink.seal().expect("open")
}

/// `target key value type unit [labels] time`
fn told(batch: &Batch) -> Vec<String> {
    let one = |point: &Point| {
        let labels: Vec<String> = batch
            .labels(point.attributes)
            .iter()
            .map(|label| {
                let mark = if label.kind == LabelKind::Info { "~" } else { "=" };
                format!("{}{mark}{}", batch.text(label.name), batch.text(label.value))
            })
            .collect();
        format!(
            "{} {} {} {} {} [{}] {}",
            batch.text(point.target),
            batch.text(point.key),
            batch.value(point),
            point.data_type.as_str(),
            batch.unit(point.attributes).unwrap_or("-"),
            labels.join(" "),
            point.timestamp_ms
        )
    };
    batch.points().iter().map(one).collect()
}

fn refused(collected: &Collected) -> Vec<String> {
    collected.refusals.iter().map(|r| format!("{}: {}", r.what, r.reason)).collect()
}

#[test]
fn each_element_of_a_list_gives_datapoints_with_labels_and_target() {
    let collected = apply(
        json!({
            "each": "/stations", "target": "/name",
            "labels": {"station": "/id", "region": {"text": "eu"}}, "info": {"firmware": "/fw"},
            "timestamp": {"from": "/time", "format": "s"},
            "values": {
                "temperature": {"from": "/temp", "type": "float", "unit": "celsius", "scale": 0.1},
                "pressure": "$.more[?@.k == 'p'].v",
                "humidity": {"from": "hum", "optional": true},
            },
        }),
        Format::Json,
        r#"{"stations": [
            {"name": "north", "id": 7, "fw": "1.2", "time": 1000, "temp": 215, "more": [{"k": "p", "v": 18446744073709551615}]},
            {"name": "south", "id": "x", "time": 1001.5, "temp": "12", "hum": 40, "more": []}
        ]}"#,
    );
    assert_eq!(
        told(&collected.batch),
        [
            "north temperature 21.5 float celsius [station=7 region=eu firmware~1.2] 1000000",
            "north pressure 18446744073709551615 counter64 - [station=7 region=eu firmware~1.2] 1000000",
            "south temperature 1.2000000000000002 float celsius [station=x region=eu] 1001500",
            "south humidity 40 int - [station=x region=eu] 1001500",
        ]
    );
    assert_eq!(refused(&collected), ["pressure: there is no `$.more[?@.k == 'p'].v` (element 1)"]);
    assert_eq!(collected.labels_dropped, 1);
}

#[test]
fn what_is_wrong_with_a_value_refuses_that_one_by_name() {
    let collected = apply(
        json!({"values": {
            "nan": {"from": "/nan", "type": "float"}, "huge": "/huge", "flag": "/flag",
            "switch": {"from": "/flag", "type": "int"}, "word": {"from": "/flag", "type": "string"},
            "null": "/null", "list": "/list", "object": "/object", "gone": "/gone/0/x",
            "several": "$.list[*]", "fine": "/fine", "big": {"from": "/text", "type": "int"},
        }}),
        Format::Json,
        r#"{"nan": "NaN", "huge": 1e400, "flag": true, "null": null, "list": [1, 2],
            "object": {}, "gone": 3, "fine": 0.5, "text": "9007199254740993"}"#,
    );
    assert_eq!(
        told(&collected.batch),
        [
            "job switch 1 int - [] 5",
            "job word true string - [] 5",
            "job fine 0.5 float - [] 5",
            "job big 9007199254740993 int - [] 5",
        ]
    );
    assert_eq!(
        refused(&collected),
        [
            "nan: the value is NaN, not a finite number",
            "huge: the number 1e400 is out of range",
            "flag: the value is a boolean, and a number or text was expected; `type: int` makes it 1 or 0",
            "null: there is no `/null`",
            "list: the value is a list, and a number or text was expected",
            "object: the value is an object, and a number or text was expected",
            "gone: there is no `/gone/0/x`",
            "several: `$.list[*]` picks 2 members, and one was expected",
        ]
    );
}

#[test]
fn without_its_target_or_time_an_element_gives_nothing() {
    let collected = apply(
        json!({"each": "", "target": "/t", "timestamp": {"from": "/at", "optional": true}, "values": {"v": "/v"}}),
        Format::Json,
        r#"[{"v": 1}, {"t": " ", "v": 2}, {"t": "a", "v": 3, "at": "yesterday"}, {"t": "b", "v": 4}]"#,
    );
    assert_eq!(told(&collected.batch), ["b v 4 int - [] 5"]);
    assert_eq!(
        refused(&collected),
        [
            "v: target: there is no `/t` (element 0)",
            "v: target: `/t` is empty (element 1)",
            "v: timestamp: `yesterday` is no time in the form `2024-05-01T12:00:00Z` (element 2)",
        ]
    );
}

#[test]
fn without_a_label_that_tells_it_apart_an_element_gives_nothing() {
    let collected = apply(
        json!({"each": "", "labels": {"disk": "/d", "part": {"from": "/p", "optional": true}},
               "info": {"model": "/m"}, "values": {"free": "/f", "used": {"from": "/u", "optional": true}}}),
        Format::Json,
        r#"[{"d": "sda", "f": 1}, {"f": 2, "u": 3}, {"d": {}, "f": 4}, {"d": "sdb", "p": [], "f": 5}]"#,
    );
    assert_eq!(told(&collected.batch), ["job free 1 int - [disk=sda] 5"]);
    let refused = refused(&collected);
    assert_eq!(refused.len(), 4, "{refused:#?}");
    assert_eq!(refused[0], "free: label `disk`: there is no `/d` (element 1)");
    assert_eq!(refused[1], "used: label `disk`: there is no `/d` (element 1)");
    assert!(refused[2].starts_with("free: label `disk`: `/d`: "), "{}", refused[2]);
    assert!(refused[3].starts_with("free: label `part`: `/p`: "), "{}", refused[3]);
    assert_eq!(collected.labels_dropped, 1);
}

#[test]
fn each_row_of_csv_gives_datapoints() {
    let collected = apply(
        json!({"delimiter": ";", "target": "host", "labels": {"disk": "disk"}, "values": {
            "free": {"from": "free", "type": "int", "unit": "bytes"}, "state": "state",
        }}),
        Format::Csv,
        b"\xef\xbb\xbfhost; disk ;free;state\na;\"x;1\";18446744073709551615;ok\nb;y\nc;z;nan;\n\xff;q;1;2\nd;v;7;8\n",
    );
    assert_eq!(
        told(&collected.batch),
        [
            "a free 18446744073709551615 int bytes [disk=x;1] 5",
            "a state ok string - [disk=x;1] 5",
            "d free 7 int bytes [disk=v] 5",
            "d state 8 int - [disk=v] 5",
        ]
    );
    let refused = refused(&collected);
    assert_eq!(refused.len(), 5, "{refused:#?}");
    assert_eq!(refused[0], "free: there is no `free` (line 3)");
    assert_eq!(refused[2], "free: the value is nan, not a finite number (line 4)");
    assert!(refused[4].starts_with("line 5: "), "{}", refused[4]);
}

#[test]
fn a_plain_answer_is_one_value() {
    let plain = apply(json!({}), Format::Value, " 42\n");
    assert_eq!(told(&plain.batch), ["job value 42 int - [] 5"]);
    let named = apply(
        json!({"labels": {"a": {"text": "b"}}, "values": {"load": {"type": "float", "unit": "1"}}}),
        Format::Value,
        "0.25",
    );
    assert_eq!(told(&named.batch), ["job load 0.25 float 1 [a=b] 5"]);
    let empty = apply(json!({"values": {"load": {"type": "float"}}}), Format::Value, " \n");
    assert_eq!(refused(&empty), ["load: there is no `value`"]);
    let word = apply(json!({"values": {"load": {"type": "float"}}}), Format::Value, "high");
    assert_eq!(refused(&word), ["load: the value \"high\" is not a number"]);
}

#[test]
fn each_match_of_a_pattern_gives_datapoints() {
    let options = json!({
        "pattern": r"(?m)^(?<name>\w+): (?<celsius>[-\d.]+)(?<alarm> ALARM)?$",
        "labels": {"sensor": "name"},
        "values": {"temperature": {"from": "celsius", "type": "float"}, "alarm": {"from": "alarm", "optional": true}},
    });
    let collected = apply(options.clone(), Format::Regex, "a: 1.5\nb: -.- ALARM\nrest");
    assert_eq!(
        told(&collected.batch),
        ["job temperature 1.5 float - [sensor=a] 5", "job alarm  ALARM string - [sensor=b] 5"]
    );
    assert_eq!(refused(&collected), ["temperature: the value \"-.-\" is not a number (match 1)"]);
    let nothing = apply(options, Format::Regex, "nothing of the kind");
    assert_eq!(refused(&nothing), ["temperature: the pattern matches nowhere"]);
}

#[test]
fn answers_of_another_form_are_errors() {
    let sink = Sink::new("job".into(), Vec::new(), 5);
    let options = mapping(json!({"each": "/a", "pattern": "x", "values": {"v": ""}}));
    let error =
        |format, body: &[u8]| options.apply(format, body, &sink).expect_err("an error").to_string();
    assert_eq!(error(Format::Json, b"<html>"), "the answer is not JSON");
    assert_eq!(error(Format::Json, b"7"), "`each: /a`: expected a list, found nothing");
    assert_eq!(error(Format::Value, b"\xff"), "the answer is not text in UTF-8");
    assert_eq!(error(Format::Regex, b"\xff"), "the answer is not text in UTF-8");
    assert_eq!(error(Format::Csv, b"\xff\n1"), "the answer is not CSV");
}

#[test]
fn a_sealed_sink_ends_it() {
    let sink = Sink::new("job".into(), Vec::new(), 5);
    sink.seal();
    let result = mapping(json!({})).apply(Format::Value, b"1", &sink);
    assert!(matches!(result, Err(Error::Sealed(_))));
}

#[test]
fn what_a_format_cannot_have_is_a_conflict() {
    let told = |options: serde_json::Value, format| -> Vec<String> {
        let problems = mapping(options).conflicts(format, &["mapping"]);
        let line = |p: &Problem| format!("{}: {}", crate::decode::Path(&p.path), p.message);
        problems.iter().map(line).collect()
    };
    assert!(told(json!({"each": "/a", "values": {"v": "/b"}}), Format::Json).is_empty());
    assert_eq!(
        told(json!({"each": "/a", "delimiter": ";", "values": {"v": {}}}), Format::Csv),
        [
            "mapping.each: `each` belongs to `format: json`",
            "mapping.values.v: `from` must name a column"
        ]
    );
    assert_eq!(
        told(
            json!({"pattern": "(?<a>.)", "values": {"v": "a", "w": "b"}, "labels": {" ": "c"}}),
            Format::Regex
        ),
        [
            "mapping.values.w: the pattern has no group `b`",
            "mapping.labels. : the name is empty",
            "mapping.labels. : the pattern has no group `c`",
        ]
    );
    assert_eq!(told(json!({}), Format::Regex), ["mapping: `format: regex` needs a `pattern`"]);
    assert_eq!(
        told(json!({"target": "/t", "timestamp": "/u"}), Format::Value),
        [
            "mapping.target: a plain value has no parts to pick from",
            "mapping.timestamp: a plain value has no parts to pick from",
        ]
    );
}

#[test]
fn mistakes_are_found_where_they_are() {
    let problems = decode::<Mapping>(&json!({
        "each": "/a~", "labels": {"l": {"form": "/x"}}, "pattern": "(",
        "values": {"v": {"from": "$[", "scale": "big"}, "w": 5},
    }))
    .expect_err("mistakes");
    let places: Vec<String> =
        problems.iter().map(|p| crate::decode::Path(&p.path).to_string()).collect();
    for place in ["each", "labels.l.form", "pattern", "values.v.from", "values.v.scale", "values.w"]
    {
        assert!(places.iter().any(|p| p == place), "{place} in {places:?}");
    }
}

#[test]
fn the_effective_mapping_reads_back() {
    let options = json!({
        "each": "$.a", "labels": {"z": "/z", "a": {"text": "t"}}, "timestamp": "/t",
        "values": {"v": "/v"}, "pattern": "x+", "delimiter": "\t",
    });
    let written = serde_json::to_value(mapping(options)).expect("json");
    let again = serde_json::to_value(mapping(written.clone())).expect("json");
    assert_eq!(written, again);
    assert_eq!(
        written["labels"].as_object().expect("a map").keys().collect::<Vec<_>>(),
        ["z", "a"]
    );
}
