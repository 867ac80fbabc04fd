//! `collector spool`: what waits to be sent and what was set aside, to be looked at, sent, or given up.

mod bodies;
mod drop;
mod list;
mod send;

use std::io::{self, Write};

use super::args::{Common, Spool, SpoolCommand, SpoolShow};
use super::failure::Failure;
use super::{load, say, shard};
use crate::config::{Config, Environment};
use crate::report::{Status, chain};
use crate::run::Entrance;
use crate::shard::Shard;
use crate::store::lock::NotLocked;
use crate::store::{Place, Store};
use bodies::Bodies;

pub(super) fn spool(
    options: &Spool,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let shard = match shard(&options.part, environment) {
        Ok(shard) => shard,
        Err(status) => return Ok(status),
    };
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let done = match &options.command {
        SpoolCommand::List(options) => lasting(&config, environment, shard)
            .and_then(|store| list::list(options, &config, &store)),
        SpoolCommand::Show(options) => {
            lasting(&config, environment, shard).and_then(|store| show(options, &config, &store))
        }
        SpoolCommand::Send(options) => send::send(options, config, common, environment, shard),
        SpoolCommand::Drop(options) => drop::drop(options, &config, common, environment, shard),
    };
    done.or_else(Failure::tell)
}

/// What lasts, to be read.
fn lasting(
    config: &Config,
    environment: Environment<'_>,
    shard: Option<Shard>,
) -> Result<Store, Failure> {
    let place = Place::of(config, environment, shard).ok_or_else(no_place)?;
    Ok(place.look(environment, None))
}

/// What lasts, to be changed, where one has come in. What may only be looked at would otherwise seem to be empty.
fn changeable(entrance: &Entrance) -> Result<&Store, Failure> {
    match entrance.store() {
        Some(Ok(store)) => Ok(store),
        Some(Err(error)) => Err(Failure::from(error)),
        None => Err(no_place()),
    }
}

/// The exit status where the lock could not be kept, which is told: another may be at work by now.
fn turned_out(kept: Result<(), NotLocked>) -> Option<Status> {
    let error = kept.err()?;
    say(format_args!("error: {}", chain(&error)));
    Some(Status::Locked)
}

fn no_place() -> Failure {
    let message = "there is no daemon directory, so nothing waits";
    Failure::asked(message, "set `main.daemon_directory`, or HOME")
}

fn show(options: &SpoolShow, config: &Config, store: &Store) -> Result<Status, Failure> {
    let bodies = Bodies::find(config, store)?;
    let found = bodies.one(&options.body)?;
    let body = found.spool.body(&found.entry)?;
    let mut stdout = io::stdout().lock();
    let copied = io::copy(&mut body.open()?, &mut stdout).and_then(|_| stdout.flush());
    if let Some(error) = body.read_error() {
        say(format_args!("error: `{}`: {error}", found.entry.path().display()));
        return Ok(Status::Usage);
    }
    copied?;
    Ok(Status::Success)
}
