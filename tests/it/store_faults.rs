//! A bucket that refuses, is silent, is away, or holds what nobody wrote: nothing is lost without a word.

use std::time::{Duration, Instant};

use crate::lambda_api::Answer as Settled;
use crate::moto::moto;
use crate::relay::{Fate, Relay};
use crate::server::{Answer, Server, closed_port};
use crate::store::{DICE, instance, run, tick, workspace};

const DENIED: Fate = Fate::Refused(403, "AccessDenied");

#[test]
fn where_s3_denies_the_run_goes_on_without_a_store_and_says_so() {
    let relay = Relay::before(moto());
    let server = Server::start();
    let workspace = workspace("denied", server.port(), &relay.url(), DICE);
    relay.rules(&[(" /", DENIED)]);
    let (kind, message) = instance(&workspace).error(&tick(5, true).0);
    assert_eq!(kind, "Collector.Waiting", "{message}");
    for told in [
        "the store `s3://denied/poller` cannot be used: `s3://denied/poller/lock`: S3 in `eu-central-1` answered 403: AccessDenied",
        "nothing that is not accepted now can be kept",
        "nobody knows what waits for it: `s3://denied/poller/spool/pattoo.pattoo`",
    ] {
        assert!(message.contains(told), "{told}\n{message}");
    }
    assert_eq!(server.requests().len(), 1, "what was collected is delivered");
}

#[test]
fn where_s3_only_lets_read_what_waits_is_not_forgotten() {
    let relay = Relay::before(moto());
    let port = closed_port();
    let workspace = workspace("readable", port, &relay.url(), DICE);
    run(&workspace, &["run", "--once"]).exit(4);
    let server = Server::on_port(port);
    relay.rules(&[("PUT ", DENIED), ("DELETE ", DENIED)]);
    run(&workspace, &["run", "--once"])
        .exit(4)
        .says("`s3://readable/poller/lock`: S3 in `eu-central-1` answered 403")
        .says("1 datapoint waits in 1 body: the place where it waits cannot be written");
    run(&workspace, &["spool", "drop", "--output", "pattoo"]).exit(2).says("403");
    relay.rules(&[]);
    run(&workspace, &["run", "--once"]).exit(0).silent();
    assert_eq!(server.requests().len(), 3, "of three runs");
}

