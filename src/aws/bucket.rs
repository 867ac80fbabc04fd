//! S3: requests about the objects of one bucket. They are signed with the SDK's signer and sent like all others.
//!
//! Every request is bounded in time. What may pass by itself (S3 is busy, a connection breaks) is tried again, as long as
//! that is quick; a server that is silent is not asked twice.

mod condition;
mod error;
mod listing;
mod signature;

use std::io::Read;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ureq::RequestBuilder;

use super::account::{Account, Unavailable};
use crate::config::Environment;
pub use condition::Condition;
pub use error::Error;
pub use listing::{Item, Listing};
use signature::signature;

/// How long one request may take, in which a kilobyte has a millisecond more.
const REQUEST: Duration = Duration::from_secs(5);
/// The share of the time that is left which one request may take.
const SHARE: u32 = 3;
/// Less is not worth a request.
const LEAST: Duration = Duration::from_millis(20);
/// What is waited for before each repetition.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// How much of an error's text, or of an answer without content, is read, in bytes.
const ERROR_CAP_BYTES: u64 = 4 * 1024;

/// A bucket, and where it is.
#[derive(Debug, Clone)]
pub struct Bucket {
    name: String,
    region: Option<String>,
    endpoint: Option<String>,
    ends_by: Option<Instant>,
}

/// An object that was read.
#[derive(Debug)]
pub struct Object {
    /// Its content.
    pub bytes: Vec<u8>,
    /// What it is called in this version.
    pub tag: Option<String>,
    /// How old it is, by S3's own clock.
    pub age: Option<Duration>,
}

/// What is asked for.
struct Request<'a> {
    method: &'static str,
    key: &'a str,
    query: &'a [(&'static str, &'a str)],
    headers: Vec<(&'static str, String)>,
    body: &'a [u8],
    /// How much of the answer is taken, in bytes.
    cap_bytes: u64,
    /// How much of it is expected, in bytes.
    expected_bytes: u64,
}

struct Answer {
    tag: Option<String>,
    age: Option<Duration>,
    bytes: Vec<u8>,
}

