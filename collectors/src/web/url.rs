//! URLs: parsed when the configuration is read, and never printed with what may be secret in them.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ureq::http::Uri;

use super::resolver::port;
use crate::secret::REDACTED;

/// An absolute `http` or `https` URL without user and password. Its printed form has no query.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url(Uri);

/// Why a text is no [`Url`]. The text itself is not told: it may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum NotAUrl {
    /// A character or a form that no URL has.
    #[error("this is no URL; characters such as spaces must be written as `%20`")]
    Malformed(#[source] ureq::http::uri::InvalidUri),
    /// A relative one, or one of another scheme.
    #[error("a URL must begin with `http://` or `https://`")]
    Scheme,
    /// `http:///path`
    #[error("the URL has no host")]
    NoHost,
    /// `https://user:password@host`
    #[error("the URL holds a user or a password; give them with `auth`")]
    UserInfo,
}

/// What a query parameter's name and value may hold as they are (RFC 3986's unreserved characters).
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Url {
    /// Parses an absolute URL. A fragment is left out.
    ///
    /// # Errors
    /// [`NotAUrl`]
    pub fn parse(text: &str) -> Result<Self, NotAUrl> {
        let uri: Uri = text.trim().parse().map_err(NotAUrl::Malformed)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(NotAUrl::Scheme);
        }
        match uri.authority() {
            Some(authority) if authority.as_str().contains('@') => Err(NotAUrl::UserInfo),
            Some(authority) if !authority.host().is_empty() => Ok(Self(uri)),
            _ => Err(NotAUrl::NoHost),
        }
    }

    /// The whole URL, to be put on a wire and nowhere else.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// The host without its port, and an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether connections to it use TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether scheme, host and port are the same: what may be told to the one may be told to the other.
    pub fn has_origin_of(&self, other: &Self) -> bool {
        self.0.scheme() == other.0.scheme()
            && self.host().eq_ignore_ascii_case(other.host())
            && port(&self.0) == port(&other.0)
    }

    /// The URL of `path` (which begins with a slash) below this one, as API clients append it. It has no query.
    ///
    /// # Errors
    /// [`NotAUrl::Malformed`] when `path` has characters that no URL has.
    pub fn below(&self, path: &str) -> Result<Self, NotAUrl> {
        let text = self.0.to_string();
        let base = text.split('?').next().unwrap_or_default().trim_end_matches('/');
        Self::parse(&format!("{base}{path}"))
    }

    /// The same with these parameters added to its query.
    ///
    /// # Errors
    /// [`NotAUrl::Malformed`] when it gets longer than a URL may be.
    pub fn with_query<'a>(
        &self,
        parameters: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, NotAUrl> {
        let mut text = self.0.to_string();
        for (name, value) in parameters {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.extend(utf8_percent_encode(name, ESCAPED));
            text.push('=');
            text.extend(utf8_percent_encode(value, ESCAPED));
        }
        Self::parse(&text)
    }

    /// The URL that `reference` means when it is found at this one (RFC 3986, section 5.2).
    ///
    /// # Errors
    /// [`NotAUrl`] when that is no `http` or `https` URL.
    pub fn join(&self, reference: &str) -> Result<Self, NotAUrl> {
        let reference = reference.trim();
        let reference = reference.split('#').next().unwrap_or_default();
        let scheme = self.0.scheme_str().unwrap_or_default();
        if has_scheme(reference) {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{scheme}:{reference}"));
        }
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let (path, query) = if path.is_empty() {
            (Cow::Borrowed(self.0.path()), query.or(self.0.query()))
        } else if path.starts_with('/') {
            (Cow::Owned(without_dots(path)), query)
        } else {
            let (folder, _) = self.0.path().rsplit_once('/').unwrap_or_default();
            (Cow::Owned(without_dots(&format!("{folder}/{path}"))), query)
        };
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Self::parse(&format!("{scheme}://{authority}{path}{query}"))
    }
}

fn has_scheme(reference: &str) -> bool {
    let before = reference.split(['/', '?', '#']).next().unwrap_or_default();
    match before.split_once(':') {
        Some((scheme, _)) => {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
        }
        None => false,
    }
}

