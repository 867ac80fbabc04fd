//! The options, and where they lead.

use serde_json::{Value as Json, json};

use super::*;

fn influxdb(options: &Json) -> InfluxDb {
    let decoded = collectors::decode::decode::<InfluxDb>(options);
    let decoded = decoded.unwrap_or_else(|problems| panic!("{problems:?}"));
    let problems = decoded.conflicts();
    assert!(problems.is_empty(), "{problems:?}");
    decoded
}

fn url(options: &Json) -> String {
    influxdb(options).write_url().expect("a URL").uri().to_string()
}

#[test]
fn each_version_has_its_address_and_its_way_to_say_who_asks() {
    let one = json!({"url": "http://h:8086/", "version": 1, "username": "u",
        "database": {"name": "my db", "duration": "inf"}});
    assert_eq!(url(&one), "http://h:8086/write?db=my%20db&precision=ms&rp=my%20db_collector");
    assert!(matches!(influxdb(&one).auth(), Some(Auth::Basic { .. })));
    let named = json!({"url": "http://h/", "version": 1, "database": {"name": "d", "policy": "p"}});
    assert_eq!(url(&named), "http://h/write?db=d&precision=ms&rp=p");
    let plain = json!({"url": "http://h/", "version": 1, "database": {"name": "d"}});
    assert_eq!(url(&plain), "http://h/write?db=d&precision=ms");
    let two = json!({"url": "https://h/x", "version": 2, "org": "o", "bucket": "b", "token": "t"});
    assert_eq!(url(&two), "https://h/x/api/v2/write?org=o&bucket=b&precision=ms");
    assert!(matches!(influxdb(&two).auth(), Some(Auth::Token(_))));
    let three = json!({"url": "https://h", "version": 3, "database": {"name": "d"}, "token": "t"});
    assert_eq!(
        url(&three),
        "https://h/api/v3/write_lp?db=d&precision=millisecond&accept_partial=true"
    );
    assert!(matches!(influxdb(&three).auth(), Some(Auth::Bearer(_))));
}

#[test]
fn what_cannot_go_together_is_told_at_its_place() {
    let with = |more: Json| {
        let mut options = json!({"url": "http://h", "version": 1, "database": {"name": "d"}});
        let all = options.as_object_mut().expect("a map");
        all.extend(more.as_object().expect("a map").clone());
        options
    };
    for (more, place) in [
        (json!({"version": 2, "database": null}), "bucket"),
        (json!({"version": 2, "bucket": "b"}), "database"),
        (json!({"database": null}), "database"),
        (json!({"token": "t"}), "token"),
        (json!({"password": "p"}), "password"),
        (json!({"username": "u", "http": {"auth": {"bearer": "t"}}}), "http.auth"),
        (json!({"url": "http://h/?a=b"}), "url"),
        (json!({"version": 3, "database": {"name": "d", "duration": "2d"}}), "database.duration"),
        (json!({"database": {"name": "d", "duration": "30m"}}), "database.duration"),
        (json!({"measurement": "m"}), "measurement"),
        (json!({"field": "{label.x}"}), "field"),
        (json!({"target_tag": "host"}), "target_tag"),
        (json!({"host_tag": "time"}), "host_tag"),
        (json!({"http": {"client_key": "k"}}), "http.client_key"),
    ] {
        let options = with(more);
        let decoded = collectors::decode::decode::<InfluxDb>(&options).expect("of the right types");
        let problems = decoded.conflicts();
        let places = problems.iter().map(|p| collectors::decode::Path(&p.path).to_string());
        assert_eq!(places.collect::<Vec<_>>(), [place], "{problems:?}");
    }
}

#[test]
fn a_body_is_halved_down_to_lines_that_say_what_they_are() {
    let output = influxdb(&json!({"url": "http://h", "version": 1, "database": {"name": "d"}}));
    let body = b"a,t=x value=\"1\n2\" 5\nb,t=y value=2i 5\nc value=3 5\n";
    let [first, second] = output.halve(body).expect("three lines");
    assert_eq!(first.bytes, b"a,t=x value=\"1\n2\" 5\n");
    assert_eq!((first.datapoints, second.datapoints), (1, 2));
    assert_eq!(output.halve(&first.bytes), None);
    assert_eq!(output.subject(&first.bytes).as_deref(), Some("a,t=x value"));
}
