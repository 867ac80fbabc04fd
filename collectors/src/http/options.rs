//! The value types among the options of `http`.

use std::borrow::Cow;
use std::num::NonZeroU32;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ureq::http;

use crate::mapping::Pick;
use crate::secret::{Secret, Unresolved};

/// How a service is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Method {
    /// For an answer alone.
    #[default]
    Get,
    /// With something to be worked on.
    Post,
}

/// A datapoint about the service itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Probe {
    /// `http_status`
    Status,
    /// `http_latency_seconds`
    Latency,
    /// `http_certificate_expires_days`
    Certificate,
}

/// The pages of a long answer.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Pages {
    /// Where the next page's URL is: `link_header`, or a JSON Pointer or JSONPath into the answer.
    pub(super) next: NextPage,
    /// How many pages are asked for at most.
    #[serde(default = "twenty")]
    pub(super) max: NonZeroU32,
}

const fn twenty() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(19)
}

/// Where an answer tells its next page.
#[derive(Debug)]
pub(super) enum NextPage {
    /// In the header `Link`, as `<…>; rel="next"`.
    LinkHeader,
    /// In its JSON.
    Pick(Pick),
}

const LINK_HEADER: &str = "link_header";

impl Serialize for NextPage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LinkHeader => serializer.serialize_str(LINK_HEADER),
            Self::Pick(pick) => pick.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for NextPage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        if text == LINK_HEADER {
            Ok(Self::LinkHeader)
        } else if text.starts_with(['/', '$']) {
            Pick::parse(&text).map(Self::Pick).map_err(D::Error::custom)
        } else {
            Err(D::Error::custom(format!(
                "`{text}` tells no next page, expected `link_header`, a JSON Pointer such as \
                 `/next` or a JSONPath such as `$.next`"
            )))
        }
    }
}

impl JsonSchema for NextPage {
    fn schema_name() -> Cow<'static, str> {
        "NextPage".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`link_header`, or a JSON Pointer or JSONPath into the answer.",
            "type": "string"
        })
    }
}

/// A status of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub(super) struct Status(#[schemars(range(min = 100, max = 999))] u16);

impl Status {
    pub(super) fn get(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let status = u16::deserialize(deserializer)?;
        match http::StatusCode::from_u16(status) {
            Ok(_) => Ok(Self(status)),
            Err(_) => Err(D::Error::custom(format!("`{status}` is no HTTP status"))),
        }
    }
}

/// A query parameter: a number or a boolean as it is, a text, or a reference to a secret.
#[derive(Debug)]
pub(super) struct Parameter(Secret);

impl Parameter {
    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }

    pub(super) fn expose(&self) -> Result<&str, Unresolved> {
        self.0.expose()
    }
}

impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ParameterVisitor;

        impl<'de> Visitor<'de> for ParameterVisitor {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, a number, a boolean, or a reference such as `{env: NAME}`")
            }

            fn visit_str<E>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret::plain(text))
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Secret, E> {
                Ok(Secret::plain(flag.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Secret, E> {
                Ok(Secret::plain(number.to_string()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Secret, E> {
                Ok(Secret::plain(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Secret, E> {
                Ok(Secret::plain(number.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Secret, A::Error> {
                Secret::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(ParameterVisitor).map(Self)
    }
}

impl JsonSchema for Parameter {
    fn schema_name() -> Cow<'static, str> {
        "Parameter".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A query parameter.",
            "anyOf": [{ "type": ["number", "boolean"] }, generator.subschema_for::<Secret>()]
        })
    }
}
