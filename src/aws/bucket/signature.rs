//! The signature of a request, by the SDK's signer.

use std::time::SystemTime;

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningError,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;

use super::super::account::Account;
use super::{Error, Request};

impl From<SigningError> for Error {
    fn from(error: SigningError) -> Self {
        Self::Unsigned(error.into())
    }
}

/// The headers of a request: its own, and those that say who asks.
pub(super) fn signature(
    account: &Account,
    region: &str,
    request: &Request<'_>,
    url: &str,
) -> Result<Vec<(String, String)>, Error> {
    let identity = account.credentials()?.into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| Error::Unsigned(error.into()))?
        .into();
    let own = || request.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let body = SignableBody::Bytes(request.body);
    let signable = SignableRequest::new(request.method, url, own(), body)?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    let headers = own().chain(instructions.headers());
    Ok(headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A path as it is signed and sent.
pub(super) fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
