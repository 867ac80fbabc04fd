//! Options from a tree, with every mistake at its path.
//!
//! serde stops at the first mistake. Here all unknown keys are gathered, and after a value of the wrong type
//! that value is taken out and decoding starts again, so that a user sees everything in one go.

mod schema;
mod words;

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One step of a path into a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// A key of a map.
    Key(String),
    /// An element of a list, from 0.
    Index(usize),
}

/// Which side of a map entry a [`Problem`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The key itself: it is unknown, or there twice.
    Key,
    /// What stands behind the key.
    Value,
}

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, from the tree's root.
    pub path: Vec<Segment>,
    /// Whether the key or its value is at fault.
    pub side: Side,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What was probably meant, or what would be right.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with the value at `path`.
    pub fn at(path: &[&str], message: impl Into<String>) -> Self {
        let path = path.iter().map(|key| Segment::Key((*key).to_owned())).collect();
        Self { path, side: Side::Value, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same problem, seen from `outer`.
    #[must_use]
    pub fn below(mut self, outer: &[Segment]) -> Self {
        self.path.splice(0..0, outer.iter().cloned());
        self
    }
}

/// `jobs[2].http.url`
pub struct Path<'a>(pub &'a [Segment]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => f.write_str(key)?,
                Segment::Key(key) => write!(f, ".{key}")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Decodes `tree` into `T`.
///
/// # Errors
/// Every unknown key, and every value of a wrong type that can be found.
pub fn decode<T: DeserializeOwned + JsonSchema>(tree: &Value) -> Result<T, Vec<Problem>> {
    let (first, unknown) = attempt::<T>(tree);
    let mut failure = match first {
        Ok(decoded) if unknown.is_empty() => return Ok(decoded),
        first => first.err(),
    };
    let schema = schemars::schema_for!(T).to_value();
    let mut pruned = Pruned { tree: tree.clone(), removed: Vec::new() };
    let mut unknown_keys = unknown;
    let mut problems = Vec::new();
    while let Some((path, message)) = failure {
        let is_root = path.is_empty();
        let is_missing = message.starts_with("missing field");
        // What was taken out may have been required, or all there was: its absence is no second mistake.
        let is_consequence = (is_missing || pruned.is_empty(&path)) && pruned.touched(&path);
        if !is_consequence {
            problems.push(type_error(pruned.original(&path), &message, &schema));
        }
        if is_root || !pruned.remove(&path) {
            break;
        }
        let (next, unknown) = attempt::<T>(&pruned.tree);
        for path in unknown {
            let path = pruned.original(&path);
            if !unknown_keys.contains(&path) {
                unknown_keys.push(path);
            }
        }
        failure = next.err();
    }
    let unknown = unknown_keys.into_iter().map(|path| unknown_key(path, &schema));
    Err(unknown.chain(problems).collect())
}

/// A tree from which values that could not be decoded were taken out.
struct Pruned {
    tree: Value,
    /// Where, as paths into the original tree.
    removed: Vec<Vec<Segment>>,
}

impl Pruned {
    /// The path in the original tree: elements of a list that were taken out before this one are counted in.
    fn original(&self, path: &[Segment]) -> Vec<Segment> {
        let mut original = Vec::with_capacity(path.len());
        for segment in path {
            original.push(match segment {
                Segment::Key(_) => segment.clone(),
                Segment::Index(index) => Segment::Index(self.original_index(&original, *index)),
            });
        }
        original
    }

    fn original_index(&self, list: &[Segment], index: usize) -> usize {
        let mut gone: Vec<usize> = self
            .removed
            .iter()
            .filter(|path| path.len() == list.len() + 1 && path.starts_with(list))
            .filter_map(|path| match path.last() {
                Some(Segment::Index(index)) => Some(*index),
                _ => None,
            })
            .collect();
        gone.sort_unstable();
        gone.into_iter().fold(index, |at, gone| if gone <= at { at + 1 } else { at })
    }

    /// Whether something was taken out of the map at `path`.
    fn touched(&self, path: &[Segment]) -> bool {
        let original = self.original(path);
        self.removed.iter().any(|gone| gone.len() > original.len() && gone.starts_with(&original))
    }

    /// Whether there is a map at `path` with nothing left in it.
    fn is_empty(&self, path: &[Segment]) -> bool {
        let node = path.iter().fold(Some(&self.tree), child);
        node.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty)
    }

    fn remove(&mut self, path: &[Segment]) -> bool {
        let original = self.original(path);
        let removed = remove(&mut self.tree, path);
        if removed {
            self.removed.push(original);
        }
        removed
    }
}

