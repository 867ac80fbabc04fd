//! Where a value is: a JSON Pointer, a JSONPath, or the name of a column, a group or a member.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json_path::JsonPath;

/// Where in an element a value is.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Pick {
    text: String,
    way: Way,
}

/// How a [`Pick`] is followed in JSON.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Way {
    /// The element itself.
    #[default]
    Whole,
    /// A JSON Pointer (RFC 6901): the text.
    Pointer,
    /// A JSONPath (RFC 9535).
    Path(Box<JsonPath>),
    /// The member of that name: the text.
    Name,
}

/// Why a text is no [`Pick`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAPick {
    #[error("in the JSON Pointer `{0}`, `~` must be written `~0` (and `/` in a name `~1`)")]
    Pointer(String),
    #[error("`{text}` is no JSONPath: {flaw}")]
    Path { text: String, flaw: String },
}

impl Pick {
    /// Parses `/pointer`, `$.path`, or a name; nothing is the whole element.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAPick> {
        let way = match text.as_bytes().first() {
            None => Way::Whole,
            Some(b'/') if is_pointer(text) => Way::Pointer,
            Some(b'/') => return Err(NotAPick::Pointer(text.to_owned())),
            Some(b'$') => {
                let flaw = |e: serde_json_path::ParseError| e.to_string();
                let path = JsonPath::parse(text)
                    .map_err(|e| NotAPick::Path { text: text.to_owned(), flaw: flaw(e) })?;
                Way::Path(Box::new(path))
            }
            Some(_) => Way::Name,
        };
        Ok(Self { text: text.to_owned(), way })
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn way(&self) -> &Way {
        &self.way
    }

    pub(super) fn is_whole(&self) -> bool {
        self.way == Way::Whole
    }
}

fn is_pointer(text: &str) -> bool {
    text.split('~').skip(1).all(|after| after.starts_with(['0', '1']))
}

impl Serialize for Pick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Pick {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Pick {
    fn schema_name() -> Cow<'static, str> {
        "Pick".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a value is: a JSON Pointer (`/a/0/b`), a JSONPath (`$.a[0].b`), \
                            or the name of a member, a column or a group.",
            "type": "string"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_character_tells_the_way() {
        let way = |text| Pick::parse(text).expect(text).way;
        assert_eq!(way(""), Way::Whole);
        assert_eq!(way("/a~1b/0"), Way::Pointer);
        assert_eq!(way("temperature"), Way::Name);
        assert!(matches!(way("$.a[?@.b == 'c'].d"), Way::Path(_)));
        for text in ["/a~b", "/a~", "$.a[", "$$"] {
            let error = Pick::parse(text).expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
