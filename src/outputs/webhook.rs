//! Datapoints to a web service of your own: a signed POST of JSON.
//!
//! The body is an object. Its `version` is 1, and changes only when something is taken away or gets another meaning;
//! what is not known should be passed over.
//!
//! | member | what |
//! |---|---|
//! | `version` | 1 |
//! | `agent` | `id` (64 hex digits), `program`, `hostname`: who collected |
//! | `timestamp` | the run's clock, in milliseconds since 1970 |
//! | `polling_interval_seconds` | how often runs are meant to happen |
//! | `datapoints` | `key`, `value` (number or text), `data_type` (`int`, `float`, `counter`, `counter64`, `string`), `target`, `timestamp` (ms), and `unit`, `labels`, `info` where there are any |
//!
//! `Idempotency-Key` is the SHA-256 of the body in hex: a body that is sent again, because its answer was lost, has the
//! same one. With `secret`, `X-Collector-Signature` is `sha256=` and the HMAC-SHA256 of the body with that secret, in
//! hex; the service should compare it in constant time before it reads the body.
//!
//! Any status from 200 to 299 takes the body. With 408, 425, 429, 5xx, a redirect, or a closed door (401, 403, 404, 405)
//! it waits, `Retry-After` is kept; with any other it is divided until the datapoints that the service will not have are
//! found, and these are set aside.
//!
//! ```yaml
//! outputs:
//!   - webhook:
//!       url: https://example.org/hooks/datapoints
//!       secret: {env: WEBHOOK_SECRET}
//! ```

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::time::Instant;

use collectors::decode::Problem;
use collectors::secret::{Secret, Unresolved};
use collectors::web::Url;
use hmac::{Hmac, KeyInit, Mac};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::http::{self, Http, Post, Question};
use super::json_array::Array;
use super::{Body, Destination, Output, Part, Receipt, Surroundings, json_lines};
use crate::payload::{Encoded, Payload};
use crate::report::chain;

/// The version of the body.
const VERSION: u32 = 1;
const SIGNATURE: &str = "X-Collector-Signature";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// The options of `webhook`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Webhook {
    /// Where to.
    url: Url,
    /// What bodies are signed with. Default: they are not signed.
    #[serde(default)]
    secret: Option<Secret>,
    /// How the server is reached.
    #[serde(default)]
    http: Http,
}

/// All of a body but its datapoints.
#[derive(Serialize)]
struct Head<'a> {
    version: u32,
    agent: Agent<'a>,
    timestamp: i64,
    polling_interval_seconds: f64,
}

#[derive(Serialize)]
struct Agent<'a> {
    id: &'a str,
    program: &'a str,
    hostname: &'a str,
}

/// A body, taken apart without being understood.
#[derive(Deserialize)]
struct Parts<'a> {
    #[serde(borrow)]
    version: &'a RawValue,
    #[serde(borrow)]
    agent: &'a RawValue,
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    polling_interval_seconds: &'a RawValue,
    #[serde(borrow)]
    datapoints: Vec<&'a RawValue>,
}

