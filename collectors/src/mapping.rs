//! From an answer to datapoints: what a job's `mapping` says about JSON, CSV, a plain text, or lines of text.
//!
//! An answer is taken apart into elements (of a list, rows, matches), and each element gives one datapoint per
//! entry of `values`. What an element lacks refuses that one datapoint by name; the others go on. Without its target,
//! its time or a label that tells it apart, an element gives no datapoint: it would be told of another series.

mod conflicts;
mod csv;
mod element;
mod json;
mod label;
mod pick;
mod short;
mod text;
mod time;
mod value;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::datapoint::{Datapoint, Label, LabelKind};
use crate::sink::{Sealed, Sink};

use element::Element;
pub(crate) use json::{Json, kind, parse as parse_json};
use label::LabelRule;
pub(crate) use pick::Pick;
use text::Pattern;
use time::TimeRule;
use value::ValueRule;

/// The key of a plain value that is given no other.
const PLAIN_KEY: &str = "value";

/// What an answer is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    /// One JSON document; values are picked by JSON Pointer (`/a/0/b`) or JSONPath (`$.a[0].b`).
    #[default]
    Json,
    /// Comma-separated values with a header row; each row gives datapoints, values are picked by column name.
    Csv,
    /// One number or text.
    Value,
    /// Text in which each match of `pattern` gives datapoints; values are picked by the names of its groups.
    Regex,
}

/// How an answer becomes datapoints.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Mapping {
    /// JSON: where the list is whose elements each give datapoints, as a JSON Pointer or a JSONPath; a JSONPath
    /// may also pick the elements themselves. Without it the whole document is the one element.
    each: Option<Pick>,
    /// Where an element has its target; without it the job's target is used.
    target: Option<Pick>,
    /// Labels, in the order in which they are sent: a name and where its value is, or `{text: …}`. Without a label
    /// that is not `optional` an element's datapoints are refused.
    labels: IndexMap<String, LabelRule>,
    /// Descriptive labels, which are no part of a series' identity.
    info: IndexMap<String, LabelRule>,
    /// Where an element has its time; without it the run's clock is used.
    timestamp: Option<TimeRule>,
    /// The datapoints: a key, and where its value is. With `format: value` they may be left out: the key is
    /// then `value`.
    values: IndexMap<String, ValueRule>,
    /// CSV: what stands between two cells.
    delimiter: csv::Delimiter,
    /// Regular expressions: a pattern with named groups such as `(?<temperature>\d+)`; `(?m)` lets `^` and `$`
    /// match at each line.
    pattern: Option<Pattern>,
}

