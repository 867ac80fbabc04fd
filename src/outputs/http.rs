//! The one HTTP transport of the outputs.
//!
//! An output that speaks HTTP has the options [`Http`] under the key `http`, makes a [`Post`] and reads the
//! [`Answer`]. What is the same for all of them is decided here: trust, proxies, headers, compression, time. No
//! redirect is followed, connections are used again for the next body, and of an answer only the beginning is read.

mod answer;
mod no_proxy;
mod options;
mod proxies;
mod sigv4;

use std::io;
use std::time::{Duration, Instant};

use collectors::redact::Redact;
use collectors::secret::{Secret, Unresolved};
use collectors::web::{Auth, BadTlsFile, redact_url};
use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ureq::http::{self, HeaderMap, HeaderName, HeaderValue, header};

use super::{Body, Destination, Receipt, Surroundings};

pub use answer::Answer;
pub use options::Http;

/// One request.
pub struct Post<'a> {
    /// How the server is reached.
    pub http: &'a Http,
    /// Where relative paths of `http` start.
    pub surroundings: &'a Surroundings,
    /// What is asked for.
    pub method: Method,
    /// Where to.
    pub url: &'a str,
    /// Headers of the output's own; those of `http` take their place. What is secret belongs in `auth`.
    pub headers: Vec<(&'a str, &'a str)>,
    /// Who asks, where the output has options of its own for that; else `http.auth` says it.
    pub auth: Option<Auth>,
    /// What to send.
    pub body: &'a Body,
    /// How it is sent.
    pub compression: Compression,
    /// How much of the answer is read, in bytes.
    pub answer_cap_bytes: u64,
}

/// The method of a [`Post`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
}

impl Method {
    /// As it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
        }
    }
}

/// How a body is compressed on its way; in the spool it is plain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// With gzip.
    #[default]
    Gzip,
    /// Not at all.
    None,
}

impl<'a> Post<'a> {
    /// A plain POST.
    pub fn new(
        http: &'a Http,
        surroundings: &'a Surroundings,
        url: &'a str,
        body: &'a Body,
    ) -> Self {
        Self {
            http,
            surroundings,
            method: Method::Post,
            url,
            headers: Vec::new(),
            auth: None,
            body,
            compression: Compression::None,
            answer_cap_bytes: answer::CAP_BYTES,
        }
    }

    /// The same as it may be shown, with `url` in the words of the output.
    pub fn destination(&self, url: String) -> Destination {
        let encoding =
            (self.compression == Compression::Gzip).then_some(("Content-Encoding", "gzip"));
        let configured = self.http.shown_headers(self.auth.as_ref());
        let is_own =
            |name: &str| !configured.iter().any(|(taken, _)| taken.eq_ignore_ascii_case(name));
        let own = self.headers.iter().copied().chain(encoding).filter(|(name, _)| is_own(name));
        let mut headers: Vec<_> =
            own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        headers.extend(configured);
        Destination { method: self.method.as_str(), url, headers }
    }