#[test]
fn where_s3_is_away_the_run_goes_on_and_the_next_one_finds_everything() {
    let server = Server::start();
    let away = format!("http://127.0.0.1:{}", closed_port());
    let lost = workspace("away", server.port(), &away, DICE);
    let (kind, message) = instance(&lost).error(&tick(5, true).0);
    assert_eq!(kind, "Collector.Waiting", "{message}");
    assert!(
        message.contains(&format!("`s3://away/poller/lock`: `{away}` does not answer")),
        "{message}"
    );
    assert!(message.contains("nobody knows what waits for it"), "{message}");
    assert!(
        message.contains("the agent's id is the one made from the function's ARN"),
        "{message}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_invocation_that_has_a_second_left_ends_in_time_where_s3_is_silent() {
    let relay = Relay::before(moto());
    let server = Server::start();
    let workspace = workspace("silent", server.port(), &relay.url(), DICE);
    relay.rules(&[(" /", Fate::Swallowed)]);
    let function = instance(&workspace);
    let began = Instant::now();
    let (kind, message) = match function.invoke_within(&tick(5, true).0, Duration::from_secs(1)) {
        Settled::Error(kind, message) => (kind, message),
        answer @ Settled::Response(_) => panic!("{answer:?}"),
    };
    // The API's own patience is a minute longer: it is the function that ended.
    assert!(began.elapsed() < Duration::from_secs(30));
    assert!(["Collector.Waiting", "Collector.Lost"].contains(&kind.as_str()), "{kind}: {message}");
    assert!(message.contains("`s3://silent/poller/lock`"), "{message}");
    // With the time of a usual invocation all that was collected is delivered.
    let (kind, message) = function.error(&tick(5, true).0);
    assert_eq!(kind, "Collector.Waiting", "{message}");
    assert!(message.contains("does not answer") && message.contains("timeout"), "{message}");
    assert!(!server.requests().is_empty());
}

#[test]
fn a_lock_that_is_not_given_back_in_time_takes_no_report_with_it() {
    let relay = Relay::before(moto());
    // All of the time is used up before the lock is given back.
    let server = Server::answering(vec![Answer::Hang]);
    let workspace = workspace("not-back", server.port(), &relay.url(), DICE);
    relay.rules(&[
        ("DELETE /not-back/poller/lock", Fate::Swallowed),
        ("PUT /not-back/poller/state.json", Fate::Swallowed),
        (" /not-back/poller/history.jsonl", Fate::Swallowed),
    ]);
    let function = instance(&workspace);
    match function.invoke_within(&tick(5, true).0, Duration::from_secs(3)) {
        Settled::Error(kind, message) => assert_eq!(kind, "Collector.Waiting", "{message}"),
        answer @ Settled::Response(_) => panic!("{answer:?}"),
    }
    assert!(function.log().contains("is not given back, and holds until its lease ends"));
}

#[test]
fn what_cannot_be_put_into_the_bucket_is_sent_at_once_and_otherwise_counted_as_lost() {
    let relay = Relay::before(moto());
    let port = closed_port();
    let workspace = workspace("no-room", port, &relay.url(), DICE);
    relay.rules(&[("PUT /no-room/poller/spool/", Fate::Refused(503, "SlowDown"))]);
    run(&workspace, &["run", "--once"])
        .exit(5)
        .says("cannot spool: `s3://no-room/poller/spool/pattoo.pattoo`: S3 in `eu-central-1` answered 503: SlowDown")
        .says("1 datapoint lost");
    let puts = relay
        .take_lines()
        .into_iter()
        .filter(|line| line.starts_with("PUT /no-room/poller/spool/"));
    assert_eq!(puts.count(), 3, "it is tried again");
    let server = Server::on_port(port);
    run(&workspace, &["run", "--once"]).exit(0).says("cannot spool");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_body_whose_writing_is_not_answered_does_not_come_twice_or_that_is_told() {
    const TWICE: &str = "it may be in the bucket all the same, and then is sent twice";
    let relay = Relay::before(moto());
    let server = Server::start();
    let workspace = workspace("unanswered", server.port(), &relay.url(), DICE);
    let put = ("PUT /unanswered/poller/spool/", Fate::Unanswered);
    relay.rules(&[put]);
    let told = run(&workspace, &["run", "--once"]).exit(0).says("cannot spool").stderr();
    assert!(!told.contains(TWICE), "{told}");
    assert_eq!(server.requests().len(), 1);
    relay.rules(&[put, ("DELETE /unanswered/poller/spool/", DENIED)]);
    run(&workspace, &["run", "--once"]).exit(0).says("cannot spool").says(TWICE);
    relay.rules(&[]);
    run(&workspace, &["spool", "send"]).exit(0).prints("1 datapoints in 1 bodies");
    assert_eq!(server.requests().len(), 3, "the second body came twice, the first did not");
}

#[test]
fn a_body_that_cannot_be_fetched_goes_on_waiting_and_one_that_is_damaged_does_not() {
    let relay = Relay::before(moto());
    let port = closed_port();
    let workspace = workspace("unfetched", port, &relay.url(), DICE);
    run(&workspace, &["run", "--once"]).exit(4);
    let server = Server::on_port(port);
    relay.rules(&[(
        "GET /unfetched/poller/spool/pattoo.pattoo/0",
        Fate::Refused(500, "InternalError"),
    )]);
    run(&workspace, &["run", "--once"]).exit(4).says("500: InternalError").says("2 bodies");
    relay.rules(&[]);
    let keys = moto().keys("unfetched");
    let oldest = keys.iter().find(|key| key.ends_with(".body")).expect("a body");
    moto().put(&format!("unfetched/{oldest}"), "nonsense");
    run(&workspace, &["run", "--once"]).exit(5).says("its checksum does not fit");
    assert_eq!(server.requests().len(), 2, "the others are in");
}

#[test]
fn runs_that_overlap_see_each_others_lock() {
    let server = Server::start();
    let slow = "[{id: slow, exec: {command: [sh, -c, 'touch begun; sleep 2; echo \"{\\\"key\\\":\\\"k\\\",\\\"value\\\":1}\"'], format: jsonl}}]";
    let workspace = workspace("overlap", server.port(), &moto().url(), slow);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| run(&workspace, &["run", "--once"]).exit(0));
        while !workspace.path("begun").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let (kind, message) = instance(&workspace).error(&tick(5, true).0);
        assert_eq!(kind, "Collector.Locked");
        assert!(
            message.contains("another run holds `s3://overlap/poller/lock` (process "),
            "{message}"
        );
        run(&workspace, &["run", "--once"]).exit(6).says("another run holds");
        // What is due is what the other runs: cron is not told.
        run(&workspace, &["run"]).exit(0).silent();
        run(&workspace, &["run", "--once", "--wait", "60s"]).exit(0);
        first.join().expect("the first run");
    });
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_lock_that_is_given_back_while_it_is_taken_over_is_had() {
    let relay = Relay::before(moto());
    let server = Server::start();
    let workspace = workspace("given-back", server.port(), &relay.url(), DICE);
    moto().put("given-back/poller/lock", "process 7 since 2026-01-31T12:00:00Z, for 0 s at most\n");
    // S3's clock has whole seconds.
    std::thread::sleep(Duration::from_millis(2_100));
    // What S3 says of a write on condition where nothing is there.
    relay.rules(&[("if-match: ", Fate::Removed(404, "NoSuchKey"))]);
    run(&workspace, &["run", "--once"]).exit(0).says("is taken over");
    assert_eq!(server.requests().len(), 1);
    assert!(moto().object("given-back/poller/state.json").is_some(), "it had its store");
}

