//! The one HTTP transport of the outputs.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::{Body, Receipt};
use crate::report::printable;

/// How much of an answer is read, in bytes.
const ANSWER_CAP_BYTES: u64 = 64 * 1024;
/// How much of an answer is shown, in characters.
const ANSWER_SHOWN: usize = 200;

/// One request.
pub struct Post<'a> {
    /// Where to.
    pub url: &'a str,
    /// The headers; their values may be secret.
    pub headers: &'a [(&'a str, &'a str)],
    /// What to send.
    pub body: &'a Body,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the answer's text.
    pub text: String,
    /// `Retry-After`, as a duration.
    pub retry_after: Option<Duration>,
}

impl Answer {
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

    /// The status and the first words of the answer.
    pub fn describe(&self) -> String {
        let text = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = printable(&text);
        if text.is_empty() {
            return format!("the server answered {}", self.status);
        }
        let shown: String = text.chars().take(ANSWER_SHOWN).collect();
        format!("the server answered {}: {shown}", self.status)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The run's time is over.
    #[error("no time was left to send it")]
    Late,
    /// The body cannot be read.
    #[error("cannot read the body")]
    Body(#[source] io::Error),
    /// The certificate authorities cannot be read.
    #[error(transparent)]
    Roots(#[from] collectors::web::BadRoots),
    /// The request failed.
    #[error("`{url}`")]
    Request {
        /// Where to, without query and user.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
}

/// Posts a body and reads the answer, whatever its status.
///
/// # Errors
/// [`Error`] when there is no answer before `deadline`.
pub fn post(post: &Post<'_>, deadline: Instant) -> Result<Answer, Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::Late);
    }
    let fail = |source| Error::Request {
        url: collectors::web::redact_url(post.url),
        source: Box::new(source),
    };
    let mut request = collectors::web::agent(None)?.post(post.url);
    for (name, value) in post.headers {
        request = request.header(*name, *value);
    }
    let request = request
        .header("Content-Length", post.body.length())
        .config()
        .timeout_global(Some(left))
        .output_buffer_size(pieces_bytes(post.body.length()))
        .build();
    let response = match post.body {
        Body::Memory(bytes) => request.send(bytes.as_slice()),
        Body::File(_) => {
            let mut reader = post.body.open().map_err(Error::Body)?;
            request.send(ureq::SendBody::from_reader(&mut reader))
        }
    };
    let mut response = response.map_err(fail)?;
    let retry_after = response
        .headers()
        .get("Retry-After")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after(value.trim(), jiff::Timestamp::now()));
    let mut text = Vec::new();
    // The status has been given: an answer that breaks off afterwards changes nothing about it.
    let read = response.body_mut().as_reader().take(ANSWER_CAP_BYTES).read_to_end(&mut text);
    if let Err(error) = read {
        log::debug!("{}: the answer broke off: {error}", collectors::web::redact_url(post.url));
    }
    Ok(Answer {
        status: response.status().as_u16(),
        text: String::from_utf8_lossy(&text).into_owned(),
        retry_after,
    })
}

/// The buffer that lets a small body go out with its headers in one call: `ureq` sends half of its buffer at a time.
fn pieces_bytes(body_bytes: u64) -> usize {
    const HEADERS_BYTES: usize = 4 * 1024;
    const PIECE_BYTES: usize = 128 * 1024;
    usize::try_from(body_bytes).map_or(PIECE_BYTES, |body| body.min(PIECE_BYTES)) * 2
        + HEADERS_BYTES
}

/// `Retry-After`: seconds or a date.
fn retry_after(text: &str, now: jiff::Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}

/// The status with which a server answers a GET of `url`.
///
/// # Errors
/// Why it does not.
pub fn reach(url: &str, deadline: Instant) -> Result<u16, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    let shown = collectors::web::redact_url(url);
    let agent = collectors::web::agent(None).map_err(|error| crate::report::chain(&error))?;
    match agent.get(url).config().timeout_global(Some(left)).build().call() {
        Ok(response) => Ok(response.status().as_u16()),
        Err(error) => Err(format!("`{shown}`: {}", crate::report::chain(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() -> Result<(), jiff::Error> {
        let now = "1994-11-06T08:49:07Z".parse()?;
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after(date, now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("soon", now), None);
        Ok(())
    }

    #[test]
    fn what_a_server_says_cannot_steer_a_terminal() {
        let answer = Answer { status: 500, text: "a\x1b[2Jb".into(), retry_after: None };
        assert_eq!(answer.describe(), "the server answered 500: a\\u{1b}[2Jb");
    }
}
