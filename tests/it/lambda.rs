//! The function behind Lambda's runtime API: events, answers, errors, and what outlives an invocation.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::lambda_api::{Answer, Function};
use crate::server::{Answer as Reply, Server, closed_port};
use crate::workspace::Workspace;

/// A workspace without a daemon directory, as a function's package has none.
fn workspace(yaml: &str) -> Workspace {
    let workspace = Workspace::empty();
    workspace.write("collector.yaml", yaml);
    workspace
}

/// One job, to a pattoo server on that port.
fn dice(port: u16) -> Workspace {
    workspace(&format!(
        "polling: {{polling_interval: 300, ip_address: 127.0.0.1, ip_bind_port: {port}}}
agent: {{run_metrics: false}}
jobs: [{{id: dice, random: {{seed: 1}}}}]
"
    ))
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    i64::try_from(now.as_millis()).expect("it fits")
}

/// What EventBridge Scheduler sends, for the tick that began `age` ago.
fn tick(age: Duration) -> (String, i64) {
    let seconds = now_ms() / 1000 - i64::try_from(age.as_secs()).expect("it fits");
    let time = jiff::Timestamp::from_second(seconds).expect("a time").to_string();
    let event = json!({
        "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.scheduler",
        "account": "123456789012", "time": time, "region": "eu-central-1", "resources": [],
        "detail": "{}", "once": true,
    });
    (event.to_string(), seconds * 1000)
}

/// The agent and time of each body that came.
fn bodies(server: &Server) -> Vec<Value> {
    let requests = server.requests();
    requests.iter().map(|r| serde_json::from_slice(&r.body).expect("JSON")).collect()
}

fn time_of(body: &Value) -> i64 {
    body["pattoo_agent_timestamp"].as_i64().expect("a time")
}

#[test]
fn a_scheduled_event_is_a_run_at_its_time_and_the_answer_is_the_report() {
    let server = Server::start();
    let workspace = dice(server.port());
    let function = Function::start(&workspace);
    let (event, time_ms) = tick(Duration::from_secs(20));
    let report = function.report(&event);
    assert_eq!((&report["status"], &report["timestamp_ms"]), (&json!(0), &json!(time_ms)));
    assert_eq!(report["jobs"][0]["job"], "dice");
    let bodies = bodies(&server);
    assert_eq!(bodies.len(), 1);
    assert_eq!(time_of(&bodies[0]), time_ms);
    let text = bodies[0].to_string();
    assert!(text.contains("\"poller\""), "the function's name is the host's: {text}");
}

#[test]
fn an_event_that_comes_twice_gives_the_same_body() {
    let server = Server::start();
    let workspace = dice(server.port());
    let (event, _) = tick(Duration::from_secs(5));
    // In two instances of the function, which share nothing.
    for _ in 0..2 {
        Function::start(&workspace).report(&event);
        std::fs::remove_dir_all(workspace.path("tmp")).expect("the folder");
    }
    let bodies = bodies(&server);
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
}

#[test]
fn an_event_that_is_hours_old_runs_now_and_says_so() {
    let server = Server::start();
    let workspace = dice(server.port());
    let before = now_ms();
    let report = Function::start(&workspace).report(&tick(Duration::from_secs(3 * 3600)).0);
    assert!(report["timestamp_ms"].as_i64().expect("a time") >= before);
    assert!(report["warnings"].to_string().contains("the event is 3h"), "{report}");
}

