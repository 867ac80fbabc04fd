//! What a receiver's answer means.

use collectors::web::Url;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use prost::Message;

use crate::outputs::Receipt;
use crate::outputs::http::Answer;

/// What the receiver at `endpoint` says of a body.
pub(super) fn receipt(answer: &Answer, endpoint: &Url) -> Receipt {
    if !(200..300).contains(&answer.status) {
        return answer.receipt();
    }
    let Some(response) = response(answer) else {
        let status = answer.status;
        let reason = format!("`{endpoint}` answered {status}, but not as OTLP has it");
        return Receipt::Retry { reason, after: None };
    };
    let ExportMetricsPartialSuccess { rejected_data_points, error_message } =
        response.partial_success.unwrap_or_default();
    let words = answer.show(&error_message);
    match u64::try_from(rejected_data_points) {
        Ok(rejected) if rejected > 0 => {
            let reason = format!("the receiver rejected {rejected} data points: {words}");
            Receipt::Partly { rejected, reason }
        }
        _ => {
            if !words.is_empty() {
                log::warn!("`{endpoint}` took the body, and warns: {words}");
            }
            Receipt::Accepted
        }
    }
}

/// The response, in either encoding; an empty one says that all is well.
fn response(answer: &Answer) -> Option<ExportMetricsServiceResponse> {
    if !answer.is_whole {
        return None;
    }
    if answer.text.trim_start().starts_with('{') {
        return json(&answer.text);
    }
    ExportMetricsServiceResponse::decode(answer.bytes.as_slice()).ok()
}

/// As OTLP has it in JSON: what is not known is skipped, and a number may be text.
fn json(text: &str) -> Option<ExportMetricsServiceResponse> {
    let response: serde_json::Value = serde_json::from_str(text).ok()?;
    let partial = &response["partialSuccess"];
    let rejected = match &partial["rejectedDataPoints"] {
        serde_json::Value::Null => 0,
        serde_json::Value::String(text) => text.parse().ok()?,
        number => number.as_i64()?,
    };
    let partial_success = ExportMetricsPartialSuccess {
        rejected_data_points: rejected,
        error_message: partial["errorMessage"].as_str().unwrap_or_default().to_owned(),
    };
    Some(ExportMetricsServiceResponse { partial_success: Some(partial_success) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt_of(status: u16, text: &str) -> Receipt {
        let endpoint = Url::parse("http://h").expect("a URL");
        receipt(&Answer::of(status, text), &endpoint)
    }

    #[test]
    fn an_empty_response_is_a_success_in_either_encoding() {
        for text in ["", "{}", "{\"partialSuccess\":{}}", " {\"partialSuccess\":null}"] {
            assert_eq!(receipt_of(200, text), Receipt::Accepted, "{text}");
        }
    }

    #[test]
    fn rejected_data_points_are_counted_in_either_form_of_a_number() {
        for number in ["3", "\"3\""] {
            let text = format!(
                "{{\"partialSuccess\":{{\"rejectedDataPoints\":{number},\"errorMessage\":\"no\"}}}}"
            );
            let reason = "the receiver rejected 3 data points: no".to_owned();
            assert_eq!(receipt_of(200, &text), Receipt::Partly { rejected: 3, reason });
        }
    }

    #[test]
    fn a_warning_is_a_success() {
        let text = "{\"partialSuccess\":{\"errorMessage\":\"slow down\"}}";
        assert_eq!(receipt_of(200, text), Receipt::Accepted);
    }

    #[test]
    fn what_is_not_otlp_is_no_success() {
        for text in
            ["<html>", "welcome", "{", "{\"partialSuccess\":{\"rejectedDataPoints\":\"x\"}}"]
        {
            assert!(matches!(receipt_of(200, text), Receipt::Retry { .. }), "{text}");
        }
    }
}
