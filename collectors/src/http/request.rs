//! What is sent: method, headers, body. Made once, used for each page and redirect.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ureq::http::{HeaderMap, HeaderValue, header};

use super::failure::Failure;
use super::options::{Auth, Method};
use super::{Http, options};
use crate::secret::REDACTED;

/// Shorter ones are no secrets, and striking them out would leave no answer readable.
const SHORTEST_SECRET: usize = 4;

/// A request without its URL, all secrets in place. It has no `Debug`.
pub(super) struct Request {
    pub(super) method: Method,
    /// For the host of the job's URL only.
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) content_type: Option<&'static str>,
    secrets: Vec<String>,
}

impl Request {
    pub(super) fn new(http: &Http) -> Result<Self, Failure> {
        let mut headers = HeaderMap::with_capacity(http.headers.len() + 1);
        for (name, value) in &http.headers {
            insert(&mut headers, name.get(), value.expose()?)?;
        }
        match &http.auth {
            None => {}
            Some(Auth::Basic { user, password }) => {
                let pair = format!("{}:{}", user.expose()?, password.expose()?);
                let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
                insert(&mut headers, &header::AUTHORIZATION, &value)?;
            }
            Some(Auth::Bearer(token)) => {
                let value = format!("Bearer {}", token.expose()?);
                insert(&mut headers, &header::AUTHORIZATION, &value)?;
            }
            Some(Auth::Header { name, value }) => {
                insert(&mut headers, name.get(), value.expose()?)?;
            }
        }
        let (body, content_type) = match (&http.json, &http.body) {
            (Some(json), _) => (json.to_string(), Some("application/json")),
            (None, Some(body)) => (body.expose()?.to_owned(), Some("text/plain; charset=utf-8")),
            (None, None) => (String::new(), None),
        };
        Ok(Self {
            method: http.method,
            secrets: secrets(http, &headers)?,
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

    /// The text without the secrets that were sent: some services repeat them.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut scrubbed = text.to_owned();
        for secret in &self.secrets {
            scrubbed = scrubbed.replace(secret.as_str(), REDACTED);
        }
        scrubbed
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

/// Every text that must not be shown, the longest first so that no end of one stays.
fn secrets(http: &Http, headers: &HeaderMap) -> Result<Vec<String>, Failure> {
    let mut secrets = Vec::new();
    let given = http.headers.values().chain(http.auth.iter().flat_map(Auth::secrets));
    for secret in given.chain(http.query.values().map(options::Parameter::secret)) {
        secrets.push(secret.expose()?.to_owned());
    }
    for value in headers.values().filter_map(|value| value.to_str().ok()) {
        secrets.push(value.to_owned());
        secrets.extend(value.split_once(' ').map(|(_, credentials)| credentials.to_owned()));
    }
    secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    Ok(secrets)
}
