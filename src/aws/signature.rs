//! Signatures of requests, version 4. The SDK's signer makes them; the requests are sent like all others.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningError, SigningSettings};
use aws_sigv4::sign::v4;

use super::account::{Account, Unavailable};

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS cannot be asked who we are.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The signer refuses.
    #[error("the request cannot be signed")]
    Unsigned(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<SigningError> for Error {
    fn from(error: SigningError) -> Self {
        Self::Unsigned(error.into())
    }
}

/// What a request says.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Where to.
    pub url: &'a str,
    /// The headers that are signed too.
    pub headers: &'a [(&'a str, &'a str)],
    /// The SHA-256 of its body, in hex digits.
    pub body_sha256: &'a str,
}

/// The headers that say who asks, for a service in a region; without one, in that of the account.
///
/// # Errors
/// [`Error`].
pub fn headers(
    service: &str,
    region: Option<&str>,
    request: Request<'_>,
) -> Result<Vec<(String, String)>, Error> {
    let account = Account::open()?;
    let region = region.or(account.region.as_deref()).ok_or(Unavailable::NoRegion)?;
    let Request { method, url, headers, body_sha256 } = request;
    let body = SignableBody::Precomputed(body_sha256.to_owned());
    let request = SignableRequest::new(method, url, headers.iter().copied(), body)?;
    sign(&account, service, region, SigningSettings::default(), request)
}

/// The same by the rules of one service.
pub(super) fn sign(
    account: &Account,
    service: &str,
    region: &str,
    settings: SigningSettings,
    request: SignableRequest<'_>,
) -> Result<Vec<(String, String)>, Error> {
    let identity = account.credentials()?.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| Error::Unsigned(error.into()))?
        .into();
    let (instructions, _) = aws_sigv4::http_request::sign(request, &parameters)?.into_parts();
    let headers = instructions.headers();
    Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}
