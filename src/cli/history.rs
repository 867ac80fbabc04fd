//! `collector history`: the last runs, and how long each job took.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use comfy_table::Cell;

use super::args::{Common, History, ListFormat};
use super::sparkline::Sparkline;
use super::{load, say, shard, text};
use crate::config::Environment;
use crate::report::record::{JobRecord, OutputRecord, Record};
use crate::report::{Status, chain, table};
use crate::store::Place;
use crate::store::history::Past;

pub(super) fn history(
    options: &History,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let shard = match shard(&options.part, environment) {
        Ok(shard) => shard,
        Err(status) => return Ok(status),
    };
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let Some(place) = Place::of(&config, environment, shard) else {
        say(format_args!("error: there is no daemon directory, so no run was kept"));
        say(format_args!("hint: set `main.daemon_directory`, or HOME"));
        return Ok(Status::Usage);
    };
    let is_wanted = |record: &Record| {
        let mut jobs = record.jobs.iter();
        options.job.as_ref().is_none_or(|id| jobs.any(|job| job.job == *id))
    };
    let mut past = match place.look(environment, None).history().read(options.last, is_wanted) {
        Ok(past) => past,
        Err(error) => {
            say(format_args!("error: {}", chain(&error)));
            return Ok(Status::Usage);
        }
    };
    if past.unreadable > 0 && !common.quiet {
        let lines = if past.unreadable == 1 { "line" } else { "lines" };
        say(format_args!(
            "warning: {} {lines} of the history in `{place}` cannot be read, and are left out",
            past.unreadable
        ));
    }
    if past.records.is_empty() && !common.quiet {
        let what = match &options.job {
            Some(id) => format!("no run of a job `{}`", text::visible(id)),
            None => "no run".to_owned(),
        };
        say(format_args!("the history in `{place}` has {what}"));
    }
    if let Some(id) = &options.job {
        past.records.iter_mut().for_each(|record| record.jobs.retain(|job| job.job == *id));
    }
    let mut stdout = BufWriter::new(io::stdout().lock());
    match options.format {
        ListFormat::Json => {
            for record in &past.records {
                serde_json::to_writer(&mut stdout, record)?;
                writeln!(stdout)?;
            }
        }
        ListFormat::Table if past.records.is_empty() => {}
        ListFormat::Table if options.job.is_some() => write_job(&mut stdout, &past)?,
        ListFormat::Table => write_runs(&mut stdout, &past)?,
    }
    stdout.flush()?;
    Ok(Status::Success)
}

/// A row for each run, oldest first, and one for each job that ran in them.
fn write_runs(to: &mut dyn Write, past: &Past) -> io::Result<()> {
    let columns = ["time", "status", "duration", "jobs", "points", "outputs", "note"];
    let mut runs = table::plain(&columns);
    for record in &past.records {
        let good = record.jobs.iter().filter(|job| job.success).count();
        let points: u64 = record.jobs.iter().map(|job| job.datapoints).sum();
        let outputs: Vec<String> = record.outputs.iter().map(delivery).collect();
        runs.add_row(vec![
            Cell::new(text::time(record.timestamp_ms)),
            table::number(record.status),
            table::number(table::short(record.duration())),
            table::number(format!("{good} of {}", record.jobs.len())),
            table::number(points),
            Cell::new(text::visible(&outputs.join(" · "))),
            Cell::new(text::visible(&record.reason().unwrap_or_default())),
        ]);
    }
    writeln!(to, "{}\n", table::trimmed(&runs))?;
    let mut jobs = table::plain(&["job", "runs", "failed", "durations", ""]);
    for (id, course) in courses(past) {
        jobs.add_row(vec![
            Cell::new(text::visible(id)),
            table::number(course.runs),
            table::number(course.failed),
            Cell::new(&course.durations),
            Cell::new(course.range()),
        ]);
    }
    writeln!(to, "{}", table::trimmed(&jobs))
}

/// A row for each run of one job.
fn write_job(to: &mut dyn Write, past: &Past) -> io::Result<()> {
    let mut rows = table::plain(&["time", "result", "duration", "points", "note"]);
    for (record, job) in past.records.iter().flat_map(|r| r.jobs.iter().map(move |job| (r, job))) {
        rows.add_row(vec![
            Cell::new(text::time(record.timestamp_ms)),
            Cell::new(text::visible(&job.result)),
            table::number(table::short(job.duration())),
            table::number(job.datapoints),
            Cell::new(text::visible(job.note.as_deref().unwrap_or_default())),
        ]);
    }
    writeln!(to, "{}\n", table::trimmed(&rows))?;
    for (_, course) in courses(past) {
        writeln!(to, " {}  {}", course.durations, course.range())?;
    }
    Ok(())
}

/// `pattoo: 12 accepted, 3 waiting`
fn delivery(output: &OutputRecord) -> String {
    let counts =
        [(output.waiting, "waiting"), (output.quarantined, "in quarantine"), (output.lost, "lost")];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: String = counts.map(|(count, what)| format!(", {count} {what}")).collect();
    format!("{}: {} accepted{counts}", output.output, output.accepted)
}

/// How a job went over the runs.
#[derive(Default)]
struct Course {
    runs: u64,
    failed: u64,
    durations: Sparkline,
}

impl Course {
    fn add(&mut self, job: &JobRecord) {
        self.runs += 1;
        if job.success {
            self.durations.push(job.duration().as_secs_f64());
        } else {
            self.failed += 1;
            self.durations.push_failure();
        }
    }

    /// The shortest and the longest time in which it succeeded.
    fn range(&self) -> String {
        let [least, most] = match self.durations.range() {
            Some((least, most)) => [least, most].map(|seconds| {
                table::short(Duration::try_from_secs_f64(seconds).unwrap_or_default())
            }),
            None => return String::new(),
        };
        if least == most { least } else { format!("{least} to {most}") }
    }
}

/// Each job's course, in the order in which they first ran.
fn courses(past: &Past) -> Vec<(&str, Course)> {
    let mut courses: Vec<(&str, Course)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for job in past.records.iter().flat_map(|record| &record.jobs) {
        let place = *places.entry(job.job.as_str()).or_insert_with(|| {
            courses.push((&job.job, Course::default()));
            courses.len() - 1
        });
        courses[place].1.add(job);
    }
    courses
}
