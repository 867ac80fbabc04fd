//! Plain text: one value, or lines in which a pattern finds several.

use std::borrow::Cow;

use regex_lite::{Captures, Regex};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;
use super::element::{Element, Found, NotFound};
use super::pick::Pick;
use crate::datapoint;

/// A regular expression with at least one group.
#[derive(Debug, Clone)]
pub(super) struct Pattern(Regex);

/// The text of an answer.
pub(super) fn parse(body: &[u8]) -> Result<&str, Error> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    std::str::from_utf8(body).map_err(Error::NotText)
}

impl Element for str {
    fn find<'a>(&'a self, _: &'a Pick) -> Result<Found<'a>, NotFound> {
        match datapoint::trim(self) {
            "" => Err(NotFound::Missing("value".into())),
            text => Ok(Found::Text(text)),
        }
    }
}

impl Pattern {
    pub(super) fn matches<'t>(&self, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
        self.0.captures_iter(text)
    }

    pub(super) fn has_group(&self, name: &str) -> bool {
        self.0.capture_names().flatten().any(|group| group == name)
    }
}

impl Element for Captures<'_> {
    /// What the group of that name matched; nothing picks the whole match.
    fn find<'a>(&'a self, pick: &'a Pick) -> Result<Found<'a>, NotFound> {
        let group = if pick.is_whole() { self.get(0) } else { self.name(pick.as_str()) };
        group.map(|group| Found::Text(group.as_str())).ok_or_else(|| NotFound::missing(pick))
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let flawed = |flaw| D::Error::custom(format!("`{text}` is no regular expression: {flaw}"));
        Regex::new(&text).map(Self).map_err(flawed)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A regular expression with named groups such as `(?<name>\\d+)`.",
            "type": "string"
        })
    }
}
