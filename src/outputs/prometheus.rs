//! A payload as Prometheus sees it: series of floats, each a metric's name and a sorted set of labels.
//!
//! What is not legal there is made legal, so that nothing is lost, and what would be the same series twice is told:
//!
//! - A name's characters beyond letters, digits, `_` and, for a metric, `:` become `_`; a digit in front gets a `_`
//!   before it. Two underscores before a label's name are Prometheus's own, and become one.
//! - Labels of a datapoint whose names have become the same are one label, their values joined by `;`, as
//!   OpenTelemetry has it. An empty label is no label.
//! - A label whose name an output needs for itself goes out as `exported_…`, as Prometheus does when it scrapes.
//! - Text goes out as the label `value` of a metric `…_info` that is always 1, or is refused.

pub(super) mod exposition;
mod labels;
mod names;
mod series;

pub(super) use labels::Labels;
pub(super) use names::check_prefix;
pub(super) use series::{Gathered, Kind, Rules, Sample, Series};

use super::Receipt;
use super::http::Answer;
use collectors::web::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of text, which is no value there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Text {
    /// It is the label `value` of a metric that is always 1 and whose name ends in `_info`.
    #[default]
    Label,
    /// It is refused, and counted as lost.
    Refuse,
}

/// Text of more bytes than this is refused: receivers cut labels that are longer, and say nothing.
pub(super) const TEXT_BYTES_MAX: usize = 1_024;

/// What an answer means; of something else in the receiver's place, `what` says what that is not.
pub(super) fn receipt(answer: &Answer, url: &Url, what: &str) -> Receipt {
    if is_page(answer) {
        let reason = format!("`{url}` answered with a web page: {what}");
        return Receipt::Retry { reason, after: None };
    }
    answer.receipt()
}

/// Whether something else than a receiver says that all is well: a login page, or a proxy's greeting.
pub(super) fn is_page(answer: &Answer) -> bool {
    (200..300).contains(&answer.status) && answer.text.trim_start().starts_with('<')
}
