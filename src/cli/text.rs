//! Times, labels and texts as they are printed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use collectors::datapoint::Value;

use crate::report::table;

/// RFC 3339 in UTC with milliseconds; a time beyond the calendar as its number.
pub(super) fn time(timestamp_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(timestamp_ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => timestamp_ms.to_string(),
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
    fn control_characters_are_shown() {
        assert_eq!(visible("µ plain"), "µ plain");
        assert_eq!(visible("a\u{1b}[31m\nb\u{9b}\0"), "a\\u{1b}[31m\\nb\\u{9b}\\u{0}");
    }
}
