//! The value types among the options of `influxdb`, and what of them cannot go together.

use std::num::NonZeroU32;

use collectors::decode::Problem;
use collectors::period::Period;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::template::{Piece, Template};
use super::InfluxDb;

/// A major version of InfluxDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub(super) enum Version {
    One,
    Two,
    Three,
}

/// Another number.
#[derive(Debug, thiserror::Error)]
#[error("InfluxDB {0} is not known, expected 1, 2 or 3")]
pub(super) struct Unknown(u8);

impl TryFrom<u8> for Version {
    type Error = Unknown;

    fn try_from(number: u8) -> Result<Self, Unknown> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            _ => Err(Unknown(number)),
        }
    }
}

impl From<Version> for u8 {
    fn from(version: Version) -> Self {
        match version {
            Version::One => 1,
            Version::Two => 2,
            Version::Three => 3,
        }
    }
}

impl JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "InfluxDbVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "enum": [1, 2, 3] })
    }
}

/// A database.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Database {
    /// Its name.
    pub(super) name: String,
    /// How long a retention policy keeps datapoints, at least `1h`; `INF` is for ever. Default: no policy is made.
    #[serde(default)]
    pub(super) duration: Option<Kept>,
    /// How many copies a cluster keeps.
    #[serde(default = "once")]
    pub(super) replication: NonZeroU32,
    /// The retention policy's name. Default: `<name>_collector` with `duration`, else the database's default policy.
    #[serde(default)]
    pub(super) policy: Option<String>,
    /// Whether the database and its policy are created and set right where they are not.
    #[serde(default = "yes")]
    pub(super) create: bool,
}

const fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

const fn yes() -> bool {
    true
}

impl Database {
    /// The retention policy that is written to; `None`: the database's default.
    pub(super) fn policy(&self) -> Option<String> {
        let made = || self.duration.map(|_| format!("{}_collector", self.name));
        self.policy.clone().or_else(made)
    }
}

/// How long datapoints are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// `INF`
    ForEver,
    For(Period),
}

const FOR_EVER: &str = "INF";

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::ForEver => serializer.serialize_str(FOR_EVER),
            Self::For(period) => period.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        match value.as_str() {
            Some(text) if text.trim().eq_ignore_ascii_case(FOR_EVER) => Ok(Self::ForEver),
            _ => Period::deserialize(value).map(Self::For).map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for Kept {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Kept".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": FOR_EVER }, generator.subschema_for::<Period>()] })
    }
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Numbers {
    /// Integers as integers, floats as floats.
    #[default]
    Typed,
    /// All as floats; integers above 2^53 are rounded.
    Float,
}

pub(super) fn conflicts(options: &InfluxDb) -> Vec<Problem> {
    let mut problems = options.http.conflicts();
    let mut clash = |path: &[&str], message: String| problems.push(Problem::at(path, message));
    let version = u8::from(options.version);
    let is = |wanted: Version| options.version == wanted;
    let named = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let has_database = options.database.as_ref().is_some_and(|database| !database.name.is_empty());
    if is(Version::Two) && !named(&options.bucket) {
        clash(&["bucket"], "InfluxDB 2 needs a `bucket`".into());
    }
    if !is(Version::Two) && !has_database {
        clash(&["database"], format!("InfluxDB {version} needs `database: {{name: …}}`"));
    }
    let given = [
        ("database", options.database.is_some(), !is(Version::Two)),
        ("org", options.org.is_some(), is(Version::Two)),
        ("bucket", options.bucket.is_some(), is(Version::Two)),
        ("username", options.username.is_some(), is(Version::One)),
        ("password", options.password.is_some(), is(Version::One)),
        ("token", options.token.is_some(), !is(Version::One)),
    ];
    for (name, _, _) in given.iter().filter(|(_, is_given, fits)| *is_given && !fits) {
        clash(&[name], format!("InfluxDB {version} has no `{name}`"));
    }
    if options.password.is_some() && options.username.is_none() {
        clash(&["password"], "`password` needs `username`".into());
    }
    if let Some(option) = options.http.says_who().filter(|_| options.auth().is_some()) {
        clash(&["http", option], "it is already given who asks: leave this out".into());
    }
    if options.url.uri().query().is_some() {
        clash(&["url"], "the URL has a query, which is made of the other options".into());
    }
    if let Some(database) = &options.database {
        if is(Version::Three) && (database.duration.is_some() || database.policy.is_some()) {
            let place = if database.duration.is_some() { "duration" } else { "policy" };
            clash(&["database", place], format!("InfluxDB 3 has no `database.{place}`"));
        }
        if let Some(Kept::For(period)) = database.duration
            && period < Period::from_secs(3600)
        {
            let message = "InfluxDB keeps datapoints for 1h at least";
            clash(&["database", "duration"], message.into());
        }
    }
    for (name, template) in [("measurement", &options.measurement), ("field", &options.field)] {
        if !template.is_without_labels() {
            clash(
                &[name],
                format!("`{name}` can hold `{{key}}`, `{{target}}`, `{{host}}` and `{{job}}` only"),
            );
        }
    }
    if !has_key(&options.measurement) && !has_key(&options.field) {
        let message =
            "neither `measurement` nor `field` has `{key}`: all values would be one field";
        clash(&["measurement"], message.into());
    }
    let tags = [
        ("host_tag", &options.host_tag),
        ("target_tag", &options.target_tag),
        ("unit_tag", &options.unit_tag),
    ];
    for (place, (option, name)) in tags.iter().enumerate() {
        let Some(name) = name else { continue };
        if name.is_empty() || name.ends_with('\\') || super::names::RESERVED.contains(&&**name) {
            clash(&[option], format!("`{name}` is no name that a tag can have"));
        }
        if tags[..place].iter().any(|(_, other)| other.as_ref() == Some(name)) {
            clash(&[option], format!("two tags cannot both be `{name}`"));
        }
    }
    problems
}

fn has_key(template: &Template) -> bool {
    template.has(&Piece::Key)
}
