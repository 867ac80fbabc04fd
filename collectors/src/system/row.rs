//! Lines of white-space separated fields, which is what most of `/proc` is.
//!
//! The `procfs` crate was tried and does not fit: it panics on some damaged input, calls other damage a bug of
//! its own, keeps loads as `f32` (0.08 comes out as 0.07999999821186066), and drops CPU numbers and interrupts.

use std::str::SplitWhitespace;

/// What is wrong with the content of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// A line that always is there, is not.
    #[error("no line `{0}`")]
    Missing(&'static str),
    /// A field of the wrong form.
    #[error("line {line}: `{found}` where {expected} was expected")]
    Unexpected {
        /// Counted from 1.
        line: usize,
        /// The field, shortened and without control characters.
        found: String,
        /// What the field should have been.
        expected: &'static str,
    },
    /// A line that is too short.
    #[error("line {line} ends where {expected} was expected")]
    Short {
        /// Counted from 1.
        line: usize,
        /// What the next field should have been.
        expected: &'static str,
    },
}

/// How much of a bad field an error repeats.
const EXCERPT_CHARS: usize = 40;

/// The fields of one line, taken from left to right.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    line: usize,
    fields: SplitWhitespace<'a>,
}

impl<'a> Row<'a> {
    /// The fields of `text`, which is line `line` of its file, counted from 1.
    pub(super) fn new(line: usize, text: &'a str) -> Self {
        Self { line, fields: text.split_whitespace() }
    }

    /// The next field, if there is one.
    pub(super) fn next_text(&mut self) -> Option<&'a str> {
        self.fields.next()
    }

    /// The next field.
    pub(super) fn text(&mut self, expected: &'static str) -> Result<&'a str, Malformed> {
        self.fields.next().ok_or(Malformed::Short { line: self.line, expected })
    }

    /// The next field as an unsigned integer.
    pub(super) fn number(&mut self, expected: &'static str) -> Result<u64, Malformed> {
        let text = self.text(expected)?;
        text.parse().map_err(|_| self.unexpected(text, expected))
    }

    /// The next field as a decimal number that is finite and not negative.
    pub(super) fn decimal(&mut self, expected: &'static str) -> Result<f64, Malformed> {
        let text = self.text(expected)?;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            _ => Err(self.unexpected(text, expected)),
        }
    }

    /// The error for a field of this line.
    pub(super) fn unexpected(&self, found: &str, expected: &'static str) -> Malformed {
        let found = found.chars().take(EXCERPT_CHARS).flat_map(char::escape_debug).collect();
        Malformed::Unexpected { line: self.line, found, expected }
    }
}

/// The rows of `text` that are not blank.
///
/// # Errors
/// [`Malformed::Empty`] when there are none.
pub(super) fn rows(text: &str) -> Result<impl Iterator<Item = (&str, Row<'_>)>, Malformed> {
    if text.trim().is_empty() {
        return Err(Malformed::Empty);
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok(lines.map(|(index, line)| (line, Row::new(index + 1, line))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_line_and_what_was_expected_there() {
        let mut row = Row::new(3, "sda -1 18446744073709551616 \u{7}x");
        assert_eq!(row.text("a device"), Ok("sda"));
        let told = |error: Malformed| error.to_string();
        assert_eq!(
            row.number("reads").map_err(told),
            Err("line 3: `-1` where reads was expected".to_owned())
        );
        assert!(row.number("reads").is_err(), "above 64 bits");
        assert_eq!(
            row.decimal("a load").map_err(told),
            Err("line 3: `\\u{7}x` where a load was expected".to_owned())
        );
        assert_eq!(
            row.number("writes").map_err(told),
            Err("line 3 ends where writes was expected".to_owned())
        );
    }

    #[test]
    fn nan_and_infinities_are_no_decimals() {
        for text in ["NaN", "inf", "-0.5", "1e999", "0x1"] {
            assert!(Row::new(1, text).decimal("a load").is_err(), "{text}");
        }
    }
}
