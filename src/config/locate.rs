//! Where in the text a path of the tree stands.
//!
//! Only asked once something is wrong. The text is parsed again up to the place in question, and the parser's
//! own error, raised there on purpose, carries line and column.

use std::fmt;

use collectors::decode::{Segment, Side};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A place in a file, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// The place of `path`: of its last key, or of what stands behind it. Where the path leads nowhere (a member that
/// is missing, a merged key), the nearest place above it.
///
/// `earlier` is how many times the last key stands in its map before the one that is meant.
pub(super) fn locate(text: &str, path: &[Segment], side: Side, earlier: usize) -> Option<Place> {
    for length in (0..=path.len()).rev() {
        let probe = Probe { path: &path[..length], side, earlier };
        if let Err(error) = probe.deserialize(serde_yaml::Deserializer::from_str(text))
            && let Some(place) = place_of(&error)
        {
            return Some(place);
        }
    }
    None
}

/// The place that a parser's error carries.
pub(super) fn place_of(error: &serde_yaml::Error) -> Option<Place> {
    let location = error.location()?;
    Some(Place { line: location.line(), column: location.column() })
}

#[derive(Clone, Copy)]
struct Probe<'a> {
    path: &'a [Segment],
    side: Side,
    /// How many times the key stands there before the one that is meant.
    earlier: usize,
}

impl Probe<'_> {
    fn raise<T, E: de::Error>(self) -> Result<T, E> {
        if self.path.is_empty() {
            Err(E::custom("here"))
        } else {
            Err(E::custom("not a container"))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.raise()
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        self.raise()
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        self.raise()
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        self.raise()
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        self.raise()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        self.raise()
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        self.raise()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Segment::Index(wanted), rest)) = self.path.split_first() else {
            return self.raise();
        };
        for _ in 0..*wanted {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(());
            }
        }
        seq.next_element_seed(Probe { path: rest, ..self })?;
        // A list that is left half read is an error of its own, at its start.
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Segment::Key(wanted), rest)) = self.path.split_first() else {
            return self.raise();
        };
        let raise = rest.is_empty() && self.side == Side::Key;
        let mut skip = if raise { self.earlier } else { 0 };
        while let Some(found) = map.next_key_seed(KeyProbe { wanted, raise: raise && skip == 0 })? {
            if found && !raise {
                map.next_value_seed(Probe { path: rest, ..self })?;
            } else {
                skip = skip.saturating_sub(usize::from(found));
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct KeyProbe<'a> {
    wanted: &'a str,
    raise: bool,
}

impl<'de> DeserializeSeed<'de> for KeyProbe<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyProbe<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<bool, E> {
        let found = key == self.wanted;
        if found && self.raise { Err(E::custom("here")) } else { Ok(found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "polling:\n  ip: x\njobs:\n  - id: a\n    http:\n      url: 5\n      url: 6\n";

    fn key(name: &str) -> Segment {
        Segment::Key(name.into())
    }

    #[test]
    fn keys_values_and_repeated_keys_are_found() {
        let path = [key("jobs"), Segment::Index(0), key("http"), key("url")];
        let at = |side, earlier| locate(TEXT, &path, side, earlier);
        assert_eq!(at(Side::Key, 0), Some(Place { line: 6, column: 7 }));
        assert_eq!(at(Side::Value, 0), Some(Place { line: 6, column: 12 }));
        assert_eq!(at(Side::Key, 1), Some(Place { line: 7, column: 7 }));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_placed_at_what_is_above_it() {
        let path = [key("jobs"), Segment::Index(0), key("every")];
        assert_eq!(locate(TEXT, &path, Side::Value, 0), Some(Place { line: 4, column: 5 }));
    }
}
