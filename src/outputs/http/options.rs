//! The options that every output over HTTP has.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use collectors::decode::Problem;
use collectors::period::Period;
use collectors::secret::{REDACTED, Secret};
use collectors::web::{Auth, Client, HeaderName, Identity, Sends};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ureq::http::{Uri, header};

use super::super::Surroundings;
use super::Error;
use super::proxies::{Variables, proxy};
use super::sigv4::SigV4;

/// How long a request may take when the options do not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How a server is reached. Relative paths start at the configuration's folder.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Http {
    /// How to authenticate.
    pub auth: Option<Auth>,
    /// Requests are signed as AWS asks for, instead of `auth`. It needs the feature `lambda`.
    pub sigv4: Option<SigV4>,
    /// Headers, each a text or a secret; they take the place of the output's own.
    pub headers: IndexMap<HeaderName, Secret>,
    /// How long a request may take from its beginning to the end of the answer. Default: 30 s, and at most half of what is left of the run.
    pub timeout: Option<Period>,
    /// A PEM file with the certificate authorities to trust, instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the client's certificate, for servers that ask for one; it needs `client_key`.
    pub client_certificate: Option<PathBuf>,
    /// A PEM file with the private key of `client_certificate`.
    pub client_key: Option<PathBuf>,
    /// The URL of a proxy that allows `CONNECT`, such as `http://user:password@proxy:3128`; an empty text means none.
    /// Default: what the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    pub proxy: Option<Secret>,
    #[serde(skip)]
    variables: Variables,
}

impl Http {
    /// Every secret among the options.
    pub fn secrets(&self) -> Vec<&Secret> {
        let auth = self.auth.iter().flat_map(Auth::secrets);
        let proxy = match &self.proxy {
            Some(proxy) => vec![proxy],
            None => self.variables.secrets(),
        };
        auth.chain(self.headers.values()).chain(proxy).collect()
    }

    /// Combinations of options that cannot work, for an output whose options have these under `http`.
    pub fn conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut clash = |key, message: &str| problems.push(Problem::at(&["http", key], message));
        match (&self.client_certificate, &self.client_key) {
            (Some(_), None) => {
                clash("client_certificate", "`client_certificate` needs `client_key`");
            }
            (None, Some(_)) => clash("client_key", "`client_key` needs `client_certificate`"),
            _ => {}
        }
        if self.timeout.is_some_and(|timeout| timeout.get().is_zero()) {
            clash("timeout", "`timeout` is zero: nothing could be sent");
        }
        if let Some(flaw) = self.sigv4.as_ref().and_then(SigV4::flaw) {
            clash("sigv4", flaw);
        }
        if self.sigv4.is_some() && self.auth.is_some() {
            clash("sigv4", "`auth` says who asks too: give one of them");
        }
        if self.sigv4.is_some()
            && self.headers.keys().any(|name| *name.get() == header::AUTHORIZATION)
        {
            clash("headers", "`sigv4` sets this header too: give one of them");
        }
        if let Some(auth) = &self.auth
            && self.headers.keys().any(|name| *name.get() == auth.header_name())
        {
            clash("headers", "`auth` sets this header too: give one of them");
        }
        problems
    }

    /// What of these options says who asks, for an output with options of its own for that.
    pub fn says_who(&self) -> Option<&'static str> {
        self.auth.as_ref().map(|_| "auth").or(self.sigv4.as_ref().map(|_| "sigv4"))
    }

    /// The headers of the configuration as they may be shown, by their names; of an output that has `auth` of its own,
    /// that.
    pub fn shown_headers(&self, auth: Option<&Auth>) -> Vec<(String, String)> {
        let auth = auth.or(self.auth.as_ref()).into_iter().map(Auth::header_name);
        let signature = self.sigv4.iter().map(|_| header::AUTHORIZATION);
        let names = auth.chain(signature).chain(self.headers.keys().map(|name| name.get().clone()));
        names.map(|name| (name.to_string(), REDACTED.to_owned())).collect()
    }

    /// How long a request that begins now may take.
    pub(super) fn left_until(&self, deadline: Instant) -> Duration {
        let left = deadline.saturating_duration_since(Instant::now());
        // Without a word half of what is left: a server that hangs must not use up all of the run.
        let most = self.timeout.map_or_else(|| DEFAULT_TIMEOUT.min(left / 2), Period::get);
        most.min(left)
    }

    pub(super) fn client(&self, surroundings: &Surroundings) -> Client {
        let path = |path: &PathBuf| surroundings.path(path);
        let identity = self.client_certificate.as_ref().zip(self.client_key.as_ref());
        Client {
            ca_file: self.ca_file.as_ref().map(path),
            identity: identity.map(|(certificate, key)| Identity {
                certificate: path(certificate),
                key: path(key),
            }),
            sends: Sends::Data,
        }
    }

    /// The proxy to `uri`, if there is one.
    pub(super) fn proxy_for(&self, uri: &Uri) -> Result<Option<ureq::Proxy>, Error> {
        match &self.proxy {
            Some(secret) => proxy(secret.expose()?, "`http.proxy`"),
            None => self.variables.proxy_for(uri),
        }
    }
}
