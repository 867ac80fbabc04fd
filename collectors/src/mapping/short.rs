//! Options that may be written as a text alone (`pressure: /p`) or as a map (`pressure: {from: /p}`).

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

/// Decodes a text with `from_text`, or a map as `F` with `from_map`.
pub(super) fn text_or_map<'de, D, T, F>(
    deserializer: D,
    expected: &'static str,
    from_text: fn(&str) -> Result<T, String>,
    from_map: fn(F) -> Result<T, String>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    F: Deserialize<'de>,
{
    deserializer.deserialize_any(Short { expected, from_text, from_map, form: PhantomData })
}

struct Short<T, F> {
    expected: &'static str,
    from_text: fn(&str) -> Result<T, String>,
    from_map: fn(F) -> Result<T, String>,
    form: PhantomData<F>,
}

impl<'de, T, F: Deserialize<'de>> Visitor<'de> for Short<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.from_text)(text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let form = F::deserialize(MapAccessDeserializer::new(map))?;
        (self.from_map)(form).map_err(de::Error::custom)
    }
}
