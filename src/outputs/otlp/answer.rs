//! What a receiver's answer means.

use collectors::web::Url;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use prost::Message;

use crate::outputs::Receipt;
use crate::outputs::http::Answer;
use crate::report::printable;

/// How much of a receiver's words is shown, in characters.
const WORDS_CAP: usize = 200;

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
    let words: String = printable(&error_message).chars().take(WORDS_CAP).collect();
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
