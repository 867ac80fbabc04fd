//! The output `influxdb` against InfluxDB 1: what was sent is there, and what is refused is named.

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::service::{Program, Service};
use crate::workspace::Workspace;

pub(crate) const INFLUXDB: Program = Program {
    package: "influxdb",
    files: &[(
        "influxdb.conf",
        r#"reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = "<FOLDER>/meta"
[data]
  dir = "<FOLDER>/data"
  wal-dir = "<FOLDER>/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:<PORT>"
  auth-enabled = false
"#,
    )],
    arguments: &["-config", "FOLDER/influxdb.conf"],
    ready: "/ping",
};

/// What a query gives: of its first series the rows.
pub(crate) fn query(service: &Service, query: &str) -> Value {
    let escaped = utf8_percent_encode(query, NON_ALPHANUMERIC);
    let text = service.get(&format!("/query?db=my-db&epoch=ms&q={escaped}"));
    let mut answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(answer["results"][0]["error"], Value::Null, "{query}");
    answer.pointer_mut("/results/0/series/0/values").map(Value::take).unwrap_or_default()
}

fn workspace(service: &Service, options: &str) -> Workspace {
    Workspace::new(&format!(
        "agent: {{run_metrics: false, hostname: web1, timeout: 60s, delivery_reserve: 30s}}
outputs:
  - influxdb: {{url: '{}', version: 1, {options}}}
jobs:
  - id: values
    target: db1
    file: {{path: values.jsonl, format: jsonl}}
",
        service.url("")
    ))
}

const PLAIN: &str = "database: {name: my-db}";

#[test]
fn what_is_written_is_read_back() {
    let now_ms = Timestamp::now().as_millisecond();
    let earlier_ms = now_ms - 60_123;
    for (options, compression) in
        [(PLAIN.to_owned(), "gzip"), (format!("{PLAIN}, compression: none"), "none")]
    {
        let service = Service::start(&INFLUXDB);
        let workspace = workspace(&service, &options);
        workspace.write(
            "values.jsonl",
            format!(
                r#"{{"key": "disk,used =", "value": 9223372036854775807, "data_type": "counter64", "labels": {{"disk =name": "a,b= \"ü\n\\c", "empty": "", "time": "noon"}}}}
{{"key": "temperature", "value": -0.1}}
{{"key": "temperature", "value": 20, "data_type": "float", "timestamp": {earlier_ms}}}
{{"key": "large", "value": 1.7976931348623157e308}}
{{"key": "small", "value": 5e-324}}
{{"key": "os", "value": "a \"b\" \\\nc", "data_type": "string"}}
"#
            ),
        );
        workspace.run(&["check", "--connect"]).exit(0);
        let at = Timestamp::from_millisecond(now_ms).expect("a time").to_string();
        // The second time as after a run that ended before it was noted down.
        for _ in 0..2 {
            workspace.run(&["run", "--once", "--at", &at]).exit(0).silent();
        }
        let select =
            |measurement: &str| query(&service, &format!("SELECT * FROM \"{measurement}\""));
        assert_eq!(
            select("temperature"),
            json!([[earlier_ms, "web1", "db1", 20], [now_ms, "web1", "db1", -0.1]]),
            "{compression}"
        );
        assert_eq!(
            select("disk,used ="),
            // The label's line feed became `\n`.
            json!([[
                now_ms,
                "a,b= \"ü\\n\\c",
                "web1",
                "db1",
                "noon",
                9_223_372_036_854_775_807_i64
            ]])
        );
        assert_eq!(select("large"), json!([[now_ms, "web1", "db1", f64::MAX]]));
        assert_eq!(select("small"), json!([[now_ms, "web1", "db1", 5e-324]]));
        assert_eq!(select("os"), json!([[now_ms, "web1", "db1", "a \"b\" \\\nc"]]));
    }
}

