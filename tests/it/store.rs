//! What lasts in a bucket: the real program, real requests to `moto`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::lambda_api::Function;
use crate::moto::{credentials, moto};
use crate::relay::Relay;
use crate::server::{Answer, Server, closed_port};
use crate::workspace::{Finished, Workspace};

/// A workspace whose runs keep what lasts in that bucket, which is made, and send to a pattoo server on that port.
pub(crate) fn workspace(bucket: &str, port: u16, endpoint: &str, jobs: &str) -> Workspace {
    moto().make_bucket(bucket);
    let workspace = Workspace::empty();
    configure(&workspace, bucket, port, endpoint, jobs);
    workspace
}

fn configure(workspace: &Workspace, bucket: &str, port: u16, endpoint: &str, jobs: &str) {
    workspace.write(
        "collector.yaml",
        format!(
            "store: {{s3: {{bucket: {bucket}, prefix: poller, endpoint: '{endpoint}'}}}}
polling: {{polling_interval: 300, ip_address: 127.0.0.1, ip_bind_port: {port}}}
agent: {{run_metrics: false}}
jobs: {jobs}
"
        ),
    );
}

pub(crate) const DICE: &str = "[{id: dice, random: {seed: 1}}]";

/// The program with AWS credentials.
pub(crate) fn run(workspace: &Workspace, arguments: &[&str]) -> Finished {
    let config = workspace.path("collector.yaml");
    let mut command = workspace.command(arguments).env("COLLECTOR_CONFIG", config);
    for (name, value) in credentials() {
        command = command.env(name, value);
    }
    command.finish()
}

/// The function in a new instance, with AWS credentials.
pub(crate) fn instance(workspace: &Workspace) -> Function {
    std::fs::remove_dir_all(workspace.path("tmp")).ok();
    let config = workspace.path("collector.yaml").display().to_string();
    let mut variables = moto().variables();
    variables.push(("COLLECTOR_CONFIG", config));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Function::start_with(workspace, &variables)
}

/// What EventBridge Scheduler sends, for the tick that began `age` seconds ago.
pub(crate) fn tick(age: i64, once: bool) -> (String, i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let seconds = i64::try_from(now).expect("it fits") - age;
    let time = jiff::Timestamp::from_second(seconds).expect("a time").to_string();
    (json!({"time": time, "shard": "1/1", "once": once}).to_string(), seconds * 1000)
}

/// The times of the bodies that came.
fn times(server: &Server) -> Vec<i64> {
    let requests = server.requests();
    let body = |request: &crate::server::Request| -> Value {
        serde_json::from_slice(&request.body).expect("JSON")
    };
    requests.iter().map(|r| body(r)["pattoo_agent_timestamp"].as_i64().expect("a time")).collect()
}

#[test]
fn five_events_with_the_server_down_for_two_deliver_everything_once_whatever_instance_they_meet() {
    moto().put_parameter("/five/key", "s3cret");
    let source = Server::start();
    let port = closed_port();
    let jobs = format!(
        "[{{id: dice, random: {{seed: 1}}}}, {{id: web, http: {{url: 'http://127.0.0.1:{}/', \
         auth: {{bearer: {{ssm: /five/key}}}}, probe: [status]}}}}]",
        source.port()
    );
    let workspace = workspace("five-events", port, &moto().url(), &jobs);
    let mut expected = Vec::new();
    let mut event = |age| {
        let (event, time) = tick(age, true);
        expected.push(time);
        event
    };
    for age in [250, 200] {
        let (kind, message) = instance(&workspace).error(&event(age));
        assert_eq!(kind, "Collector.Waiting", "{message}");
        assert!(!message.contains("ends it first"), "the bucket keeps it: {message}");
    }
    let server = Server::on_port(port);
    let function = instance(&workspace);
    for age in [150, 100] {
        assert_eq!(function.report(&event(age))["status"], 0);
    }
    assert_eq!(instance(&workspace).report(&event(50))["status"], 0);

    assert_eq!(times(&server), expected);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.line == requests[0].line), "one agent");
    let secrets: Vec<_> = source.requests();
    assert_eq!(secrets.len(), 5);
    assert!(secrets.iter().all(|request| request.header("authorization") == Some("Bearer s3cret")));
    let keys = moto().keys("five-events");
    let expected =
        ["agent_id/collector.agent_id", "history.jsonl", "state.json", "state.previous.json"];
    assert_eq!(
        keys,
        expected.map(|name| format!("poller/{name}")),
        "nothing waits, nobody holds the lock"
    );
}

