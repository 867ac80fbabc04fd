//! What is done to the run from outside.

use super::{Ended, Fault, JOB, Seen, run, with_jobs};
use crate::server::Server;

/// A job that hangs until the file `mended` is there.
const HANGS: &str = "
  - {id: hangs, timeout: 1h, exec: {command: [sh, -c, 'echo > here; while [ ! -e mended ]; do sleep 0.1; done']}}";

/// A run that is ended from outside while a job hangs, and the run after it.
fn signalled(name: &str) -> Seen {
    let server = Server::start();
    let workspace = with_jobs(server.port(), &[JOB, HANGS].concat());
    let running = workspace.start(&["run", "--once", "--report", "json"]);
    workspace.wait_for_line("here");
    running.signal(name);
    let first = Ended::of(&running.finish());
    workspace.write("mended", "");
    Seen { first, next: run(&workspace) }
}

fn two_at_once() -> Seen {
    let server = Server::start();
    let workspace = with_jobs(server.port(), &[JOB, HANGS].concat());
    let running = workspace.start(&["run", "--once"]);
    workspace.wait_for_line("here");
    let first = run(&workspace);
    workspace.write("mended", "");
    running.finish();
    Seen { first, next: run(&workspace) }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault { name: "another run is going", says: "another run holds", happen: two_at_once },
    Fault {
        name: "SIGTERM while a job hangs",
        says: "the run was told to stop",
        happen: || signalled("TERM"),
    },
    Fault {
        name: "SIGHUP while a job hangs",
        says: "the run was told to stop",
        happen: || signalled("HUP"),
    },
    Fault { name: "kill -9 while a job hangs", says: "", happen: || signalled("KILL") },
];