#[test]
fn the_retention_policy_is_made_and_set_right() {
    let service = Service::start(&INFLUXDB);
    let at_start = json!(["my-db_collector", "2160h0m0s", "24h0m0s", 1, true]);
    for (duration, expected) in [
        ("90d", at_start.clone()),
        ("90d", at_start.clone()),
        ("1h", json!(["my-db_collector", "1h0m0s", "1h0m0s", 1, true])),
        ("INF", json!(["my-db_collector", "0s", "168h0m0s", 1, true])),
        ("2160h", at_start),
    ] {
        let options = format!("database: {{name: my-db, duration: {duration}}}");
        let workspace = workspace(&service, &options);
        workspace.write("values.jsonl", "{\"key\": \"a\", \"value\": 1}\n");
        workspace.run(&["run", "--once"]).exit(0).silent();
        let policies = query(&service, "SHOW RETENTION POLICIES ON \"my-db\"");
        let ours =
            policies.as_array().expect("policies").iter().find(|policy| policy[0] != "autogen");
        assert_eq!(ours, Some(&expected), "{duration}");
    }
    let rows = query(&service, "SELECT value FROM \"my-db_collector\".\"a\"");
    assert_eq!(rows.as_array().map(Vec::len), Some(5));
}

#[test]
fn a_line_that_influxdb_refuses_is_named_and_the_others_are_in() {
    let service = Service::start(&INFLUXDB);
    let workspace = workspace(&service, PLAIN);
    workspace.write("values.jsonl", "{\"key\": \"bad\", \"value\": 1}\n");
    workspace.run(&["run", "--once"]).exit(0).silent();
    // A float where the field is an integer.
    let mut lines: Vec<_> =
        (0..10_000).map(|n| format!("{{\"key\": \"good_{n}\", \"value\": {n}}}\n")).collect();
    lines.insert(3_700, "{\"key\": \"bad\", \"value\": 1.5}\n".into());
    workspace.write("values.jsonl", lines.concat());
    workspace
        .run(&["run", "--once"])
        .exit(5)
        .says("1 datapoint set aside")
        .says("field type conflict")
        .says("(`bad,host=web1,target=db1 value`)");
    let rows = query(&service, "SHOW MEASUREMENTS");
    assert_eq!(rows.as_array().map(Vec::len), Some(10_001));
    // And nothing of it stands in the way of what follows.
    workspace.write("values.jsonl", "{\"key\": \"good_0\", \"value\": 7}\n");
    workspace.run(&["run", "--once"]).exit(0).silent();
}

#[test]
fn what_is_older_than_the_policy_is_counted_as_it_is() {
    let service = Service::start(&INFLUXDB);
    let workspace = workspace(&service, "database: {name: my-db, duration: 1h}");
    workspace.write(
        "values.jsonl",
        "{\"key\": \"a\", \"value\": 1}\n{\"key\": \"old\", \"value\": 1, \"timestamp\": 1000}\n\
         {\"key\": \"older\", \"value\": 1, \"timestamp\": 0}\n",
    );
    workspace
        .run(&["run", "--once"])
        .exit(5)
        .says("2 datapoints set aside")
        .says("points beyond retention policy");
    assert_eq!(query(&service, "SHOW MEASUREMENTS"), json!([["a"]]));
}

#[test]
fn who_is_not_let_in_is_told_and_the_body_waits() {
    let (name, config) = INFLUXDB.files[0];
    let strict = config.replace("auth-enabled = false", "auth-enabled = true");
    let files = vec![(name, &*strict.leak())];
    let service = Service::start(&Program { files: files.leak(), ..INFLUXDB });
    let with = |login: &str| {
        let workspace = workspace(&service, &format!("{PLAIN}, {login}"));
        workspace.write("values.jsonl", "{\"key\": \"a\", \"value\": 1}\n");
        workspace
    };
    let admin = "username: admin, password: hunter2";
    with(admin).run(&["run", "--once"]).exit(4).says("user first or disable authentication");
    let create = "CREATE USER admin WITH PASSWORD 'hunter2' WITH ALL PRIVILEGES";
    let url = service.url(&format!("/query?q={}", utf8_percent_encode(create, NON_ALPHANUMERIC)));
    ureq::post(url).send_empty().expect("an answer");
    let wrong = with("username: admin, password: hunter3");
    let told = wrong.run(&["run", "--once"]).exit(4).says("401").stderr();
    assert!(!told.contains("hunter"), "{told}");
    wrong.run(&["check", "--connect"]).exit(3).prints("401");
    with(admin).run(&["run", "--once"]).exit(0).silent();
}

