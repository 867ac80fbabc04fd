//! What a server says, and what that means to most outputs.

use std::fmt;
use std::io::Read;
use std::time::Duration;

use collectors::redact::Redact;
use ureq::http::header;

use super::super::Receipt;
use crate::report::printable;

/// How much of an answer to what was sent is read, in bytes, where the output does not choose it.
pub(super) const CAP_BYTES: u64 = 64 * 1024;
/// How much is read of what was asked for, in bytes: a board with a hundred widgets has 30 KB.
pub(super) const ASKED_CAP_BYTES: u64 = 1024 * 1024;
/// How much of an answer is shown, in characters.
const SHOWN: usize = 200;

/// What came back.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the answer as it came.
    pub bytes: Vec<u8>,
    /// The same as text. It may repeat what was sent: [`Answer::describe`] hides it.
    pub text: String,
    /// Whether that is all of it: it was neither too long nor did it break off.
    pub is_whole: bool,
    /// `Retry-After`, as a duration.
    pub retry_after: Option<Duration>,
    /// What was sent and must not be shown.
    redact: Redact,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl Answer {
    /// Reads what a server answers, up to so many bytes. `url` is for the log.
    pub(super) fn read(
        mut response: ureq::http::Response<ureq::Body>,
        cap_bytes: u64,
        redact: Redact,
        url: &str,
    ) -> Self {
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after_of(value.trim(), jiff::Timestamp::now()));
        let mut bytes = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(cap_bytes + 1).read_to_end(&mut bytes);
        // The status has been given: where that is all that counts, an answer that breaks off changes nothing.
        if let Err(error) = &read {
            log::debug!("{url}: the answer broke off: {error}");
        }
        let is_whole = read.is_ok_and(|read| read as u64 <= cap_bytes);
        Self::new(response.status().as_u16(), bytes, is_whole, retry_after, redact)
    }

    fn new(
        status: u16,
        bytes: Vec<u8>,
        is_whole: bool,
        retry_after: Option<Duration>,
        redact: Redact,
    ) -> Self {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Self { status, bytes, text, is_whole, retry_after, redact }
    }

    /// An answer as a test wants it.
    #[cfg(test)]
    pub(in crate::outputs) fn of(status: u16, text: &str) -> Self {
        Self::new(status, text.as_bytes().to_vec(), true, None, Redact::new([]))
    }

    /// What an answer means to most servers: by its status alone.
    pub fn receipt(&self) -> Receipt {
        let (reason, after) = (self.describe(), self.retry_after);
        match self.status {
            200..300 => Receipt::Accepted,
            // An overload, or a question of time.
            408 | 425 | 429 => Receipt::Retry { reason, after },
            // A redirect is not followed: the address in the configuration is wrong, the body is not. Nor is it to
            // blame for an address or a door that is to be put right.
            300..=399 | 401 | 403 | 404 | 405 | 407 => Receipt::Retry { reason, after: None },
            500.. => Receipt::Fault { reason, after },
            _ => Receipt::Rejected { reason },
        }
    }

    /// The status and the first words of the answer, with nothing secret in them.
    pub fn describe(&self) -> String {
        match self.show(&self.text).as_str() {
            "" => format!("the server answered {}", self.status),
            shown => format!("the server answered {}: {shown}", self.status),
        }
    }

    /// The first words of a text that the answer holds, with nothing secret in them.
    pub fn show(&self, text: &str) -> String {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.redact.text(&printable(&words)).chars().take(SHOWN).collect()
    }
}

/// `Retry-After`: seconds or a date.
fn retry_after_of(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use collectors::secret::Secret;

    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() -> Result<(), jiff::Error> {
        let now = "1994-11-06T08:49:07Z".parse()?;
        assert_eq!(retry_after_of("120", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after_of(date, now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after_of("soon", now), None);
        Ok(())
    }

    #[test]
    fn what_a_server_says_cannot_steer_a_terminal() {
        let answer = Answer::new(500, b"a\x1b[2Jb".to_vec(), true, None, Redact::new([]));
        assert_eq!(answer.describe(), "the server answered 500: a\\u{1b}[2Jb");
    }

    #[test]
    fn what_a_server_repeats_is_hidden() {
        let redact = Redact::new(&[Secret::plain("hunter2")]);
        let answer = Answer::new(401, b"who is hunter2?".to_vec(), true, None, redact);
        assert_eq!(answer.describe(), "the server answered 401: who is [redacted]?");
    }
}
