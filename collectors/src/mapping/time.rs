//! When an element was measured.

use std::borrow::Cow;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::element::{Element, NotFound};
use super::label::text_of;
use super::pick::Pick;
use super::short::text_or_map;

/// Where an element's time is and how it is written.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "Form")]
pub(super) struct TimeRule {
    pub(super) from: Pick,
    format: TimeFormat,
    optional: bool,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TimeFormat {
    /// `2024-05-01T12:00:00Z`, with `Z` or an offset.
    #[default]
    Rfc3339,
    /// Seconds since 1970, with or without a fraction.
    S,
    /// Milliseconds since 1970.
    Ms,
}

/// A timestamp as a map.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Form {
    /// Where it is.
    from: Pick,
    /// How it is written.
    #[serde(default)]
    format: TimeFormat,
    /// Use the run's clock where it is missing, instead of refusing the element's datapoints.
    #[serde(default)]
    optional: bool,
}

impl TimeRule {
    /// Milliseconds since 1970; `None` when it may be missing and is.
    pub(super) fn read<E: Element + ?Sized>(&self, element: &E) -> Result<Option<i64>, String> {
        if let (true, Err(NotFound::Missing(_))) = (self.optional, element.find(&self.from)) {
            return Ok(None);
        }
        let text = text_of(element, &self.from)?;
        match parse(text.trim(), self.format) {
            Some(time) => Ok(Some(time.as_millisecond())),
            None => Err(format!("`{text}` is no time in the form {}", self.format.name())),
        }
    }
}

fn parse(text: &str, format: TimeFormat) -> Option<Timestamp> {
    match format {
        TimeFormat::Rfc3339 => text.parse().ok(),
        TimeFormat::Ms => Timestamp::from_millisecond(whole(text)?).ok(),
        TimeFormat::S => {
            let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
            match (seconds.parse(), fraction) {
                (Ok(seconds), "") => Timestamp::from_second(seconds).ok(),
                _ => {
                    Timestamp::from_millisecond(whole_of(text.parse::<f64>().ok()? * 1000.0)?).ok()
                }
            }
        }
    }
}

fn whole(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| whole_of(text.parse().ok()?))
}

fn whole_of(number: f64) -> Option<i64> {
    // Far beyond the last timestamp there is, and well within an `i64`.
    let is_sane = number.abs() < 1e17;
    #[expect(clippy::cast_possible_truncation, reason = "checked against the range")]
    is_sane.then(|| number.round() as i64)
}

impl TimeFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Rfc3339 => "`2024-05-01T12:00:00Z`",
            Self::S => "of seconds since 1970",
            Self::Ms => "of milliseconds since 1970",
        }
    }
}

impl From<Form> for TimeRule {
    fn from(Form { from, format, optional }: Form) -> Self {
        Self { from, format, optional }
    }
}

impl From<TimeRule> for Form {
    fn from(TimeRule { from, format, optional }: TimeRule) -> Self {
        Self { from, format, optional }
    }
}

impl<'de> Deserialize<'de> for TimeRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_map(
            deserializer,
            "where the time is, or a map with `from` and `format`",
            |text| {
                let from = Pick::parse(text).map_err(|error| error.to_string())?;
                Ok(Self { from, format: TimeFormat::default(), optional: false })
            },
            |form: Form| Ok(form.into()),
        )
    }
}

impl JsonSchema for TimeRule {
    fn schema_name() -> Cow<'static, str> {
        "TimeRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where the time is (in RFC 3339), or a map that also says how it is written.",
            "anyOf": [generator.subschema_for::<Pick>(), generator.subschema_for::<Form>()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_form() {
        let ms = |text, format| parse(text, format).map(Timestamp::as_millisecond);
        assert_eq!(ms("2024-05-01T12:00:00.5+02:00", TimeFormat::Rfc3339), Some(1_714_557_600_500));
        assert_eq!(ms("1714557600", TimeFormat::S), Some(1_714_557_600_000));
        assert_eq!(ms("1714557600.0", TimeFormat::S), Some(1_714_557_600_000));
        assert_eq!(ms("1714557600.25", TimeFormat::S), Some(1_714_557_600_250));
        assert_eq!(ms("-1.5", TimeFormat::S), Some(-1_500));
        assert_eq!(ms("1714557600123", TimeFormat::Ms), Some(1_714_557_600_123));
        assert_eq!(ms("1.714557600123e+12", TimeFormat::Ms), Some(1_714_557_600_123));
        for text in ["", "soon", "NaN", "1e300", "99999999999999999999", "2024-05-01"] {
            for format in [TimeFormat::Rfc3339, TimeFormat::S, TimeFormat::Ms] {
                assert_eq!(ms(text, format), None, "{text} {format:?}");
            }
        }
    }
}
