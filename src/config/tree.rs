//! YAML text → a tree, with duplicated keys found.
//!
//! The parser underneath stops alias bombs and endless nesting; it lets a key that stands twice in a map pass
//! in silence, and so do its types. Here the map is read entry by entry.

use std::cell::RefCell;
use std::fmt;

use collectors::decode::{Problem, Segment, Side};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The text's tree, and every key that stands twice.
///
/// # Errors
/// What makes the text no YAML, with its place.
pub(super) fn parse(text: &str) -> Result<(Value, Vec<Problem>), serde_yaml::Error> {
    let problems = RefCell::new(Vec::new());
    let root = Node { path: &Trail::Root, problems: &problems };
    let tree = root.deserialize(serde_yaml::Deserializer::from_str(text))?;
    Ok((tree, problems.into_inner()))
}

enum Trail<'a> {
    Root,
    Key(&'a Trail<'a>, &'a str),
    Index(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    fn segments(&self) -> Vec<Segment> {
        match self {
            Self::Root => Vec::new(),
            Self::Key(parent, key) => {
                let mut path = parent.segments();
                path.push(Segment::Key((*key).to_owned()));
                path
            }
            Self::Index(parent, index) => {
                let mut path = parent.segments();
                path.push(Segment::Index(*index));
                path
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Node<'a> {
    path: &'a Trail<'a>,
    problems: &'a RefCell<Vec<Problem>>,
}

impl Node<'_> {
    fn problem(&self, side: Side, message: String) {
        let problem = Problem { path: self.path.segments(), side, message, hint: None };
        self.problems.borrow_mut().push(problem);
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map, a list, text, a number, true, false or null")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        match Number::from_f64(number) {
            Some(number) => Ok(Value::Number(number)),
            None => {
                self.problem(Side::Value, format!("{number} is no finite number"));
                Ok(Value::Null)
            }
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let path = Trail::Index(self.path, list.len());
            match seq.next_element_seed(Node { path: &path, problems: self.problems })? {
                Some(element) => list.push(element),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        while let Some(key) = access.next_key_seed(KeyText)? {
            let path = Trail::Key(self.path, &key);
            let entry = Node { path: &path, problems: self.problems };
            let value = access.next_value_seed(entry)?;
            if key == "<<" {
                merged.push(value);
            } else if map.contains_key(&key) {
                entry.problem(Side::Key, format!("the key `{key}` stands here twice"));
            } else {
                map.insert(key, value);
            }
        }
        for value in merged {
            merge(&mut map, value);
        }
        Ok(Value::Object(map))
    }
}

/// YAML's merge key: what the map has itself stays.
fn merge(map: &mut Map<String, Value>, from: Value) {
    match from {
        Value::Object(from) => {
            for (key, value) in from {
                map.entry(key).or_insert(value);
            }
        }
        Value::Array(list) => list.into_iter().for_each(|from| merge(map, from)),
        _ => {}
    }
}

struct KeyText;

impl<'de> DeserializeSeed<'de> for KeyText {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for KeyText {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key of text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<String, E> {
        Ok(flag.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stands_twice_is_found_at_its_path() {
        let (tree, problems) = parse("a:\n  - b: 1\n    b: 2\n").expect("yaml");
        assert_eq!(tree, serde_json::json!({"a": [{"b": 1}]}));
        assert_eq!(problems.len(), 1);
        assert_eq!(collectors::decode::Path(&problems[0].path).to_string(), "a[0].b");
    }

    #[test]
    fn anchors_and_merge_keys_work() {
        let text = "base: &b {x: 1, y: 2}\njob:\n  <<: *b\n  y: 3\n";
        let (tree, problems) = parse(text).expect("yaml");
        assert_eq!(tree["job"], serde_json::json!({"y": 3, "x": 1}));
        assert!(problems.is_empty());
    }

    #[test]
    fn a_bomb_and_endless_nesting_are_errors() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let list = vec![format!("*a{}", level - 1); 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse("a: \u{0}").is_err());
    }
}
