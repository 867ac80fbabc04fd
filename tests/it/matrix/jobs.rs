//! Jobs that go wrong, beside one that does not.

use std::sync::Arc;
use std::time::Instant;

use collector::config::{Config, Origin};
use collector::plan::{Plan, Request};
use collector::run::{Entry, enter};
use collector::runner::{self, Stop};
use collector::state::State;
use collectors::datapoint::{DataType, Datapoint, Value};
use collectors::{Collector, Context, Error, Sink};

use super::{Ended, Fault, JOB, Seen, run, with_jobs};
use crate::server::{Answer, Server};
use crate::workspace::{Workspace, make_pipe};

fn with_bad(server: &Server, options: &str) -> Workspace {
    let jobs = format!("{JOB}\n  - {{id: bad, timeout: 500ms, {options}}}");
    with_jobs(server.port(), &jobs)
}

/// A job that does well as soon as the file `mended` is there.
fn job(options: &str) -> Seen {
    let server = Server::start();
    let workspace = with_bad(&server, options);
    let first = run(&workspace);
    workspace.write("mended", "");
    Seen { first, next: run(&workspace) }
}

/// A job that opens the file `pipe`, which hangs as on a dead network disk, until it is a file with that text.
fn opens_a_pipe(options: &str, mended: &str) -> Seen {
    let server = Server::start();
    let workspace = with_bad(&server, options);
    make_pipe(&workspace.path("pipe"));
    let first = run(&workspace);
    std::fs::remove_file(workspace.path("pipe")).expect("the pipe");
    workspace.write("pipe", mended);
    Seen { first, next: run(&workspace) }
}

/// No collector panics by itself, so this one is put in its place, and the run is made here.
fn panics() -> Seen {
    struct Panics;
    impl Collector for Panics {
        fn collect(&self, _: &Context, sink: &Sink) -> Result<(), Error> {
            let value = Value::float(1.0).expect("a number");
            let datapoint = Datapoint::new("before", value, DataType::Float).expect("a datapoint");
            sink.push(&datapoint)?;
            panic!("by a bug of ours");
        }
    }
    let server = Server::start();
    let workspace = with_bad(&server, "random: {}");
    let config = Config::load(&Origin::File(workspace.path("collector.yaml"))).expect("no mistake");
    let entrance = enter(&config, &|_| None, &Entry::default()).expect("the lock");
    let now_ms = collector::host::wall_clock_ms();
    let request = Request { once: true, ..Request::for_all(now_ms, Instant::now()) };
    let mut plan = Plan::new(config, request, &State::default()).expect("a plan");
    plan.jobs[1].collector = Arc::new(Panics);
    runner::quiet_job_panics();
    let report = collector::run::run(plan, &entrance, &|_| None, &Stop::default(), &mut |_| {});
    drop(entrance);
    let json = serde_json::to_value(&report).expect("JSON");
    let status = i32::from(report.status.code());
    let first = Ended::reported(status, &json, json.to_string());
    // This process had the lock, and so has a child of another thread for as long as it is not yet its own program.
    let next = workspace.run(&["run", "--once", "--report", "json", "--wait", "10s"]);
    Seen { first, next: Ended::of(&next) }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "a job hangs for ever",
        says: "not done after",
        happen: || job("exec: {command: [sh, -c, '[ -e mended ] || sleep 600']}"),
    },
    Fault {
        name: "a job hangs for ever in a system call",
        says: "not done after",
        happen: || opens_a_pipe("file: {path: pipe, format: jsonl}", ""),
    },
    Fault {
        name: "a job's secret is on a disk that hangs",
        says: "not done after",
        happen: || {
            let source = Server::answering(vec![Answer::Status(200, "", "{\"a\": 1}".into())]);
            let options = format!(
                "http: {{url: 'http://127.0.0.1:{}/', auth: {{bearer: {{file: pipe}}}}, mapping: {{values: {{a: /a}}}}}}",
                source.port()
            );
            opens_a_pipe(&options, "hush")
        },
    },
    Fault {
        name: "a job ignores TERM",
        says: "not done after",
        happen: || {
            job(
                "exec: {command: [sh, -c, 'trap \"\" TERM; while [ ! -e mended ]; do sleep 0.1; done']}",
            )
        },
    },
    Fault {
        name: "a job floods",
        says: "not done after",
        happen: || job("exec: {command: [sh, -c, '[ -e mended ] || exec yes']}"),
    },
    Fault {
        name: "a job panics after its first datapoint",
        says: "by a bug of ours (at tests/it/matrix/jobs.rs:",
        happen: panics,
    },
    Fault {
        name: "a job fails",
        says: "exit status: 1",
        happen: || job("exec: {command: [test, -e, mended]}"),
    },
];
