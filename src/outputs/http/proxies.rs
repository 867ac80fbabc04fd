//! Proxies, as the environment names them.
//!
//! The variables are secrets, for a proxy's URL may hold a password; so they are read where all secrets are, and
//! nothing here looks into the environment itself.

use collectors::secret::{Reference, Secret};
use ureq::Proxy;
use ureq::http::Uri;

use super::{Error, no_proxy};

/// The variables that name proxies, and what is reached without one. Of the two spellings the first that is set
/// counts.
#[derive(Debug)]
pub(super) struct Variables {
    https: [(&'static str, Secret); 2],
    http: [(&'static str, Secret); 2],
    all: [(&'static str, Secret); 2],
    none: [(&'static str, Secret); 2],
}

impl Default for Variables {
    fn default() -> Self {
        let variables = |names: [&'static str; 2]| {
            names.map(|name| (name, Secret::optional(Reference::Env(name.to_owned()))))
        };
        Self {
            https: variables(["https_proxy", "HTTPS_PROXY"]),
            http: variables(["http_proxy", "HTTP_PROXY"]),
            all: variables(["all_proxy", "ALL_PROXY"]),
            none: variables(["no_proxy", "NO_PROXY"]),
        }
    }
}

impl Variables {
    pub(super) fn secrets(&self) -> Vec<&Secret> {
        let Self { https, http, all, none } = self;
        [https, http, all, none].into_iter().flatten().map(|(_, secret)| secret).collect()
    }

    /// The proxy to `uri`. This machine itself is reached without one.
    pub(super) fn proxy_for(&self, uri: &Uri) -> Result<Option<Proxy>, Error> {
        let scheme = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        let Some((name, url)) = first_set(scheme).or_else(|| first_set(&self.all)) else {
            return Ok(None);
        };
        let excluded = first_set(&self.none).map_or("", |(_, hosts)| hosts);
        if no_proxy::is_local(uri) || no_proxy::names(excluded, uri) {
            return Ok(None);
        }
        proxy(url, name)
    }
}

fn first_set<'a>(variables: &'a [(&'static str, Secret)]) -> Option<(&'static str, &'a str)> {
    let mut values = variables.iter().map(|(name, secret)| (*name, secret.expose().unwrap_or("")));
    values.find(|(_, value)| !value.is_empty())
}

/// The proxy with that URL, which `place` gave; none for an empty text.
pub(super) fn proxy(url: &str, place: &'static str) -> Result<Option<Proxy>, Error> {
    let url = url.trim();
    if url.is_empty() {
        return Ok(None);
    }
    let proxy = Proxy::new(url).map_err(|_| Error::Proxy(place))?;
    // Of the others this build knows none, and would pass them by in silence.
    let is_known =
        matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https);
    if is_known { Ok(Some(proxy)) } else { Err(Error::Proxy(place)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(set: &[(&str, &str)], uri: &str) -> Result<Option<String>, Error> {
        let variables = Variables::default();
        for secret in variables.secrets() {
            let Some(Reference::Env(name)) = secret.reference() else { continue };
            let value = set.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
            secret.resolve(value);
        }
        let uri = uri.parse().expect("a URL");
        let proxy = variables.proxy_for(&uri)?;
        Ok(proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port())))
    }

    #[test]
    fn the_scheme_chooses_the_variable() {
        let set = [("HTTPS_PROXY", "http://u:p@a:1"), ("http_proxy", "b:2"), ("HTTP_PROXY", "c:3")];
        let chosen = |uri| chosen(&set, uri).expect("usable");
        assert_eq!(chosen("https://x.org/"), Some("a:1".into()));
        assert_eq!(chosen("http://x.org/"), Some("b:2".into()));
        assert_eq!(chosen("http://127.0.0.1:8086/"), None);
        assert_eq!(chosen("http://localhost/"), None);
    }

    #[test]
    fn one_for_all_but_those_that_need_none() {
        let set = [("ALL_PROXY", "http://a:1"), ("NO_PROXY", "x.org")];
        assert_eq!(chosen(&set, "https://db.x.org/").expect("usable"), None);
        assert_eq!(chosen(&set, "https://y.org/").expect("usable"), Some("a:1".into()));
    }

    #[test]
    fn one_that_cannot_be_used_is_an_error_that_does_not_repeat_it() {
        for url in ["socks5://me:hunter2@a:1", "http://me:hunter2@", "http://me:hun ter2@a"] {
            let error = chosen(&[("HTTPS_PROXY", url)], "https://x.org/").expect_err(url);
            let told = crate::report::chain(&error);
            assert!(told.contains("HTTPS_PROXY") && !told.contains("hun"), "{told}");
        }
    }
}
