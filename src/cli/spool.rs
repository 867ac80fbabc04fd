//! `collector spool`: what waits to be sent and what was set aside, to be looked at, sent, or given up.

mod bodies;
mod drop;
mod list;
mod send;

use std::io::{self, Write};

use super::args::{Common, Spool, SpoolShow};
use super::failure::Failure;
use super::{load, say};
use crate::config::{Config, Environment};
use crate::report::Status;
use crate::store::Store;
use bodies::Bodies;

pub(super) fn spool(
    command: &Spool,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let done = match command {
        Spool::List(options) => list::list(options, &config, environment),
        Spool::Show(options) => show(options, &config, environment),
        Spool::Send(options) => send::send(options, config, common, environment),
        Spool::Drop(options) => drop::drop(options, &config, common, environment),
    };
    done.or_else(Failure::tell)
}

/// What lasts, to be read.
fn lasting(config: &Config, environment: Environment<'_>) -> Result<Store, Failure> {
    let directory = crate::run::configured_directory(config, environment).ok_or_else(|| {
        let message = "there is no daemon directory, so nothing waits";
        Failure::asked(message, "set `main.daemon_directory`, or HOME")
    })?;
    Ok(Store::at(&directory))
}

/// What lasts, to be changed. What may only be looked at would otherwise seem to be empty.
fn changeable(config: &Config, environment: Environment<'_>) -> Result<Store, Failure> {
    Ok(Store::open(lasting(config, environment)?.root())?)
}

fn show(
    options: &SpoolShow,
    config: &Config,
    environment: Environment<'_>,
) -> Result<Status, Failure> {
    let bodies = Bodies::find(config, &lasting(config, environment)?)?;
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