    /// What is said before the body.
    fn all_headers(&self) -> Result<HeaderMap, Error> {
        let mut all = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(http::Error::from)?;
            let value = HeaderValue::from_str(value);
            all.insert(name.clone(), value.map_err(|_| Error::Header(name))?);
        }
        add_headers(&mut all, self.http, self.auth.as_ref())?;
        if self.compression == Compression::Gzip {
            all.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(all)
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
    /// A file of certificates or keys cannot be used.
    #[error(transparent)]
    Trust(#[from] BadTlsFile),
    /// A reference was not resolved.
    #[error(transparent)]
    Secret(#[from] Unresolved),
    /// AWS does not say who we are.
    #[cfg(feature = "lambda")]
    #[error("no signature")]
    Unsigned(#[from] crate::aws::signature::Error),
    /// This build has no access to AWS.
    #[cfg(not(feature = "lambda"))]
    #[error("this build has no access to AWS; the feature `lambda` gives it")]
    NoAws,
    /// The value cannot be sent. It may be secret, so it is not told.
    #[error("the value of the header `{0}` has characters that no header can have")]
    Header(HeaderName),
    /// No request can be made of it.
    #[error("the request cannot be written")]
    Malformed(#[from] http::Error),
    /// The proxy's URL. It may hold a password, so it is not told.
    #[error("the proxy in {0} is none that can be used: expected `http://host:port`")]
    Proxy(&'static str),
    /// The server did not answer in time.
    #[error("`{url}`: no complete answer within {:.1} s", .within.as_secs_f64())]
    TimedOut {
        /// Where to, without query and user.
        url: String,
        /// How long was waited.
        within: Duration,
    },
    /// The request failed.
    #[error("`{url}`")]
    Request {
        /// Where to, without query and user.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
}

impl Error {
    /// What it means for the body.
    pub fn receipt(&self) -> Receipt {
        let (reason, after) = (crate::report::chain(self), None);
        match self {
            // The server had the body, or a part of it, before it fell silent.
            Self::TimedOut { .. } => Receipt::Fault { reason, after },
            Self::Request { source, .. } if had_begun(source) => Receipt::Fault { reason, after },
            _ => Receipt::Retry { reason, after },
        }
    }
}

fn had_begun(error: &ureq::Error) -> bool {
    use io::ErrorKind as Kind;
    match error {
        ureq::Error::Protocol(_) => true,
        ureq::Error::Io(error) => matches!(
            error.kind(),
            Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::BrokenPipe
                | Kind::UnexpectedEof
        ),
        _ => false,
    }
}

/// Sends a body and reads the answer, whatever its status.
///
/// # Errors
/// [`Error`] when there is no answer before `deadline`, or within the timeout of the options.
pub fn post(post: &Post<'_>, deadline: Instant) -> Result<Answer, Error> {
    let compressed;
    let body = match post.compression {
        Compression::None => post.body,
        Compression::Gzip => {
            compressed = compress(post.body).map_err(Error::Body)?;
            &compressed
        }
    };
    let mut request = http::Request::builder().uri(post.url).method(post.method.as_str());
    let mut headers = post.all_headers()?;
    sign(post.http, post.method.as_str(), post.url, body, &mut headers)?;
    let redact = redact(post.http, post.auth.as_ref(), &headers);
    headers.insert(header::CONTENT_LENGTH, body.length().into());
    if let Some(all) = request.headers_mut() {
        all.extend(headers);
    }
    let Post { http, surroundings, answer_cap_bytes, .. } = *post;
    match body {
        Body::Memory(bytes) => {
            let request = request.body(bytes.as_slice())?;
            ask(http, surroundings, request, redact, answer_cap_bytes, deadline)
        }
        Body::File(_) => {
            let mut reader = body.open().map_err(Error::Body)?;
            let request = request.body(ureq::SendBody::from_reader(&mut reader))?;
            ask(http, surroundings, request, redact, answer_cap_bytes, deadline)
        }
    }
}

/// In memory: a compressed body takes less than the datapoints it was made of did.
fn compress(body: &Body) -> io::Result<Body> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::copy(&mut body.open()?, &mut encoder)?;
    Ok(Body::Memory(encoder.finish()?))
}

/// Asks a server and reads the answer.
fn ask(
    http: &Http,
    surroundings: &Surroundings,
    request: http::Request<impl ureq::AsSendBody>,
    redact: Redact,
    cap_bytes: u64,
    deadline: Instant,
) -> Result<Answer, Error> {
    let left = http.left_until(deadline);
    if left.is_zero() {
        return Err(Error::Late);
    }
    let url = redact_url(&request.uri().to_string());
    let agent = http.client(surroundings).agent()?;
    let proxy = http.proxy_for(request.uri())?;
    let request = agent.configure_request(request).timeout_global(Some(left)).proxy(proxy).build();
    let response = match agent.run(request) {
        Ok(response) => response,
        Err(ureq::Error::Timeout(_)) => return Err(Error::TimedOut { url, within: left }),
        Err(source) => return Err(Error::Request { url, source: Box::new(source) }),
    };
    Ok(Answer::read(response, cap_bytes, redact, &url))
}

/// A request without a body.
pub struct Question<'a> {
    /// How the server is reached.
    pub http: &'a Http,
    /// Where relative paths of `http` start.
    pub surroundings: &'a Surroundings,
    /// Where to.
    pub url: &'a str,
    /// Who asks, where the output has options of its own for that; else `http.auth` says it.
    pub auth: Option<&'a Auth>,
}

impl Question<'_> {
    /// What the server answers to a GET.
    ///
    /// # Errors
    /// [`Error`] when it does not.
    pub fn get(&self, deadline: Instant) -> Result<Answer, Error> {
        self.ask(http::Method::GET, answer::ASKED_CAP_BYTES, deadline)
    }

    /// What the server answers when it is asked to delete what is there.
    ///
    /// # Errors
    /// [`Error`] when it does not.
    pub fn delete(&self, deadline: Instant) -> Result<Answer, Error> {
        self.ask(http::Method::DELETE, answer::CAP_BYTES, deadline)
    }

    fn ask(
        &self,
        method: http::Method,
        cap_bytes: u64,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        let Self { http, surroundings, url, auth } = *self;
        let mut headers = HeaderMap::new();
        add_headers(&mut headers, http, auth)?;
        sign(http, method.as_str(), url, &Body::empty(), &mut headers)?;
        let redact = redact(http, auth, &headers);
        let mut request = http::Request::builder().method(method).uri(url);
        if let Some(all) = request.headers_mut() {
            all.extend(headers);
        }
        ask(http, surroundings, request.body(())?, redact, cap_bytes, deadline)
    }
}

/// The headers of the configuration: they take the place of an output's own.
fn add_headers(all: &mut HeaderMap, http: &Http, auth: Option<&Auth>) -> Result<(), Error> {
    let mut insert = |name: HeaderName, value: &str| {
        let value = HeaderValue::from_str(value);
        let mut value = value.map_err(|_| Error::Header(name.clone()))?;
        value.set_sensitive(true);
        all.insert(name, value);
        Ok::<_, Error>(())
    };
    if let Some(auth) = auth.or(http.auth.as_ref()) {
        let (name, value) = auth.header()?;
        insert(name, &value)?;
    }
    for (name, value) in &http.headers {
        insert(name.get().clone(), value.expose()?)?;
    }
    Ok(())
}

/// Signs what is sent, where the server asks for that.
fn sign(
    http: &Http,
    method: &str,
    url: &str,
    body: &Body,
    headers: &mut HeaderMap,
) -> Result<(), Error> {
    let Some(sigv4) = &http.sigv4 else { return Ok(()) };
    let uri = url.parse().map_err(ureq::http::Error::from)?;
    sigv4.sign(method, &uri, body, headers)
}

/// Hides in an answer what was sent, should it be repeated.
fn redact(http: &Http, auth: Option<&Auth>, headers: &HeaderMap) -> Redact {
    let sensitive = headers.values().filter(|value| value.is_sensitive());
    let sent: Vec<_> = sensitive.filter_map(|value| value.to_str().ok()).collect();
    let credentials = sent.iter().filter_map(|value| Some(value.split_once(' ')?.1));
    let sent: Vec<_> = sent.iter().copied().chain(credentials).map(Secret::plain).collect();
    let auth = auth.into_iter().flat_map(Auth::secrets);
    Redact::new(http.secrets().into_iter().chain(auth).chain(&sent))
}

#[cfg(test)]
mod tests;
