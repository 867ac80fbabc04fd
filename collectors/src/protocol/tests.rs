use std::error::Error as _;
use std::io::{BufReader, Cursor};

use proptest::prelude::*;

use super::*;
use crate::datapoint::{DataType, LabelKind, Value};
use crate::sink::{Collected, Level};

const NOW_MS: i64 = 5;

fn read(input: &[u8]) -> (Option<String>, Collected) {
    read_by(input, 8192)
}

/// The failure in words, and what reached the sink; `size` bytes are read at a time.
fn read_by(input: &[u8], size: usize) -> (Option<String>, Collected) {
    let sink = Sink::new("host".into(), Vec::new(), NOW_MS);
    let mut reader = BufReader::with_capacity(size, Cursor::new(input));
    let failure = read_datapoints(&mut reader, "input", &sink).err().map(|error| {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    });
    (failure, sink.seal().expect("open"))
}

/// A collected datapoint in words: `target key=value type @time unit [name=value info:name=value]`.
fn told(collected: &Collected) -> Vec<String> {
    let batch = &collected.batch;
    let tell = |point: &crate::batch::Point| {
        let labels: Vec<String> = batch
            .labels(point.attributes)
            .iter()
            .map(|label| {
                let kind = if label.kind == LabelKind::Info { "info:" } else { "" };
                format!("{kind}{}={}", batch.text(label.name), batch.text(label.value))
            })
            .collect();
        format!(
            "{} {}={} {} @{} {} [{}]",
            batch.text(point.target),
            batch.text(point.key),
            batch.value(point),
            point.data_type.as_str(),
            point.timestamp_ms,
            batch.unit(point.attributes).unwrap_or("-"),
            labels.join(" "),
        )
    };
    batch.points().iter().map(tell).collect()
}

