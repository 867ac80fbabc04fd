//! `collector data`: what the embedded store holds.

mod get;
mod list;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::args::{Common, Data};
use super::{load, say};
use crate::config::Environment;
use crate::host::wall_clock_ms;
use crate::outputs::sqlite::{self, read::Reader};
use crate::plan::{Plan, Request};
use crate::report::{Status, chain};
use crate::state::State;

pub(super) fn data(
    command: &Data,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let now_ms = wall_clock_ms();
    let request = Request { once: true, ..Request::for_all(now_ms, Instant::now()) };
    let plan = match Plan::new(config, request, &State::default()) {
        Ok(plan) => plan,
        Err(errors) => {
            errors.iter().for_each(|error| say(format_args!("error: {error}")));
            return Ok(Status::Usage);
        }
    };
    let done = store(&plan, environment).and_then(|path| {
        let reader = Reader::open(&path)?;
        match (command, reader) {
            (Data::List(options), Some(reader)) => list::list(options, &reader),
            // There is nothing, which is no mistake: the answer is an empty list.
            (Data::List(options), None) => {
                say(format_args!("{}", nothing(&path)));
                say(format_args!("hint: {FILL_IT}"));
                list::list_nothing(options)
            }
            (Data::Get(options), Some(reader)) => get::get(options, &reader, now_ms),
            (Data::Get(_), None) => Err(Failure::asked(nothing(&path), FILL_IT)),
        }
    });
    match done {
        Ok(()) => Ok(Status::Success),
        Err(Failure::Output(error)) => Err(error),
        Err(Failure::Store(error)) => {
            say(format_args!("error: {}", chain(&error)));
            Ok(Status::Usage)
        }
        Err(Failure::Asked { message, hint }) => {
            say(format_args!("error: {message}"));
            say(format_args!("hint: {hint}"));
            Ok(Status::Usage)
        }
    }
}

const FILL_IT: &str = "`collector run --once` stores what it collects";

fn nothing(path: &std::path::Path) -> String {
    format!("nothing is stored yet in `{}`", path.display())
}

/// Why there is no answer.
enum Failure {
    /// The store cannot be read.
    Store(sqlite::Error),
    /// Standard output cannot be written.
    Output(io::Error),
    /// What was asked for is not there.
    Asked { message: String, hint: String },
}

impl Failure {
    fn asked(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Asked { message: message.into(), hint: hint.into() }
    }
}

impl From<sqlite::Error> for Failure {
    fn from(error: sqlite::Error) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Output(error.into())
    }
}

impl From<csv::Error> for Failure {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            // As it is: that nobody reads any more must not look like something else.
            csv::ErrorKind::Io(error) => Self::Output(error),
            other => Self::Output(io::Error::other(format!("{other:?}"))),
        }
    }
}

/// The file of the first output that is a store.
fn store(plan: &Plan, environment: Environment<'_>) -> Result<PathBuf, Failure> {
    let daemon_directory = crate::run::daemon_directory(
        &plan.config_directory,
        plan.daemon_directory.as_deref(),
        environment,
    );
    let mut stores = plan.outputs.iter().filter_map(|output| {
        output.output.store(&plan.config_directory, daemon_directory.as_deref())
    });
    stores.next().ok_or_else(|| {
        let message = "the configuration has no output `sqlite`, which is the one that can be read";
        Failure::asked(
            message,
            "add `- sqlite: {}` to `outputs`, or name another file with `--config`",
        )
    })
}
