//! JSON that goes to somebody else, with secrets inside.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use super::{KINDS, REDACTED, Reference, Secret, Unresolved};

/// What the name of a member holds whose value is not to be seen.
const TELLING_NAMES: [&str; 6] = ["password", "passwd", "secret", "token", "key", "auth"];

/// JSON in which a map such as `{env: NAME}` (one key, a kind of reference, with a text) stands for a secret.
///
/// Its serialised form keeps references. Texts and numbers below a name that tells of a secret are redacted.
#[derive(Debug)]
pub(crate) enum SecretTree {
    Secret(Secret),
    SecretNumber(Number),
    Plain(Value),
    List(Vec<Self>),
    Map(SecretMap),
}

/// A [`SecretTree`] that is a map, which is no reference itself.
#[derive(Debug, Default)]
pub(crate) struct SecretMap(IndexMap<String, SecretTree>);

impl SecretTree {
    fn new(value: Value, is_secret: bool) -> Self {
        match value {
            Value::String(text) if is_secret => Self::Secret(Secret::plain(text)),
            Value::Number(number) if is_secret => Self::SecretNumber(number),
            Value::Array(list) => {
                Self::List(list.into_iter().map(|value| Self::new(value, is_secret)).collect())
            }
            Value::Object(map) => match reference(&map) {
                Some(reference) => Self::Secret(Secret::by_reference(reference)),
                None => Self::Map(SecretMap::new(map, is_secret)),
            },
            plain => Self::Plain(plain),
        }
    }

    /// Every secret in it.
    pub(crate) fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Secret(secret) => vec![secret],
            Self::SecretNumber(_) | Self::Plain(_) => Vec::new(),
            Self::List(list) => list.iter().flat_map(Self::secrets).collect(),
            Self::Map(map) => map.secrets(),
        }
    }

    /// The JSON with the secrets in place.
    ///
    /// # Errors
    /// [`Unresolved`] when a reference has no value.
    pub(crate) fn expose(&self) -> Result<Value, Unresolved> {
        Ok(match self {
            Self::Secret(secret) => Value::from(secret.expose()?),
            Self::SecretNumber(number) => Value::from(number.clone()),
            Self::Plain(value) => value.clone(),
            Self::List(list) => list.iter().map(Self::expose).collect::<Result<_, _>>()?,
            Self::Map(map) => map.expose()?.into(),
        })
    }
}

impl SecretMap {
    fn new(map: Map<String, Value>, is_secret: bool) -> Self {
        let members = map.into_iter().map(|(name, value)| {
            let is_secret = is_secret || is_telling(&name);
            (name, SecretTree::new(value, is_secret))
        });
        Self(members.collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As [`SecretTree::secrets`].
    pub(crate) fn secrets(&self) -> Vec<&Secret> {
        self.0.values().flat_map(SecretTree::secrets).collect()
    }

    /// As [`SecretTree::expose`].
    pub(crate) fn expose(&self) -> Result<Map<String, Value>, Unresolved> {
        self.0.iter().map(|(name, tree)| Ok((name.clone(), tree.expose()?))).collect()
    }
}

fn is_telling(name: &str) -> bool {
    let name = name.to_lowercase();
    TELLING_NAMES.iter().any(|telling| name.contains(telling))
}

fn reference(map: &Map<String, Value>) -> Option<Reference> {
    let (1, Some((kind, Value::String(name)))) = (map.len(), map.iter().next()) else {
        return None;
    };
    Reference::new(kind, name.clone())
}

impl Serialize for SecretTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Secret(secret) => secret.serialize(serializer),
            Self::SecretNumber(_) => serializer.serialize_str(REDACTED),
            Self::Plain(value) => value.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

impl Serialize for SecretMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::new(value, false))
    }
}

impl<'de> Deserialize<'de> for SecretMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(|map| Self::new(map, false))
    }
}

impl JsonSchema for SecretTree {
    fn schema_name() -> Cow<'static, str> {
        "SecretTree".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": description() })
    }
}

impl JsonSchema for SecretMap {
    fn schema_name() -> Cow<'static, str> {
        "SecretMap".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": description(), "type": "object" })
    }
}

fn description() -> String {
    let kinds = KINDS.map(|kind| format!("`{{{kind}: …}}`")).join(", ");
    format!("JSON in which each {kinds} stands for the secret that is kept there.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(value: Value) -> SecretTree {
        serde_json::from_value(value).expect("a tree")
    }

    #[test]
    fn references_anywhere_are_found_and_replaced_by_their_values() {
        let tree =
            tree(json!({"b": [{"env": "PW"}, 1], "a": {"env": "X", "n": 2}, "c": {"env": 5}}));
        assert!(tree.expose().is_err());
        let secrets = tree.secrets();
        assert_eq!(secrets.len(), 1);
        secrets[0].resolve("hunter2");
        let exposed = tree.expose().expect("resolved");
        let expected = r#"{"b":["hunter2",1],"a":{"env":"X","n":2},"c":{"env":5}}"#;
        assert_eq!(exposed.to_string(), expected);
    }

    #[test]
    fn what_its_name_tells_to_be_secret_is_not_shown() {
        let tree = tree(json!({
            "user": "u", "API_Token": "hunter2", "login": {"env": "PW"}, "limit": 3,
            "auth": {"name": "hunter3", "pins": [4711], "on": true},
        }));
        for shown in [serde_json::to_string(&tree).expect("json"), format!("{:?}", tree.secrets())]
        {
            assert!(!shown.contains("hunter") && !shown.contains("4711"), "{shown}");
        }
        let shown = serde_json::to_value(&tree).expect("json");
        assert_eq!(shown["user"], "u");
        assert_eq!(shown["limit"], 3);
        assert_eq!(shown["login"], json!({"env": "PW"}));
        assert_eq!(shown["auth"]["on"], true);
    }
}
