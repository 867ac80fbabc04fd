//! JSON documents: parsing, the elements of a list, and picking members.

use std::borrow::Cow;

use super::Error;
use super::element::{Element, Found, NotFound};
use super::pick::{Pick, Way};

pub(crate) use serde_json::Value as Json;

/// The only member of the object that stands in for a number that no float can hold.
///
/// The control character keeps it apart from what an answer would name a member.
const OUT_OF_RANGE: &str = "\u{1}out of range";
/// How much of such a number is shown.
const DIGITS_SHOWN: usize = 32;

/// Parses a document. One number beyond all floats (`1e400`) does not cost the whole of it.
pub(crate) fn parse(body: &[u8]) -> Result<Json, Error> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice(body) {
        // serde_json has no kind for this error, only a text.
        Err(error) if error.to_string().starts_with("number out of range") => {
            serde_json::from_slice(&fence_numbers(body)).map_err(Error::NotJson)
        }
        parsed => parsed.map_err(Error::NotJson),
    }
}

/// The literal of a number that no float can hold.
pub(super) fn out_of_range(json: &Json) -> Option<&str> {
    match json {
        Json::Object(map) if map.len() == 1 => map.get(OUT_OF_RANGE)?.as_str(),
        _ => None,
    }
}

/// The document with each number that no float can hold replaced by an object that [`out_of_range`] knows.
fn fence_numbers(body: &[u8]) -> Vec<u8> {
    let mut fenced = Vec::with_capacity(body.len() + 64);
    let mut rest = body;
    while let Some(&first) = rest.first() {
        let length = match first {
            b'"' => string_length(rest),
            b'-' | b'0'..=b'9' => number_length(rest),
            _ => 1,
        };
        let (token, after) = rest.split_at(length);
        match std::str::from_utf8(token) {
            Ok(number) if first != b'"' && number.parse().is_ok_and(f64::is_infinite) => {
                let shown = &number[..number.len().min(DIGITS_SHOWN)];
                let dots = if shown.len() < number.len() { "…" } else { "" };
                let member = serde_json::json!({ OUT_OF_RANGE: format!("{shown}{dots}") });
                fenced.extend(member.to_string().into_bytes());
            }
            _ => fenced.extend(token),
        }
        rest = after;
    }
    fenced
}

/// How long the string is at whose opening quote `text` begins; to the end when it is not closed.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn number_length(text: &[u8]) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len())
}

/// The elements that `each` picks: of the list that a pointer points to, or all that a JSONPath picks, where
/// a list stands for what is in it.
pub(super) fn elements<'a>(document: &'a Json, each: &Pick) -> Result<Vec<&'a Json>, Error> {
    let not_a_list = |found| Error::NotAList { each: each.as_str().to_owned(), found };
    if let Way::Path(path) = each.way() {
        let picked = path.query(document).all();
        return Ok(picked
            .into_iter()
            .flat_map(|node| match node {
                Json::Array(list) => list.iter().collect(),
                other => vec![other],
            })
            .collect());
    }
    match find(document, each) {
        Ok(Json::Array(list)) => Ok(list.iter().collect()),
        Ok(other) => Err(not_a_list(kind(other))),
        Err(_) => Err(not_a_list("nothing")),
    }
}

impl Element for Json {
    fn find<'a>(&'a self, pick: &'a Pick) -> Result<Found<'a>, NotFound> {
        find(self, pick).map(Found::Json)
    }
}

/// The member that `pick` picks. `null` is as good as nothing.
pub(super) fn find<'a>(element: &'a Json, pick: &Pick) -> Result<&'a Json, NotFound> {
    let found = match pick.way() {
        Way::Whole => Some(element),
        Way::Pointer => element.pointer(pick.as_str()),
        Way::Name => element.get(pick.as_str()),
        Way::Path(path) => match path.query(element).all().as_slice() {
            [] => None,
            [one] => Some(*one),
            several => {
                let path = pick.as_str().to_owned();
                return Err(NotFound::Several { path, count: several.len() });
            }
        },
    };
    found.filter(|json| !json.is_null()).ok_or_else(|| NotFound::missing(pick))
}

/// What it is, for a message.
pub(crate) fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// A scalar as text, as it stands in a label.
pub(super) fn scalar_text(json: &Json) -> Result<Cow<'_, str>, String> {
    match json {
        Json::String(text) => Ok(Cow::Borrowed(text)),
        Json::Bool(flag) => Ok(Cow::Borrowed(if *flag { "true" } else { "false" })),
        other => match (out_of_range(other), crate::datapoint::Value::from_json(other)) {
            (Some(literal), _) => Err(format!("the number {literal} is out of range")),
            (None, Ok(number)) => Ok(Cow::Owned(number.to_string())),
            (None, Err(flaw)) => Err(flaw.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_beyond_all_floats_costs_only_itself() {
        let long = format!("[1e400, -1E+999, {}, 2, \"1e400\", \"a\\\"1e400\"]", "9".repeat(400));
        let parsed = parse(long.as_bytes()).expect("json");
        assert_eq!(out_of_range(&parsed[0]), Some("1e400"));
        assert_eq!(out_of_range(&parsed[1]), Some("-1E+999"));
        assert_eq!(out_of_range(&parsed[2]).map(|text| text.chars().count()), Some(33));
        assert_eq!(parsed[3], 2);
        assert_eq!(parsed[4], "1e400");
        assert_eq!(parsed[5], "a\"1e400");
    }

    #[test]
    fn nesting_is_bounded_and_broken_documents_are_errors() {
        let deep = "[".repeat(100_000);
        let deep_with_number = format!("[1e400,{deep}");
        for text in ["", "{", "[1,]", "nul", "\"", "[1e400", &deep, &deep_with_number, "\u{1}"] {
            assert!(matches!(parse(text.as_bytes()), Err(Error::NotJson(_))), "{text:.20}");
        }
        assert!(matches!(parse(b"\"\xff\""), Err(Error::NotJson(_))));
        assert_eq!(parse(b"\xef\xbb\xbf7").expect("a byte order mark"), 7);
    }

    #[test]
    fn elements_are_picked_by_pointer_and_by_path() {
        let document = serde_json::json!({"rows": [[1, 2], [3, 4]], "n": 5});
        let count = |text: &str| {
            elements(&document, &Pick::parse(text).expect(text)).map(|list| list.len())
        };
        assert_eq!(count("/rows").expect("a list"), 2);
        assert_eq!(count("$.rows").expect("a list"), 2);
        assert_eq!(count("$.rows[*]").expect("what is in the lists"), 4);
        assert_eq!(count("$.nothing").expect("no elements"), 0);
        let error = count("/n").expect_err("no list");
        assert_eq!(error.to_string(), "`each: /n`: expected a list, found a number");
        assert!(count("/m").expect_err("nothing").to_string().ends_with("found nothing"));
    }
}
