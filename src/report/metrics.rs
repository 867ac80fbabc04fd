//! The run's own datapoints: per job how long it took, whether it worked and what it brought.

use collectors::Sink;
use collectors::batch::Batch;
use collectors::datapoint::{DataType, Datapoint, Flaw, Label, Value};

use super::JobReport;

/// The name under which the run's own datapoints stand beside the jobs'.
pub const JOB: &str = "collector";

/// The datapoints, with `hostname` as their target.
///
/// | key | unit | type | labels |
/// |---|---|---|---|
/// | `collector_job_duration_seconds` | seconds | float | `job`, `collector` |
/// | `collector_job_success` | 1 or 0 | int | `job`, `collector` |
/// | `collector_job_points` | datapoints | int | `job`, `collector` |
/// | `collector_job_missed_runs` | runs | int | `job`, `collector` |
///
/// The last one counts the runs that are missing since the job's last one; a run with `--once` has none.
pub fn of_run(jobs: &[JobReport], hostname: &str, now_ms: i64) -> Batch {
    let sink = Sink::new(hostname.to_owned(), Vec::new(), now_ms);
    for job in jobs {
        // Only a job's id can be refused as a label, and ids are not empty.
        if let Err(flaw) = of_job(job, &sink) {
            log::debug!("run metrics of job `{}`: {flaw}", job.job);
        }
    }
    sink.seal().unwrap_or_default().batch
}

fn of_job(job: &JobReport, sink: &Sink) -> Result<(), Flaw> {
    let labels = [Label::new("job", &job.job)?, Label::new("collector", &job.collector)?];
    let points = i64::try_from(job.datapoints).unwrap_or(i64::MAX);
    let values = [
        (
            "collector_job_duration_seconds",
            Value::float(job.duration.as_secs_f64())?,
            DataType::Float,
            Some("seconds"),
        ),
        (
            "collector_job_success",
            Value::Int(i64::from(job.result.is_success())),
            DataType::Int,
            None,
        ),
        ("collector_job_points", Value::Int(points), DataType::Int, None),
    ];
    let missed = job.missed_runs.map(|runs| {
        let runs = Value::Int(i64::try_from(runs).unwrap_or(i64::MAX));
        ("collector_job_missed_runs", runs, DataType::Int, None)
    });
    for (key, value, data_type, unit) in values.into_iter().chain(missed) {
        let datapoint =
            Datapoint { unit, ..Datapoint::new(key, value, data_type)?.labels(&labels) };
        // The sink is this module's own and still open.
        if sink.push(&datapoint).is_err() {
            break;
        }
    }
    Ok(())
}
