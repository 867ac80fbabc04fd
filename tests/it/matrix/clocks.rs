//! Clocks that are wrong.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::{Ended, Fault, Seen, run, workspace};
use crate::server::{Server, closed_port};
use crate::workspace::{Finished, Workspace};

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// A run whose data has a wrong clock, and one at the right time.
fn at_clock(wrong: &str) -> Seen {
    let server = Server::start();
    let workspace = workspace(server.port());
    workspace.run(&["run", "--at", "2026-01-01T00:00:00Z"]).exit(0);
    let at = |time: &str| Ended::of(&workspace.run(&["run", "--report", "json", "--at", time]));
    let first = at(wrong);
    Seen { first, next: at("2026-01-01T00:05:00Z") }
}

/// A run while the machine's clock is set to a year ago.
fn a_year_ago(workspace: &Workspace) -> Finished {
    let mut command = Command::new("faketime");
    command
        .args(["--exclude-monotonic", "-f", "-365d", env!("CARGO_BIN_EXE_collector")])
        .args(["run", "--once", "--report", "json"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"));
    Finished::new(command.output().expect("faketime is installed (package faketime)"))
}

/// While the server is down, the clock is set ahead by a year.
fn set_ahead() -> Seen {
    let port = closed_port();
    let workspace = workspace(port);
    a_year_ago(&workspace).exit(4);
    // The kernel knows nothing of the clock that the run saw.
    for body in workspace.files("daemon/spool") {
        let file = File::options().write(true).open(workspace.path("daemon/spool").join(body));
        file.expect("the body").set_modified(SystemTime::now() - YEAR).expect("a time");
    }
    let first = run(&workspace);
    let _server = Server::on_port(port);
    Seen { first, next: run(&workspace) }
}

/// While the server is down, the clock is set back by a year.
fn set_back() -> Seen {
    let port = closed_port();
    let workspace = workspace(port);
    run(&workspace);
    let first = Ended::of(&a_year_ago(&workspace));
    let _server = Server::on_port(port);
    Seen { first, next: Ended::of(&a_year_ago(&workspace)) }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "the clock is a year ahead",
        says: "runs missed since the last one",
        happen: || at_clock("2027-01-01T00:00:00Z"),
    },
    Fault {
        name: "the clock is a year behind",
        says: "",
        happen: || at_clock("2025-01-01T00:00:00Z"),
    },
    Fault {
        name: "the clock is set a year ahead while a body waits",
        says: "the clock was set ahead by 365d since the last run: what waits counts as no older",
        happen: set_ahead,
    },
    Fault { name: "the clock is set a year back while a body waits", says: "", happen: set_back },
];
