//! JSON scalars, read from their own digits: serde_json turns an integer above `u64::MAX` into a float, and its
//! floats may be off by one in the last place.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Fault;
use crate::datapoint::{Flaw, Label, LabelKind, Value, trim};

/// A JSON value as it stands in the line: its syntax is right, and nothing else is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a>(&'a str);

/// A number or text.
pub(super) enum Scalar<'a> {
    /// The digits, as they stand in the line.
    Number(&'a str),
    /// Text without quotes and escapes.
    Text(Cow<'a, str>),
}

impl<'a> From<&'a RawValue> for Raw<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

impl<'a> Raw<'a> {
    pub(super) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(super) fn scalar(self) -> Result<Scalar<'a>, Fault> {
        match self.0.as_bytes().first() {
            Some(b'"') => self.unquoted().map(Scalar::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Scalar::Number(self.0)),
            Some(b't' | b'f') => Err(Flaw::NotScalar("a boolean").into()),
            Some(b'[') => Err(Flaw::NotScalar("a list").into()),
            Some(b'{') => Err(Flaw::NotScalar("an object").into()),
            _ => Err(Flaw::NotScalar("null").into()),
        }
    }

    /// What must be text.
    pub(super) fn text(self) -> Result<Cow<'a, str>, Fault> {
        match self.scalar() {
            Ok(Scalar::Text(text)) => Ok(text),
            Ok(Scalar::Number(_)) => Err(Fault::NotText("a number")),
            Err(Fault::Flaw(Flaw::NotScalar(what))) => Err(Fault::NotText(what)),
            Err(fault) => Err(fault),
        }
    }

    /// Text, or a number as Python writes it.
    pub(super) fn text_or_number(self) -> Result<Cow<'a, str>, Fault> {
        Ok(match self.scalar()? {
            Scalar::Text(text) => text,
            Scalar::Number(digits) => number_text(digits)?,
        })
    }

    pub(super) fn value(self) -> Result<Value<'a>, Fault> {
        Ok(match self.scalar()? {
            Scalar::Text(text) => Value::Text(text),
            Scalar::Number(digits) => number(digits)?,
        })
    }

    /// Milliseconds, truncated towards zero.
    pub(super) fn milliseconds(self) -> Result<i64, Fault> {
        // Text that is a number counts as one, as it does for the official library.
        let digits = match self.scalar()? {
            Scalar::Number(digits) => Cow::Borrowed(digits),
            Scalar::Text(text) => text,
        };
        let digits = trim(&digits);
        let beyond = || Fault::NotMilliseconds(shortened(digits));
        match number(digits) {
            Ok(Value::Int(int)) => Ok(int),
            Ok(Value::Float(float)) => {
                let whole = float.get().trunc();
                // Every float in between is an `i64`; the upper bound is the first one that is none.
                #[expect(clippy::cast_possible_truncation, reason = "checked against the range")]
                let milliseconds =
                    (-TWO_POW_63..TWO_POW_63).contains(&whole).then_some(whole as i64);
                milliseconds.ok_or_else(beyond)
            }
            _ => Err(beyond()),
        }
    }

    fn unquoted(self) -> Result<Cow<'a, str>, Fault> {
        let inner = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match inner {
            Some(inner) if memchr::memchr(b'\\', inner.as_bytes()).is_none() => {
                Ok(Cow::Borrowed(inner))
            }
            // Half of a surrogate pair is well-formed JSON, and no text.
            _ => Ok(Cow::Owned(serde_json::from_str(self.0)?)),
        }
    }
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

/// A label; what is wrong with it is wrong with it alone.
pub(super) fn label<'a>(
    name: Cow<'a, str>,
    value: Raw<'a>,
    kind: LabelKind,
) -> Result<Label<'a>, Fault> {
    fn make<'t>(name: &'t str, value: &'t str, kind: LabelKind) -> Result<Label<'t>, Flaw> {
        match kind {
            LabelKind::Identity => Label::new(name, value),
            LabelKind::Info => Label::info(name, value),
        }
    }
    match (name, value.text_or_number()?) {
        (Cow::Borrowed(name), Cow::Borrowed(value)) => Ok(make(name, value, kind)?),
        (name, value) => Ok(make(&name, &value, kind)?.into_owned()),
    }
}

fn is_integer(digits: &str) -> bool {
    !digits.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

fn number(digits: &str) -> Result<Value<'static>, Flaw> {
    if is_integer(digits) {
        if let Ok(int) = digits.parse() {
            return Ok(Value::Int(int));
        }
        return digits.parse().map(Value::Uint).map_err(|_| Flaw::TooLarge(shortened(digits)));
    }
    match digits.parse::<f64>() {
        Ok(float) if float.is_finite() => Value::float(float),
        _ => Err(Flaw::NotFinite(shortened(digits))),
    }
}

/// A number as Python writes it. An integer may be of any length there, and `-0` is 0.
fn number_text(digits: &str) -> Result<Cow<'_, str>, Flaw> {
    if is_integer(digits) {
        return Ok(Cow::Borrowed(if digits == "-0" { "0" } else { digits }));
    }
    Ok(Cow::Owned(number(digits)?.to_string()))
}

/// A number may be a line long.
fn shortened(digits: &str) -> String {
    match digits.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &digits[..end]),
        None => digits.to_owned(),
    }
}
