//! The signature of a request, by the rules of S3.

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};

use super::super::account::Account;
use super::super::signature::{self, sign};
use super::Request;

/// The headers of a request: its own, and those that say who asks.
pub(super) fn signature(
    account: &Account,
    region: &str,
    request: &Request<'_>,
    url: &str,
) -> Result<Vec<(String, String)>, signature::Error> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let own = || request.headers.iter().map(|(name, value)| (*name, value.as_str()));
    let body = SignableBody::Bytes(request.body);
    let signable = SignableRequest::new(request.method, url, own(), body)?;
    let signed = sign(account, "s3", region, settings, signable)?;
    let own = own().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(own.chain(signed).collect())
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
