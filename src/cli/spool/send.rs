//! `collector spool send`: a run without jobs.

use std::io::{self, Write};
use std::time::Instant;

use super::super::args::{Common, SpoolSend};
use super::super::run::{append_log, enter, tell_failures};
use super::super::{planned, say, signals};
use super::bodies::{Bodies, Place, no_such_output};
use super::{Failure, changeable, turned_out};
use crate::config::{Config, Environment};
use crate::host::wall_clock_ms;
use crate::plan::Request;
use crate::report::log::Log;
use crate::report::{OutputReport, Report, Status, chain};
use crate::runner::Stop;
use crate::shard::Shard;

pub(super) fn send(
    options: &SpoolSend,
    config: Config,
    common: &Common,
    environment: Environment<'_>,
    shard: Option<Shard>,
) -> Result<Status, Failure> {
    for wanted in &options.output {
        let known = || config.outputs.iter();
        match known().find(|output| output.id == *wanted) {
            Some(output) if output.enabled => {}
            Some(_) => {
                let message = format!("the output `{wanted}` is not enabled");
                return Err(Failure::asked(message, "`enabled: true` lets it have what waits"));
            }
            None => {
                return Err(no_such_output(wanted, known().map(|output| output.id.as_str())));
            }
        }
    }
    let entrance = match enter(&config, environment, options.wait, shard) {
        Ok(entrance) => entrance,
        Err(status) => return Ok(status),
    };
    let store = changeable(&entrance)?;
    let is_meant = |id: &str| options.output.is_empty() || options.output.iter().any(|o| o == id);
    let enabled = config.outputs.iter().filter(|output| output.enabled && is_meant(&output.id));
    let receiving: Vec<String> = enabled.map(|output| output.id.clone()).collect();
    let mut unmoved = 0_u64;
    if options.quarantined {
        let bodies = Bodies::find(&config, store)?;
        for body in bodies.of(None, Place::Quarantine)? {
            // What nobody sends stays where it is.
            let is_sent = body.is_configured && receiving.contains(&body.output);
            if is_sent && let Some(status) = turned_out(entrance.keep_lock()) {
                return Ok(status);
            }
            if is_sent && let Err(error) = body.spool.restore(&body.entry) {
                unmoved += 1;
                say(format_args!("error: {}", chain(&error)));
            }
        }
        // The run has the time of a whole lease.
        if let Some(status) = turned_out(entrance.renew_lock()) {
            return Ok(status);
        }
    }
    let now_ms = wall_clock_ms();
    let request = Request { once: true, ..Request::for_all(now_ms, Instant::now()) };
    let Some(mut plan) = planned(config, request, &entrance.found.state) else {
        return Ok(Status::Usage);
    };
    plan.jobs.clear();
    plan.run_metrics = false;
    // Whoever asks for it by hand knows that the output is back.
    plan.heeds_pauses = false;
    plan.outputs.retain(|output| receiving.contains(&output.id));
    let stop = Stop::default();
    if let Err(error) = signals::stop_in_order(&stop) {
        say(format_args!("warning: a signal will end the run at once: {error}"));
    }
    let log = Log::of(&plan);
    let report = crate::run::run(plan, &entrance, environment, &stop, &mut |_| {});
    drop(entrance);
    append_log(&log, &report);
    print(&report, common)?;
    tell_failures(&report, common.quiet);
    // What could not be moved is still in quarantine.
    Ok(if unmoved > 0 { report.status.max(Status::Lost) } else { report.status })
}

fn print(report: &Report, common: &Common) -> io::Result<()> {
    if common.quiet {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    for OutputReport { output, accepted, accepted_bodies, waiting, waiting_bodies, .. } in
        &report.outputs
    {
        write!(stdout, "{output}: {accepted} datapoints in {accepted_bodies} bodies accepted")?;
        match waiting_bodies {
            0 => writeln!(stdout)?,
            bodies => writeln!(stdout, ", {waiting} in {bodies} wait")?,
        }
    }
    stdout.flush()
}