/// An absolute path with its `.` and `..` resolved.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => {
                kept.push(segment);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// A URL as it may be printed: without user, password, query and fragment.
pub fn redact_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let Some((scheme, rest)) = url.split_once("://") else {
        // No URL, but somebody may have meant one: `http:user:password@host`.
        return url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned();
    };
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, ""),
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.0.to_string()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.query() {
            Some(_) => serializer.serialize_str(&format!("{self}?{REDACTED}")),
            None => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_str(TextVisitor)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// Takes a text, and says where secrets belong when it is given a reference to one.
struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a URL as text; what is secret belongs in `headers`, `query` or `auth`")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
}

impl JsonSchema for Url {
    fn schema_name() -> Cow<'static, str> {
        "Url".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An absolute URL without user and password.",
            "type": "string",
            "pattern": "^https?://"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_printed_url_has_no_secrets() {
        for (url, printed) in [
            ("https://u:p@host:8443/a/b?token=x#y", "https://host:8443/a/b"),
            ("http://host?x", "http://host"),
            ("https://u:p@ss@host", "https://host"),
            ("host/path?x", "host/path"),
            ("http://host/a@b", "http://host/a@b"),
        ] {
            assert_eq!(redact_url(url), printed);
        }
        let url = Url::parse("https://h/p?key=hunter2").expect("a url");
        assert!(!format!("{url} {url:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&url).expect("json").contains("hunter2"));
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for text in
            ["", "example.org", "ftp://h/", "http://", "https://u:hunter2@h/", "http://a b/"]
        {
            let error = Url::parse(text).expect_err(text);
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_reference_to_a_secret_is_no_url_and_the_hint_says_where_it_belongs() {
        let error = serde_json::from_str::<Url>(r#"{"env": "X"}"#).expect_err("no text");
        assert!(error.to_string().contains("`headers`, `query` or `auth`"), "{error}");
    }

    #[test]
    fn references_are_resolved_as_in_rfc_3986() {
        // Section 5.4, with the scheme and the fragments that HTTP has.
        let base = Url::parse("http://a/b/c/d;p?q").expect("a url");
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g/x", "http://g/x"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("g..", "http://a/b/c/g.."),
            ("https://x/y?z", "https://x/y?z"),
            ("g?u=http://z/", "http://a/b/c/g?u=http://z/"),
        ] {
            let joined = base.join(reference).expect(reference);
            assert_eq!(joined.uri().to_string(), expected, "{reference}");
        }
        assert!(base.join("javascript:alert(1)").is_err());
        let bare = Url::parse("http://a").expect("a url");
        assert_eq!(bare.join("g").expect("joined").uri().to_string(), "http://a/g");
    }

    #[test]
    fn a_path_is_appended_to_whatever_the_url_has() {
        for (base, expected) in [
            ("http://h", "http://h/write"),
            ("http://h:1/", "http://h:1/write"),
            ("http://h/a/?b=c", "http://h/a/write"),
        ] {
            let below = Url::parse(base).and_then(|url| url.below("/write")).expect(base);
            assert_eq!(below.uri().to_string(), expected);
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text| Url::parse(text).expect("a url");
        assert!(url("https://A/x").has_origin_of(&url("https://a:443/y?z")));
        assert!(!url("https://a/").has_origin_of(&url("http://a/")));
        assert!(!url("https://a/").has_origin_of(&url("https://a:8443/")));
        assert!(!url("https://a/").has_origin_of(&url("https://a.evil/")));
    }

    #[test]
    fn parameters_are_escaped() {
        let url = Url::parse("http://h/p?a=1").expect("a url");
        let url = url.with_query([("q", "x y&z"), ("é", "=")].into_iter()).expect("a url");
        assert_eq!(url.uri().to_string(), "http://h/p?a=1&q=x%20y%26z&%C3%A9=%3D");
    }

    #[test]
    fn what_is_no_url_shows_no_user_either() {
        assert_eq!(redact_url("http:me:hush@example.org?a=b"), "example.org");
        assert_eq!(redact_url("example.org/x#y"), "example.org/x");
    }
}
