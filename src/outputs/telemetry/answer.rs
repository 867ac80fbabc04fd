//! What Telemetry's answer to a batch means.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::Receipt;
use super::super::http::Answer;

/// What became of the flows.
#[derive(Deserialize)]
struct Said {
    errors: Vec<IgnoredAny>,
    skipped: Vec<IgnoredAny>,
}

pub(super) fn receipt(answer: &Answer) -> Receipt {
    if !(200..300).contains(&answer.status) {
        return answer.receipt();
    }
    let reason = answer.describe();
    match serde_json::from_str::<Said>(&answer.text).ok().filter(|_| answer.is_whole) {
        Some(Said { errors, skipped }) if errors.is_empty() && skipped.is_empty() => {
            Receipt::Accepted
        }
        // The batch is divided, and they are found: to send the others again changes nothing.
        Some(_) => Receipt::Rejected { reason },
        None => {
            let reason = format!("{reason}, which does not say what became of the flows");
            Receipt::Retry { reason, after: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_that_nothing_was_skipped_is_accepted() {
        for (status, text, expected) in [
            (200, r#"{"errors":[],"skipped":[],"updated":["a"]}"#, "Accepted"),
            (200, r#"{"errors":[],"skipped":["a"],"updated":[]}"#, "Rejected"),
            (200, r#"{"errors":[{"a":"no"}],"skipped":[],"updated":["b"]}"#, "Rejected"),
            (200, "<html>", "Retry"),
            (204, "", "Retry"),
            (400, "", "Rejected"),
            (401, "", "Retry"),
            (403, "", "Retry"),
            (429, "", "Retry"),
            (500, "", "Fault"),
        ] {
            let receipt = format!("{:?}", receipt(&Answer::of(status, text)));
            assert!(receipt.starts_with(expected), "{status} {text}: {receipt}");
        }
    }
}
