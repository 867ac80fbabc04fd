//! The datapoint: key, value, data type, target, labels, timestamp.
//!
//! Parse, don't validate: a [`Key`] is never empty and always lower case, a [`Value`] is never NaN or
//! infinite. What cannot be made is refused with a [`Flaw`] that says why, so that the caller can count
//! and name it.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a datapoint, or a part of it, could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A key or a label's name that is empty once surrounding white space is gone.
    #[error("the name is empty")]
    EmptyName,
    /// NaN or an infinity: no output has a place for it.
    #[error("the value is {0}, not a finite number")]
    NotFinite(String),
    /// An integer that 64 bits do not hold.
    #[error("the integer {0} does not fit into 64 bits")]
    TooLarge(String),
    /// Text where the data type asks for a number.
    #[error("the value {0:?} is not a number")]
    NotNumeric(String),
    /// A boolean, null, list or object where a number or text belongs.
    #[error("the value is {0}, and a number or text was expected")]
    NotScalar(&'static str),
}

/// What a value means to those who store it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    /// A signed quantity without a fraction.
    Int,
    /// A quantity with a fraction.
    Float,
    /// A count that only grows, and starts again at 2³².
    Counter,
    /// A count that only grows, in 64 bits.
    Counter64,
    /// Text.
    String,
}

impl DataType {
    /// Whether the value only grows.
    pub fn is_counter(self) -> bool {
        matches!(self, Self::Counter | Self::Counter64)
    }

    /// The word used in YAML, JSON Lines and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Counter => "counter",
            Self::Counter64 => "counter64",
            Self::String => "string",
        }
    }
}

/// The name of what was measured: trimmed, lower case, not empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key<'a>(Cow<'a, str>);

