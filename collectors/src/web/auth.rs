//! Who asks: headers that a user may set, and the forms of the one called `Authorization`.

use std::borrow::Cow;
use std::iter;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ureq::http;
use zeroize::Zeroizing;

use crate::secret::{Secret, Unresolved};

/// How to authenticate.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// By user and password.
    Basic {
        /// The user.
        user: Secret,
        /// The password; without it, it is empty.
        #[serde(default)]
        password: Option<Secret>,
    },
    /// By a token in the `Authorization` header, as `Bearer …`.
    Bearer(Secret),
    /// By a token in the `Authorization` header, as `Token …`.
    Token(Secret),
    /// By a header of the service's own.
    Header {
        /// The header's name.
        name: HeaderName,
        /// The header's value.
        value: Secret,
    },
}

impl Auth {
    /// Every secret in it.
    pub fn secrets(&self) -> Vec<&Secret> {
        match self {
            Self::Basic { user, password } => iter::once(user).chain(password).collect(),
            Self::Bearer(token) | Self::Token(token) => vec![token],
            Self::Header { value, .. } => vec![value],
        }
    }

    /// The name of the header that it is sent in.
    pub fn header_name(&self) -> http::HeaderName {
        match self {
            Self::Basic { .. } | Self::Bearer(_) | Self::Token(_) => http::header::AUTHORIZATION,
            Self::Header { name, .. } => name.get().clone(),
        }
    }

    /// The header that says it, to be put on a wire and nowhere else.
    ///
    /// # Errors
    /// [`Unresolved`] when a secret has no value yet.
    pub fn header(&self) -> Result<(http::HeaderName, Zeroizing<String>), Unresolved> {
        let value = match self {
            Self::Basic { user, password } => {
                let password = password.as_ref().map_or(Ok(""), Secret::expose)?;
                let pair = Zeroizing::new(format!("{}:{password}", user.expose()?));
                format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes()))
            }
            Self::Bearer(token) => format!("Bearer {}", token.expose()?),
            Self::Token(token) => format!("Token {}", token.expose()?),
            Self::Header { value, .. } => value.expose()?.to_owned(),
        };
        Ok((self.header_name(), Zeroizing::new(value)))
    }
}

/// The name of a header that a user may set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderName(http::HeaderName);

impl HeaderName {
    /// The name, in lower case.
    pub fn get(&self) -> &http::HeaderName {
        &self.0
    }
}

impl Serialize for HeaderName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for HeaderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        let refused = |why: &str| Err(D::Error::custom(format!("the header `{text}` {why}")));
        match http::HeaderName::from_bytes(text.as_bytes()) {
            Ok(http::header::CONTENT_LENGTH | http::header::TRANSFER_ENCODING) => {
                refused("is set by what is sent")
            }
            Ok(name) => Ok(Self(name)),
            Err(_) => refused("has a name that no header can have"),
        }
    }
}

impl JsonSchema for HeaderName {
    fn schema_name() -> Cow<'static, str> {
        "HeaderName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_the_header_that_servers_expect() {
        for (yaml, expected) in [
            (r#"{"basic": {"user": "u", "password": "p"}}"#, ("authorization", "Basic dTpw")),
            (r#"{"basic": {"user": "key"}}"#, ("authorization", "Basic a2V5Og==")),
            (r#"{"bearer": "t"}"#, ("authorization", "Bearer t")),
            (r#"{"token": "t"}"#, ("authorization", "Token t")),
            (r#"{"header": {"name": "X-Key", "value": "v"}}"#, ("x-key", "v")),
        ] {
            let auth: Auth = serde_json::from_str(yaml).expect(yaml);
            let (name, value) = auth.header().expect("given in place");
            assert_eq!((name.as_str(), value.as_str()), expected);
        }
    }
}
