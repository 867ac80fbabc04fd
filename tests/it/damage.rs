//! What a broken disk may make of the files in the daemon directory: each is cut, and flipped, at every byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use collector::state::State;
use serde_json::Value;

use crate::server::{Answer, Server};
use crate::workspace::{Finished, Workspace, make_pipe};

const SPOOL: &str = "daemon/spool/influxdb.influxdb";

/// A job of one datapoint, and an InfluxDB: its bodies are short.
fn workspace(server: &Server) -> Workspace {
    Workspace::new(&format!(
        "outputs: [{{influxdb: {{url: 'http://127.0.0.1:{}', version: 2, bucket: b, token: t}}}}]
agent: {{run_metrics: false, hostname: h, timeout: 5m}}
jobs: [{{id: a, random: {{seed: 1}}}}]
",
        server.port()
    ))
}

/// A server that answers so, and then takes what it is sent.
fn server(first: &[Answer]) -> Server {
    let taken = std::iter::repeat_n(Answer::status(204), 2_000);
    Server::answering(first.iter().cloned().chain(taken).collect())
}

fn run(workspace: &Workspace) -> (Finished, Value) {
    let finished = workspace.run(&["run", "--once", "--report", "json"]);
    let report = serde_json::from_str(&finished.stdout())
        .unwrap_or_else(|_| panic!("no report: {}", finished.stderr()));
    (finished, report)
}

/// Every shorter beginning of it.
fn cut(bytes: &[u8]) -> Vec<Vec<u8>> {
    (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect()
}

/// With that bit flipped in each of its bytes.
fn flipped(bytes: &[u8], bit: u32) -> Vec<Vec<u8>> {
    let flip = |place: usize| {
        let mut flipped = bytes.to_vec();
        flipped[place] ^= 1 << bit;
        flipped
    };
    (0..bytes.len()).map(flip).collect()
}

/// The bodies in a folder, by their names.
fn bodies(workspace: &Workspace, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let names = workspace.files(folder).into_iter();
    names
        .filter(|name| name.ends_with(".body") && !name.contains('/'))
        .map(|name| {
            let bytes = fs::read(workspace.path(folder).join(&name)).expect("a body");
            (name, bytes)
        })
        .collect()
}

#[test]
fn a_body_damaged_anywhere_is_set_aside_as_it_is_and_costs_no_other() {
    let server = server(&[Answer::status(503)]);
    let workspace = workspace(&server);
    run(&workspace).0.exit(4);
    let (name, good) = bodies(&workspace, SPOOL).pop_first().expect("a body waits");
    let damages = std::iter::once(cut(&good)).chain((0..8).map(|bit| flipped(&good, bit)));
    for damaged in damages {
        // Names begin with a moment of 20 digits; the one that is sound is the youngest.
        let moment: u64 = name[..20].parse().expect("a moment");
        let damaged: BTreeMap<String, Vec<u8>> = (moment - damaged.len() as u64..)
            .map(|moment| format!("{moment:020}{}", &name[20..]))
            .zip(damaged)
            .collect();
        for (name, bytes) in damaged.iter().chain([(&name, &good)]) {
            workspace.write(&format!("{SPOOL}/{name}"), bytes);
        }
        let came_before = server.requests().len();
        let (finished, report) = run(&workspace);
        finished.exit(5);
        let output = &report["outputs"][0];
        assert_eq!(output["quarantined"], damaged.len(), "one datapoint each");
        assert_eq!(output["accepted_bodies"], 2, "the sound one, and the run's own");
        let came = &server.requests()[came_before..];
        assert_eq!(came.len(), 2);
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(&came[0].body[..]).read_to_end(&mut body).expect("gzip");
        assert_eq!(body, good);
        let quarantine = format!("{SPOOL}/quarantine");
        assert!(bodies(&workspace, &quarantine) == damaged, "each is kept as it was found");
        assert!(bodies(&workspace, SPOOL).is_empty());
        fs::remove_dir_all(workspace.path(&quarantine)).expect("the quarantine");
    }
}

#[test]
fn a_state_damaged_anywhere_is_a_warning_and_gives_way_to_the_one_before_or_none() {
    let server = server(&[]);
    let workspace = workspace(&server);
    let path = |name: &str| workspace.path("daemon").join(name);
    for _ in 0..2 {
        run(&workspace).0.exit(0);
    }
    let [newest, before] =
        ["state.json", "state.previous.json"].map(|name| fs::read(path(name)).expect(name));
    let damages = cut(&newest).into_iter().chain(flipped(&newest, 0));
    for (number, damaged) in damages.enumerate() {
        let has_before = number % 2 == 0;
        fs::write(path("state.json"), damaged).expect("the damage");
        match has_before {
            true => fs::write(path("state.previous.json"), &before).expect("the one before"),
            false => fs::remove_file(path("state.previous.json")).unwrap_or_default(),
        }
        let (finished, _) = run(&workspace);
        finished.exit(0).says("state.json").says(match has_before {
            true => "the state before it is used",
            false => "every job runs as for the first time",
        });
        let saved = fs::read(path("state.json")).expect("a new state");
        assert!(State::parse(&saved).is_ok_and(|state| state.jobs.contains_key("a")));
        if has_before {
            let kept = fs::read(path("state.previous.json")).expect("the one before");
            assert_eq!(kept, before, "what is damaged does not take its place");
        }
    }
}

#[test]
fn a_pause_or_a_count_damaged_anywhere_loses_nothing() {
    let server = server(&[]);
    let workspace = workspace(&server);
    let half_an_hour = collector::host::wall_clock_ms() + 30 * 60_000;
    let failures = "09223373800595662292-19aa72625d4005705-81c27831d1a1ad57-1.779.e60a9e4a.body 2";
    for (name, text) in [("retry_after", half_an_hour.to_string()), ("failures", failures.into())] {
        let text = text.as_bytes();
        let damages = cut(text).into_iter().chain(flipped(text, 1));
        for damaged in damages {
            workspace.write(&format!("{SPOOL}/{name}"), damaged);
            let (finished, report) = run(&workspace);
            let output = &report["outputs"][0];
            let lost = [&output["lost"], &output["quarantined"]];
            assert!(lost.iter().all(|count| count.as_u64().unwrap_or(0) == 0), "{output}");
            match finished.status() {
                0 => assert!(bodies(&workspace, SPOOL).is_empty()),
                // Another moment of the next hour.
                _ => drop(finished.exit(4).says("left alone until 20")),
            }
        }
    }
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_up_no_run() {
    // As a lock a pipe is as good as a file.
    for (name, is_told) in [
        ("state.json", true),
        ("history.jsonl", true),
        ("lock", false),
        ("agent_id/collector.agent_id", true),
    ] {
        let server = server(&[]);
        let workspace = workspace(&server);
        run(&workspace).0.exit(0);
        let path = workspace.path("daemon").join(name);
        fs::remove_file(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        make_pipe(&path);
        let finished = workspace.run(&["run", "--once"]);
        let said = finished.stderr();
        assert_eq!(said.contains("it is no regular file"), is_told, "{name}: {said}");
        // Under another id every series would begin anew; this output's bodies have none.
        finished.exit(0);
        workspace.run(&["plan"]).exit(0);
    }
}
