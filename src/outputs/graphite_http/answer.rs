//! What the services' answers mean.

use serde::Deserialize;

use super::super::Receipt;
use super::super::http::Answer;

/// How many datapoints were taken. Grafana Cloud writes the names in lower case.
#[derive(Deserialize)]
struct Said {
    #[serde(alias = "Invalid")]
    invalid: u64,
    #[serde(alias = "Published")]
    published: u64,
}

/// What the answer to a body of `sent` datapoints means.
pub(super) fn receipt(answer: &Answer, sent: u64) -> Receipt {
    if answer.status != 200 {
        return match answer.status {
            201..300 => unknown(answer),
            _ => answer.receipt(),
        };
    }
    let said = serde_json::from_str::<Said>(&answer.text).ok().filter(|_| answer.is_whole);
    let Some(Said { invalid, published }) = said else { return unknown(answer) };
    let reason = answer.describe();
    if invalid > 0 {
        // What was sent is divided, and the bad datapoints are found: to send the others again changes nothing.
        Receipt::Rejected { reason }
    } else if published < sent {
        let reason = format!("of {sent} datapoints {published} were taken: {reason}");
        Receipt::Fault { reason, after: answer.retry_after }
    } else {
        Receipt::Accepted
    }
}

/// It does not say what became of the datapoints.
fn unknown(answer: &Answer) -> Receipt {
    let reason = answer.describe();
    let reason = format!("{reason}, which does not say how many datapoints were taken");
    Receipt::Retry { reason, after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_says_that_all_is_published_is_accepted() {
        for (status, text, expected) in [
            (200, r#"{"Invalid":0,"Published":2,"ValidationErrors":{}}"#, "Accepted"),
            (200, r#"{"errors":{},"invalid":0,"published":2}"#, "Accepted"),
            (200, r#"{"Invalid":2,"Published":0,"ValidationErrors":{"no":{}}}"#, "Rejected"),
            (200, r#"{"invalid":1,"published":1}"#, "Rejected"),
            (200, r#"{"invalid":0,"published":1}"#, "Fault"),
            (200, r#"{"published":2}"#, "Retry"),
            (200, "", "Retry"),
            (202, r#"{"invalid":0,"published":2}"#, "Retry"),
            (400, "", "Rejected"),
            (401, "", "Retry"),
            (413, "", "Rejected"),
            (429, "", "Retry"),
            (500, "", "Fault"),
        ] {
            let receipt = format!("{:?}", receipt(&Answer::of(status, text), 2));
            assert!(receipt.starts_with(expected), "{status} {text}: {receipt}");
        }
    }
}
