//! A job or an output as written: settings that all have, and one key that names the kind and holds its options.

use collectors::decode::{Problem, Segment, Side, decode, hint_among, nearest};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What an entry may contain.
pub(super) struct Shape {
    /// The word for it in messages.
    pub(super) what: &'static str,
    /// The keys of its settings.
    pub(super) settings: &'static [&'static str],
    /// The kinds there are.
    pub(super) kinds: Vec<&'static str>,
}

/// An entry taken apart, as far as it could be, and everything that is wrong with it at paths below it.
pub(super) struct Entry<T> {
    pub(super) settings: Option<T>,
    pub(super) kind: Option<String>,
    pub(super) options: Value,
    pub(super) problems: Vec<Problem>,
}

/// Takes an entry apart.
pub(super) fn split<T: DeserializeOwned + JsonSchema>(tree: &Value, shape: &Shape) -> Entry<T> {
    let Shape { what, settings: known, kinds } = shape;
    let mut problems = Vec::new();
    let Value::Object(map) = tree else {
        problems.push(Problem::at(&[], format!("expected a map that describes one {what}")));
        return Entry { settings: None, kind: None, options: Value::Null, problems };
    };
    let mut settings = Map::new();
    let mut named: Vec<(&str, &Value)> = Vec::new();
    for (key, value) in map {
        if known.contains(&key.as_str()) {
            settings.insert(key.clone(), value.clone());
        } else if kinds.contains(&key.as_str()) {
            named.push((key, value));
        } else {
            let all: Vec<String> = known.iter().chain(kinds).map(|&name| name.to_owned()).collect();
            problems.push(Problem {
                path: vec![Segment::Key(key.clone())],
                side: Side::Key,
                message: format!("unknown key `{key}`"),
                hint: hint_among(key, &all),
            });
        }
    }
    match named.as_slice() {
        [_] => {}
        // A misspelt kind has been told already.
        [] if map.keys().any(|key| nearest(key, kinds.iter().copied()).is_some()) => {}
        [] => problems.push(
            Problem::at(&[], format!("this {what} names no kind"))
                .hint(format!("it needs a key that holds its options: {}", kinds.join(", "))),
        ),
        [(first, _), .., (other, _)] => problems.push(Problem {
            path: vec![Segment::Key((*other).to_owned())],
            side: Side::Key,
            message: format!("this {what} is of two kinds, `{first}` and `{other}`"),
            hint: Some(format!("make two {what}s of it")),
        }),
    }
    let settings = decode::<T>(&Value::Object(settings)).map_err(|found| problems.extend(found));
    let (kind, options) = match named.first() {
        // `system:` with nothing behind it means the defaults.
        Some((kind, Value::Null)) => (Some((*kind).to_owned()), Value::Object(Map::new())),
        Some((kind, options)) => (Some((*kind).to_owned()), (*options).clone()),
        None => (None, Value::Null),
    };
    Entry { settings: settings.ok(), kind, options, problems }
}
