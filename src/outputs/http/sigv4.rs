//! Requests signed as AWS asks for, instead of a token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, HeaderValue, Uri};

use super::super::Body;
use super::Error;

/// Signatures of AWS, version 4. Who signs is found as the AWS SDK finds it: environment, profile, or role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SigV4 {
    /// The service, such as `monitoring` (CloudWatch) or `aps` (Managed Prometheus).
    pub service: String,
    /// The region. Default: the one that the SDK finds.
    #[serde(default)]
    pub region: Option<String>,
}

impl SigV4 {
    /// Adds the headers that say who asks.
    #[cfg(feature = "lambda")]
    pub(super) fn sign(
        &self,
        method: &str,
        uri: &Uri,
        body: &Body,
        headers: &mut HeaderMap,
    ) -> Result<(), Error> {
        use crate::aws::signature::{self, Request};

        let url = uri.to_string();
        let sha256 = digest(body).map_err(Error::Body)?;
        // What a proxy may add or change is not signed.
        let signed = ["content-type", "content-encoding"].into_iter();
        let signed: Vec<(&str, &str)> =
            signed.filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?))).collect();
        let request = Request { method, url: &url, headers: &signed, body_sha256: &sha256 };
        let made = signature::headers(&self.service, self.region.as_deref(), request)?;
        for (name, value) in made {
            let name = ureq::http::HeaderName::from_bytes(name.as_bytes())
                .map_err(ureq::http::Error::from)?;
            let value = HeaderValue::from_str(&value);
            let mut value = value.map_err(|_| Error::Header(name.clone()))?;
            value.set_sensitive(name != "x-amz-date");
            headers.insert(name, value);
        }
        Ok(())
    }

    /// This build cannot: the options say so before a run begins.
    #[cfg(not(feature = "lambda"))]
    pub(super) fn sign(
        &self,
        _: &str,
        _: &Uri,
        _: &Body,
        _: &mut HeaderMap<HeaderValue>,
    ) -> Result<(), Error> {
        Err(Error::NoAws)
    }

    /// What is wrong with it.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        if cfg!(not(feature = "lambda")) {
            Some("this build has no access to AWS; the feature `lambda` gives it")
        } else if self.service.is_empty() {
            Some("`service` is empty")
        } else {
            None
        }
    }
}

#[cfg(feature = "lambda")]
fn digest(body: &Body) -> std::io::Result<String> {
    use std::io::Read;

    use sha2::{Digest, Sha256};

    let (mut reader, mut digest) = (body.open()?, Sha256::new());
    let mut piece = [0; 16 * 1024];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => digest.update(&piece[..read]),
        }
    }
}
