//! `collector check`.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;

use collectors::sink::Level;
use collectors::{Collector, Context, Error, Sink};
use comfy_table::Cell;

use super::args::{Check, Common};
use super::{load, planned};
use crate::config::Environment;
use crate::config::sections::Expect;
use crate::host::wall_clock_ms;
use crate::plan::Request;
use crate::report::{Status, table};
use crate::run::{Attempt, Entry, attempt};
use crate::state::State;

pub(super) fn check(
    options: &Check,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let started = Instant::now();
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let mut stdout = io::stdout().lock();
    let files: Vec<_> = config.files.iter().map(|path| path.display().to_string()).collect();
    writeln!(
        stdout,
        "{}: no mistakes; {}, {}",
        files.join(", "),
        table::count(config.jobs.len() as u64, "job"),
        table::count(config.outputs.len() as u64, "output")
    )?;
    if !options.connect {
        return Ok(Status::Success);
    }
    let entrance = crate::run::look(&config, environment, &Entry::default());
    let request = Request { once: true, ..Request::for_all(wall_clock_ms(), started) };
    let Some(mut plan) = planned(config, request, &State::default()) else {
        return Ok(Status::Usage);
    };
    for job in &mut plan.jobs {
        job.collector = Arc::new(Try(Arc::clone(&job.collector)));
        // Nothing is collected, so nothing can be expected of it.
        job.expect = Expect::default();
    }
    let mut attempts = attempt(plan, &entrance, environment);
    attempts.extend(crate::run::attempt_store(&entrance));
    let mut rows = table::plain(&["what", "result", "note"]);
    for Attempt { what, result } in &attempts {
        let (word, note) = match result {
            Ok(note) => ("ok", note),
            Err(note) => ("failed", note),
        };
        rows.add_row(vec![Cell::new(what), Cell::new(word), Cell::new(note)]);
    }
    writeln!(stdout, "\n{}", table::trimmed(&rows))?;
    let is_good = attempts.iter().all(|attempt| attempt.result.is_ok());
    Ok(if is_good { Status::Success } else { Status::JobFailed })
}

/// A collector that is tried instead of run: what it says goes to the job's log, and nothing is collected.
struct Try(Arc<dyn Collector>);

impl Collector for Try {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
        let said = self.0.check(context)?;
        sink.log(Level::Info, said)?;
        Ok(())
    }

    fn secrets(&self) -> Vec<&collectors::secret::Secret> {
        self.0.secrets()
    }
}
