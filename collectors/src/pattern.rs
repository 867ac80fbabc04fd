//! Names matched by shell patterns: `sd*`, `eth[0-9]`, `/mnt/*`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A shell pattern over a whole name: `*` (also across `/`), `?`, `[a-z]`, `[!a-z]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(glob::Pattern);

/// Text that is no shell pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no pattern: {reason}")]
pub struct NotAPattern {
    pattern: String,
    reason: &'static str,
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`NotAPattern`] for an open bracket, `***`, and `**` within a name.
    pub fn parse(text: &str) -> Result<Self, NotAPattern> {
        glob::Pattern::new(text)
            .map(Self)
            .map_err(|error| NotAPattern { pattern: text.to_owned(), reason: error.msg })
    }

    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

/// Whether `name` is asked for: no pattern of `exclude` fits, and one of `include` does, or there is none.
pub fn admits(include: &[Pattern], exclude: &[Pattern], name: &str) -> bool {
    let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
    !fits(exclude) && (include.is_empty() || fits(include))
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A shell pattern over a whole name: `sd*`, `eth[0-9]`, `/mnt/*`.",
            "type": "string"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect()
    }

    #[test]
    fn exclusion_wins_and_no_inclusion_means_all() {
        let none = patterns(&[]);
        assert!(admits(&none, &none, "sda"));
        assert!(!admits(&none, &patterns(&["loop*"]), "loop7"));
        assert!(admits(&patterns(&["sd[ab]", "/mnt/*"]), &none, "/mnt/a/b"));
        assert!(!admits(&patterns(&["sd[ab]"]), &none, "sdc"));
        assert!(!admits(&patterns(&["sd*"]), &patterns(&["sda"]), "sda"));
        assert!(!admits(&patterns(&["eth"]), &none, "eth0"), "the whole name must fit");
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = serde_json::from_str::<Pattern>(r#""sd[a""#).expect_err("an open bracket");
        assert!(error.to_string().starts_with("`sd[a` is no pattern: "), "{error}");
    }
}
