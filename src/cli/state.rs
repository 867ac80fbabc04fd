//! `collector state`: what the jobs' next runs get.

use std::io::{self, Write};
use std::time::Instant;

use collectors::decode::nearest;
use comfy_table::Cell;

use super::args::{Common, StateCommand};
use super::{load, say};
use crate::config::Environment;
use crate::report::{Status, chain, table};
use crate::run::{Entrance, configured_directory, enter, look};
use crate::state::State;
use crate::store::Store;

pub(super) fn state(
    command: &StateCommand,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let entrance = match command {
        // What changes the state waits for its turn, as a run does.
        StateCommand::Reset { .. } => match enter(&config, environment, Instant::now()) {
            Ok(entrance) => entrance,
            Err(held) => {
                say(format_args!("error: {held}"));
                return Ok(Status::Locked);
            }
        },
        _ => look(&config, environment),
    };
    for warning in entrance.found.warning.iter().chain(&entrance.found.foreign) {
        say(format_args!("warning: {warning}"));
    }
    match command {
        StateCommand::List => list(&entrance.found.state),
        StateCommand::Show { job } => show(&entrance.found.state, job),
        StateCommand::Reset { jobs } => {
            let store = configured_directory(&config, environment)
                .map(|directory| Store::open(&directory))
                .transpose();
            match store {
                Ok(Some(store)) => Ok(reset(entrance, &store, jobs)),
                Ok(None) => {
                    say(format_args!("error: there is no daemon directory"));
                    Ok(Status::Usage)
                }
                Err(error) => {
                    say(format_args!("error: {}", chain(&error)));
                    Ok(Status::Usage)
                }
            }
        }
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

fn reset(entrance: Entrance, store: &Store, ids: &[String]) -> Status {
    let mut state = entrance.found.state.clone();
    for id in ids {
        if state.jobs.remove(id).is_none() {
            return unknown(&state, id);
        }
    }
    match store.save_state(&state, &entrance.found) {
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