#[test]
fn datapoints_are_what_their_lines_say() {
    for (line, expected) in [
        (r#"{"key":"a","value":1}"#, "host a=1 int @5 - []"),
        (r#"{"value":1.0,"key":"A ","type":"datapoint"}"#, "host a=1.0 float @5 - []"),
        (r#"{"key":"a","value":"text"}"#, "host a=text string @5 - []"),
        (r#"{"key":7,"value":-0,"target":10}"#, "10 7=0 int @5 - []"),
        (r#"{"key":1e21,"value":-0.0}"#, "host 1e+21=-0.0 float @5 - []"),
        (
            r#"{"key":"a","value":18446744073709551615}"#,
            "host a=18446744073709551615 counter64 @5 - []",
        ),
        (r#"{"key":"a","value":-9223372036854775808}"#, "host a=-9223372036854775808 int @5 - []"),
        (
            r#"{"key":"a","value":4294967295,"data_type":"counter"}"#,
            "host a=4294967295 counter @5 - []",
        ),
        (r#"{"key":"a","value":732.0,"data_type":"int"}"#, "host a=732.0 int @5 - []"),
        (r#"{"key":"a","value":" 12.9 ","data_type":"int"}"#, "host a=12 int @5 - []"),
        (r#"{"key":"a","value":1e3,"data_type":"counter64"}"#, "host a=1000.0 counter64 @5 - []"),
        (r#"{"key":"a","value":1,"data_type":"string"}"#, "host a=1 string @5 - []"),
        (
            r#"{"key":"a","value":1,"timestamp":1700000000123.9}"#,
            "host a=1 int @1700000000123 - []",
        ),
        (r#"{"key":"a","value":1,"timestamp":-5.9}"#, "host a=1 int @-5 - []"),
        (r#"{"key":"a","value":1,"timestamp":0}"#, "host a=1 int @0 - []"),
        (r#"{"key":"a","value":1,"timestamp":" 12.9 "}"#, "host a=1 int @12 - []"),
        (r#"{"key":"a","value":1,"timestamp":1.7e12}"#, "host a=1 int @1700000000000 - []"),
        (
            r#"{"key":"a","value":1,"timestamp":null,"target":null,"unit":null,"labels":null}"#,
            "host a=1 int @5 - []",
        ),
        (
            r#"{"key":"a","value":1,"unit":"bytes","target":"h\u00f4te"}"#,
            "hôte a=1 int @5 bytes []",
        ),
        (r#"{"k\u0065y":"\ud83d\ude00","value":"a\"b\\c\n"}"#, "host 😀=a\"b\\c\n string @5 - []"),
        // Digits that serde_json's own float parser rounds the wrong way.
        (
            r#"{"key":"a","value":1.7976931348623157e+308}"#,
            "host a=1.7976931348623157e+308 float @5 - []",
        ),
        (r#"{"key":"a","value":0.3333333333333333}"#, "host a=0.3333333333333333 float @5 - []"),
        (r#"{"key":"a","value":5e-324}"#, "host a=5e-324 float @5 - []"),
    ] {
        let (failure, collected) = read(line.as_bytes());
        assert_eq!(failure, None, "{line}");
        assert_eq!(told(&collected), [expected], "{line}");
    }
}

#[test]
fn labels_keep_the_order_of_the_line() {
    for (line, expected) in [
        (
            r#""labels":{"Room":" A1 ","floor":3,"ratio":0.5,"big":1e21,"e":""}"#,
            "room=A1 floor=3 ratio=0.5 big=1e+21 e=",
        ),
        (r#""info":{"kernel":"5.2"},"labels":{"room":"a"}"#, "info:kernel=5.2 room=a"),
        (
            r#""labels":{"a":1},"info":{"b":2},"labels":{"c":3,"a":4},"info":{"d":5}"#,
            "a=1 info:b=2 c=3 info:d=5",
        ),
        // An integer has no limit where it is text.
        (r#""labels":{"n":123456789012345678901234567890}"#, "n=123456789012345678901234567890"),
        (r#""labels":{"\u0041\n":"\t\u0042"}"#, "a=B"),
    ] {
        let (failure, collected) = read(format!(r#"{{"key":"k","value":1,{line}}}"#).as_bytes());
        assert_eq!(failure, None, "{line}");
        assert_eq!(told(&collected), [format!("host k=1 int @5 - [{expected}]")], "{line}");
    }
}

#[test]
fn a_label_that_cannot_be_one_is_left_off_its_datapoint() {
    let line = r#"{"key":"k","value":1,"labels":{"a":true,"b":null," ":1,"c":[1],"d":{},"e":1e400,"f":"\ud800","g":"x"}}"#;
    let (failure, collected) = read(line.as_bytes());
    assert_eq!(failure, None);
    assert_eq!(told(&collected), ["host k=1 int @5 - [g=x]"]);
    assert_eq!((collected.labels_dropped, collected.refused), (7, 0));
}

#[test]
fn a_bad_line_is_refused_by_number_and_key_and_the_others_are_kept() {
    let many: String = (0..300).map(|n| format!("\"l{n}\":1,")).collect();
    let many =
        format!("{{\"key\":\"k\",\"labels\":{{{}}},\"value\":1}}", many.trim_end_matches(','));
    let long = format!(r#"{{"key":"a","value":"{}"}}"#, "x".repeat(MAX_LINE_BYTES));
    let deep = format!(r#"{{"key":"a","value":{}"#, "[".repeat(100_000));
    for (line, what, reason) in [
        (
            &br#"{"key":"a","val"#[..],
            "line 2",
            "line 2: the line ends where the end of a text is expected",
        ),
        (b"\xff\xfe\x00", "line 2", "the line is not UTF-8 from byte 1 on"),
        (b"plain words", "line 2", "expected an object at column 1"),
        (b"[1]", "line 2", "expected an object"),
        (b"17", "line 2", "expected an object"),
        (br#"{"key":"a","value":1} {"#, "line 2", "expected the end of the line at column 23"),
        (br#"{"key":"a","value":NaN}"#, "line 2", "expected a value at column 20"),
        (br#"{"key":"a","key":"b","value":1}"#, "line 2", "the member `key` stands there twice"),
        (
            br#"{"key":"a","value":1,"lables":{}}"#,
            "a",
            "unknown member `lables`; did you mean `labels`?",
        ),
        (br#"{"key":"a","value":1,"x":[{"y":1}]}"#, "a", "unknown member `x`"),
        (
            br#"{"key":"a","value":1,"message":"m"}"#,
            "a",
            "a message of type `datapoint` has no member `message`",
        ),
        (
            br#"{"type":"log","message":"m","info":{}}"#,
            "line 2",
            "a message of type `log` has no member `info`",
        ),
        (br#"{"type":"error"}"#, "line 2", "the member `message` is missing"),
        (br#"{"type":"log","message":7}"#, "line 2", "`message`: expected text, found a number"),
        (
            br#"{"type":"log","message":"m","level":"loud"}"#,
            "line 2",
            "`level` is `loud`, expected `error`",
        ),
        (br#"{"type":null,"key":"a","value":1}"#, "a", "`type`: expected text, found null"),
        (br#"{"type":"datapiont","key":"a","value":1}"#, "a", "did you mean `datapoint`?"),
        (
            br#"{"type":"record","stream":"s","data":{}}"#,
            "line 2",
            "messages of type `record` are not supported yet",
        ),
        (
            br#"{"type":"SCHEMA","stream":"s","schema":{}}"#,
            "line 2",
            "`SCHEMA` are not supported yet",
        ),
        (br#"{"value":1}"#, "line 2", "the member `key` is missing"),
        (br#"{"key":"a"}"#, "a", "the member `value` is missing"),
        (br#"{"key":" ","value":1}"#, " ", "the name is empty"),
        (br#"{"key":null,"value":1}"#, "line 2", "`key`: the value is null"),
        (br#"{"key":"a","value":null}"#, "a", "the value is null"),
        (br#"{"key":"a","value":true}"#, "a", "the value is a boolean"),
        (br#"{"key":"a","value":[1]}"#, "a", "the value is a list"),
        (br#"{"key":"a","value":{}}"#, "a", "the value is an object"),
        (br#"{"key":"a","value":1e400}"#, "a", "the value is 1e400, not a finite number"),
        (br#"{"key":"a","value":18446744073709551616}"#, "a", "18446744073709551616 does not fit"),
        (br#"{"key":"a","value":-9223372036854775809}"#, "a", "does not fit"),
        (br#"{"key":"a","value":"NaN","data_type":"float"}"#, "a", "the value is NaN"),
        (br#"{"key":"a","value":"x","data_type":"int"}"#, "a", "the value \"x\" is not a number"),
        (br#"{"key":"a","value":1,"data_type":"flaot"}"#, "a", "did you mean `float`?"),
        (
            br#"{"key":"a","value":1,"data_type":null}"#,
            "a",
            "`data_type`: expected text, found null",
        ),
        (br#"{"key":"a","value":1,"target":" "}"#, "a", "`target`: the name is empty"),
        (br#"{"key":"a","value":1,"target":[]}"#, "a", "`target`: the value is a list"),
        (br#"{"key":"a","value":1,"unit":1}"#, "a", "`unit`: expected text, found a number"),
        (
            br#"{"key":"a","value":1,"timestamp":"now"}"#,
            "a",
            "`timestamp`: expected milliseconds since 1970, found now",
        ),
        (
            br#"{"key":"a","value":1,"timestamp":1e30}"#,
            "a",
            "`timestamp`: expected milliseconds since 1970, found 1e30",
        ),
        (
            br#"{"key":"a","value":1,"timestamp":true}"#,
            "a",
            "`timestamp`: expected milliseconds since 1970, found a boolean",
        ),
        (
            br#"{"key":"a","value":1,"labels":[]}"#,
            "line 2",
            "expected an object of labels at column 31",
        ),
        (br#"{"key":"a","value":"\ud800"}"#, "a", "hex escape"),
        (many.as_bytes(), "line 2", "more than 256 labels"),
        (long.as_bytes(), "line 2", "longer than 1048576 bytes"),
        (deep.as_bytes(), "line 2", "EOF while parsing"),
    ] {
        let shown = String::from_utf8_lossy(&line[..line.len().min(80)]);
        let input =
            [b"{\"key\":\"before\",\"value\":1}\n", line, b"\n\n{\"key\":\"after\",\"value\":1}\n"]
                .concat();
        for size in [1000, 3 << 20] {
            let (failure, collected) = read_by(&input, size);
            let failure = failure.expect("a refused line fails the job");
            assert!(
                failure.starts_with("`input`: 1 of 4 lines refused, the first one is line 2"),
                "{failure}"
            );
            assert_eq!(told(&collected), ["host before=1 int @5 - []", "host after=1 int @5 - []"]);
            assert_eq!((collected.refused, collected.refusals.len()), (1, 1), "{shown}");
            let refusal = &collected.refusals[0];
            assert_eq!(refusal.what, what, "{shown}");
            let full = format!("{}: {}", refusal.what, refusal.reason);
            assert!(full.contains(reason), "{shown} gave {full}");
            assert!(full.contains("line 2") && !full.contains("line 1"), "{full}");
        }
    }
}

#[test]
fn a_flood_of_bad_lines_is_counted_and_told_with_its_first() {
    let (failure, collected) = read("y\n".repeat(5000).as_bytes());
    let failure = failure.expect("bad lines");
    assert!(failure.contains("5000 of 5000 lines refused, the first one is line 1"), "{failure}");
    assert_eq!((collected.refused, collected.refusals.len()), (5000, REFUSALS_KEPT));
}

#[test]
fn a_program_may_log_and_report_errors_and_go_on() {
    let input = concat!(
        "\u{feff}{\"type\":\"log\",\"message\":\"hello\"}\r\n",
        "   \r\n",
        "{\"type\":\"log\",\"level\":\"warning\",\"message\":\"careful\"}\n",
        "{\"message\":\"no route\",\"type\":\"error\"}\n",
        "{\"key\":\"a\",\"value\":1}",
    );
    let (failure, collected) = read(input.as_bytes());
    assert_eq!(failure, None);
    assert_eq!(told(&collected), ["host a=1 int @5 - []"]);
    assert_eq!(collected.errors, ["no route"]);
    let log = [(Level::Info, "hello".to_owned()), (Level::Warn, "careful".to_owned())];
    assert_eq!(collected.log, log);
}

#[test]
fn a_sealed_sink_ends_the_reading() {
    let sink = Sink::new("host".into(), Vec::new(), NOW_MS);
    sink.seal();
    let result = read_datapoints(&mut &b"{\"key\":\"a\",\"value\":1}\n"[..], "input", &sink);
    assert!(matches!(result, Err(Error::Sealed(_))));
}

fn data_type() -> impl Strategy<Value = DataType> {
    prop_oneof![
        Just(DataType::Int),
        Just(DataType::Float),
        Just(DataType::Counter),
        Just(DataType::Counter64),
    ]
}

fn number() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        (proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO)
            .prop_map(Into::into),
    ]
}

/// What looks like a line often enough to get behind the first check.
fn almost_a_line() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\n",
        "null",
        "true",
        "tru",
        " ",
        "\t",
        "\"key\":",
        "\"value\":",
        "\"labels\":{",
        "\"info\":",
        "\"x\":",
        "1e400",
        "01",
        "1.",
        ".5",
        "-0.5E+3",
        "2e",
        "-",
        "-0",
        "\"\\ud800\"",
        "\"\\x\"",
        "\"\u{1}\"",
        "\"\\u00e9\\\"\"",
        "\\",
        "\"",
        "\"type\":",
        "\"log\"",
        "\"message\":",
        "18446744073709551616",
        "\"a\"",
        "{\"key\":\"a\",\"value\":1",
        "\"timestamp\":",
        "\"data_type\":\"int\"",
        "\u{feff}",
        "\u{e9}",
        "\\u12",
        "[{\"a\":[1]}]",
        "{\"b\":2}",
    ]);
    proptest::collection::vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        size in 1..64_usize,
    ) {
        let (failure, collected) = read_by(&bytes, size);
        prop_assert_eq!(failure.is_some(), collected.refused > 0);
    }

    #[test]
    fn what_is_almost_a_line_never_panics_and_pieces_make_no_difference(
        text in almost_a_line(),
        size in 1..64_usize,
    ) {
        let (failure, collected) = read(text.as_bytes());
        prop_assert_eq!(failure.is_some(), collected.refused > 0);
        let (in_pieces, collected_in_pieces) = read_by(text.as_bytes(), size);
        prop_assert_eq!(failure, in_pieces);
        prop_assert_eq!(told(&collected), told(&collected_in_pieces));
    }

    #[test]
    fn what_is_json_is_what_serde_json_takes_for_it(text in almost_a_line()) {
        use std::collections::HashMap;
        // Pasted together at random it is seldom an object: it gets a frame.
        for text in [text.clone(), format!("{{{text}}}"), format!("{{\"x\":{text}}}")] {
            let oracle = serde_json::from_str::<HashMap<String, serde::de::IgnoredAny>>(&text);
            let mut line = Line::default();
            match line.parse(&text) {
                Ok(()) => prop_assert!(oracle.is_ok(), "{text} was taken"),
                // JSON, and still no line.
                Err(Fault::Twice(_) | Fault::TooManyLabels) => {}
                Err(Fault::Syntax { expected: "an object of labels", .. }) => {}
                Err(Fault::Json(_)) if text.contains("ud800") => {}
                Err(fault) => prop_assert!(oracle.is_err(), "{text} was refused: {fault}"),
            }
        }
    }

    #[test]
    fn well_formed_datapoints_come_through_unchanged(
        key in "[a-z\u{e0}-\u{f6}\u{1f600}][a-z\"\\\\ \u{0}-\u{1f}]{0,8}[a-z]",
        number in number(),
        data_type in data_type(),
        target in proptest::option::of("\\PC{1,8}x"),
        timestamp in any::<i64>(),
        label in "\\PC{0,12}",
    ) {
        let mut line = serde_json::json!({
            "key": key, "value": number, "data_type": data_type, "timestamp": timestamp,
            "info": {"n": label}, "labels": {"m": number},
        });
        if let Some(target) = &target {
            line["target"] = target.clone().into();
        }
        let (failure, collected) = read(line.to_string().as_bytes());
        prop_assert_eq!(failure, None);
        let batch = &collected.batch;
        let point = &batch.points()[0];
        prop_assert_eq!(batch.text(point.key), key);
        prop_assert_eq!(batch.value(point), Value::from_json(&number).expect("a number"));
        prop_assert_eq!(point.data_type, data_type);
        prop_assert_eq!(batch.text(point.target), target.as_deref().unwrap_or("host"));
        prop_assert_eq!(point.timestamp_ms, timestamp);
        let labels = batch.labels(point.attributes);
        prop_assert_eq!(batch.text(labels[0].value), crate::datapoint::trim(&label));
        prop_assert_eq!(labels[0].kind, LabelKind::Info);
        let text = Value::from_json(&number).expect("a number").to_string();
        prop_assert_eq!(batch.text(labels[1].value), text);
    }
}
