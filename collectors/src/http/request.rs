//! What is sent: method, headers, body. Made once, used for each page and redirect.

use ureq::http::{HeaderMap, HeaderValue};

use super::Http;
use super::failure::Failure;
use super::options::Method;
use crate::collector::Collector;
use crate::redact::Redact;
use crate::secret::Secret;

/// A request without its URL, all secrets in place. It has no `Debug`.
pub(super) struct Request {
    pub(super) method: Method,
    /// For the host of the job's URL only.
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) content_type: Option<&'static str>,
    /// Hides what is sent.
    pub(super) redact: Redact,
}

impl Request {
    pub(super) fn new(http: &Http) -> Result<Self, Failure> {
        let mut headers = HeaderMap::with_capacity(http.headers.len() + 1);
        for (name, value) in &http.headers {
            insert(&mut headers, name.get(), value.expose()?)?;
        }
        if let Some(auth) = &http.auth {
            let (name, value) = auth.header()?;
            insert(&mut headers, &name, &value)?;
        }
        let (body, content_type) = match (&http.json, &http.body) {
            (Some(json), _) => (json.expose()?.to_string(), Some("application/json")),
            (None, Some(body)) => (body.expose()?.to_owned(), Some("text/plain; charset=utf-8")),
            (None, None) => (String::new(), None),
        };
        Ok(Self {
            method: http.method,
            redact: redact(http, &headers),
            headers,
            body: body.into_bytes(),
            content_type,
        })
    }

    /// The longest line of the request's head.
    pub(super) fn longest_line(&self, uri_length: usize) -> usize {
        let header = |(name, value): (&ureq::http::HeaderName, &HeaderValue)| {
            name.as_str().len() + value.len()
        };
        self.headers.iter().map(header).fold(uri_length, usize::max)
    }
}

fn insert(
    headers: &mut HeaderMap,
    name: &ureq::http::HeaderName,
    value: &str,
) -> Result<(), Failure> {
    let mut value = HeaderValue::from_str(value).map_err(|_| Failure::Header(name.clone()))?;
    value.set_sensitive(true);
    headers.insert(name.clone(), value);
    Ok(())
}

/// Everything that an answer may repeat and no error may show, also in the form in which it was sent.
fn redact(http: &Http, headers: &HeaderMap) -> Redact {
    let sent: Vec<_> = headers.values().filter_map(|value| value.to_str().ok()).collect();
    let credentials = sent.iter().filter_map(|value| Some(value.split_once(' ')?.1));
    let query = http.url.uri().query().unwrap_or_default().split('&');
    let query = query.filter_map(|parameter| Some(parameter.split_once('=')?.1));
    let others: Vec<_> =
        sent.iter().copied().chain(credentials).chain(query).map(Secret::plain).collect();
    Redact::new(http.secrets().into_iter().chain(&others))
}
