//! What InfluxDB's answer to a write means.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::super::http::Answer;
use super::super::{Body, Part, Receipt};
use super::escape;

/// How many of the lines that InfluxDB 3 names are passed on.
const LINES_NAMED: usize = 3;

/// What it means for a body.
pub(super) fn receipt(answer: &Answer, body: &Body) -> Receipt {
    let reason = || answer.describe();
    match answer.status {
        204 => Receipt::Accepted,
        // Some lines are in. What was sent is divided, and which ones are not is found.
        201 | 422 => Receipt::Rejected { reason: reason() },
        200..300 => Receipt::Retry {
            reason: format!(
                "{}, and InfluxDB answers 204: is it another server's address?",
                reason()
            ),
            after: None,
        },
        400 => partly(answer, body).unwrap_or_else(|| Receipt::Rejected { reason: reason() }),
        // A policy can be put right, and the body is not to blame.
        500 if answer.text.contains("retention policy not found") => {
            Receipt::Retry { reason: reason(), after: None }
        }
        _ => answer.receipt(),
    }
}

/// A line that InfluxDB 3 refuses.
#[derive(Deserialize)]
struct Line {
    /// From 1.
    line_number: u64,
    error_message: String,
    original_line: String,
}

/// Where the answer itself says how many lines are not in, while all others are.
fn partly(answer: &Answer, body: &Body) -> Option<Receipt> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        #[serde(default)]
        data: Option<Vec<Line>>,
    }
    if !answer.is_whole {
        return None;
    }
    let refusal: Refusal = serde_json::from_str(&answer.text).ok()?;
    // InfluxDB 3 names each line.
    if refusal.error.contains("partial write of line protocol occurred") {
        let lines = refusal.data.filter(|lines| !lines.is_empty())?;
        return all_but(&lines, body);
    }
    // InfluxDB 1 counts those that its policy has already forgotten. Of others it drops it does not say all.
    let dropped = refusal.error.strip_prefix("partial write: points beyond retention policy ")?;
    let rejected = dropped.strip_prefix("dropped=")?.trim().parse().ok()?;
    Some(Receipt::Partly { rejected, reason: answer.describe() })
}

/// What it means that InfluxDB 3 refuses these lines. `None` when the body has not all of them where it says: then they
/// are searched for.
fn all_but(refused: &[Line], body: &Body) -> Option<Receipt> {
    let refused: BTreeMap<_, _> = refused.iter().map(|line| (line.line_number, line)).collect();
    let mut bytes = Vec::new();
    body.open().ok()?.read_to_end(&mut bytes).ok()?;
    let mut part = Part { bytes: Vec::new(), datapoints: 0 };
    let mut named = Vec::new();
    let (mut rest, mut number) = (bytes.as_slice(), 0);
    while !rest.is_empty() {
        let (line, after) = rest.split_at(escape::line_bytes(rest).clamp(1, rest.len()));
        (rest, number) = (after, number + 1);
        let Some(Line { error_message, original_line, .. }) = refused.get(&number) else {
            continue;
        };
        if !line.starts_with(original_line.trim_end().as_bytes()) {
            return None;
        }
        part.bytes.extend_from_slice(line);
        part.datapoints += 1;
        if named.len() < LINES_NAMED {
            named.push(format!(
                "{error_message} (`{}`)",
                String::from_utf8_lossy(escape::head(line))
            ));
        }
    }
    let reason = format!("the server answered 400: {}", named.join("; "));
    (part.datapoints == refused.len() as u64).then_some(Receipt::AllBut { part, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let body = Body::Memory(b"m,t=a f=1i 5\nm,t=b f=\"x\ny\" 5\nm,t=c f=3i 5\n".to_vec());
        let meaning = |status, text: &str| match receipt(&Answer::of(status, text), &body) {
            Receipt::Accepted => "accepted".to_owned(),
            Receipt::Partly { rejected, reason } => format!("{rejected} rejected, {reason}"),
            Receipt::AllBut { part, reason } => {
                format!("all but {:?}, {reason}", String::from_utf8_lossy(&part.bytes))
            }
            Receipt::Retry { .. } => "retry".into(),
            Receipt::Fault { .. } => "fault".into(),
            Receipt::Rejected { .. } => "rejected".into(),
        };
        for (status, text, expected) in [
            (204, "", "accepted"),
            (200, "<html>", "retry"),
            (201, "", "rejected"),
            (400, r#"{"error":"partial write: field type conflict: … dropped=1"}"#, "rejected"),
            (400, r#"{"error":"partial write: unable to parse 'x' dropped=0"}"#, "rejected"),
            (400, "not JSON", "rejected"),
            (401, "", "retry"),
            (403, "", "retry"),
            (404, r#"{"error":"database not found: \"x\""}"#, "retry"),
            (413, "", "rejected"),
            (422, "", "rejected"),
            (429, "", "retry"),
            (500, r#"{"error":"retention policy not found: x"}"#, "retry"),
            (500, r#"{"error":"timeout"}"#, "fault"),
            (503, "", "fault"),
        ] {
            assert_eq!(meaning(status, text), expected, "{status} {text}");
        }
        let old = r#"{"error":"partial write: points beyond retention policy dropped=7"}"#;
        assert!(meaning(400, old).starts_with("7 rejected, the server answered 400: "));
        let three = |line: u64| {
            let line = format!(
                r#"{{"original_line":"m,t=c f=3i 5","line_number":{line},"error_message":"no"}}"#
            );
            format!(r#"{{"error":"partial write of line protocol occurred","data":[{line}]}}"#)
        };
        let expected = r#"all but "m,t=c f=3i 5\n", the server answered 400: no (`m,t=c f`)"#;
        assert_eq!(meaning(400, &three(3)), expected);
        for other in [1, 4] {
            assert_eq!(meaning(400, &three(other)), "rejected", "that line is not there");
        }
    }
}
