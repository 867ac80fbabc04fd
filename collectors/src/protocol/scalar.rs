//! JSON scalars, made of their own digits.

use std::borrow::Cow;

use super::Fault;
use super::cursor::Raw;
use crate::datapoint::{DataType, Flaw, Label, LabelKind, Value};

impl<'a> Raw<'a> {
    /// What must be text.
    pub(super) fn text(self) -> Result<Cow<'a, str>, Fault> {
        match self {
            Self::Plain(text) => Ok(Cow::Borrowed(text)),
            // Half of a surrogate pair is well-formed JSON, and no text.
            Self::Escaped(quoted) => Ok(Cow::Owned(serde_json::from_str(quoted)?)),
            Self::Integer(_) | Self::Fraction(_) => Err(Fault::NotText("a number")),
            Self::Null => Err(Fault::NotText("null")),
            Self::Other(what) => Err(Fault::NotText(what)),
        }
    }

    /// Text, or a number as Python writes it. An integer may be of any length there, and `-0` is 0.
    pub(super) fn text_or_number(self) -> Result<Cow<'a, str>, Fault> {
        match self {
            Self::Plain(_) | Self::Escaped(_) => self.text(),
            Self::Integer("-0") => Ok(Cow::Borrowed("0")),
            Self::Integer(digits) => Ok(Cow::Borrowed(digits)),
            _ => Ok(Cow::Owned(self.value()?.to_string())),
        }
    }

    pub(super) fn value(self) -> Result<Value<'a>, Fault> {
        match self {
            Self::Plain(_) | Self::Escaped(_) => self.text().map(Value::Text),
            Self::Integer(digits) => {
                integer(digits).ok_or_else(|| Flaw::TooLarge(shortened(digits)).into())
            }
            Self::Fraction(digits) => match digits.parse::<f64>() {
                Ok(float) if float.is_finite() => Ok(Value::float(float)?),
                _ => Err(Flaw::NotFinite(shortened(digits)).into()),
            },
            Self::Null => Err(Flaw::NotScalar("null").into()),
            Self::Other(what) => Err(Flaw::NotScalar(what).into()),
        }
    }

    /// Milliseconds, truncated towards zero.
    pub(super) fn milliseconds(self) -> Result<i64, Fault> {
        let digits = match self {
            Self::Integer(digits) | Self::Fraction(digits) => digits,
            // Text that is a number counts as one, as it does for the official library.
            Self::Plain(_) | Self::Escaped(_) => {
                let text = self.text()?;
                return match Value::Text(Cow::Borrowed(&text)).typed(DataType::Int) {
                    Ok(Value::Int(int)) => Ok(int),
                    _ => Err(Fault::NotMilliseconds(shortened(&text))),
                };
            }
            Self::Null => return Err(Fault::NotMilliseconds("null".into())),
            Self::Other(what) => return Err(Fault::NotMilliseconds(what.into())),
        };
        let whole = match self.value() {
            Ok(Value::Int(int)) => return Ok(int),
            Ok(Value::Float(float)) => float.get().trunc(),
            _ => f64::INFINITY,
        };
        // Every float in between is an `i64`; the upper bound is the first one that is none.
        #[expect(clippy::cast_possible_truncation, reason = "checked against the range")]
        if (-TWO_POW_63..TWO_POW_63).contains(&whole) {
            Ok(whole as i64)
        } else {
            Err(Fault::NotMilliseconds(shortened(digits)))
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

fn integer(digits: &str) -> Option<Value<'static>> {
    if let Ok(int) = digits.parse() {
        return Some(Value::Int(int));
    }
    digits.parse().ok().map(Value::Uint)
}

/// A number may be a line long.
fn shortened(digits: &str) -> String {
    match digits.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &digits[..end]),
        None => digits.to_owned(),
    }
}
