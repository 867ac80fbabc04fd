//! Durations in the configuration: `300` (seconds) or `5m`, `1h30m`, `500ms`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, as written in the configuration. Not negative, at most a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

/// Text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no duration: expected seconds such as `300`, or `500ms`, `30s`, `5m`, `1h30m`, `2d`"
)]
pub struct NotAPeriod(String);

const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

impl Period {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// A length of time, cut to a hundred years.
    pub fn of(duration: Duration) -> Self {
        Self(duration.min(LONGEST))
    }

    /// The length of time.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Parses seconds or a duration with units.
    ///
    /// # Errors
    /// [`NotAPeriod`] for anything else, for what is negative and for more than a hundred years.
    pub fn parse(text: &str) -> Result<Self, NotAPeriod> {
        let fail = || NotAPeriod(text.to_owned());
        let trimmed = text.trim();
        if let Ok(seconds) = trimmed.parse::<f64>() {
            return Self::from_seconds(seconds).ok_or_else(fail);
        }
        // jiff's friendly format has no years and months in a signed duration; days are 24 hours.
        let mut rest = trimmed;
        let mut total = Duration::ZERO;
        if let Some((days, after)) = trimmed.split_once('d')
            && let Ok(days) = days.trim().parse::<u32>()
        {
            total = Duration::from_secs(u64::from(days) * 86_400);
            rest = after.trim();
            if rest.is_empty() {
                return Self::bounded(total).ok_or_else(fail);
            }
        }
        let parsed: jiff::SignedDuration = rest.parse().map_err(|_| fail())?;
        let parsed = Duration::try_from(parsed).map_err(|_| fail())?;
        Self::bounded(total + parsed).ok_or_else(fail)
    }

    fn from_seconds(seconds: f64) -> Option<Self> {
        Duration::try_from_secs_f64(seconds).ok().and_then(Self::bounded)
    }

    fn bounded(duration: Duration) -> Option<Self> {
        (duration <= LONGEST).then_some(Self(duration))
    }
}

/// The largest unit that leaves no fraction: `5m`, `90s`, `1500ms`.
impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if milliseconds != 0 && milliseconds.is_multiple_of(length) {
                return write!(f, "{}{unit}", milliseconds / length);
            }
        }
        if milliseconds == 0 { f.write_str("0s") } else { write!(f, "{milliseconds}ms") }
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PeriodVisitor;

        impl Visitor<'_> for PeriodVisitor {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration: seconds such as `300`, or `30s`, `5m`, `1h30m`")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Period, E> {
                Period::bounded(Duration::from_secs(seconds))
                    .ok_or_else(|| E::custom(NotAPeriod(seconds.to_string())))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Period, E> {
                match u64::try_from(seconds) {
                    Ok(seconds) => self.visit_u64(seconds),
                    Err(_) => Err(E::custom(NotAPeriod(seconds.to_string()))),
                }
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Period, E> {
                Period::from_seconds(seconds)
                    .ok_or_else(|| E::custom(NotAPeriod(seconds.to_string())))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                Period::parse(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(PeriodVisitor)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration: seconds, or a text such as `30s`, `5m`, `1h30m`.",
            "type": ["number", "string"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units_are_understood() {
        for (text, milliseconds) in [
            ("300", 300_000),
            ("0.5", 500),
            ("500ms", 500),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1d12h", 129_600_000),
            (" 7s ", 7_000),
        ] {
            assert_eq!(Period::parse(text), Ok(Period::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "-5", "-5s", "5x", "soon", "NaN", "inf", "1e300", "99999999999d"] {
            assert!(Period::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_printed_form_reads_back() {
        for text in ["0s", "250ms", "90s", "5m", "2h", "3d"] {
            assert_eq!(Period::parse(text).map(|p| p.to_string()), Ok(text.to_owned()));
        }
    }
}