/// Why an answer gave no datapoints at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Not JSON, cut off, or nested too deeply.
    #[error("the answer is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// `each` found something else than a list.
    #[error("`each: {each}`: expected a list, found {found}")]
    NotAList {
        /// The pointer or path.
        each: String,
        /// What is there.
        found: &'static str,
    },
    /// Text was expected.
    #[error("the answer is not text in UTF-8")]
    NotText(#[source] std::str::Utf8Error),
    /// A header row that cannot be read.
    #[error("the answer is not CSV")]
    NotCsv(#[source] ::csv::Error),
    /// The job's time is over.
    #[error(transparent)]
    Sealed(#[from] Sealed),
}

impl Error {
    /// The job's error: what was read as `target` has this flaw.
    pub(crate) fn at(self, target: impl Into<String>) -> crate::Error {
        match self {
            Self::Sealed(sealed) => sealed.into(),
            flaw => crate::Error::at(target, flaw),
        }
    }
}

impl Mapping {
    /// Whether nothing is asked of the answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Pushes the datapoints that `body` holds.
    ///
    /// # Errors
    /// [`Error`] when the answer is not of this format, or the job's time is over.
    pub(crate) fn apply(&self, format: Format, body: &[u8], sink: &Sink) -> Result<(), Error> {
        match format {
            Format::Json => self.apply_json(&json::parse(body)?, sink),
            Format::Csv => csv::rows(
                body,
                self.delimiter,
                |row, line| self.push(row, Some(("line", line)), sink),
                sink,
            ),
            Format::Value => Ok(self.push_plain(text::parse(body)?, sink)?),
            Format::Regex => self.push_matches(text::parse(body)?, sink),
        }
    }

    /// Pushes the datapoints of a document that was parsed before.
    ///
    /// # Errors
    /// As [`Mapping::apply`].
    pub(crate) fn apply_json(&self, document: &Json, sink: &Sink) -> Result<(), Error> {
        let Some(each) = &self.each else { return Ok(self.push(document, None, sink)?) };
        for (number, element) in json::elements(document, each)?.into_iter().enumerate() {
            self.push(element, Some(("element", number as u64)), sink)?;
        }
        Ok(())
    }

    fn push_plain(&self, text: &str, sink: &Sink) -> Result<(), Sealed> {
        if self.values.is_empty() {
            return self.push_values([(PLAIN_KEY, &ValueRule::default())], text, None, sink);
        }
        self.push(text, None, sink)
    }

    fn push_matches(&self, text: &str, sink: &Sink) -> Result<(), Error> {
        let Some(pattern) = &self.pattern else { return Ok(()) };
        let mut number = 0;
        for found in pattern.matches(text) {
            self.push(&found, Some(("match", number)), sink)?;
            number += 1;
        }
        if number == 0 {
            for (key, rule) in &self.values {
                if !rule.optional {
                    sink.refuse(key, "the pattern matches nowhere")?;
                }
            }
        }
        Ok(())
    }

    fn push<E: Element + ?Sized>(
        &self,
        element: &E,
        place: Option<Place>,
        sink: &Sink,
    ) -> Result<(), Sealed> {
        let values = self.values.iter().map(|(key, rule)| (key.as_str(), rule));
        self.push_values(values, element, place, sink)
    }

    fn push_values<'a, E: Element + ?Sized>(
        &self,
        values: impl IntoIterator<Item = (&'a str, &'a ValueRule)>,
        element: &E,
        place: Option<Place>,
        sink: &Sink,
    ) -> Result<(), Sealed> {
        let refuse = |key: &str, reason: String| match place {
            Some((what, number)) => sink.refuse(key, format!("{reason} ({what} {number})")),
            None => sink.refuse(key, reason),
        };
        let mut origin = self.origin(element);
        if let Ok(origin) = &mut origin {
            self.describe(element, &mut origin.labels, sink)?;
        }
        for (key, rule) in values {
            let value = match rule.read(element) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(reason) => {
                    refuse(key, reason)?;
                    continue;
                }
            };
            let origin = match &origin {
                Ok(origin) => origin,
                Err(reason) => {
                    refuse(key, reason.clone())?;
                    continue;
                }
            };
            let data_type = rule.data_type.unwrap_or(value.natural_type());
            match Datapoint::new(key, value, data_type) {
                Ok(datapoint) => sink.push(&Datapoint {
                    target: origin.target.as_deref(),
                    labels: &origin.labels,
                    unit: rule.unit.as_deref(),
                    timestamp_ms: origin.timestamp_ms,
                    ..datapoint
                })?,
                Err(flaw) => refuse(key, flaw.to_string())?,
            }
        }
        Ok(())
    }

    /// What tells an element apart. Without it its datapoints would be told of another thing or another time.
    fn origin<E: Element + ?Sized>(&self, element: &E) -> Result<Origin, String> {
        let target = match &self.target {
            None => None,
            Some(pick) => {
                let target = label::text_of(element, pick).map_err(|e| format!("target: {e}"))?;
                if target.trim().is_empty() {
                    return Err(format!("target: `{}` is empty", pick.as_str()));
                }
                Some(target)
            }
        };
        let timestamp_ms = match &self.timestamp {
            None => None,
            Some(rule) => rule.read(element).map_err(|e| format!("timestamp: {e}"))?,
        };
        let mut labels = Vec::with_capacity(self.labels.len() + self.info.len());
        for (name, rule) in &self.labels {
            let label = rule.read(name, LabelKind::Identity, element);
            labels.extend(label.map_err(|reason| format!("label `{name}`: {reason}"))?);
        }
        Ok(Origin { target, timestamp_ms, labels })
    }

    /// Adds what only describes the element, which may be left off.
    fn describe<E: Element + ?Sized>(
        &self,
        element: &E,
        labels: &mut Vec<Label<'static>>,
        sink: &Sink,
    ) -> Result<(), Sealed> {
        for (name, rule) in &self.info {
            match rule.read(name, LabelKind::Info, element) {
                Ok(label) => labels.extend(label),
                Err(reason) => sink.drop_label(name, reason)?,
            }
        }
        Ok(())
    }
}

/// The member that `pick` picks, if there is exactly one.
pub(crate) fn find_json<'a>(document: &'a Json, pick: &Pick) -> Option<&'a Json> {
    json::find(document, pick).ok()
}

/// Which element of its kind it is, for whoever looks for it: `("line", 7)`.
type Place = (&'static str, u64);

/// What tells an element apart, where it brings it.
struct Origin {
    target: Option<String>,
    timestamp_ms: Option<i64>,
    labels: Vec<Label<'static>>,
}

impl Format {
    /// The word used in YAML.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Value => "value",
            Self::Regex => "regex",
        }
    }
}

#[cfg(test)]
mod tests;