type Failure = (Vec<Segment>, String);

fn attempt<T: DeserializeOwned>(tree: &Value) -> (Result<T, Failure>, Vec<Vec<Segment>>) {
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let result = {
        let tracked = serde_path_to_error::Deserializer::new(tree, &mut track);
        serde_ignored::deserialize(tracked, |path| {
            let mut segments = Vec::new();
            ignored_segments(&path, &mut segments);
            unknown.push(with_variants(tree, segments));
        })
    };
    let result = result.map_err(|error: serde_json::Error| {
        let path = track.path().iter().filter_map(tracked_segment).collect();
        (path, error.to_string())
    });
    (result, unknown)
}

fn tracked_segment(segment: &serde_path_to_error::Segment) -> Option<Segment> {
    use serde_path_to_error::Segment as Tracked;
    match segment {
        Tracked::Seq { index } => Some(Segment::Index(*index)),
        Tracked::Map { key } => Some(Segment::Key(key.clone())),
        Tracked::Enum { variant } => Some(Segment::Key(variant.clone())),
        Tracked::Unknown => None,
    }
}

fn ignored_segments(path: &serde_ignored::Path<'_>, out: &mut Vec<Segment>) {
    use serde_ignored::Path as Ignored;
    match path {
        Ignored::Root => {}
        Ignored::Seq { parent, index } => {
            ignored_segments(parent, out);
            out.push(Segment::Index(*index));
        }
        Ignored::Map { parent, key } => {
            ignored_segments(parent, out);
            out.push(Segment::Key(key.clone()));
        }
        Ignored::Some { parent }
        | Ignored::NewtypeStruct { parent }
        | Ignored::NewtypeVariant { parent } => ignored_segments(parent, out),
    }
}

/// The path with the names of variants, which serde_ignored leaves out: where a step leads nowhere, the only key of
/// the map that it starts from is such a name.
fn with_variants(tree: &Value, path: Vec<Segment>) -> Vec<Segment> {
    let mut node = Some(tree);
    let mut whole = Vec::with_capacity(path.len());
    for segment in path {
        let mut next = child(node, &segment);
        if next.is_none()
            && let Some(Value::Object(map)) = node
            && let (1, Some((variant, inner))) = (map.len(), map.iter().next())
        {
            whole.push(Segment::Key(variant.clone()));
            next = child(Some(inner), &segment);
        }
        whole.push(segment);
        node = next;
    }
    whole
}

fn child<'a>(node: Option<&'a Value>, segment: &Segment) -> Option<&'a Value> {
    match segment {
        Segment::Key(key) => node?.get(key),
        Segment::Index(index) => node?.get(index),
    }
}

fn type_error(path: Vec<Segment>, message: &str, schema: &Value) -> Problem {
    let (message, expected) = words::plain(message);
    let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    if let Some(description) = missing.and_then(|name| schema::description(schema, &path, name)) {
        return Problem { path, side: Side::Value, message, hint: Some(description) };
    }
    let hint = expected.map(|expected| {
        let names = if expected.ends_with(words::SINGLE_KEY) {
            schema::properties(schema, &path)
        } else {
            Vec::new()
        };
        match names.as_slice() {
            [] => suggest_in(&message, format!("expected {expected}")),
            names => format!("expected {expected}: `{}`", names.join("`, `")),
        }
    });
    Problem { path, side: Side::Value, message, hint }
}

