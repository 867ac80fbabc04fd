//! Times, labels and texts as they are printed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use collectors::datapoint::Value;

use crate::report::table;

/// RFC 3339 in UTC with milliseconds; a time beyond the calendar as its number.
pub(super) fn time(timestamp_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(timestamp_ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => timestamp_ms.to_string(),
    }
}

/// How long ago, with two digits at least: `42 s`, `17 min`, `5.2 h`, `6.1 d`.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs_f64();
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6_000.0 => format!("{:.0} min", s / 60.0),
        s if s < 100.0 * 3_600.0 => format!("{:.1} h", s / 3_600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

/// `name=value` for each, with blanks between them.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

/// A value for people: numbers with what matters of them, text in one line.
pub(super) fn readable(value: &Value<'_>) -> String {
    visible(&table::readable(value)).into_owned()
}

/// Text without what could move a terminal's cursor or colour it: it comes from elsewhere.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().flat_map(|c| {
        let (shown, escape) =
            if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
        shown.into_iter().chain(escape.into_iter().flatten())
    });
    Cow::Owned(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds_and_every_number_has_a_form() {
        assert_eq!(time(1_700_000_000_456), "2023-11-14T22:13:20.456Z");
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(i64::MAX), "9223372036854775807");
    }

    #[test]
    fn ages_are_short() {
        let ages = [0, 99, 100, 5_999, 6_000, 359_999, 7 * 86_400];
        let shown = ages.map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0 s", "99 s", "2 min", "100 min", "1.7 h", "100.0 h", "7.0 d"]);
    }

    #[test]
    fn control_characters_are_shown() {
        assert_eq!(visible("µ plain"), "µ plain");
        assert_eq!(visible("a\u{1b}[31m\nb\u{9b}\0"), "a\\u{1b}[31m\\nb\\u{9b}\\u{0}");
    }
}
