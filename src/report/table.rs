//! Reports and datapoints as tables for people.

use std::time::Duration;

use collectors::datapoint::{LabelKind, Value};
use comfy_table::presets;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::Report;
use crate::payload::View;

/// A table in the house's style: no frame, a line for each row, however long.
pub fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|title| Cell::new(title.to_uppercase())));
    table
}

/// A number aligned to the right.
pub fn number(text: impl ToString) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// Job, status, points, duration, note.
pub fn of_report(report: &Report) -> String {
    let mut table = plain(&["job", "status", "points", "duration", "note"]);
    for job in &report.jobs {
        table.add_row(vec![
            Cell::new(&job.job),
            Cell::new(job.result.as_str()),
            number(job.datapoints),
            number(short(job.duration)),
            Cell::new(job.note.as_deref().unwrap_or_default()),
        ]);
    }
    trimmed(&table)
}

/// One line on delivery: what each output has, and what waits.
pub fn delivery_line(report: &Report) -> String {
    let outputs: Vec<String> = report
        .outputs
        .iter()
        .map(|output| {
            let mut parts = vec![format!("{} accepted", output.accepted)];
            for (count, what) in [
                (output.waiting, "waiting"),
                (output.quarantined, "in quarantine"),
                (output.refused, "refused"),
                (output.duplicates, "duplicate"),
                (output.superseded, "left out"),
                (output.lost, "lost"),
            ] {
                if count > 0 {
                    parts.push(format!("{count} {what}"));
                }
            }
            format!("{}: {}", output.output, parts.join(", "))
        })
        .collect();
    format!(
        "{} datapoints in {} · {}",
        report.datapoints(),
        short(report.duration),
        if outputs.is_empty() { "no output".to_owned() } else { outputs.join(" · ") }
    )
}

/// Key, value, unit, labels, target.
pub fn of_datapoints<'a>(datapoints: impl Iterator<Item = View<'a>>) -> String {
    let mut table = plain(&["key", "value", "unit", "labels", "target"]);
    for view in datapoints {
        let labels: Vec<String> = view
            .labels(LabelKind::Identity)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        table.add_row(vec![
            Cell::new(view.key()),
            number(readable(&view.value())),
            Cell::new(view.unit().unwrap_or_default()),
            Cell::new(labels.join(" ")),
            Cell::new(view.target()),
        ]);
    }
    trimmed(&table)
}

/// A value to read: floats with what matters of them.
pub fn readable(value: &Value<'_>) -> String {
    match value {
        Value::Float(float) => {
            let number = float.get();
            let magnitude = number.abs();
            if magnitude != 0.0 && !(1e-3..1e15).contains(&magnitude) {
                return format!("{number:.3e}");
            }
            let text = format!("{number:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        other => other.to_string(),
    }
}

/// A duration with three digits: `1.2 ms`, `3.45 s`.
pub fn short(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

/// A moment in milliseconds since 1970, to the second.
pub fn moment(timestamp_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(timestamp_ms)
        .map_or_else(|_| timestamp_ms.to_string(), |time| format!("{time:.0}"))
}

/// A number of things: `1 job`, `2 jobs`.
pub fn count(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// Without the blanks that pad the last column.
pub fn trimmed(table: &Table) -> String {
    let lines = table.to_string();
    lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}
