//! S3: one object, read as a whole. The request is signed with the SDK's signer and sent like all others.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode,
};

use super::account::{Account, OPERATION, Unavailable};
use super::signature;
use crate::config::Environment;
use crate::report::{chain, printable, table};

/// An object is refused beyond this, in bytes.
const OBJECT_CAP_BYTES: u64 = 16 * 1024 * 1024;
/// How much of an error's text is read, in bytes.
const ERROR_CAP_BYTES: u64 = 4 * 1024;

/// Why an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// AWS cannot be asked.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The request cannot be signed.
    #[error(transparent)]
    Unsigned(#[from] signature::Error),
    /// The certificate authorities cannot be read.
    #[error(transparent)]
    Roots(#[from] collectors::web::BadTlsFile),
    /// There is no answer.
    #[error("`{url}`")]
    Request {
        /// Where to.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// S3 does not give it.
    #[error("S3 in `{region}` answered {status}: {said}")]
    Refused {
        /// Where it was looked for.
        region: String,
        /// The HTTP status.
        status: u16,
        /// S3's code and words.
        said: String,
    },
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken(#[source] io::Error),
    /// It is not text.
    #[error("not UTF-8 text")]
    NotText,
    /// It is too large.
    #[error("larger than {} MiB", OBJECT_CAP_BYTES >> 20)]
    TooLarge,
}

impl Error {
    /// Whether it says nothing about the object.
    fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::NotText | Self::TooLarge => false,
            _ => true,
        }
    }
}

/// An object that was read.
#[derive(Clone)]
struct Remembered {
    bucket: String,
    key: String,
    text: String,
    fetched: Instant,
}

/// An object as text, which is fetched when what is remembered of it is as old as `ttl`. The old text serves when S3
/// cannot be asked; not when S3 refuses.
///
/// # Errors
/// Why it cannot be had.
pub fn text(bucket: &str, key: &str, ttl: Duration) -> Result<String, Error> {
    static TEXTS: Mutex<Vec<Remembered>> = Mutex::new(Vec::new());
    let texts = || TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_it = |known: &&Remembered| known.bucket == bucket && known.key == key;
    let known = texts().iter().find(is_it).cloned();
    if let Some(known) = known.as_ref().filter(|known| known.fetched.elapsed() < ttl) {
        return Ok(known.text.clone());
    }
    let fetched = get(bucket, key, &|name| std::env::var_os(name));
    let text = match (fetched, known) {
        (Ok(bytes), _) => String::from_utf8(bytes).map_err(|_| Error::NotText)?,
        (Err(error), Some(known)) if error.is_passing() => {
            let (why, age) = (chain(&error), table::short(known.fetched.elapsed()));
            log::warn!("`s3://{bucket}/{key}`: {why}; its text of {age} ago is used");
            return Ok(known.text);
        }
        (Err(error), _) => return Err(error),
    };
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    let mut texts = texts();
    texts.retain(|known| known.bucket != bucket || known.key != key);
    texts.push(Remembered { bucket, key, text: text.clone(), fetched: Instant::now() });
    Ok(text)
}

/// Reads an object. It takes 15 s at most, once the credentials are known.
///
/// # Errors
/// Why it cannot be read.
pub fn get(bucket: &str, key: &str, environment: Environment<'_>) -> Result<Vec<u8>, Error> {
    let account = Account::open()?;
    let url = address(bucket, key, &account.region, environment);
    let began = Instant::now();
    let mut request = collectors::web::agent(None)?.get(&url);
    let mut longest = url.len();
    for (name, value) in signature(&account, &url)? {
        // The token of a role is long.
        longest = longest.max(name.len() + value.len());
        request = request.header(name, value);
    }
    let left = OPERATION.saturating_sub(began.elapsed());
    let request = request
        .config()
        .timeout_global(Some(left))
        .output_buffer_size(collectors::web::output_buffer_bytes(longest))
        .build();
    let failed = |source| Error::Request {
        url: collectors::web::redact_url(&url),
        source: Box::new(source),
    };
    let mut answer = request.call().map_err(failed)?;
    let status = answer.status().as_u16();
    let cap = if status == 200 { OBJECT_CAP_BYTES } else { ERROR_CAP_BYTES };
    let mut bytes = Vec::new();
    answer.body_mut().as_reader().take(cap + 1).read_to_end(&mut bytes).map_err(Error::Broken)?;
    match status {
        200 if bytes.len() as u64 > OBJECT_CAP_BYTES => Err(Error::TooLarge),
        200 => Ok(bytes),
        _ => {
            let said = words(&String::from_utf8_lossy(&bytes));
            Err(Error::Refused { region: account.region.clone(), status, said })
        }
    }
}

/// Where an object is: at the endpoint that the environment names, else at its bucket's own host.
fn address(bucket: &str, key: &str, region: &str, environment: Environment<'_>) -> String {
    let named = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter();
    let named = named.filter_map(|name| environment(name)?.into_string().ok());
    let (bucket, key) = (escaped(bucket), escaped(key));
    if let Some(endpoint) = named.into_iter().find(|url| !url.is_empty()) {
        return format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/'));
    }
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    // The certificate of the buckets' hosts is good for one label.
    match bucket.contains('.') {
        true => format!("https://s3.{region}.{suffix}/{bucket}/{key}"),
        false => format!("https://{bucket}.s3.{region}.{suffix}/{key}"),
    }
}

/// A path as it is signed and sent.
fn escaped(path: &str) -> String {
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

/// The headers that say who asks.
fn signature(account: &Account, url: &str) -> Result<Vec<(String, String)>, signature::Error> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]))?;
    signature::sign(account, "s3", &account.region, settings, request)
}

/// Code and message of S3's error, or what else it says.
fn words(xml: &str) -> String {
    let element = |name: &str| {
        let (_, behind) = xml.split_once(&format!("<{name}>"))?;
        Some(behind.split_once(&format!("</{name}>"))?.0)
    };
    let said = match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        _ => xml.chars().take(200).collect(),
    };
    printable(&said).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_address_of_its_bucket() {
        let at = |bucket, region| address(bucket, "a b/ö.yaml", region, &|_| None);
        let key = "a%20b/%C3%B6.yaml";
        assert_eq!(
            at("b", "eu-central-1"),
            format!("https://b.s3.eu-central-1.amazonaws.com/{key}")
        );
        assert_eq!(
            at("b.c", "cn-north-1"),
            format!("https://s3.cn-north-1.amazonaws.com.cn/b.c/{key}")
        );
        let local = |name: &str| (name == "AWS_ENDPOINT_URL").then(|| "http://127.0.0.1:5/".into());
        assert_eq!(address("b", "k", "eu", &local), "http://127.0.0.1:5/b/k");
    }

    #[test]
    fn what_s3_says_is_shown_without_its_xml() {
        let xml = "<?xml?><Error><Code>NoSuchKey</Code><Message>Not there</Message></Error>";
        assert_eq!(words(xml), "NoSuchKey: Not there");
        assert_eq!(words("<html>\u{1b}"), "<html>\\u{1b}");
    }
}
