//! `collector spool drop`.

use std::io::{self, Write};

use super::super::args::{Common, SpoolDrop};
use super::super::run::enter;
use super::super::say;
use super::bodies::{Bodies, Found, Place};
use super::{Failure, changeable, turned_out};
use crate::config::{Config, Environment};
use crate::report::{Status, chain};
use crate::shard::Shard;

pub(super) fn drop(
    options: &SpoolDrop,
    config: &Config,
    common: &Common,
    environment: Environment<'_>,
    shard: Option<Shard>,
) -> Result<Status, Failure> {
    let entrance = match enter(config, environment, options.wait, shard) {
        Ok(entrance) => entrance,
        Err(status) => return Ok(status),
    };
    let bodies = Bodies::find(config, changeable(&entrance)?)?;
    for error in &bodies.errors {
        say(format_args!("error: {error}"));
    }
    // All are found before the first is dropped: a misspelt one drops nothing.
    let mut meant: Vec<&Found> = Vec::new();
    for name in &options.selection.bodies {
        let found = bodies.one(name)?;
        if !meant.iter().any(|known| std::ptr::eq(*known, found)) {
            meant.push(found);
        }
    }
    if options.selection.bodies.is_empty() {
        let place = if options.selection.quarantined { Place::Quarantine } else { Place::Waiting };
        meant = bodies.of(options.selection.output.as_deref(), place)?;
    }
    let (mut dropped, mut datapoints, mut is_whole) = (0_u64, 0_u64, bodies.errors.is_empty());
    let mut turned_out_with = None;
    for found in meant {
        turned_out_with = turned_out(entrance.keep_lock());
        if turned_out_with.is_some() {
            break;
        }
        match found.spool.give_up(&found.entry) {
            Ok(()) => {
                dropped += 1;
                datapoints += found.entry.datapoints;
            }
            Err(error) => {
                is_whole = false;
                say(format_args!("error: {}", chain(&error)));
            }
        }
    }
    if !common.quiet {
        writeln!(io::stdout(), "dropped {datapoints} datapoints in {dropped} bodies")?;
    }
    if let Some(status) = turned_out_with {
        return Ok(status);
    }
    Ok(if is_whole { Status::Success } else { Status::Usage })
}
