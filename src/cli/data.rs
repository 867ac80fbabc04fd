//! `collector data`: what the embedded store holds.

mod get;
mod list;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::args::{Common, Data};
use super::failure::Failure;
use super::{load, planned, say};
use crate::config::Environment;
use crate::host::wall_clock_ms;
use crate::outputs::sqlite::read::Reader;
use crate::plan::{Plan, Request};
use crate::report::Status;
use crate::state::State;

pub(super) fn data(
    command: &Data,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let now_ms = wall_clock_ms();
    let request = Request { once: true, ..Request::for_all(now_ms, Instant::now()) };
    let Some(plan) = planned(config, request, &State::default()) else { return Ok(Status::Usage) };
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
    done.map(|()| Status::Success).or_else(Failure::tell)
}

const FILL_IT: &str = "`collector run --once` stores what it collects";

fn nothing(path: &std::path::Path) -> String {
    format!("nothing is stored yet in `{}`", path.display())
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