impl Bucket {
    /// The bucket of that name. Where `region` and `endpoint` do not say where it is the environment does, by the SDK's
    /// rules.
    pub fn new(
        name: &str,
        region: Option<&str>,
        endpoint: Option<&str>,
        environment: Environment<'_>,
    ) -> Self {
        let variable = |name| environment(name)?.into_string().ok().filter(|url| !url.is_empty());
        let mut variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].into_iter();
        let endpoint = endpoint.map(str::to_owned).or_else(|| variables.find_map(variable));
        Self { name: name.to_owned(), region: region.map(str::to_owned), endpoint, ends_by: None }
    }

    /// The same for somebody who has no time after that.
    #[must_use]
    pub fn until(self, ends_by: Option<Instant>) -> Self {
        Self { ends_by, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads an object of at most `cap_bytes`.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn get(&self, key: &str, cap_bytes: u64) -> Result<Object, Error> {
        self.get_expecting(key, cap_bytes, 0)
    }

    /// The same for one of which that much is expected, so that there is time for it.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn get_expecting(
        &self,
        key: &str,
        cap_bytes: u64,
        expected_bytes: u64,
    ) -> Result<Object, Error> {
        let Answer { tag, age, bytes } =
            self.ask(&Request { cap_bytes, expected_bytes, ..Request::of("GET", key) })?;
        Ok(Object { bytes, tag, age })
    }

    /// Writes an object, in place of what is there where the condition allows that. Gives back what it is called in
    /// this version.
    ///
    /// # Errors
    /// [`Error::Changed`] when the condition does not hold, and why it cannot be written.
    pub fn put(&self, key: &str, body: &[u8], condition: &Condition) -> Result<String, Error> {
        let headers = condition.headers();
        let put = self.ask(&Request { headers, body, ..Request::of("PUT", key) });
        match put {
            Ok(answer) => answer.tag.ok_or(Error::NoTag),
            // It may have been the first of two tries that wrote it.
            Err(Error::Changed { tries }) if tries > 1 => match self.get(key, body.len() as u64) {
                Ok(Object { bytes, tag: Some(tag), .. }) if bytes == body => Ok(tag),
                _ => Err(Error::Changed { tries }),
            },
            Err(error) => Err(error),
        }
    }

    /// Copies an object, as long as it is in that version where one is given.
    ///
    /// # Errors
    /// Why it cannot be copied.
    pub fn copy(&self, from: &str, to: &str, tag: Option<&str>) -> Result<(), Error> {
        let source = signature::escaped(&format!("{}/{from}", self.name));
        let mut headers = vec![("x-amz-copy-source", source)];
        headers.extend(tag.map(|tag| ("x-amz-copy-source-if-match", tag.to_owned())));
        let copied = self.ask(&Request { headers, ..Request::of("PUT", to) })?;
        // It begins to answer before it is done, and then says 200 to what goes wrong.
        let said = String::from_utf8_lossy(&copied.bytes).into_owned();
        match said.contains("<Error>") {
            true => Err(Error::Refused { at: self.at(), status: 200, said: error::words(&said) }),
            false => Ok(()),
        }
    }

    /// Removes an object, as long as it is in that version where one is given; one that is not there is removed.
    ///
    /// # Errors
    /// Why it cannot be removed.
    pub fn delete(&self, key: &str, tag: Option<&str>) -> Result<(), Error> {
        let headers = tag.map(|tag| ("if-match", tag.to_owned())).into_iter().collect();
        match self.ask(&Request { headers, ..Request::of("DELETE", key) }) {
            Err(error) if error.is_missing() => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    /// Sends a request, again where it fails in passing.
    fn ask(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let mut pauses = PAUSES.iter();
        let mut tries = 1;
        loop {
            let error = match self.ask_once(request, tries) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = pauses.next().filter(|_| error.is_worth_another_try());
            let Some(pause) = pause else { return Err(error) };
            log::debug!(
                "{} `{}` again: {}",
                request.method,
                request.key,
                crate::report::chain(&error)
            );
            thread::sleep(*pause);
            tries += 1;
        }
    }

    fn ask_once(&self, request: &Request<'_>, tries: u32) -> Result<Answer, Error> {
        let timeout = self.timeout(request)?;
        let began = Instant::now();
        let account = Account::open()?;
        let region = self.region.as_deref().or(account.region.as_deref());
        let region = region.ok_or(Unavailable::NoRegion)?;
        let url = self.address(request.key, request.query, region);
        let signed = signature(&account, region, request, &url)?;
        let failed = |source| Error::Request { at: self.at(), source: Box::new(source) };
        let agent = collectors::web::agent(None)?;
        let left = timeout.saturating_sub(began.elapsed()).max(LEAST);
        let dress = Dress { signed: &signed, url: &url, timeout: left };
        let answer = match request.method {
            "PUT" => dress.put_on(agent.put(&url)).send(request.body),
            "DELETE" => dress.put_on(agent.delete(&url)).call(),
            _ => dress.put_on(agent.get(&url)).call(),
        };
        let mut answer = answer.map_err(failed)?;
        let status = answer.status().as_u16();
        let header = |name: &str| Some(answer.headers().get(name)?.to_str().ok()?.to_owned());
        let (tag, age) = (header("etag"), age(header("date"), header("last-modified")));
        let is_good = (200..300).contains(&status);
        let cap_bytes = if is_good { request.cap_bytes } else { ERROR_CAP_BYTES };
        let mut bytes = Vec::new();
        let body = answer.body_mut().as_reader();
        body.take(cap_bytes + 1).read_to_end(&mut bytes).map_err(Error::Broken)?;
        match status {
            200..300 if bytes.len() as u64 > cap_bytes => Err(Error::TooLarge(cap_bytes)),
            200..300 => Ok(Answer { tag, age, bytes }),
            412 => Err(Error::Changed { tries }),
            _ => {
                let said = error::words(&String::from_utf8_lossy(&bytes));
                let at = format!("S3 in `{region}`");
                Err(Error::Refused { at, status, said })
            }
        }
    }

    /// How long a request may take now.
    fn timeout(&self, request: &Request<'_>) -> Result<Duration, Error> {
        let bytes = (request.body.len() as u64).saturating_add(request.expected_bytes);
        let usual = REQUEST + Duration::from_millis(bytes >> 10);
        let Some(end) = self.ends_by else { return Ok(usual) };
        let share = end.saturating_duration_since(Instant::now()) / SHARE;
        if share < LEAST { Err(Error::NoTime) } else { Ok(usual.min(share)) }
    }

    /// Whom is asked, for people.
    fn at(&self) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("`{}`", collectors::web::redact_url(endpoint)),
            None => format!("S3 (bucket `{}`)", self.name),
        }
    }

    /// Where an object is: at the endpoint that was named, else at its bucket's own host.
    fn address(&self, key: &str, query: &[(&str, &str)], region: &str) -> String {
        let (name, key) = (signature::escaped(&self.name), signature::escaped(key));
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let mut url = match &self.endpoint {
            Some(endpoint) => format!("{}/{name}/{key}", endpoint.trim_end_matches('/')),
            // The certificate of the buckets' hosts is good for one label.
            None if name.contains('.') => format!("https://s3.{region}.{suffix}/{name}/{key}"),
            None => format!("https://{name}.s3.{region}.{suffix}/{key}"),
        };
        for (place, (name, value)) in query.iter().enumerate() {
            url.push(if place == 0 { '?' } else { '&' });
            url.push_str(&format!("{name}={}", signature::escaped(value).replace('/', "%2F")));
        }
        url
    }
}

