//! The run's own datapoints: how long each job took, whether it worked and what it brought; what waits in each spool;
//! what became of the run before.

use std::time::Duration;

use collectors::Sink;
use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Flaw, Label, Value};

use super::JobReport;
use super::record::Record;
use crate::store::spool::Listing;

/// The name under which the run's own datapoints stand beside the jobs'.
pub const JOB: &str = "collector";

/// What the runs before have left.
#[derive(Debug)]
pub struct Before {
    /// How many had jobs.
    pub runs: u64,
    /// The last one, where that can be had.
    pub last: Option<Record>,
}

/// The datapoints, with `hostname` as their target.
///
/// | key | unit | type | labels |
/// |---|---|---|---|
/// | `collector_job_duration_seconds` | seconds | float | `job`, `collector` |
/// | `collector_job_success` | 1 or 0 | int | `job`, `collector` |
/// | `collector_job_points` | datapoints | int | `job`, `collector` |
/// | `collector_job_missed_runs` | runs | int | `job`, `collector` |
/// | `collector_run_collect_seconds` | seconds | float | |
/// | `collector_run_refused_points` | datapoints | int | |
/// | `collector_runs` | runs | counter64 | |
/// | `collector_last_run_status` | exit status | int | |
/// | `collector_last_run_duration_seconds` | seconds | float | |
/// | `collector_output_accepted_points` | datapoints | int | `output` |
/// | `collector_output_quarantined_points` | datapoints | int | `output` |
/// | `collector_output_lost_points` | datapoints | int | `output` |
/// | `collector_spool_bodies` | bodies | int | `output` |
/// | `collector_spool_points` | datapoints | int | `output` |
///
/// `collector_job_missed_runs` counts the runs that are missing since the job's last one; a run with `--once` has none.
/// A spool is told as it was when the run began, of the outputs that have one. `collector_runs` counts the runs that had
/// jobs, with this one. What the outputs will do with this run is not known yet: `collector_last_run_…` and
/// `collector_output_…` are about the last one that the history has, and are left out where the history is in a bucket.
pub fn of_run<'a>(
    jobs: &[JobReport],
    mut spools: impl Iterator<Item = (&'a str, &'a Listing)>,
    before: Option<Before>,
    collecting: Duration,
    hostname: &str,
    now_ms: i64,
) -> Batch {
    let sink = Sink::new(hostname.to_owned(), Vec::new(), now_ms);
    for job in jobs {
        // Only an id can be refused as a label, and ids are not empty.
        if let Err(flaw) = of_job(job, &sink) {
            log::debug!("run metrics of job `{}`: {flaw}", job.job);
        }
    }
    let refused = jobs.iter().map(|job| job.refused).sum();
    let of_run = seconds("collector_run_collect_seconds", collecting, &[], &sink)
        .and_then(|()| count("collector_run_refused_points", refused, &[], &sink));
    let of_spools = spools.try_for_each(|(output, waiting)| {
        let labels = [Label::new("output", output)?];
        count("collector_spool_bodies", waiting.entries.len() as u64, &labels, &sink)?;
        count("collector_spool_points", waiting.datapoints(), &labels, &sink)
    });
    let of_past = before.map_or(Ok(()), |before| of_past(before, &sink));
    if let Err(flaw) = of_run.and(of_spools).and(of_past) {
        log::debug!("run metrics: {flaw}");
    }
    sink.seal().unwrap_or_default().batch
}

fn of_job(job: &JobReport, sink: &Sink) -> Result<(), Flaw> {
    let labels = [Label::new("job", &job.job)?, Label::new("collector", &job.collector)?];
    seconds("collector_job_duration_seconds", job.duration, &labels, sink)?;
    count("collector_job_success", job.result.is_success().into(), &labels, sink)?;
    count("collector_job_points", job.datapoints, &labels, sink)?;
    match job.missed_runs {
        Some(runs) => count("collector_job_missed_runs", runs, &labels, sink),
        None => Ok(()),
    }
}

fn of_past(before: Before, sink: &Sink) -> Result<(), Flaw> {
    let runs = Value::Uint(before.runs.saturating_add(1));
    push(&Datapoint::new("collector_runs", runs, DataType::Counter64)?, sink);
    let Some(last) = before.last else { return Ok(()) };
    count("collector_last_run_status", last.status.into(), &[], sink)?;
    seconds("collector_last_run_duration_seconds", last.duration(), &[], sink)?;
    for output in &last.outputs {
        let labels = [Label::new("output", &output.output)?];
        count("collector_output_accepted_points", output.accepted, &labels, sink)?;
        count("collector_output_quarantined_points", output.quarantined, &labels, sink)?;
        count("collector_output_lost_points", output.lost, &labels, sink)?;
    }
    Ok(())
}

fn seconds(key: &str, duration: Duration, labels: &[Label<'_>], sink: &Sink) -> Result<(), Flaw> {
    let value = Value::float(duration.as_secs_f64())?;
    let datapoint = Datapoint::new(key, value, DataType::Float)?.labels(labels);
    push(&Datapoint { unit: Some("seconds"), ..datapoint }, sink);
    Ok(())
}

fn count(key: &str, count: u64, labels: &[Label<'_>], sink: &Sink) -> Result<(), Flaw> {
    let value = Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    push(&Datapoint::new(key, value, DataType::Int)?.labels(labels), sink);
    Ok(())
}

fn push(datapoint: &Datapoint<'_>, sink: &Sink) {
    // The sink is this module's own and still open.
    sink.push(datapoint).unwrap_or_default();
}