#[test]
fn a_command_that_has_held_the_lock_for_too_long_stops_before_it_sends() {
    let relay = Relay::before(moto());
    let server = Server::answering(vec![Answer::status(400)]);
    let workspace = workspace("outlived", server.port(), &relay.url(), DICE);
    run(&workspace, &["run", "--once"]).exit(5);
    relay.take_lines();
    relay.rules(&[("if-match: ", Fate::Removed(412, "PreconditionFailed"))]);
    run(&workspace, &["spool", "send", "--quarantined"])
        .exit(6)
        .says("`s3://outlived/poller/lock` was held for longer than its lease");
    let lines = relay.take_lines();
    let locks = lines.iter().filter(|line| line.starts_with("PUT") && line.ends_with("/lock"));
    assert_eq!(locks.count(), 2, "it is taken, and renewed: {lines:#?}");
    assert_eq!(server.requests().len(), 1, "nothing more is sent");
}

#[test]
fn a_state_that_another_has_written_meanwhile_is_left_alone() {
    let server = Server::start();
    let slow = "[{id: slow, exec: {command: [sh, -c, 'touch begun; while [ -e begun ]; do sleep 0.05; done; echo \"{\\\"key\\\":\\\"k\\\",\\\"value\\\":1}\"'], format: jsonl}}]";
    let workspace = workspace("conflict", server.port(), &moto().url(), slow);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            run(&workspace, &["run", "--once"]).exit(0).says(
                "the state of the jobs is not saved: `s3://conflict/poller/state.json`: another has written it meanwhile",
            )
        });
        while !workspace.path("begun").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        moto().put("conflict/poller/state.json", "another's");
        std::fs::remove_file(workspace.path("begun")).expect("the file");
        first.join().expect("the first run");
    });
    assert_eq!(moto().object("conflict/poller/state.json").as_deref(), Some("another's"));
}

#[test]
fn a_damaged_state_gives_way_to_the_one_before_it() {
    let server = Server::start();
    let workspace = workspace("damaged", server.port(), &moto().url(), DICE);
    for _ in 0..2 {
        run(&workspace, &["run", "--once"]).exit(0).silent();
    }
    moto().put("damaged/poller/state.json", "{}");
    run(&workspace, &["run", "--once"])
        .exit(0)
        .says("`s3://damaged/poller/state.json`: it is no state of version 1; the state before it is used");
    run(&workspace, &["run", "--once"]).exit(0).silent();
    for name in ["state.json", "state.previous.json"] {
        moto().put(&format!("damaged/poller/{name}"), "");
    }
    run(&workspace, &["run", "--once"]).exit(0).says("every job runs as for the first time");
    run(&workspace, &["run", "--once"]).exit(0).silent();
}

#[test]
fn a_state_that_cannot_be_read_now_is_not_replaced() {
    let relay = Relay::before(moto());
    let server = Server::start();
    let workspace = workspace("unread", server.port(), &relay.url(), DICE);
    run(&workspace, &["run", "--once"]).exit(0).silent();
    let before = moto().object("unread/poller/state.json");
    relay.rules(&[("GET /unread/poller/state", Fate::Refused(500, "InternalError"))]);
    run(&workspace, &["run", "--once"])
        .exit(0)
        .says("every job runs as for the first time")
        .says("it could not be read, so it stays as it is");
    assert!(before.is_some() && moto().object("unread/poller/state.json") == before);
}
