//! Secrets: given in place or by reference, and never printed.

mod tree;

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

pub(crate) use tree::{SecretMap, SecretTree};

/// What stands in for a secret wherever one would be printed.
pub const REDACTED: &str = "[redacted]";

/// Where a secret's value is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// An environment variable.
    Env(String),
    /// A file; the last newline is not part of the secret.
    File(String),
    /// A credential that systemd passes (`LoadCredential`, `$CREDENTIALS_DIRECTORY`).
    Credential(String),
    /// A parameter of AWS Systems Manager's Parameter Store: its name, path or ARN, with `:3` or `:label` for a version.
    Ssm(String),
    /// A secret of AWS Secrets Manager, by its name.
    SecretsManager(String),
}

/// The kinds of reference, as written in YAML.
pub const KINDS: [&str; 5] = ["env", "file", "credential", "ssm", "secretsmanager"];

impl Reference {
    /// The reference of a kind as written in YAML; `None`: there is no such kind.
    fn new(kind: &str, name: String) -> Option<Self> {
        match kind {
            "env" => Some(Self::Env(name)),
            "file" => Some(Self::File(name)),
            "credential" => Some(Self::Credential(name)),
            "ssm" => Some(Self::Ssm(name)),
            "secretsmanager" => Some(Self::SecretsManager(name)),
            _ => None,
        }
    }

    /// Kind and name as written in YAML.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Env(name) => ("env", name),
            Self::File(path) => ("file", path),
            Self::Credential(name) => ("credential", name),
            Self::Ssm(name) => ("ssm", name),
            Self::SecretsManager(name) => ("secretsmanager", name),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        write!(f, "{{{kind}: {name}}}")
    }
}

/// A string that may be secret: text, or a reference such as `{env: API_KEY}`.
///
/// It has no `Display`, its `Debug` and its serialised form are redacted.
#[derive(Clone)]
pub struct Secret {
    reference: Option<Reference>,
    is_optional: bool,
    value: OnceLock<Zeroizing<String>>,
}

/// A secret was used before its reference was resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret {0} has no value yet")]
pub struct Unresolved(Reference);

impl Secret {
    /// A secret given in place.
    pub fn plain(value: impl Into<String>) -> Self {
        let value = OnceLock::from(Zeroizing::new(value.into()));
        Self { reference: None, is_optional: false, value }
    }

    /// A secret kept elsewhere.
    pub fn by_reference(reference: Reference) -> Self {
        Self { reference: Some(reference), is_optional: false, value: OnceLock::new() }
    }

    /// A secret kept elsewhere that need not be there: then it is empty. It is for what the program looks for by
    /// itself; what a user refers to must be there.
    pub fn optional(reference: Reference) -> Self {
        Self { is_optional: true, ..Self::by_reference(reference) }
    }

    /// Whether it may have no value.
    pub fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// Where the value is kept; `None` when it was given in place.
    pub fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }

    /// Sets the value of a reference. The first value stays.
    pub fn resolve(&self, value: impl Into<String>) {
        self.value.get_or_init(|| Zeroizing::new(value.into()));
    }

    /// The value, to be put on a wire and nowhere else.
    ///
    /// # Errors
    /// [`Unresolved`] when this is a reference whose value was not fetched.
    pub fn expose(&self) -> Result<&str, Unresolved> {
        match (self.value.get(), &self.reference) {
            (Some(value), _) => Ok(value),
            (None, Some(reference)) => Err(Unresolved(reference.clone())),
            (None, None) => Ok(""),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Some(reference) => write!(f, "{reference}"),
            None => f.write_str(REDACTED),
        }
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.reference {
            Some(reference) => {
                let (kind, name) = reference.parts();
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(kind, name)?;
                map.end()
            }
            None => serializer.serialize_str(REDACTED),
        }
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecretVisitor;

        impl<'de> Visitor<'de> for SecretVisitor {
            type Value = Secret;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, or a reference such as `{env: NAME}`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::plain(text))
            }

            // What was given is no text, and still may be secret: it is not repeated.
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
                Err(not_in_quotes("a boolean"))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
                Err(not_in_quotes("a number"))
            }

            fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(not_in_quotes("a number"))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
                Err(not_in_quotes("a number"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
                let Some((kind, name)) = map.next_entry::<String, String>()? else {
                    let message = "an empty map, expected a reference such as `{env: NAME}`";
                    return Err(de::Error::custom(message));
                };
                let Some(reference) = Reference::new(&kind, name) else {
                    return Err(de::Error::unknown_field(&kind, &KINDS));
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(de::Error::custom("several keys, expected one reference"));
                }
                Ok(Secret::by_reference(reference))
            }
        }

        deserializer.deserialize_any(SecretVisitor)
    }
}

fn not_in_quotes<E: de::Error>(what: &str) -> E {
    E::invalid_type(
        Unexpected::Other(what),
        &"text in quotes, or a reference such as `{env: NAME}`",
    )
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = |kind: &str, what: &str| {
            json_schema!({
                "type": "object",
                "properties": { kind: { "type": "string", "description": what } },
                "required": [kind],
                "additionalProperties": false
            })
        };
        json_schema!({
            "description": "A string that may be secret: text, or a reference to where it is kept.",
            "anyOf": [
                { "type": "string" },
                one("env", "An environment variable."),
                one("file", "A file; its last newline is left out."),
                one("credential", "A systemd credential."),
                one("ssm", "A parameter of AWS SSM Parameter Store; `name:3` is its third version."),
                one("secretsmanager", "A secret of AWS Secrets Manager.")
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").expect("text");
        assert_eq!(format!("{secret:?}"), REDACTED);
        assert_eq!(serde_json::to_string(&secret).expect("json"), "\"[redacted]\"");
        assert_eq!(secret.expose(), Ok("hunter2"));
    }

    #[test]
    fn a_reference_has_no_value_until_it_is_resolved() {
        let secret: Secret = serde_json::from_str(r#"{"env": "KEY"}"#).expect("reference");
        assert_eq!(secret.expose(), Err(Unresolved(Reference::Env("KEY".into()))));
        secret.resolve("v");
        assert_eq!(secret.expose(), Ok("v"));
        assert_eq!(format!("{secret:?}"), "{env: KEY}");
    }

    #[test]
    fn a_secret_that_is_no_text_is_not_repeated() {
        for given in ["12345678", "-12345678", "1234.5678", "true"] {
            let error = serde_json::from_str::<Secret>(given).expect_err(given).to_string();
            assert!(error.contains("expected text in quotes"), "{error}");
            assert!(!error.contains("1234") && !error.contains("true"), "{error}");
        }
    }

    #[test]
    fn a_reference_without_a_name_is_one_mistake() {
        let tree = serde_json::json!({"env": null});
        let problems = crate::decode::decode::<Secret>(&tree).expect_err("no name");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(crate::decode::Path(&problems[0].path).to_string(), "env");
    }

    #[test]
    fn an_unknown_kind_of_reference_names_the_kinds() {
        let error = serde_json::from_str::<Secret>(r#"{"vault": "x"}"#).expect_err("unknown kind");
        assert!(error.to_string().contains("`env`, `file`, `credential`, `ssm`, "), "{error}");
    }
}