#[test]
fn an_event_that_comes_twice_is_run_once() {
    let server = Server::start();
    let workspace = workspace("twice", server.port(), &moto().url(), DICE);
    let config = std::fs::read_to_string(workspace.path("collector.yaml")).expect("a file");
    // What a run says of itself is no reason to repeat it.
    workspace.write("collector.yaml", config.replace("run_metrics: false", "run_metrics: true"));
    let (event, time) = tick(20, false);
    for _ in 0..2 {
        assert_eq!(instance(&workspace).report(&event)["status"], 0);
    }
    assert_eq!(times(&server), [time]);
}

#[test]
fn the_commands_read_and_change_what_is_in_the_bucket() {
    let server = Server::answering(vec![Answer::status(503), Answer::status(503)]);
    let workspace = workspace("commands", server.port(), &moto().url(), DICE);
    run(&workspace, &["run", "--once"]).exit(4).says("1 datapoint waits in 1 body");
    run(&workspace, &["run", "--once"]).exit(4).says("2 datapoints wait in 2 bodies");
    let listed = run(&workspace, &["spool", "list", "--format", "json"]).exit(0).stdout();
    let bodies: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(bodies.len(), 2);
    assert!(bodies[0]["path"].as_str().expect("a path").starts_with("s3://commands/poller/spool/"));
    assert!(bodies[0]["bytes"].as_u64() > Some(100) && bodies[0]["age_seconds"].is_u64());
    let first = bodies[0]["body"].as_str().expect("a name");
    run(&workspace, &["spool", "show", first]).exit(0).prints("pattoo_agent_id");
    run(&workspace, &["history"]).exit(0).prints("0 accepted, 2 waiting");
    run(&workspace, &["state", "show", "dice"]).exit(0).prints("last_start_ms");
    run(&workspace, &["plan"]).exit(0).prints("dice");
    run(&workspace, &["check", "--connect"]).prints("store `s3://commands/poller`");

    run(&workspace, &["spool", "drop", first]).exit(0).prints("dropped 1 datapoints in 1 bodies");
    run(&workspace, &["spool", "send"]).exit(0).prints("1 datapoints in 1 bodies accepted");
    run(&workspace, &["state", "reset", "dice"]).exit(0);
    run(&workspace, &["state", "show", "dice"]).exit(2);
}

#[test]
fn what_an_output_never_accepts_is_set_aside_in_the_bucket_and_can_be_sent_again() {
    let server = Server::answering(vec![Answer::status(400)]);
    let workspace = workspace("aside", server.port(), &moto().url(), DICE);
    run(&workspace, &["run", "--once"])
        .exit(5)
        .says("kept in `s3://aside/poller/spool/pattoo.pattoo/quarantine/");
    run(&workspace, &["spool", "list"]).exit(0).prints("quarantine").prints("400");
    run(&workspace, &["spool", "send", "--quarantined"]).exit(0).prints("1 datapoints");
    run(&workspace, &["spool", "list"]).exit(0).says("nothing waits");
    assert!(!moto().keys("aside").iter().any(|key| key.contains("spool")));
}