impl<'a> Key<'a> {
    /// Normalises `name`.
    ///
    /// # Errors
    /// [`Flaw::EmptyName`] when nothing is left after trimming.
    pub fn new(name: &'a str) -> Result<Self, Flaw> {
        normalise_name(name).map(Self)
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A finite number or text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A signed integer.
    Int(i64),
    /// An integer above `i64::MAX`; smaller ones are [`Value::Int`], so that equal values are equal.
    Uint(u64),
    /// A finite float.
    Float(Finite),
    /// Text, as it was given.
    Text(Cow<'a, str>),
}

/// A float that is neither NaN nor infinite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Finite(f64);

impl Finite {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl<'a> Value<'a> {
    /// A float.
    ///
    /// # Errors
    /// [`Flaw::NotFinite`] for NaN and the infinities.
    pub fn float(number: f64) -> Result<Self, Flaw> {
        if number.is_finite() {
            Ok(Self::Float(Finite(number)))
        } else {
            Err(Flaw::NotFinite(number.to_string()))
        }
    }

    /// A JSON scalar, as it stands.
    ///
    /// # Errors
    /// [`Flaw`] when it is no number or text, or a number that cannot be held.
    pub fn from_json(json: &'a serde_json::Value) -> Result<Self, Flaw> {
        match json {
            serde_json::Value::Number(number) => {
                if let Some(int) = number.as_i64() {
                    Ok(Self::Int(int))
                } else if let Some(uint) = number.as_u64() {
                    Ok(Self::Uint(uint))
                } else {
                    Self::float(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            serde_json::Value::String(text) => Ok(Self::Text(Cow::Borrowed(text))),
            serde_json::Value::Bool(_) => Err(Flaw::NotScalar("a boolean")),
            serde_json::Value::Null => Err(Flaw::NotScalar("null")),
            serde_json::Value::Array(_) => Err(Flaw::NotScalar("a list")),
            serde_json::Value::Object(_) => Err(Flaw::NotScalar("an object")),
        }
    }

    /// The data type that the value's own form suggests.
    pub fn natural_type(&self) -> DataType {
        match self {
            Self::Int(_) => DataType::Int,
            Self::Uint(_) => DataType::Counter64,
            Self::Float(_) => DataType::Float,
            Self::Text(_) => DataType::String,
        }
    }

    /// The value as `data_type` wants it: numeric text is parsed (and truncated for an int), a number
    /// declared text becomes text, and numbers are not converted between integer and float.
    ///
    /// This is what the official pattoo library does (`DataPoint` of PattooShared 0.0.120).
    ///
    /// # Errors
    /// [`Flaw`] when text is not a finite number.
    pub fn typed(self, data_type: DataType) -> Result<Self, Flaw> {
        match (self, data_type) {
            (Self::Text(text), DataType::String) => Ok(Self::Text(text)),
            (Self::Text(text), DataType::Int) => {
                let number = parse_number(&text)?;
                let whole = number.trunc();
                // Every float in between is an `i64`; the upper bound is the first one that is none.
                #[expect(clippy::cast_possible_truncation, reason = "checked against the range")]
                if (-TWO_POW_63..TWO_POW_63).contains(&whole) {
                    Ok(Self::Int(whole as i64))
                } else {
                    Err(Flaw::TooLarge(text.into_owned()))
                }
            }
            (Self::Text(text), _) => Self::float(parse_number(&text)?),
            (number, DataType::String) => Ok(Self::Text(Cow::Owned(number.to_string()))),
            (number, _) => Ok(number),
        }
    }
}

/// As Python writes it, which is what pattoo's identity of a series is made of.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(int) => write!(f, "{int}"),
            Self::Uint(uint) => write!(f, "{uint}"),
            Self::Float(float) => f.write_str(&python_float(float.get())),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The shortest text that reads back as the same float, in Python's form: `732.0`, `0.1`, `1e+21`, `1e-07`.
///
/// Where two texts are equally short and equally near, Python takes the one that ends in an even digit. So does
/// `zmij`, and the standard library does not: it writes 80399220247682.625 with `.63` at the end.
pub fn python_float(number: f64) -> String {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format(number);
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) || !number.is_finite() {
        return text.to_owned();
    }
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |text| ("-", text));
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (exponent_sign, exponent) =
                exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            let exponent = exponent.trim_start_matches('+');
            format!("{sign}{digits}e{exponent_sign}{exponent:0>2}")
        }
        // Just below 1e-4, where Python begins with exponents and `zmij` does not yet.
        None => {
            let digits = text.trim_start_matches(['0', '.']);
            let exponent = text.len() - digits.len() - 1;
            let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
            let point = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{point}{rest}e-{exponent:0>2}")
        }
    }
}

const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;

fn parse_number(text: &str) -> Result<f64, Flaw> {
    let trimmed = trim(text);
    let number = trimmed.parse::<f64>().map_err(|_| Flaw::NotNumeric(text.to_owned()))?;
    if number.is_finite() { Ok(number) } else { Err(Flaw::NotFinite(trimmed.to_owned())) }
}

/// One part of a series' identity, or a description of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    kind: LabelKind,
}

/// Whether a label makes a series what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LabelKind {
    /// Part of the series' identity.
    Identity,
    /// Descriptive (a kernel version, an interface alias): a change starts no new series.
    Info,
}

impl<'a> Label<'a> {
    /// Part of the series' identity. The name is lowered and trimmed, the value trimmed.
    ///
    /// # Errors
    /// [`Flaw::EmptyName`] when the name is empty.
    pub fn new(name: &'a str, value: &'a str) -> Result<Self, Flaw> {
        Ok(Self {
            name: normalise_name(name)?,
            value: Cow::Borrowed(trim(value)),
            kind: LabelKind::Identity,
        })
    }

    /// Descriptive.
    ///
    /// # Errors
    /// [`Flaw::EmptyName`] when the name is empty.
    pub fn info(name: &'a str, value: &'a str) -> Result<Self, Flaw> {
        Ok(Self { kind: LabelKind::Info, ..Self::new(name, value)? })
    }

    /// From a JSON scalar; numbers become text as Python writes them.
    ///
    /// # Errors
    /// [`Flaw`] for an empty name, and for booleans, null, lists and objects.
    pub fn from_json(
        name: &'a str,
        value: &'a serde_json::Value,
        kind: LabelKind,
    ) -> Result<Self, Flaw> {
        let value = match Value::from_json(value)? {
            Value::Text(Cow::Borrowed(text)) => Cow::Borrowed(trim(text)),
            other => Cow::Owned(other.to_string()),
        };
        Ok(Self { name: normalise_name(name)?, value, kind })
    }

