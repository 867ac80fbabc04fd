//! A Prometheus server or anything else that takes remote write 1.0: Mimir, Thanos, VictoriaMetrics, Grafana Cloud.
//!
//! Each datapoint is a sample of the metric that its key names (`prefix` goes before it), with the labels `job` (the
//! job's id), `instance` (the target) and its own. Names are made legal: what is no letter, digit or `_` becomes `_`,
//! and a datapoint's own label `job` or `instance` is called `exported_job` or `exported_instance`, as Prometheus
//! itself does. Labels whose names become the same are one, their values joined by `;`. Where two datapoints become
//! one series at one moment, the first is sent and the other counted. Empty labels, units and, without `info: true`,
//! info are not sent: a new series would begin whenever an info changes. Values are floats of 64 bits, so integers
//! above 2⁵³ lose their last digits.
//!
//! Prometheus has no text. With `text: label` a text is the label `value` of a metric `…_info` that is always 1, up to
//! 1 024 bytes; longer ones are refused. `text: refuse` refuses all of it. What is refused is counted as lost.
//!
//! A status of 200 to 299 means success. 429 and 5xx are tried again in the next run. So are 401, 403, 404 and 405,
//! which say that the address or the login is to be put right: no request is repeated within a run. Every other 4xx is
//! about the body. It is halved until the bad samples are found; those are set aside, the rest goes through.
//!
//! Prometheus takes what is up to an hour older than its newest sample, and nothing that is older than the newest of
//! the same series. To let in what waited for longer here, set `storage.tsdb.out_of_order_time_window` there. It must
//! run with `--web.enable-remote-write-receiver`. Amazon Managed Prometheus asks for signed requests:
//! `http: {sigv4: {service: aps, region: eu-central-1}}`.
//!
//! ```yaml
//! outputs:
//!   - prometheus_remote_write:
//!       url: https://prometheus.example.org/api/v1/write
//!       http:
//!         auth: {basic: {user: collector, password: {env: PROMETHEUS_PASSWORD}}}
//! ```

use std::io::{self, Write};
use std::time::Instant;

use collectors::decode::Problem;
use collectors::secret::Secret;
use collectors::web::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, Http, Post};
use super::prometheus::{Rules, Text, check_prefix, is_page, receipt};
use super::{Body, Destination, Output, Part, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};
use crate::report::chain;

mod blocks;
mod encode;
mod halve;
mod messages;

/// What the specification asks for. The body is compressed by itself.
const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];
/// A write request without series, compressed: its length, which is 0.
const EMPTY: [u8; 1] = [0];

/// The options of `prometheus_remote_write`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PrometheusRemoteWrite {
    /// Where to write to, such as `http://localhost:9090/api/v1/write`.
    url: Url,
    /// What every metric's name begins with.
    #[serde(default)]
    prefix: String,
    /// What becomes of text.
    #[serde(default)]
    text: Text,
    /// Whether info goes out as labels too.
    #[serde(default)]
    info: bool,
    /// How the server is reached.
    #[serde(default)]
    http: Http,
}

impl PrometheusRemoteWrite {
    fn request<'a>(&'a self, plain: Post<'a>) -> Post<'a> {
        Post { headers: HEADERS.to_vec(), ..plain }
    }

    fn post(
        &self,
        body: &Body,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Result<http::Answer, http::Error> {
        http::post(
            &self.request(Post::new(&self.http, surroundings, &self.url.uri().to_string(), body)),
            deadline,
        )
    }
}

impl Output for PrometheusRemoteWrite {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let rules = Rules {
            prefix: &self.prefix,
            job: Some(encode::JOB),
            target: encode::TARGET,
            taken: &[],
            reserved: &[],
            info: self.info,
            text: self.text,
        };
        encode::encode(payload, rules, to)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        self.request(Post::new(&self.http, surroundings, "", &Body::empty()))
            .destination(self.url.to_string())
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        match self.post(body, surroundings, deadline) {
            Err(error) => error.receipt(),
            Ok(answer) => receipt(&answer, &self.url, "it takes no writes"),
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        halve::halve(body)
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        halve::subject(body)
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        let answer = self.post(&Body::Memory(EMPTY.to_vec()), surroundings, deadline);
        let answer = answer.map_err(|error| chain(&error))?;
        match answer.status {
            200..300 if !is_page(&answer) => Ok(format!("`{}` takes writes", self.url)),
            _ => Err(format!("`{}` takes no writes: {}", self.url, answer.describe())),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.http.secrets()
    }

    fn conflicts(&self) -> Vec<Problem> {
        let prefix = check_prefix(&self.prefix).err();
        let prefix = prefix.map(|message| Problem::at(&["prefix"], message));
        prefix.into_iter().chain(self.http.conflicts()).collect()
    }
}

#[cfg(test)]
mod tests;
