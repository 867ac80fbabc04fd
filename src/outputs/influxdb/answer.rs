//! What InfluxDB's answer to a write means.

use serde::Deserialize;

use super::super::Receipt;
use super::super::http::Answer;

/// How many of the lines that InfluxDB 3 names are passed on.
const LINES_NAMED: usize = 3;

pub(super) fn receipt(answer: &Answer) -> Receipt {
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
        400 => partly(answer).unwrap_or_else(|| Receipt::Rejected { reason: reason() }),
        // A policy can be put right, and the body is not to blame.
        500 if answer.text.contains("retention policy not found") => {
            Receipt::Retry { reason: reason(), after: None }
        }
        _ => answer.receipt(),
    }
}

/// Where the answer itself says how many lines are not in, while all others are.
fn partly(answer: &Answer) -> Option<Receipt> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        #[serde(default)]
        data: Option<Vec<Line>>,
    }
    #[derive(Deserialize)]
    struct Line {
        line_number: u64,
        error_message: String,
    }
    if !answer.is_whole {
        return None;
    }
    let refusal: Refusal = serde_json::from_str(&answer.text).ok()?;
    // InfluxDB 3 names each line.
    if refusal.error.contains("partial write of line protocol occurred") {
        let lines = refusal.data.filter(|lines| !lines.is_empty())?;
        let named = lines.iter().take(LINES_NAMED);
        let named: Vec<_> = named
            .map(|line| format!("line {}: {}", line.line_number, line.error_message))
            .collect();
        let reason = format!("the server answered 400: {}", named.join("; "));
        return Some(Receipt::Partly { rejected: lines.len() as u64, reason });
    }
    // InfluxDB 1 counts those that its policy has already forgotten. Of others it drops it does not say all.
    let dropped = refusal.error.strip_prefix("partial write: points beyond retention policy ")?;
    let rejected = dropped.strip_prefix("dropped=")?.trim().parse().ok()?;
    Some(Receipt::Partly { rejected, reason: answer.describe() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_meaning() {
        let meaning = |status, text: &str| match receipt(&Answer::of(status, text)) {
            Receipt::Accepted => "accepted".to_owned(),
            Receipt::Partly { rejected, reason } => format!("{rejected} rejected, {reason}"),
            Receipt::AllBut { .. } => "all but a part".into(),
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
        let three = r#"{"error":"partial write of line protocol occurred",
            "data":[{"original_line":"m x","line_number":2,"error_message":"no"}]}"#;
        assert_eq!(meaning(400, three), "1 rejected, the server answered 400: line 2: no");
    }
}