#[test]
fn an_event_that_a_younger_one_has_overtaken_sends_nothing_of_the_past() {
    let server = Server::start();
    let workspace = dice(server.port());
    let function = Function::start(&workspace);
    let (younger, younger_ms) = tick(Duration::from_secs(5));
    let (older, _) = tick(Duration::from_secs(65));
    let due = |event: &str| event.replace(r#""once":true"#, r#""once":false"#);
    function.report(&due(&younger));
    let report = function.report(&due(&older));
    assert_eq!(report["jobs"], json!([]), "nothing is due: {report}");
    assert!(report["warnings"].to_string().contains("comes after a younger one"), "{report}");
    function.report(&older);
    let times: Vec<i64> = bodies(&server).iter().map(time_of).collect();
    assert!(times.len() == 2 && times[0] == younger_ms && times[1] > younger_ms, "{times:?}");
}

#[test]
fn events_of_any_shape_are_runs_and_garbage_is_an_error_that_ends_nothing() {
    let server = Server::start();
    let workspace = dice(server.port());
    let function = Function::start(&workspace);
    let plain = r#"{"key1": "value1", "key2": "value2", "key3": "value3"}"#;
    for event in ["{}", plain, "null", "[]", "\"x\"", r#"{"Records": []}"#] {
        assert_eq!(function.report(event)["status"], 0, "{event}");
    }
    for garbage in ["", "{", "\u{0}", "nonsense"] {
        assert!(matches!(function.invoke(garbage), Answer::Error(..)), "{garbage:?}");
    }
    for wrong in [r#"{"only": "dice"}"#, r#"{"shard": "9/4"}"#, r#"{"only": ["dcie"]}"#] {
        let (kind, message) = function.error(wrong);
        assert_eq!(kind, "Collector.Event", "{wrong}: {message}");
    }
    assert!(function.error(r#"{"only": ["dcie"]}"#).1.contains("did you mean `dice`?"));
    assert_eq!(function.report("{}")["status"], 0);
}

#[test]
fn an_event_chooses_jobs_and_a_dry_run_sends_nothing() {
    let server = Server::start();
    let workspace = workspace(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}
jobs: [{{id: a, random: {{}}}}, {{id: b, random: {{}}}}, {{id: c, random: {{}}}}]
",
        server.port()
    ));
    let function = Function::start(&workspace);
    let jobs = |event: &str| -> Vec<String> {
        let report = function.report(event);
        let jobs = report["jobs"].as_array().expect("jobs").iter();
        jobs.map(|job| job["job"].as_str().expect("an id").to_owned()).collect()
    };
    let shown = function.report(r#"{"dry_run": true, "once": true}"#);
    assert!(shown["shown"].as_str().expect("text").contains("POST http://127.0.0.1"), "{shown}");
    assert_eq!(server.requests().len(), 0);
    assert_eq!(jobs(r#"{"only": ["c", "a"], "once": true}"#), ["a", "c"]);
    let shards = ["1/2", "2/2"].map(|s| jobs(&format!(r#"{{"shard": "{s}", "once": true}}"#)));
    let mut all = shards.concat();
    all.sort();
    assert_eq!(all, ["a", "b", "c"]);
}

#[test]
fn five_events_with_the_server_down_for_two_deliver_everything_once() {
    let port = closed_port();
    let workspace = dice(port);
    let function = Function::start(&workspace);
    let mut times = Vec::new();
    let mut event = |age| {
        let (event, time) = tick(Duration::from_secs(age));
        times.push(time);
        event
    };
    for age in [250, 200] {
        let (kind, message) = function.error(&event(age));
        assert_eq!(kind, "Collector.Waiting", "{message}");
        assert!(message.contains("ends it first"), "what waits in /tmp is not safe: {message}");
    }
    let server = Server::on_port(port);
    for age in [150, 100, 50] {
        assert_eq!(function.report(&event(age))["status"], 0);
    }
    assert_eq!(bodies(&server).iter().map(time_of).collect::<Vec<_>>(), times);
}

#[test]
fn lost_data_fails_the_invocation_and_a_failed_job_only_on_request() {
    let server = Server::answering(vec![Reply::status(400)]);
    let lost = dice(server.port());
    let (kind, message) = Function::start(&lost).error("{}");
    assert_eq!(kind, "Collector.Lost");
    assert!(message.contains("1 datapoints were set aside in `"), "nobody can look: {message}");

    let server = Server::start();
    let failing = |agent: &str| {
        workspace(&format!(
            "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}
agent: {{{agent}}}
jobs: [{{id: good, random: {{}}}}, {{id: bad, exec: {{command: ['false']}}}}]
",
            server.port()
        ))
    };
    let lenient = failing("");
    let function = Function::start(&lenient);
    let report = function.report("{}");
    assert_eq!((&report["status"], &report["jobs"][1]["result"]), (&json!(3), &json!("failed")));
    assert!(function.log().contains("job `bad` failed"), "{}", function.log());
    let strict = failing("fail_on_job_failure: true");
    let (kind, message) = Function::start(&strict).error("{}");
    assert_eq!(kind, "Collector.JobFailed");
    assert!(message.contains("job `bad` failed"), "{message}");
}

#[test]
fn an_instance_says_once_what_ends_with_it_and_nothing_where_a_folder_lasts() {
    let server = Server::start();
    let workspace = dice(server.port());
    let told = |function: &Function| function.log().matches("no store is configured").count();
    let function = Function::start(&workspace);
    for _ in 0..2 {
        function.report("{}");
    }
    assert_eq!(told(&function), 1, "{}", function.log());
    assert!(function.log().contains("cursors") && function.log().contains("store: {s3:"));
    drop(function);
    std::fs::remove_file(workspace.path("log")).expect("the log");
    let config = std::fs::read_to_string(workspace.path("collector.yaml")).expect("a file");
    workspace.write("collector.yaml", format!("main: {{daemon_directory: efs}}\n{config}"));
    let function = Function::start(&workspace);
    function.report("{}");
    assert_eq!(told(&function), 0);
}

#[test]
fn without_a_configuration_or_with_mistakes_in_it_the_error_says_what_to_do() {
    let wrong = workspace("jobs: [{id: a, randm: {}}]");
    let function = Function::start(&wrong);
    let (kind, message) = function.error("{}");
    assert_eq!(kind, "Collector.Configuration");
    assert!(message.contains("collector.yaml:1:") && message.contains("random"), "{message}");
    // The function lives on, and reads it anew.
    wrong.write("collector.yaml", "jobs: [{id: a, random: {}}]\noutputs: [{stdout: {}}]");
    assert_eq!(function.report("{}")["status"], 0);
    let none = Workspace::empty();
    let (_, message) = Function::start_with(&none, &[]).error("{}");
    assert!(message.contains("COLLECTOR_CONFIG"), "{message}");
}

#[test]
fn an_output_that_would_keep_its_data_in_tmp_is_refused() {
    let workspace = workspace("jobs: [{id: a, random: {}}]");
    let (kind, message) = Function::start(&workspace).error("{}");
    assert_eq!(kind, "Collector.Configuration");
    assert!(message.contains("the output `sqlite`"), "{message}");
    workspace.write(
        "collector.yaml",
        format!(
            "main: {{daemon_directory: {}}}\njobs: [{{id: a, random: {{}}}}]",
            workspace.path("efs").display()
        ),
    );
    assert_eq!(Function::start(&workspace).report("{}")["status"], 0);
}

#[test]
fn an_invocation_ends_before_lambda_ends_it() {
    let server = Server::answering(vec![Reply::Hang]);
    let workspace = dice(server.port());
    let function = Function::start(&workspace);
    // The API's own wait is far longer: what is answered here is answered by the function.
    match function.invoke_within(r#"{"once": true}"#, Duration::from_secs(2)) {
        Answer::Error(kind, message) => assert_eq!(kind, "Collector.Waiting", "{message}"),
        answer @ Answer::Response(_) => panic!("{answer:?}"),
    }
    match function.invoke_within(r#"{"once": true}"#, Duration::from_millis(300)) {
        Answer::Error(kind, message) => {
            assert_eq!(kind, "Collector.NoTime");
            assert!(message.contains("timeout is too short"), "{message}");
        }
        answer @ Answer::Response(_) => panic!("{answer:?}"),
    }
    assert_eq!(function.report(r#"{"once": true}"#)["outputs"][0]["accepted_bodies"], 2);
}

#[test]
fn the_heartbeat_hears_of_a_run_of_all_jobs_and_of_nothing_else() {
    let service = Server::start();
    let fourth = [200, 200, 200, 503].map(Reply::status);
    let server = Server::answering(fourth.to_vec());
    let workspace = workspace(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}
heartbeat: {{url: 'http://127.0.0.1:{}/uuid'}}
jobs: [{{id: a, random: {{}}}}, {{id: b, random: {{}}}}]
",
        server.port(),
        service.port()
    ));
    let function = Function::start(&workspace);
    for part in [
        r#"{"only": ["a"], "once": true}"#,
        r#"{"shard": "1/2", "once": true}"#,
        r#"{"dry_run": true}"#,
    ] {
        function.report(part);
    }
    assert_eq!(service.requests().len(), 0);
    // As the template's schedule sends it for one shard.
    function.report(r#"{"shard": "1/1", "once": true}"#);
    let paths = || -> Vec<String> {
        let lines = service.requests().into_iter().map(|request| request.line);
        lines.map(|line| line.split('?').next().expect("a path").to_owned()).collect()
    };
    assert_eq!(paths(), ["POST /uuid/start", "POST /uuid"]);
    // Nothing is due.
    function.report("{}");
    assert_eq!(paths().len(), 2);
    function.error(r#"{"once": true}"#);
    assert_eq!(paths()[2..], ["POST /uuid/start", "POST /uuid/fail"]);
}

#[test]
fn what_an_abandoned_thread_brings_is_in_no_later_payload() {
    let server = Server::start();
    let workspace = workspace(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}
agent: {{run_metrics: false}}
jobs:
  - {{id: dice, random: {{}}}}
  - {{id: stuck, timeout: 500ms, file: {{path: pipe, format: jsonl}}}}
",
        server.port()
    ));
    let pipe = workspace.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let function = Function::start(&workspace);
    // Its thread waits for somebody to open the pipe, past the end of its job and of the invocation.
    let first = function.report(r#"{"once": true}"#);
    assert_eq!(first["jobs"][1]["result"], "late");
    assert!(function.threads().contains(&"job".to_owned()));
    // Now it goes on, and pushes what it finds.
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("a reader waits");
    writeln!(writer, r#"{{"key": "from_the_past", "value": 1}}"#).expect("it reads");
    drop(writer);
    while function.threads().contains(&"job".to_owned()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = function.report(r#"{"once": true, "only": ["dice"]}"#);
    assert_eq!(second["jobs"].as_array().map(Vec::len), Some(1));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| !request.text().contains("from_the_past")));
}

#[test]
fn every_line_of_the_log_is_json_with_the_id_of_its_request() {
    let workspace = dice(closed_port());
    let function = Function::start(&workspace);
    function.error("{}");
    let log = function.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["requestId"] == "8476a536-e9f4-11e8-9739-000000000001"));
    assert!(lines.iter().any(|line| line["level"] == "ERROR"), "{log}");
    let time = lines[0]["timestamp"].as_str().expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok() && time.len() == 24, "{time}");
}

#[test]
fn a_function_is_the_same_agent_in_each_instance_and_another_in_another_account() {
    let server = Server::start();
    let workspace = dice(server.port());
    for _ in 0..2 {
        Function::start(&workspace).report(r#"{"once": true}"#);
        std::fs::remove_dir_all(workspace.path("tmp")).expect("the folder");
    }
    let lines: Vec<String> = server.requests().iter().map(|r| r.line.clone()).collect();
    assert_eq!(lines[0], lines[1]);
    assert!(lines[0].rsplit('/').next().is_some_and(|id| id.len() == 64), "{lines:?}");
}

#[test]
fn started_by_hand_in_a_half_made_environment_it_says_what_is_missing() {
    Workspace::empty()
        .command(&[])
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1")
        .finish()
        .exit(2)
        .says("AWS_LAMBDA_FUNCTION_NAME");
}