/// Whoever is to read a body's end: digest and signature.
#[derive(Debug, PartialEq, Eq)]
struct Seals {
    key: String,
    signature: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Secret(#[from] Unresolved),
    #[error("cannot read the body")]
    Body(#[from] io::Error),
}

impl Webhook {
    fn seals(&self, body: &Body) -> Result<Seals, Error> {
        let mut digest = Sha256::new();
        let mut mac = match &self.secret {
            // A key of any length will do.
            Some(secret) => Hmac::<Sha256>::new_from_slice(secret.expose()?.as_bytes()).ok(),
            None => None,
        };
        let mut reader = body.open()?;
        let mut piece = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => {
                    digest.update(&piece[..length]);
                    if let Some(mac) = &mut mac {
                        mac.update(&piece[..length]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let signature = mac.map(|mac| format!("sha256={}", hex(&mac.finalize().into_bytes())));
        Ok(Seals { key: hex(&digest.finalize()), signature })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // A string takes all that is written.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// Writes a body up to its datapoints. `head` is an object.
fn open<'a>(head: &[u8], to: &'a mut dyn Write) -> io::Result<Array<'a>> {
    to.write_all(head.strip_suffix(b"}").unwrap_or(head))?;
    to.write_all(b",\"datapoints\":")?;
    Array::begin(to)
}

fn headers<'a>(key: &'a str, signature: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let always = [("Content-Type", "application/json"), (IDEMPOTENCY_KEY, key)];
    always.into_iter().chain(signature.map(|signature| (SIGNATURE, signature))).collect()
}

impl Output for Webhook {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let crate::payload::Agent { id, program, hostname } = &payload.agent;
        let head = serde_json::to_vec(&Head {
            version: VERSION,
            agent: Agent { id, program, hostname },
            timestamp: payload.timestamp_ms,
            polling_interval_seconds: payload.polling_interval.as_secs_f64(),
        })?;
        let mut array = open(&head, to)?;
        let mut encoded = Encoded::default();
        let mut json = Vec::with_capacity(256);
        for view in payload.datapoints() {
            json.clear();
            json_lines::write_datapoint(view, &mut json)?;
            array.push(&json)?;
            encoded.datapoints += 1;
        }
        array.end()?;
        to.write_all(b"}\n")?;
        Ok(encoded)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        let signature = self.secret.as_ref().map(|_| "(the HMAC-SHA256 of the body)");
        let body = Body::empty();
        let post = Post::new(&self.http, surroundings, "", &body);
        let headers = headers("(the SHA-256 of the body)", signature);
        Post { headers, ..post }.destination(self.url.to_string())
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        let Seals { key, signature } = match self.seals(body) {
            Ok(seals) => seals,
            Err(error) => return Receipt::Retry { reason: chain(&error), after: None },
        };
        let headers = headers(&key, signature.as_deref());
        let url = self.url.uri().to_string();
        let post = Post::new(&self.http, surroundings, &url, body);
        match http::post(&Post { headers, ..post }, deadline) {
            Ok(answer) => answer.receipt(),
            Err(error) => error.receipt(),
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        let parts: Parts<'_> = serde_json::from_slice(body).ok()?;
        let head = format!(
            "{{\"version\":{},\"agent\":{},\"timestamp\":{},\"polling_interval_seconds\":{}}}",
            parts.version, parts.agent, parts.timestamp, parts.polling_interval_seconds
        );
        let part = |datapoints: &[&RawValue]| {
            let mut bytes = Vec::new();
            let mut array = open(head.as_bytes(), &mut bytes).ok()?;
            datapoints.iter().try_for_each(|json| array.push(json.get().as_bytes())).ok()?;
            array.end().ok()?;
            bytes.extend_from_slice(b"}\n");
            Some(Part { bytes, datapoints: datapoints.len() as u64 })
        };
        let (first, second) = parts.datapoints.split_at(parts.datapoints.len() / 2);
        if first.is_empty() { None } else { Some([part(first)?, part(second)?]) }
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let [datapoint] = body["datapoints"].as_array()?.as_slice() else { return None };
        let labels = datapoint["labels"].as_object().into_iter().flatten();
        let labels = labels.map(|(name, value)| format!("{name}={value}"));
        let named = [&datapoint["key"], &datapoint["target"]].map(|part| part.as_str());
        let named = named.into_iter().flatten().map(str::to_owned);
        Some(named.chain(labels).collect::<Vec<_>>().join(" "))
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        let url = self.url.uri().to_string();
        match (Question { http: &self.http, surroundings, url: &url, auth: None }).get(deadline) {
            // What it thinks of a GET says nothing about a POST.
            Ok(answer) => Ok(format!("`{}` answers ({} to a GET)", self.url, answer.status)),
            Err(error) => Err(chain(&error)),
        }
    }

    fn names_agent(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.secret.iter().chain(self.http.secrets()).collect()
    }

    fn conflicts(&self) -> Vec<Problem> {
        self.http.conflicts()
    }
}

#[cfg(test)]
mod tests;
