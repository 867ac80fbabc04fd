//! `collector data get`.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};

use collectors::datapoint::{Key, Value};
use collectors::decode::nearest;
use serde::Serialize;

use super::super::args::{DataFormat, DataGet};
use super::super::sparkline::Sparkline;
use super::super::text;
use super::Failure;
use crate::outputs::json_lines::Scalar;
use crate::outputs::sqlite::read::{Reader, Series};

/// How many series are named where a key has several.
const NAMED: usize = 10;
/// The width to which numbers are aligned. A longer one stands out; rows are printed as they are read.
const NUMBER_WIDTH: usize = 14;

pub(super) fn get(options: &DataGet, reader: &Reader, now_ms: i64) -> Result<(), Failure> {
    let all = reader.series()?;
    let series = choose(&all, &options.series)?;
    let from_ms = match options.since {
        Some(since) => {
            let since_ms = i64::try_from(since.get().as_millis()).unwrap_or(i64::MAX);
            now_ms.saturating_sub(since_ms)
        }
        None => i64::MIN,
    };
    let stdout = io::stdout().lock();
    let is_watched = stdout.is_terminal();
    let mut stdout = BufWriter::new(stdout);
    match options.format {
        DataFormat::Table => write_table(&mut stdout, reader, series, from_ms, is_watched)?,
        DataFormat::Json => write_json(&mut stdout, reader, series, from_ms)?,
        DataFormat::Csv => write_csv(&mut stdout, reader, series, from_ms)?,
    }
    Ok(stdout.flush()?)
}

/// The series of that number, else the only one of that key.
fn choose<'a>(all: &'a [Series], wanted: &str) -> Result<&'a Series, Failure> {
    let number: Option<i64> = wanted.parse().ok();
    if let Some(series) = all.iter().find(|one| Some(one.number) == number) {
        return Ok(series);
    }
    let key = Key::new(wanted).map(|key| key.as_str().to_owned()).unwrap_or_default();
    let found: Vec<&Series> = all.iter().filter(|one| one.key == key).collect();
    match found.as_slice() {
        [] => {
            let meant = nearest(&key, all.iter().map(|one| one.key.as_str()));
            let meant = meant.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
            let message = format!("there is no series `{}`{meant}", text::visible(wanted));
            Err(Failure::asked(message, "`collector data list` prints all of them"))
        }
        [series] => Ok(series),
        several => Err(ambiguous(&key, several)),
    }
}

fn ambiguous(key: &str, series: &[&Series]) -> Failure {
    let named = series.iter().take(NAMED).map(|one| {
        let mut what = vec![one.target.clone(), text::labels(&one.labels)];
        if series.iter().any(|other| other.data_type != one.data_type) {
            what.push(one.data_type.as_str().to_owned());
        }
        what.retain(|part| !part.is_empty());
        format!("\n  {}: {}", one.number, text::visible(&what.join(" ")))
    });
    let mut hint = format!("name one by its number:{}", named.collect::<String>());
    if series.len() > NAMED {
        hint.push_str(&format!("\n  and {} more", series.len() - NAMED));
    }
    Failure::asked(format!("the key `{}` has {} series", text::visible(key), series.len()), hint)
}

fn write_table(
    to: &mut dyn Write,
    reader: &Reader,
    series: &Series,
    from_ms: i64,
    is_watched: bool,
) -> Result<(), Failure> {
    let unit = series.unit.as_deref().map(|unit| format!(" ({})", text::visible(unit)));
    let title = format!("VALUE{}", unit.unwrap_or_default());
    writeln!(to, "{:<24}  {title:>NUMBER_WIDTH$}", "TIME")?;
    let mut line = Sparkline::default();
    reader.points(series, from_ms, |timestamp_ms, value| -> Result<(), Failure> {
        let shown = text::readable(value);
        let time = text::time(timestamp_ms);
        match number(value) {
            Some(number) => {
                line.push(number);
                writeln!(to, "{time:<24}  {shown:>NUMBER_WIDTH$}")?;
            }
            None => writeln!(to, "{time:<24}  {shown}")?,
        }
        Ok(())
    })?;
    if let Some((least, most)) = line.range().filter(|_| is_watched) {
        let [least, most] = [least, most].map(|number| match Value::float(number) {
            Ok(value) => text::readable(&value),
            Err(_) => String::new(),
        });
        writeln!(to, "\n{line}  {least} to {most}")?;
    }
    Ok(())
}

/// What a bar can show of a value.
fn number(value: &Value<'_>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a bar needs no more than a few digits")]
    match value {
        Value::Int(int) => Some(*int as f64),
        Value::Uint(uint) => Some(*uint as f64),
        Value::Float(float) => Some(float.get()),
        Value::Text(_) => None,
    }
}

/// A datapoint in the form in which a `file` job reads it.
#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    value: Scalar<'a>,
    data_type: &'a str,
    target: &'a str,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    info: &'a BTreeMap<String, String>,
}

fn write_json(
    to: &mut dyn Write,
    reader: &Reader,
    series: &Series,
    from_ms: i64,
) -> Result<(), Failure> {
    reader.points(series, from_ms, |timestamp, value| {
        let line = Line {
            key: &series.key,
            value: Scalar(value),
            data_type: series.data_type.as_str(),
            target: &series.target,
            timestamp,
            unit: series.unit.as_deref(),
            labels: &series.labels,
            info: &series.info,
        };
        serde_json::to_writer(&mut *to, &line)?;
        Ok(writeln!(to)?)
    })
}

fn write_csv(
    to: &mut dyn Write,
    reader: &Reader,
    series: &Series,
    from_ms: i64,
) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(["time", "timestamp", "value"])?;
    reader.points(series, from_ms, |timestamp_ms, value| {
        let row = [text::time(timestamp_ms), timestamp_ms.to_string(), value.to_string()];
        Ok::<_, Failure>(csv.write_record(row)?)
    })?;
    Ok(csv.flush()?)
}
