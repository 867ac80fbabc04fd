//! `collector plan`: whose turn it is, and when the others' is.

use std::io::{self, Write};

use comfy_table::Cell;
use serde::Serialize;

use super::args::{Common, PlanOptions};
use super::{load, shard};
use crate::config::Environment;
use crate::host::wall_clock_ms;
use crate::plan::{self, Scheduled};
use crate::report::{Status, table};
use crate::run::Entry;
use crate::schedule::Turn;

/// A job's turn, for machines.
#[derive(Serialize)]
struct Line<'a> {
    job: &'a str,
    collector: &'a str,
    every_seconds: f64,
    last_start_ms: Option<i64>,
    is_due: bool,
    next_ms: i64,
    missed_runs: u64,
}

pub(super) fn plan(
    options: &PlanOptions,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let shard = match shard(&options.part, environment) {
        Ok(shard) => shard,
        Err(status) => return Ok(status),
    };
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let found = crate::run::look(&config, environment, &Entry::of_shard(shard)).found;
    for warning in found.warning.iter().chain(&found.foreign) {
        super::say(format_args!("warning: {warning}"));
    }
    let now_ms = options.at.unwrap_or_else(wall_clock_ms);
    let jobs = plan::schedule(&config, &found.state, now_ms).into_iter();
    let ours = plan::in_shard(&config, shard);
    let schedule: Vec<Scheduled<'_>> =
        jobs.zip(ours).filter_map(|(job, is_ours)| is_ours.then_some(job)).collect();
    let mut stdout = io::stdout().lock();
    if options.json {
        let lines: Vec<_> = schedule.iter().map(|job| line(job, now_ms)).collect();
        serde_json::to_writer_pretty(&mut stdout, &lines)?;
        return writeln!(stdout).map(|()| Status::Success);
    }
    let mut rows = table::plain(&["job", "collector", "every", "last start", "next", "missed"]);
    for job in &schedule {
        let Line { next_ms, is_due, missed_runs, .. } = line(job, now_ms);
        let next = if is_due { "now".to_owned() } else { table::moment(next_ms) };
        let last = job.last_start_ms.map_or_else(|| "never".to_owned(), table::moment);
        rows.add_row(vec![
            Cell::new(job.id),
            Cell::new(job.kind),
            Cell::new(job.every),
            Cell::new(last),
            Cell::new(next),
            table::number(missed_runs),
        ]);
    }
    writeln!(stdout, "{}", table::trimmed(&rows))?;
    Ok(Status::Success)
}

fn line<'a>(job: &Scheduled<'a>, now_ms: i64) -> Line<'a> {
    let (is_due, next_ms, missed_runs) = match job.turn {
        Turn::Due { missed } => (true, now_ms, missed),
        Turn::Later { next_ms } => (false, next_ms, 0),
    };
    Line {
        job: job.id,
        collector: job.kind,
        every_seconds: job.every.get().as_secs_f64(),
        last_start_ms: job.last_start_ms,
        is_due,
        next_ms,
        missed_runs,
    }
}