#[test]
fn the_newer_versions_get_what_their_pages_ask_for() {
    for (options, line, who) in [
        (
            "version: 2, org: o, bucket: b, token: hunter2",
            "POST /api/v2/write?org=o&bucket=b&precision=ms",
            "Token hunter2",
        ),
        (
            "version: 3, database: {name: d}, token: {env: TOKEN}",
            "POST /api/v3/write_lp?db=d&precision=millisecond&accept_partial=true",
            "Bearer hunter2",
        ),
    ] {
        let server = Server::answering(vec![Answer::status(204)]);
        let workspace = Workspace::new(&format!(
            "agent: {{run_metrics: false, hostname: h}}
outputs:
  - influxdb: {{url: 'http://127.0.0.1:{}', {options}, measurement: m, field: '{{key}}', compression: none}}
jobs:
  - id: dice
    target: t
    file: {{path: values.jsonl, format: jsonl}}
",
            server.port()
        ));
        workspace.write("values.jsonl", "{\"key\": \"big\", \"value\": 18446744073709551615}\n");
        let config = workspace.path("collector.yaml");
        let run = |arguments: &[&str]| {
            let command = workspace.command(arguments).env("TOKEN", "hunter2");
            command.env("COLLECTOR_CONFIG", &config).finish()
        };
        let shown = run(&["run", "--once", "--dry-run"])
            .exit(0)
            .prints(line.trim_start_matches("POST "))
            .stdout();
        assert!(
            !shown.contains("hunter2") && shown.contains("authorization: [redacted]"),
            "{shown}"
        );
        run(&["run", "--once", "--at", "1000"]).exit(0).silent();
        let requests = server.requests();
        assert_eq!(requests[0].line, line);
        assert_eq!(requests[0].header("authorization"), Some(who));
        assert_eq!(requests[0].text(), "m,host=h,target=t big=18446744073709551615u 1000\n");
    }
}

#[test]
fn a_line_that_version_3_names_is_set_aside_and_the_others_are_in() {
    let server = Server::deciding(|request| {
        let text = request.text();
        let lines: Vec<_> =
            text.lines().enumerate().filter(|(_, line)| line.contains("bad")).collect();
        let lines: Vec<Value> = lines
            .into_iter()
            .map(|(index, line)| {
                json!({"original_line": line, "line_number": index + 1, "error_message": "another type"})
            })
            .collect();
        if lines.is_empty() {
            return Answer::status(204);
        }
        let said = json!({"error": "partial write of line protocol occurred", "data": lines});
        Answer::Status(400, "", said.to_string())
    });
    let workspace = Workspace::new(&format!(
        "agent: {{run_metrics: false}}
outputs:
  - influxdb: {{url: 'http://127.0.0.1:{}', version: 3, database: {{name: d}}, compression: none}}
jobs:
  - {{id: dice, target: t, file: {{path: values.jsonl, format: jsonl}}}}
",
        server.port()
    ));
    let line = |key: &str| format!("{{\"key\": \"{key}\", \"value\": 1}}\n");
    workspace.write("values.jsonl", ["a", "bad", "c"].map(line).concat());
    let told = workspace.run(&["run", "--once", "--report", "json"]).exit(5);
    let told = told.says("another type").says("bad,");
    let report: Value = serde_json::from_str(&told.stdout()).expect("JSON");
    let counts = ["accepted", "quarantined", "waiting"].map(|count| &report["outputs"][0][count]);
    assert_eq!(counts, [2, 1, 0], "{report}");
    workspace.run(&["spool", "list"]).prints("another type (`bad,");
    assert_eq!(server.requests().len(), 1, "nothing is sent again");
}

#[test]
fn what_a_run_says_of_itself_is_taken_too() {
    let service = Service::start(&INFLUXDB);
    let workspace = Workspace::new(&format!(
        "outputs:
  - influxdb: {{url: '{}', version: 1, database: {{name: my-db}}}}
jobs:
  - {{id: host, target: t, system: {{}}}}
",
        service.url("")
    ));
    workspace.run(&["run", "--once"]).exit(0).silent();
    workspace.run(&["run", "--once"]).exit(0).silent();
    let rows = query(&service, "SELECT last(value) FROM collector_runs");
    assert_eq!(rows[0][1], json!(2));
}
