//! `collector state`: what the jobs' next runs get.

use std::io::{self, Write};

use collectors::decode::nearest;
use comfy_table::Cell;

use super::args::{Common, State as StateOptions, StateCommand};
use super::run::enter;
use super::{load, say, shard};
use crate::config::Environment;
use crate::report::{Status, chain, table};
use crate::run::{Entry, look};
use crate::state::State;
use crate::store::Store;
use crate::store::state::Found;

pub(super) fn state(
    options: &StateOptions,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let StateOptions { part, command } = options;
    let shard = match shard(part, environment) {
        Ok(shard) => shard,
        Err(status) => return Ok(status),
    };
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let entrance = match command {
        // What changes the state waits for its turn, as a run does.
        StateCommand::Reset { .. } => match enter(&config, environment, None, shard) {
            Ok(entrance) => entrance,
            Err(status) => return Ok(status),
        },
        _ => look(&config, environment, &Entry::of_shard(shard)),
    };
    for warning in entrance.found.warning.iter().chain(&entrance.found.foreign) {
        say(format_args!("warning: {warning}"));
    }
    match command {
        StateCommand::List => list(&entrance.found.state),
        StateCommand::Show { job } => show(&entrance.found.state, job),
        StateCommand::Reset { jobs } => match entrance.store() {
            Some(Ok(store)) => Ok(reset(&entrance.found, store, jobs)),
            Some(Err(error)) => {
                say(format_args!("error: {}", chain(error)));
                Ok(Status::Usage)
            }
            None => {
                say(format_args!("error: there is no daemon directory"));
                Ok(Status::Usage)
            }
        },
    }
}

fn list(state: &State) -> io::Result<Status> {
    let mut rows = table::plain(&["job", "last start", "failures in a row", "cursor", "counters"]);
    for (id, job) in &state.jobs {
        rows.add_row(vec![
            Cell::new(id),
            Cell::new(job.last_start_ms.map_or_else(|| "never".to_owned(), table::moment)),
            table::number(job.failures_in_a_row),
            Cell::new(if job.cursor.is_some() { "yes" } else { "" }),
            table::number(job.counters.len()),
        ]);
    }
    writeln!(io::stdout(), "{}", table::trimmed(&rows))?;
    Ok(Status::Success)
}

fn show(state: &State, id: &str) -> io::Result<Status> {
    let Some(job) = state.jobs.get(id) else { return Ok(unknown(state, id)) };
    let mut stdout = io::stdout().lock();
    serde_json::to_writer_pretty(&mut stdout, job)?;
    writeln!(stdout)?;
    Ok(Status::Success)
}

fn reset(found: &Found, store: &Store, ids: &[String]) -> Status {
    let mut state = found.state.clone();
    for id in ids {
        if state.jobs.remove(id).is_none() {
            return unknown(&state, id);
        }
    }
    match store.save_state(&state, found) {
        Ok(()) => Status::Success,
        Err(error) => {
            say(format_args!("error: {}", chain(&error)));
            Status::Usage
        }
    }
}

fn unknown(state: &State, id: &str) -> Status {
    say(format_args!("error: there is no state of a job `{id}`"));
    if let Some(meant) = nearest(id, state.jobs.keys().map(String::as_str)) {
        say(format_args!("hint: did you mean `{meant}`?"));
    }
    Status::Usage
}