impl<'a> Request<'a> {
    fn of(method: &'static str, key: &'a str) -> Self {
        let (headers, cap_bytes) = (Vec::new(), ERROR_CAP_BYTES);
        Self { method, key, query: &[], headers, body: &[], cap_bytes, expected_bytes: 0 }
    }
}

/// What every request is given.
struct Dress<'a> {
    signed: &'a [(String, String)],
    url: &'a str,
    timeout: Duration,
}

impl Dress<'_> {
    fn put_on<B>(&self, mut request: RequestBuilder<B>) -> RequestBuilder<B> {
        let mut longest = self.url.len();
        for (name, value) in self.signed {
            // The token of a role is long.
            longest = longest.max(name.len() + value.len());
            request = request.header(name, value);
        }
        request
            .config()
            .timeout_global(Some(self.timeout))
            .output_buffer_size(collectors::web::output_buffer_bytes(longest))
            .build()
    }
}

/// How old what was last changed then is, by the clock of whoever says both.
fn age(date: Option<String>, modified: Option<String>) -> Option<Duration> {
    let parse = |text: Option<String>| {
        let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text?.trim());
        time.ok() as Option<Timestamp>
    };
    Some(Duration::try_from(parse(date)?.duration_since(parse(modified)?)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_address_of_its_bucket() {
        let at = |bucket, region| {
            Bucket::new(bucket, None, None, &|_| None).address("a b/ö.yaml", &[], region)
        };
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
        let query = [("list-type", "2"), ("prefix", "a/b ")];
        let local = Bucket::new("b", None, None, &local).address("", &query, "eu");
        assert_eq!(local, "http://127.0.0.1:5/b/?list-type=2&prefix=a%2Fb%20");
    }

    #[test]
    fn an_age_is_told_by_one_clock_and_is_never_negative() {
        let age = |date: &str, modified: &str| age(Some(date.into()), Some(modified.into()));
        let noon = "Sat, 21 Nov 2026 12:00:00 GMT";
        assert_eq!(age(noon, "Sat, 21 Nov 2026 11:58:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(age("Sat, 21 Nov 2026 11:59:59 GMT", noon), Some(Duration::ZERO));
        assert_eq!(age(noon, "yesterday"), None);
    }

    #[test]
    fn who_has_little_time_asks_for_a_part_of_it() {
        let bucket = Bucket::new("b", None, None, &|_| None);
        let request = Request::of("PUT", "k");
        assert_eq!(bucket.timeout(&request).ok(), Some(REQUEST));
        let soon = bucket.clone().until(Some(Instant::now() + Duration::from_secs(1)));
        assert!(soon.timeout(&request).is_ok_and(|timeout| timeout < Duration::from_millis(400)));
        let over = bucket.until(Some(Instant::now()));
        assert!(matches!(over.timeout(&request), Err(Error::NoTime)));
    }
}
