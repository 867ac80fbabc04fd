//! `collector check`: every mistake in one go, each at its place.

use crate::server::{Server, closed_port};
use crate::workspace::Workspace;

#[test]
fn every_mistake_is_told_with_its_place() {
    let workspace = Workspace::empty();
    workspace.write(
        "collector.yaml",
        "polling:
  polling_intervall: 300
agent:
  threads: many
outputs:
  - fiel: {path: x}
jobs:
  - id: a
    random:
      cuont: 3
  - id: a
    random: {}
    every: soon
  - id: c
    random: {}
    htpp: {}
  - random: {}
  - id: e
    random: {min: 5, max: 1}
    outputs: [nowhere]
extra: 1
",
    );
    let finished = workspace.run(&["check"]).exit(2);
    let told = finished.stderr();
    for (place, what) in [
        ("2:3", "did you mean `polling_interval`?"),
        ("4:12", "expected u16"),
        ("6:5", "did you mean `file`?"),
        ("10:7", "did you mean `count`?"),
        ("13:12", "`soon` is no duration"),
        ("16:5", "did you mean `http`?"),
        ("17:5", "missing field `id`"),
        ("19:19", "`min` 5 is above `max` 1"),
        ("21:1", "unknown section `extra`"),
    ] {
        let place = format!("collector.yaml:{place}");
        assert!(told.contains(&place), "no mistake at {place} in\n{told}");
        assert!(told.contains(what), "no {what:?} in\n{told}");
    }
    assert!(told.contains("\n 10 |       cuont…\n    |       ^"), "{told}");
}

#[test]
fn taken_ids_and_unknown_outputs_are_told() {
    let workspace = Workspace::new(
        "jobs:\n  - {id: a, random: {}}\n  - {id: a, random: {}, outputs: [sqlit]}\n",
    );
    workspace
        .run(&["check"])
        .exit(2)
        .says("the job id `a` is taken")
        .says("there is no output `sqlit`")
        .says("did you mean `sqlite`?");
}

#[test]
fn a_key_that_stands_twice_is_a_mistake() {
    let workspace = Workspace::new("jobs:\n  - id: a\n    random: {count: 1, count: 2}\n");
    workspace.run(&["check"]).exit(2).says("the key `count` stands here twice").says("yaml:4:24");
}

#[test]
fn what_is_no_configuration_is_refused_and_never_panics() {
    let deep = "[".repeat(50_000);
    let bomb = (1..12).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let list = vec![format!("*a{}", level - 1); 9].join(",");
        format!("{text}a{level}: &a{level} [{list}]\n")
    });
    let huge = format!("# {}\n", "x".repeat(17 << 20));
    for text in
        ["", "\n# nothing\n", "jobs: 5", "- a\n- b", "just text", "{", "a: b: c", "\u{feff}\u{0}"]
    {
        refused(text.as_bytes());
    }
    refused(deep.as_bytes());
    refused(bomb.as_bytes());
    refused(huge.as_bytes());
    refused(&[0xff, 0xfe, 0x00, 0x9f]);
}

fn refused(text: &[u8]) {
    let workspace = Workspace::empty();
    workspace.write("collector.yaml", text);
    let finished = workspace.run(&["check"]).exit(2);
    let told = finished.stderr();
    assert!(told.contains("collector.yaml"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn secrets_need_no_values_to_be_checked() {
    let workspace = Workspace::new(
        "jobs:\n  - id: web\n    http: {url: 'http://x.example/', auth: {bearer: {env: NO_SUCH}}, \
         mapping: {values: {a: /a}}}\n",
    );
    workspace.run(&["check"]).exit(0).prints("no mistakes");
}

#[test]
fn connect_tries_each_job_and_output_and_sends_no_data() {
    let server = Server::start();
    let workspace = Workspace::new(&format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}
jobs:
  - {{id: dice, random: {{}}}}
  - {{id: web, http: {{url: 'http://127.0.0.1:{}/', mapping: {{values: {{a: /a}}}}}}}}
",
        server.port(),
        closed_port()
    ));
    workspace
        .run(&["check", "--connect"])
        .exit(3)
        .prints("job `dice`")
        .prints("job `web`")
        .prints("failed")
        .prints("output `pattoo`");
    assert!(server.requests().iter().all(|request| !request.line.starts_with("POST")));
}

#[test]
fn an_output_that_hangs_when_it_is_tried_is_late() {
    let workspace = Workspace::new(
        "agent: {timeout: 2s}
outputs:
  - {sqlite: {path: pipe}}
jobs:
  - {id: dice, random: {}}
",
    );
    let made = std::process::Command::new("mkfifo").arg(workspace.path("pipe")).status();
    assert!(made.expect("mkfifo").success());
    let finished = workspace.run(&["check", "--connect"]).exit(3);
    finished.prints("output `sqlite`").prints("not done after");
}

#[test]
fn includes_are_read_and_their_mistakes_placed_in_their_file() {
    let workspace = Workspace::new("include: conf.d/*.yaml\njobs:\n  - {id: a, random: {}}\n");
    workspace.write("conf.d/b.yaml", "jobs:\n  - {id: b, random: {}}\n");
    workspace.run(&["check"]).exit(0).prints("2 jobs");
    workspace.write("conf.d/c.yaml", "jobs:\n  - {id: c, random: {cuont: 1}}\n");
    workspace.run(&["check"]).exit(2).says("conf.d/c.yaml:2:22");
}
