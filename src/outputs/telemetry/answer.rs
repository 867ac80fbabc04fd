//! What Telemetry's answer to a batch means.

use std::collections::BTreeMap;
use std::io::Read;

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::super::http::Answer;
use super::super::{Body, Receipt};
use super::flows;

/// How many of the flows that are not updated are named; in `Answer::show` they are cut to what fits.
const FLOWS_NAMED: usize = 5;

/// What became of the flows.
#[derive(Deserialize)]
struct Said {
    #[serde(deserialize_with = "list")]
    errors: Vec<Json>,
    #[serde(deserialize_with = "list")]
    skipped: Vec<Json>,
}

/// A list that is there; some servers say `null` for an empty one.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Json>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

pub(super) fn receipt(answer: &Answer, body: &Body) -> Receipt {
    if !(200..300).contains(&answer.status) {
        return answer.receipt();
    }
    let reason = answer.describe();
    match serde_json::from_str::<Said>(&answer.text).ok().filter(|_| answer.is_whole) {
        Some(Said { errors, skipped }) if errors.is_empty() && skipped.is_empty() => {
            Receipt::Accepted
        }
        // Where it is not clear which flows are meant the batch is divided, and they are found: to send the others
        // again changes nothing.
        Some(said) => all_but(&said, answer, body).unwrap_or(Receipt::Rejected { reason }),
        None => {
            let reason = format!("{reason}, which does not say what became of the flows");
            Receipt::Retry { reason, after: None }
        }
    }
}

/// Where each refusal is about a flow of the body.
fn all_but(said: &Said, answer: &Answer, body: &Body) -> Option<Receipt> {
    let skipped = said.skipped.iter().map(|tag| Some((tag.as_str()?, "skipped".to_owned())));
    let errors = said.errors.iter().map(about);
    let refused = skipped.chain(errors).collect::<Option<BTreeMap<&str, String>>>()?;
    let mut bytes = Vec::new();
    body.open().ok()?.read_to_end(&mut bytes).ok()?;
    let (part, flows) = flows::only(&bytes, |tag| refused.contains_key(tag))?;
    if flows != refused.len() {
        return None;
    }
    let named = refused.iter().take(FLOWS_NAMED).map(|(tag, why)| format!("`{tag}` {why}"));
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match flows.saturating_sub(FLOWS_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (status, named) = (answer.status, answer.show(&named));
    let reason = format!("the server answered {status}, but not for these flows: {named}{more}");
    Some(Receipt::AllBut { part, reason })
}

/// The flow that an error is about, and what it says.
fn about(error: &Json) -> Option<(&str, String)> {
    match error {
        Json::String(tag) => Some((tag, "refused".to_owned())),
        Json::Object(members) if members.len() == 1 => {
            let (tag, why) = members.iter().next()?;
            Some((tag, why.as_str().map_or_else(|| why.to_string(), str::to_owned)))
        }
        Json::Object(members) => Some((members.get("tag")?.as_str()?, error.to_string())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Part;
    use super::*;

    const BODY: &str = r#"{"data":{"a":{"value":1,"max":2,"expires_at":3},"b":{"value":4}}}"#;

    fn of(status: u16, text: &str) -> Receipt {
        receipt(&Answer::of(status, text), &Body::Memory(BODY.into()))
    }

    #[test]
    fn only_what_says_that_nothing_was_skipped_is_accepted() {
        for (status, text, expected) in [
            (200, r#"{"errors":[],"skipped":[],"updated":["a"]}"#, "Accepted"),
            (200, r#"{"errors":null,"skipped":null,"updated":["a"]}"#, "Accepted"),
            (200, r#"{"errors":[],"skipped":["a"],"updated":[]}"#, "AllBut"),
            (200, r#"{"errors":[{"a":"no"}],"skipped":[],"updated":["b"]}"#, "AllBut"),
            // Nobody knows which flow is meant.
            (200, r#"{"errors":[],"skipped":["c"],"updated":[]}"#, "Rejected"),
            (200, r#"{"errors":[],"skipped":["a","c"],"updated":[]}"#, "Rejected"),
            (200, r#"{"errors":["boom"],"skipped":["a"],"updated":["b"]}"#, "Rejected"),
            (200, r#"{"errors":[7],"skipped":["a"],"updated":["b"]}"#, "Rejected"),
            (200, "<html>", "Retry"),
            (204, "", "Retry"),
            (400, "", "Rejected"),
            (401, "", "Retry"),
            (403, "", "Retry"),
            (429, "", "Retry"),
            (500, "", "Fault"),
        ] {
            let receipt = format!("{:?}", of(status, text));
            assert!(receipt.starts_with(expected), "{status} {text}: {receipt}");
        }
    }

    #[test]
    fn the_flows_that_it_names_are_the_part_that_is_not_in() {
        let a = (r#"{"data":{"a":{"value":1,"max":2,"expires_at":3}}}"#, 2);
        let b = (r#"{"data":{"b":{"value":4}}}"#, 1);
        for (text, (bytes, datapoints), words) in [
            (r#"{"errors":[],"skipped":["a"]}"#, a, "`a` skipped"),
            (r#"{"errors":["b"],"skipped":[]}"#, b, "`b` refused"),
            (r#"{"errors":[{"b":"too\nlong"}],"skipped":[]}"#, b, "`b` too long"),
            (r#"{"errors":[{"tag":"b","x":1}],"skipped":[]}"#, b, r#"`b` {"tag":"b","x":1}"#),
        ] {
            let part = Part { bytes: format!("{bytes}\n").into(), datapoints };
            let reason = format!("the server answered 200, but not for these flows: {words}");
            assert_eq!(of(200, text), Receipt::AllBut { part, reason });
        }
        let both = format!("{:?}", of(200, r#"{"errors":["b"],"skipped":["a"]}"#));
        assert!(both.contains("datapoints: 3") && both.contains("`a` skipped, `b` refused"));
    }
}
