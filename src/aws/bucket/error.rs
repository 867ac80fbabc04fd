//! What can go wrong with a request to S3.

use std::io;

use super::super::account::Unavailable;
use super::super::signature;
use crate::report::printable;

/// Why a request was not answered as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS cannot be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The request cannot be signed.
    #[error(transparent)]
    Unsigned(signature::Error),
    /// The certificate authorities cannot be read.
    #[error(transparent)]
    Roots(#[from] collectors::web::BadTlsFile),
    /// There is no answer.
    #[error("{at} does not answer")]
    Request {
        /// Who.
        at: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// S3 says no.
    #[error("{at} answered {status}: {said}")]
    Refused {
        /// Who.
        at: String,
        /// The HTTP status.
        status: u16,
        /// S3's code and words.
        said: String,
    },
    /// Somebody else has written the object meanwhile.
    #[error("another has written it meanwhile")]
    Changed {
        /// How many times it was asked for.
        tries: u32,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken(#[source] io::Error),
    /// The answer lacks what every answer has.
    #[error("the answer has no ETag")]
    NoTag,
    /// The answer to a listing is not understood.
    #[error("the listing cannot be read")]
    NoListing,
    /// It is too large, with the cap in bytes.
    #[error("larger than {} KiB", .0 >> 10)]
    TooLarge(u64),
    /// The run is over.
    #[error("no time is left for a request to S3")]
    NoTime,
}

impl Error {
    /// Whether the object is not there.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, said, .. } if !said.starts_with("NoSuchBucket"))
    }

    /// Whether we may not do that.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }

    /// Whether it says nothing about the object.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => is_busy(*status),
            Self::Changed { .. } | Self::TooLarge(_) => false,
            _ => true,
        }
    }

    /// Whether nobody answers, so that the next request would only wait as long.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Request { .. } | Self::NoTime)
    }

    /// Whether what was asked for may have been done all the same: it was sent, and its answer did not come, or not whole.
    pub fn is_unsettled(&self) -> bool {
        use ureq::{Error as Failed, Timeout};

        match self {
            Self::Request { source, .. } => match &**source {
                Failed::Io(error) => error.kind() != io::ErrorKind::ConnectionRefused,
                Failed::Timeout(phase) => !matches!(phase, Timeout::Resolve | Timeout::Connect),
                Failed::HostNotFound | Failed::ConnectionFailed => false,
                _ => true,
            },
            Self::Broken(_) | Self::NoTag => true,
            _ => false,
        }
    }

    /// Whether the same request may succeed in a moment, and failed quickly.
    pub(super) fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Refused { status, .. } => is_busy(*status),
            Self::Request { source, .. } => !matches!(**source, ureq::Error::Timeout(_)),
            Self::Broken(error) => error.kind() != io::ErrorKind::TimedOut,
            _ => false,
        }
    }
}

/// 409: another is at it now.
fn is_busy(status: u16) -> bool {
    status >= 500 || status == 429 || status == 409
}

impl From<signature::Error> for Error {
    fn from(error: signature::Error) -> Self {
        match error {
            signature::Error::Unavailable(error) => Self::Unavailable(error),
            error => Self::Unsigned(error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Changed { .. } => io::ErrorKind::AlreadyExists,
            Error::Refused { status: 403, .. } => io::ErrorKind::PermissionDenied,
            error if error.is_missing() => io::ErrorKind::NotFound,
            error if error.is_silence() => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// Code and message of S3's error, or what else it says.
pub(super) fn words(xml: &str) -> String {
    let element = |name: &str| {
        let (_, behind) = xml.split_once(&format!("<{name}>"))?;
        Some(behind.split_once(&format!("</{name}>"))?.0)
    };
    let said = match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => xml.chars().take(200).collect(),
    };
    printable(&said).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_s3_says_is_shown_without_its_xml() {
        let xml = "<?xml?><Error><Code>NoSuchKey</Code><Message>Not there</Message></Error>";
        assert_eq!(words(xml), "NoSuchKey: Not there");
        assert_eq!(words("<html>\u{1b}"), "<html>\\u{1b}");
    }

    #[test]
    fn only_what_was_sent_and_not_answered_may_have_been_done() {
        let request = |source| Error::Request { at: "S3".into(), source: Box::new(source) };
        let io = |kind: io::ErrorKind| request(ureq::Error::Io(kind.into()));
        assert!(request(ureq::Error::Timeout(ureq::Timeout::Global)).is_unsettled());
        assert!(io(io::ErrorKind::ConnectionReset).is_unsettled());
        assert!(!io(io::ErrorKind::ConnectionRefused).is_unsettled());
        assert!(!request(ureq::Error::HostNotFound).is_unsettled());
        assert!(!Error::Changed { tries: 1 }.is_unsettled() && !Error::NoTime.is_unsettled());
    }

    #[test]
    fn a_bucket_that_is_gone_is_no_missing_object() {
        let refused =
            |said: &str| Error::Refused { at: "S3".into(), status: 404, said: said.into() };
        assert!(refused("NoSuchKey: gone").is_missing());
        assert!(!refused("NoSuchBucket: gone").is_missing());
    }
}