#[test]
fn the_bodies_that_wait_are_fetched_when_they_are_sent_and_not_before() {
    let relay = Relay::before(moto());
    let port = closed_port();
    let workspace = workspace("backlog", port, &relay.url(), DICE);
    for _ in 0..4 {
        run(&workspace, &["run", "--once"]).exit(4);
    }
    relay.take_lines();
    run(&workspace, &["run", "--once"]).exit(4);
    let lines = relay.take_lines();
    let fetched = lines.iter().filter(|line| line.starts_with("GET") && line.ends_with(".body"));
    assert_eq!(fetched.count(), 1, "the oldest, which is tried: {lines:#?}");
}

#[test]
fn an_id_that_the_agent_has_here_goes_with_it_into_the_bucket() {
    let server = Server::start();
    let workspace = workspace("moved", server.port(), &moto().url(), DICE);
    let id = "7".repeat(64);
    workspace.write("state/agent_id/collector.agent_id", &id);
    run(&workspace, &["run", "--once"]).exit(0).silent();
    assert!(server.requests()[0].line.ends_with(&id));
    assert_eq!(moto().object("moved/poller/agent_id/collector.agent_id"), Some(id));
}

#[test]
fn shards_run_side_by_side_and_what_a_division_left_is_told() {
    let server = Server::answering(vec![Answer::status(503)]);
    let jobs = "[{id: a, random: {}}, {id: b, random: {}}, {id: c, random: {}}, \
         {id: slow, exec: {command: [sh, -c, 'sleep 1; echo \"{\\\"key\\\":\\\"k\\\",\\\"value\\\":1}\"'], format: jsonl}}]";
    let workspace = workspace("shards", server.port(), &moto().url(), jobs);
    run(&workspace, &["run", "--once", "--shard", "2/2"]).exit(4);
    std::thread::scope(|scope| {
        for shard in ["1/2", "2/2"] {
            scope.spawn(|| run(&workspace, &["run", "--once", "--shard", shard]).exit(0));
        }
    });
    assert_eq!(server.requests().len(), 4);
    let lines: Vec<_> = server.requests().into_iter().map(|request| request.line).collect();
    assert!(lines.iter().all(|line| *line == lines[0]), "one agent: {lines:?}");
    let plan = run(&workspace, &["plan", "--json", "--shard", "2/2"]).exit(0).stdout();
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    let plan = plan.as_array().expect("a list");
    assert!((1..4).contains(&plan.len()) && plan.iter().all(|job| job["last_start_ms"].is_i64()));

    let port = closed_port();
    configure(&workspace, "shards", port, &moto().url(), jobs);
    run(&workspace, &["run", "--once", "--shard", "2/2"]).exit(4);
    run(&workspace, &["run", "--once"]).exit(4);
    let _server = Server::on_port(port);
    run(&workspace, &["run", "--once", "--shard", "1/3"])
        .exit(0)
        .says("1 body waits in `s3://shards/poller`, from when there were no shards; `collector spool send` sends them")
        .says("from when there were 2 shards; `collector spool send --shard 2/2` sends them");
    run(&workspace, &["spool", "send", "--shard", "2/2"]).exit(0).prints("1 bodies accepted");
    run(&workspace, &["spool", "list", "--shard", "2/2"]).exit(0).says("nothing waits");
}

#[test]
fn a_run_that_died_with_the_lock_holds_the_next_one_up_only_as_long_as_it_said() {
    let server = Server::start();
    let workspace = workspace("died", server.port(), &moto().url(), DICE);
    let lock =
        |seconds| format!("process 7 since 2026-01-31T12:00:00Z, for {seconds} s at most, 0\n");
    moto().put("died/poller/lock", &lock(600));
    run(&workspace, &["run", "--once"])
        .exit(6)
        .says("another run holds `s3://died/poller/lock` (process 7 since 2026-01-31T12:00:00Z");
    moto().put("died/poller/lock", &lock(0));
    // S3's clock has whole seconds.
    std::thread::sleep(Duration::from_millis(2_100));
    run(&workspace, &["run", "--once"]).exit(0).says("is taken over: its lease has ended");
    assert_eq!(moto().object("died/poller/lock"), None);
    assert_eq!(server.requests().len(), 1);
}