    /// The same, with text of its own.
    pub fn into_owned(self) -> Label<'static> {
        Label {
            name: Cow::Owned(self.name.into_owned()),
            value: Cow::Owned(self.value.into_owned()),
            kind: self.kind,
        }
    }

    /// The normalised name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The trimmed value; may be empty.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Identity or info.
    pub fn kind(&self) -> LabelKind {
        self.kind
    }
}

/// One measured value, as a collector hands it over.
#[derive(Debug, Clone)]
pub struct Datapoint<'a> {
    /// What was measured.
    pub key: Key<'a>,
    /// The measurement.
    pub value: Value<'a>,
    /// What the value means.
    pub data_type: DataType,
    /// What was polled; `None`: the job's target.
    pub target: Option<&'a str>,
    /// Identity and info, in the order in which outputs send them.
    pub labels: &'a [Label<'a>],
    /// The unit, for outputs that carry one (UCUM or plain words: `bytes`, `seconds`, `percent`).
    pub unit: Option<&'a str>,
    /// Milliseconds since 1970; `None`: the run's clock.
    pub timestamp_ms: Option<i64>,
}

impl<'a> Datapoint<'a> {
    /// A value of type `data_type` with neither labels nor a target of its own.
    ///
    /// # Errors
    /// [`Flaw`] when the key is empty or the value is not what the type asks for.
    pub fn new(key: &'a str, value: Value<'a>, data_type: DataType) -> Result<Self, Flaw> {
        Ok(Self {
            key: Key::new(key)?,
            value: value.typed(data_type)?,
            data_type,
            target: None,
            labels: &[],
            unit: None,
            timestamp_ms: None,
        })
    }

    /// The same with these labels.
    #[must_use]
    pub fn labels(self, labels: &'a [Label<'a>]) -> Self {
        Self { labels, ..self }
    }

    /// The same with this unit.
    #[must_use]
    pub fn unit(self, unit: &'a str) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// The same with this target.
    #[must_use]
    pub fn target(self, target: &'a str) -> Self {
        Self { target: Some(target), ..self }
    }
}

fn normalise_name(name: &str) -> Result<Cow<'_, str>, Flaw> {
    let trimmed = trim(name);
    if trimmed.is_empty() {
        return Err(Flaw::EmptyName);
    }
    let is_lower = trimmed.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lower {
        return Ok(Cow::Borrowed(trimmed));
    }
    Ok(Cow::Owned(trimmed.to_lowercase()))
}

/// Without surrounding white space as Python's `str.strip` sees it: Unicode's, and the four ASCII separators.
pub fn trim(text: &str) -> &str {
    // Nearly every text begins and ends with a letter or digit, and this is called for each one.
    if let [first, .., last] = text.as_bytes()
        && first.is_ascii_graphic()
        && last.is_ascii_graphic()
    {
        return text;
    }
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_lowered_and_trimmed() {
        assert_eq!(
            Key::new(" CPU_Load\u{1f}").map(|k| k.as_str().to_owned()),
            Ok("cpu_load".into())
        );
        assert_eq!(Key::new("ΣΣ").map(|k| k.as_str().to_owned()), Ok("σς".into()));
        assert_eq!(Key::new(" \t"), Err(Flaw::EmptyName));
    }

    #[test]
    fn numeric_text_is_parsed_and_truncated_for_an_int() {
        let typed = |text: &'static str, data_type| Value::Text(text.into()).typed(data_type);
        assert_eq!(typed(" 12.9 ", DataType::Int), Ok(Value::Int(12)));
        assert_eq!(typed("1e3", DataType::Float), Value::float(1000.0));
        assert_eq!(typed(".5", DataType::Counter64), Value::float(0.5));
        assert_eq!(typed("nan", DataType::Float), Err(Flaw::NotFinite("nan".into())));
        assert_eq!(typed("twelve", DataType::Int), Err(Flaw::NotNumeric("twelve".into())));
        assert!(matches!(typed("1e300", DataType::Int), Err(Flaw::TooLarge(_))));
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (732.0, "732.0"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1e-7, "1e-07"),
            (1e16, "1e+16"),
            (-0.0, "-0.0"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (5e-324, "5e-324"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-9.999e-5, "-9.999e-05"),
            // Exactly between two texts of equal length.
            (80_399_220_247_682.63, "80399220247682.62"),
            (1.0e23, "1e+23"),
        ] {
            assert_eq!(python_float(number), text);
        }
    }
}