/// Errors about an unknown value list what is allowed: the nearest one is what was meant.
fn suggest_in(message: &str, hint: String) -> String {
    let Some(given) = message.strip_prefix("unknown value `").and_then(|m| m.strip_suffix('`'))
    else {
        return hint;
    };
    let allowed: Vec<&str> = hint.split('`').skip(1).step_by(2).collect();
    match nearest(given, allowed.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`? {hint}"),
        None => hint,
    }
}

fn unknown_key(path: Vec<Segment>, schema: &Value) -> Problem {
    let key = match path.last() {
        Some(Segment::Key(key)) => key.clone(),
        _ => String::new(),
    };
    let known = schema::properties(schema, &path[..path.len().saturating_sub(1)]);
    Problem {
        path,
        side: Side::Key,
        message: format!("unknown key `{key}`"),
        hint: hint_among(&key, &known),
    }
}

/// "did you mean", and the keys that are known.
pub fn hint_among(given: &str, known: &[String]) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match nearest(given, known.iter().map(String::as_str)) {
        Some(meant) => Some(format!("did you mean `{meant}`? known here: {list}")),
        None => Some(format!("known here: {list}")),
    }
}

/// The candidate that `given` was probably meant to be.
pub fn nearest<'a>(given: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (given.chars().count() / 3).max(1);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(given, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn remove(tree: &mut Value, path: &[Segment]) -> bool {
    let Some((last, parents)) = path.split_last() else { return false };
    let mut node = tree;
    for segment in parents {
        let child = match segment {
            Segment::Key(key) => node.get_mut(key.as_str()),
            Segment::Index(index) => node.get_mut(*index),
        };
        match child {
            Some(child) => node = child,
            None => return false,
        }
    }
    match (last, node) {
        (Segment::Key(key), Value::Object(map)) => map.shift_remove(key).is_some(),
        (Segment::Index(index), Value::Array(list)) if *index < list.len() => {
            list.remove(*index);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::Period;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only decoded")]
    struct Options {
        /// Where
        /// to.
        url: String,
        #[serde(default)]
        timeout: Option<Period>,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<u32>,
        #[serde(default)]
        auth: Option<Auth>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code, reason = "only decoded")]
    struct Inner {
        pointer: String,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "only decoded")]
    enum Auth {
        Basic {
            user: String,
            #[serde(default)]
            more: Option<Inner>,
        },
    }

    #[test]
    fn every_mistake_is_found_in_one_go() {
        let tree = json!({
            "url": "u", "timout": 5, "timeout": "soon",
            "inner": {"pointer": "/a", "pionter": 1}, "list": [1, "x", "y"],
        });
        let problems = decode::<Options>(&tree).expect_err("mistakes");
        let told: Vec<String> = problems
            .iter()
            .map(|p| format!("{}: {} {:?}", Path(&p.path), p.message, p.hint))
            .collect();
        assert_eq!(told.len(), 5, "{told:#?}");
        assert!(told[4].starts_with("list[2]: "), "{}", told[4]);
        assert!(told[0].contains("did you mean `timeout`?"), "{}", told[0]);
        assert!(
            told[1].starts_with("inner.pionter") && told[1].contains("`pointer`"),
            "{}",
            told[1]
        );
    }

    #[test]
    fn an_unknown_key_below_a_variant_is_told_at_its_place() {
        let tree = json!({"url": "u", "auth": {"basic": {
            "user": "u", "usr": 1, "more": {"pointer": "/a", "pionter": 2},
        }}});
        let problems = decode::<Options>(&tree).expect_err("mistakes");
        let places: Vec<_> = problems.iter().map(|p| Path(&p.path).to_string()).collect();
        assert_eq!(places, ["auth.basic.usr", "auth.basic.more.pionter"]);
        let hint = problems[0].hint.as_deref().unwrap_or_default();
        assert!(hint.contains("did you mean `user`?"), "{hint}");
    }

    #[test]
    fn a_missing_member_is_told_once_with_the_others() {
        let problems = decode::<Options>(&json!({"ulr": "u"})).expect_err("mistakes");
        assert_eq!(problems.len(), 2, "{problems:#?}");
        let missing = problems.iter().find(|p| p.message.contains("missing field `url`"));
        let hint = missing.and_then(|missing| missing.hint.as_deref());
        assert_eq!(hint, Some("`url`: Where to."));
    }
}
