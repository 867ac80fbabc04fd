//! One request, its redirects, and its answer.

use std::io::Read;
use std::time::{Duration, Instant};

use ureq::http::{self, header};
use ureq::{Agent, AsSendBody, Body};

use super::answer::Answer;
use super::failure::Failure;
use super::options::Method;
use super::request::Request;
use crate::bounded;
use crate::collector::Error;
use crate::web::{self, Url};

/// All that a request and its redirects are bound by.
pub(super) struct Exchange<'a> {
    pub(super) agent: &'a Agent,
    pub(super) request: &'a Request,
    /// The job's own URL: its headers are for this host alone, wherever pages and redirects lead.
    pub(super) home: &'a Url,
    pub(super) until: Instant,
    pub(super) max_bytes: u64,
    pub(super) redirects: u32,
    /// Whether an answer with this status is wanted.
    pub(super) expects: &'a dyn Fn(u16) -> bool,
}

/// How long an answer's headers may be.
#[derive(Clone, Copy)]
enum Headers {
    Usual,
    Long,
}

impl Exchange<'_> {
    /// Asks `url`, follows redirects, and reads the answer.
    pub(super) fn run(&self, url: Url) -> Result<Answer, Error> {
        let mut url = url;
        let mut method = self.request.method;
        let time = self.left();
        for _ in 0..=self.redirects {
            let is_home = url.has_origin_of(self.home);
            if method == Method::Post && !is_home {
                return Err(Failure::PostElsewhere.at(&url));
            }
            let response = self.send(&url, method, is_home).map_err(|failure| failure.at(&url))?;
            let status = response.status().as_u16();
            let is_wanted = (self.expects)(status);
            let location = response.headers().get(header::LOCATION);
            match location.filter(|_| response.status().is_redirection() && !is_wanted) {
                Some(location) if self.redirects > 0 => {
                    let location = String::from_utf8_lossy(location.as_bytes());
                    let next = url.join(&location).map_err(Failure::BadAddress);
                    url = next.map_err(|failure| failure.at(&url))?;
                    if !matches!(status, 307 | 308) {
                        method = Method::Get;
                    }
                }
                _ => {
                    let (head, body) = response.into_parts();
                    let body =
                        self.read(body, is_wanted, time).map_err(|failure| failure.at(&url))?;
                    return Ok(Answer { url, status, headers: head.headers, body });
                }
            }
        }
        Err(Failure::TooManyRedirects(self.redirects).at(&url))
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn send(
        &self,
        url: &Url,
        method: Method,
        is_home: bool,
    ) -> Result<http::Response<Body>, Failure> {
        let Request { headers, body, content_type, .. } = self.request;
        let mut builder = http::Request::builder().uri(url.uri().clone());
        if let Some(all) = builder.headers_mut() {
            if let (Method::Post, Some(content_type)) = (method, content_type) {
                all.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
            }
            // Another host must not see what was meant for this one.
            if is_home {
                all.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        match method {
            Method::Get => {
                let request = builder.method(http::Method::GET).body(())?;
                match self.send_with(request.clone(), Headers::Usual) {
                    // Rare enough that the usual buffer need not provide for it.
                    Err(Failure::Request(ureq::Error::LargeResponseHeader(..))) => {
                        self.send_with(request, Headers::Long)
                    }
                    result => result,
                }
            }
            Method::Post => {
                // What was posted must not be posted twice.
                let request = builder.method(http::Method::POST).body(body.as_slice())?;
                self.send_with(request, Headers::Long)
            }
        }
    }

    fn send_with<B: AsSendBody>(
        &self,
        request: http::Request<B>,
        headers: Headers,
    ) -> Result<http::Response<Body>, Failure> {
        let left = self.left();
        if left.is_zero() {
            return Err(Failure::TimedOut(left));
        }
        let longest_line = self.request.longest_line(request.uri().to_string().len());
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(left))
            .output_buffer_size(web::output_buffer_bytes(longest_line));
        let request = match headers {
            Headers::Usual => request,
            Headers::Long => request
                .input_buffer_size(web::LARGE_INPUT_BUFFER_BYTES)
                .max_response_header_size(web::LARGE_INPUT_BUFFER_BYTES - 1),
        };
        self.agent.run(request.build()).map_err(|error| Failure::of_request(error, left))
    }

    fn read(&self, body: Body, is_wanted: bool, time: Duration) -> Result<Vec<u8>, Failure> {
        let reader = body.into_reader();
        if is_wanted {
            let read = bounded::read(reader, self.max_bytes, "`max_bytes`");
            return read.map_err(|error| match error {
                bounded::Error::TooLong { max_bytes, .. } => Failure::TooLong(max_bytes),
                bounded::Error::Io(error) => Failure::of_answer(error, time),
            });
        }
        let mut shown = Vec::new();
        // The status is the news; its text may be cut.
        reader.take(self.request.redact.bytes_needed() as u64).read_to_end(&mut shown).ok();
        Ok(shown)
    }
}
