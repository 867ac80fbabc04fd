//! Faults of the server, of the way to it, and of what is needed to be let in.

use super::{Fault, JOB, Seen, configuration, configure, run, with_jobs, workspace};
use crate::server::{Answer, Server, closed_port};
use crate::workspace::make_pipe;

/// The server answers the first requests in a way of its own, and then as it should.
fn answers(answers: Vec<Answer>) -> Seen {
    let server = Server::answering(answers);
    let workspace = workspace(server.port());
    let first = run(&workspace);
    Seen { first, next: run(&workspace) }
}

fn status(status: u16) -> Seen {
    answers(vec![Answer::status(status)])
}

/// To a webhook whose signature needs a secret from a disk that hangs.
fn secret_hangs() -> Seen {
    let server = Server::start();
    let workspace = with_jobs(server.port(), JOB);
    let hook = format!(
        "agent: {{run_metrics: false, timeout: 4s, delivery_reserve: 3s}}
outputs: [{{webhook: {{url: 'http://127.0.0.1:{}/', secret: {{file: key}}}}}}]
jobs:
{JOB}
",
        server.port()
    );
    configure(&workspace, &hook);
    make_pipe(&workspace.path("key"));
    let first = run(&workspace);
    std::fs::remove_file(workspace.path("key")).expect("the pipe");
    workspace.write("key", "hush");
    Seen { first, next: run(&workspace) }
}

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "the server refuses the connection, and is back for the next run",
        says: "Connection refused",
        happen: || {
            let port = closed_port();
            let workspace = workspace(port);
            let first = run(&workspace);
            let _server = Server::on_port(port);
            Seen { first, next: run(&workspace) }
        },
    },
    Fault {
        name: "the server's name is gone from the DNS",
        says: "pattoo.invalid",
        happen: || {
            let server = Server::start();
            let workspace = workspace(server.port());
            configure(&workspace, &configuration("pattoo.invalid", server.port(), JOB));
            let first = run(&workspace);
            configure(&workspace, &configuration("127.0.0.1", server.port(), JOB));
            Seen { first, next: run(&workspace) }
        },
    },
    Fault {
        name: "the server hangs before it answers",
        says: "no complete answer within",
        happen: || answers(vec![Answer::Hang]),
    },
    Fault {
        name: "the server hangs in mid-answer",
        says: "no complete answer within",
        happen: || answers(vec![Answer::HangHalfway]),
    },
    Fault {
        name: "the server resets the connection before it answers",
        says: "reset",
        happen: || answers(vec![Answer::Reset]),
    },
    Fault {
        name: "the server resets the connection in mid-answer",
        says: "reset",
        happen: || answers(vec![Answer::ResetHalfway]),
    },
    Fault {
        name: "the server closes the connection",
        says: "io:",
        happen: || answers(vec![Answer::Close]),
    },
    Fault {
        name: "the server answers what is not HTTP",
        says: "http",
        happen: || answers(vec![Answer::Garbage]),
    },
    Fault {
        name: "200 with a body that means nothing",
        says: "",
        happen: || answers(vec![Answer::Status(200, "", "<html>\u{0}".repeat(100))]),
    },
    Fault { name: "301", says: "301", happen: || status(301) },
    Fault { name: "401", says: "401", happen: || status(401) },
    Fault {
        name: "400 for a body with one bad datapoint",
        says: "400",
        happen: || answers(vec![Answer::status(400), Answer::status(400), Answer::status(200)]),
    },
    Fault {
        name: "400 whatever is sent",
        says: "400",
        happen: || answers(vec![Answer::status(400); 3]),
    },
    Fault {
        name: "413: the body is too large, its halves are not",
        says: "",
        happen: || status(413),
    },
    Fault {
        name: "413: a datapoint alone is too large",
        says: "413",
        happen: || answers(vec![Answer::status(413); 3]),
    },
    Fault {
        name: "429 with `Retry-After: 60`",
        says: "429",
        happen: || answers(vec![Answer::Status(429, "Retry-After: 60\r\n", String::new())]),
    },
    Fault { name: "500", says: "500", happen: || status(500) },
    Fault { name: "503", says: "503", happen: || status(503) },
    Fault {
        name: "an output's secret is on a disk that hangs",
        says: "its secrets could not be read",
        happen: secret_hangs,
    },
];
