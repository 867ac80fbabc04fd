//! Why a service gave no datapoints. Nothing here repeats a secret.

use std::time::Duration;

use ureq::http;

use crate::collector::Error;
use crate::secret::Unresolved;
use crate::web::{BadTlsFile, NotAUrl, ProbeError, Url};

/// What went wrong with one request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no complete answer within {:.1} s", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the request failed")]
    Request(#[source] ureq::Error),
    #[error("the answer broke off")]
    Answer(#[source] ureq::Error),
    #[error("status {status}: {text}")]
    Status {
        status: u16,
        /// How the answer begins.
        text: String,
    },
    #[error("the answer is longer than {0} bytes (`max_bytes`)")]
    TooLong(u64),
    #[error("more than {0} redirects (`redirects`)")]
    TooManyRedirects(u32),
    #[error("the service points to an address that cannot be used")]
    BadAddress(#[source] NotAUrl),
    #[error("what is posted is for the host of `url` alone, and was not sent here")]
    PostElsewhere,
    #[error("there are more than {0} pages (`pages.max`)")]
    MorePages(u32),
    #[error("the next page is on another host, `{0}`")]
    PageElsewhere(String),
    #[error("the next page is one that was there before")]
    PagesInACircle,
    #[error("`pages.next`: expected the URL of a page, found {0}")]
    NoPage(&'static str),
    #[error(transparent)]
    Secret(#[from] Unresolved),
    #[error("the value of the header `{0}` has characters that no header can have")]
    Header(http::HeaderName),
    #[error("the request cannot be written")]
    Malformed(#[from] http::Error),
    #[error(transparent)]
    Trust(#[from] BadTlsFile),
    #[error(transparent)]
    Certificate(ProbeError),
}

impl Failure {
    /// The job's error: the request to `url` failed so.
    pub(super) fn at(self, url: &Url) -> Error {
        Error::at(url.to_string(), self)
    }

    /// A failure of the client, which had so much time.
    pub(super) fn of_request(error: ureq::Error, time: Duration) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::TimedOut(time),
            other => Self::Request(other),
        }
    }

    /// A failure while the answer was read.
    pub(super) fn of_answer(error: std::io::Error, time: Duration) -> Self {
        match ureq::Error::from(error) {
            ureq::Error::Timeout(_) => Self::TimedOut(time),
            other => Self::Answer(other),
        }
    }
}
