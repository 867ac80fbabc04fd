//! `collector data list`.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufWriter, Write};

use comfy_table::Cell;
use serde::Serialize;

use super::super::args::{DataFormat, DataList};
use super::super::text;
use super::Failure;
use crate::outputs::json_lines::Scalar;
use crate::outputs::sqlite::read::{Extent, Reader, Series};
use crate::report::table;

/// The columns of the table and of the CSV form.
const COLUMNS: [&str; 9] =
    ["series", "key", "target", "labels", "data_type", "unit", "points", "value", "time"];

pub(super) fn list(options: &DataList, reader: &Reader) -> Result<(), Failure> {
    let mut series = reader.series()?;
    if let Some(filter) = &options.filter {
        series.retain(|one| matches(one, filter));
    }
    let extents = reader.extents(&series)?;
    write(options.format, &series, extents)
}

/// The answer when there is no store yet.
pub(super) fn list_nothing(options: &DataList) -> Result<(), Failure> {
    write(options.format, &[], HashMap::new())
}

/// Whether the key or the target contains the filter, in whichever case.
fn matches(series: &Series, filter: &str) -> bool {
    let filter = filter.to_lowercase();
    series.key.contains(&filter) || series.target.to_lowercase().contains(&filter)
}

fn write(
    format: DataFormat,
    series: &[Series],
    mut extents: HashMap<i64, Extent>,
) -> Result<(), Failure> {
    let rows = series.iter().map(|one| (one, extents.remove(&one.number).unwrap_or_default()));
    let mut stdout = BufWriter::new(io::stdout().lock());
    match format {
        DataFormat::Table => write_table(&mut stdout, rows)?,
        DataFormat::Json => write_json(&mut stdout, rows)?,
        DataFormat::Csv => write_csv(&mut stdout, rows)?,
    }
    Ok(stdout.flush()?)
}

fn write_table<'a>(
    to: &mut dyn Write,
    rows: impl Iterator<Item = (&'a Series, Extent)>,
) -> Result<(), Failure> {
    let mut table = table::plain(&COLUMNS.map(|name| name.trim_start_matches("data_")));
    for (series, extent) in rows {
        let (time, value) = match &extent.newest {
            Some((timestamp_ms, value)) => (text::time(*timestamp_ms), text::readable(value)),
            None => Default::default(),
        };
        table.add_row([
            table::number(series.number),
            Cell::new(text::visible(&series.key)),
            Cell::new(text::visible(&series.target)),
            Cell::new(text::visible(&text::labels(&series.labels))),
            Cell::new(series.data_type.as_str()),
            Cell::new(text::visible(series.unit.as_deref().unwrap_or_default())),
            table::number(extent.points),
            table::number(value),
            Cell::new(time),
        ]);
    }
    if !table.is_empty() {
        writeln!(to, "{}", table::trimmed(&table))?;
    }
    Ok(())
}

/// A series and its newest datapoint.
#[derive(Serialize)]
struct Line<'a> {
    series: i64,
    key: &'a str,
    target: &'a str,
    data_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    info: &'a BTreeMap<String, String>,
    points: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Scalar<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

fn write_json<'a>(
    to: &mut dyn Write,
    rows: impl Iterator<Item = (&'a Series, Extent)>,
) -> Result<(), Failure> {
    for (series, Extent { points, newest }) in rows {
        let line = Line {
            series: series.number,
            key: &series.key,
            target: &series.target,
            data_type: series.data_type.as_str(),
            unit: series.unit.as_deref(),
            labels: &series.labels,
            info: &series.info,
            points,
            value: newest.as_ref().map(|(_, value)| Scalar(value)),
            timestamp: newest.as_ref().map(|(timestamp_ms, _)| *timestamp_ms),
        };
        serde_json::to_writer(&mut *to, &line)?;
        writeln!(to)?;
    }
    Ok(())
}

fn write_csv<'a>(
    to: &mut dyn Write,
    rows: impl Iterator<Item = (&'a Series, Extent)>,
) -> Result<(), Failure> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(COLUMNS)?;
    for (series, Extent { points, newest }) in rows {
        let (time, value) = match &newest {
            Some((timestamp_ms, value)) => (text::time(*timestamp_ms), value.to_string()),
            None => Default::default(),
        };
        csv.write_record([
            &series.number.to_string(),
            &series.key,
            &series.target,
            &text::labels(&series.labels),
            series.data_type.as_str(),
            series.unit.as_deref().unwrap_or_default(),
            &points.to_string(),
            &value,
            &time,
        ])?;
    }
    Ok(csv.flush()?)
}
