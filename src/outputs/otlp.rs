//! A receiver of OpenTelemetry metrics over OTLP/HTTP: an OpenTelemetry Collector, Grafana Cloud, Honeycomb, CloudWatch.
//!
//! Each datapoint is a data point of the metric that its key names, with its unit and the attributes `job` (the job's
//! id), `target` and its labels; a datapoint's own label `job` or `target` is called `exported_job` or
//! `exported_target`. Counters are cumulative monotonic sums, all else is a gauge. A sum says since when it counts
//! (`start_time_unix_nano`): counters of `system` since the host's boot, others since they were first seen, where start
//! and time are the same, which is OTLP's way to say that what was before is not known. One that falls begins anew there.
//! The start is kept in the state of the job; where nothing can be kept and none is known, it is left out. Integers are
//! sent as such; above 2⁶³ − 1 they become floats. Where one series has two values at one moment, the first is sent and the other counted.
//! Info is not sent without `info: true`: a new series would begin whenever it changes. OTLP has no text among its
//! values: with `text: label` a text is the attribute `value` of a metric `…_info` that is always 1, up to 1 024 bytes;
//! longer ones are refused. `text: refuse` refuses all of it. What is refused is counted as lost.
//!
//! The resource has the attributes `service.name` (`collector`), `service.instance.id` (the agent's id) and `host.name`;
//! `resource` adds others, or takes their place. `/v1/metrics` is added to `endpoint` where it does not end in that.
//! Bodies are compressed with gzip unless `compression: none`, and protobuf unless `encoding: json`.
//!
//! A status of 200 to 299 with an answer of OTLP means success. Data points that it says were rejected are lost, and
//! counted; the body is set aside with the receiver's words, and never sent again. 429 and 5xx are tried again in the
//! next run. So are 401, 403, 404, 405 and answers that are not OTLP's, which say that the endpoint or the headers are
//! to be put right. Every other 4xx is about the body. It is halved until the bad data points are found; those are set
//! aside, the rest goes through.
//!
//! CloudWatch asks for signed requests: `http: {sigv4: {service: monitoring, region: eu-central-1}}`, signed by whom the
//! AWS SDK finds. gRPC is not spoken. Datadog's own intake takes no cumulative sums: jobs with
//! `rates: [{keys: ["*"], show: rate, keep_counter: false}]` send gauges in their place (and `agent: {run_metrics: false}`
//! none of the run's), or an OpenTelemetry Collector or Datadog's agent, which take both, stands before it.
//!
//! ```yaml
//! outputs:
//!   - otlp:
//!       endpoint: https://otlp.example.org
//!       resource: {deployment.environment.name: production}
//!       http:
//!         headers: {api-key: {env: OTLP_API_KEY}}
//! ```

use std::io::{self, Write};
use std::time::Instant;

use collectors::decode::Problem;
use collectors::secret::Secret;
use collectors::web::Url;
use indexmap::IndexMap;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, Compression, Http, Post};
use super::prometheus::Text;
use super::{Body, Destination, Output, Part, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};
use crate::report::chain;

mod answer;
mod halve;
mod json;
mod points;
mod wire;

use points::{Points, Rules};

/// Where metrics go at an endpoint.
const PATH: &str = "/v1/metrics";

/// The options of `otlp`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Otlp {
    /// The receiver, such as `http://localhost:4318`.
    endpoint: Url,
    /// How bodies are written.
    #[serde(default)]
    encoding: Encoding,
    /// How bodies are compressed.
    #[serde(default)]
    compression: Compression,
    /// Attributes of the resource.
    #[serde(default)]
    resource: IndexMap<String, String>,
    /// What becomes of text.
    #[serde(default)]
    text: Text,
    /// Whether info goes out as attributes too.
    #[serde(default)]
    info: bool,
    /// How the receiver is reached.
    #[serde(default)]
    http: Http,
}

/// How bodies are written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    /// As protobuf.
    #[default]
    Protobuf,
    /// As JSON.
    Json,
}

/// What all data points of a body have in common.
struct Origin {
    resource: Resource,
    scope: InstrumentationScope,
}

impl Otlp {
    fn origin(&self, payload: &Payload) -> Origin {
        let agent = &payload.agent;
        let mut attributes: IndexMap<&str, &str> = IndexMap::new();
        attributes.insert("service.name", "collector");
        attributes.insert("service.instance.id", &agent.id);
        attributes.insert("host.name", &agent.hostname);
        attributes
            .extend(self.resource.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let attributes = attributes.into_iter().filter(|(_, value)| !value.is_empty());
        let attributes = attributes.map(|(name, value)| attribute(name, value)).collect();
        Origin {
            resource: Resource { attributes, ..Resource::default() },
            scope: InstrumentationScope {
                name: "collector".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            },
        }
    }

    fn url(&self) -> String {
        let endpoint = self.endpoint.uri().to_string();
        let (base, query) = endpoint.split_once('?').unwrap_or((&endpoint, ""));
        let base = base.trim_end_matches('/');
        let path = if base.ends_with(PATH) { "" } else { PATH };
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{base}{path}{mark}{query}")
    }

    fn content_type(&self) -> &'static str {
        match self.encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        }
    }

    fn request<'a>(&'a self, plain: Post<'a>) -> Post<'a> {
        Post {
            headers: vec![("Content-Type", self.content_type())],
            compression: self.compression,
            ..plain
        }
    }

    fn post(
        &self,
        body: &Body,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Result<http::Answer, http::Error> {
        http::post(&self.request(Post::new(&self.http, surroundings, &self.url(), body)), deadline)
    }
}

impl Output for Otlp {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let mut encoded = Encoded::default();
        let rules = Rules { info: self.info, text: self.text };
        let points = Points::new(payload, rules, &mut encoded);
        let origin = self.origin(payload);
        match self.encoding {
            Encoding::Protobuf => wire::write(&points, &origin, to)?,
            Encoding::Json => json::write(&points, &origin, to)?,
        }
        Ok(encoded)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        let url = collectors::web::redact_url(&self.url());
        self.request(Post::new(&self.http, surroundings, "", &Body::empty())).destination(url)
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        match self.post(body, surroundings, deadline) {
            Err(error) => error.receipt(),
            Ok(answer) => answer::receipt(&answer, &self.endpoint),
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        match self.encoding {
            Encoding::Protobuf => halve::protobuf(body),
            Encoding::Json => halve::json(body),
        }
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        match self.encoding {
            Encoding::Protobuf => halve::subject(&prost::Message::decode(body).ok()?),
            Encoding::Json => halve::subject(&serde_json::from_slice(body).ok()?),
        }
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        // A request without metrics.
        let nothing = match self.encoding {
            Encoding::Protobuf => Vec::new(),
            Encoding::Json => b"{}".to_vec(),
        };
        let answer = self.post(&Body::Memory(nothing), surroundings, deadline);
        let answer = answer.map_err(|error| chain(&error))?;
        match answer::receipt(&answer, &self.endpoint) {
            Receipt::Accepted => Ok(format!("`{}` takes metrics", self.endpoint)),
            _ => Err(format!("`{}` takes no metrics: {}", self.endpoint, answer.describe())),
        }
    }

    fn names_agent(&self) -> bool {
        true
    }

    fn wants_starts(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.http.secrets()
    }

    fn conflicts(&self) -> Vec<Problem> {
        let nameless = self.resource.contains_key("");
        let nameless = nameless.then(|| Problem::at(&["resource"], "an attribute has no name"));
        nameless.into_iter().chain(self.http.conflicts()).collect()
    }
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}

#[cfg(test)]
mod tests;
