//! Datapoints to Graphite over HTTP: Grafana Cloud, and raintank's tsdb-gw.
//!
//! Names and tags are made as by the output `graphite`; text is refused unless `text: tag` is given. `interval` is how
//! often a metric has a value; by default it is the polling interval. Grafana Cloud asks for `user` (the instance's
//! number) and `token`; tsdb-gw for `token` alone, and for `org` where that is not 1.
//!
//! Both answer 200 even when they refuse datapoints, so that the answer is read: a body is accepted when all of its
//! datapoints are published. One that is refused in part is divided until the bad datapoints are found; they are set
//! aside with the reason, and all others are in.
//!
//! ```yaml
//! outputs:
//!   - graphite_http:
//!       url: https://graphite-prod-01-eu-west-0.grafana.net/graphite
//!       flavour: grafana_cloud
//!       user: "12345"
//!       token: {env: GRAFANA_CLOUD_TOKEN}
//! ```

mod answer;
mod metric;

use std::io::{self, Read, Write};
use std::time::Instant;

use collectors::decode::Problem;
use collectors::period::Period;
use collectors::secret::Secret;
use collectors::web::{Auth, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::graphite::naming::{Naming, Text};
use super::graphite::{name_conflicts, usual_name};
use super::http::{self, Http, Post};
use super::json_array::Array;
use super::repeats::Repeats;
use super::template::Template;
use super::{Body, Destination, Output, Part, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};
use crate::report::chain;
use metric::Metric;

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// The options of `graphite_http`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct GraphiteHttp {
    /// Where the service is; `/metrics` is added to it.
    url: Url,
    /// Which service it is.
    flavour: Flavour,
    /// The instance's number; for Grafana Cloud.
    #[serde(default)]
    user: Option<String>,
    /// The token or key.
    #[serde(default)]
    token: Option<Secret>,
    /// The organisation's number; for tsdb-gw. Default: 1.
    #[serde(default)]
    org: Option<u32>,
    /// How often a metric has a value, in whole seconds. Default: the polling interval.
    #[serde(default)]
    interval: Option<Period>,
    /// Whether metrics have tags.
    #[serde(default = "yes")]
    tags: bool,
    /// The metric's name. Default: `{key}` with tags, `{target}.{key}.{labels}` without.
    #[serde(default)]
    name: Option<Template>,
    /// What becomes of text, which Graphite has no values for.
    #[serde(default)]
    text: Text,
    /// How the server is reached.
    #[serde(default)]
    http: Http,
}

/// A service that takes Graphite's metrics as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Flavour {
    /// Grafana Cloud.
    GrafanaCloud,
    /// raintank's tsdb-gw, in front of Metrictank.
    TsdbGw,
}

const fn yes() -> bool {
    true
}

impl GraphiteHttp {
    fn metrics_url(&self) -> String {
        let url = self.url.below("/metrics");
        url.map_or_else(|_| self.url.to_string(), |url| url.uri().to_string())
    }

    fn auth(&self) -> Option<Auth> {
        let token = self.token.clone()?;
        Some(match &self.user {
            Some(user) => Auth::Basic { user: Secret::plain(user.clone()), password: Some(token) },
            None => Auth::Bearer(token),
        })
    }

    fn request<'a>(&'a self, plain: Post<'a>) -> Post<'a> {
        Post { headers: JSON.to_vec(), auth: self.auth(), ..plain }
    }

    fn post(
        &self,
        body: &Body,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Result<http::Answer, http::Error> {
        http::post(
            &self.request(Post::new(&self.http, surroundings, &self.metrics_url(), body)),
            deadline,
        )
    }
}

impl Output for GraphiteHttp {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let usual = usual_name(self.tags);
        let naming = Naming {
            name: self.name.as_ref().unwrap_or(&usual),
            has_tags: self.tags,
            text: self.text,
            host: &payload.agent.hostname,
        };
        let interval = self.interval.map_or(payload.polling_interval, Period::get);
        let interval = interval.as_secs().max(1);
        let mut encoded = Encoded::default();
        let mut repeats = Repeats::default();
        let mut array = Array::begin(to)?;
        for view in payload.datapoints() {
            let named = match naming.name(view) {
                Ok(named) => named,
                Err(reason) => {
                    encoded.refuse(view.job, view.key(), reason);
                    continue;
                }
            };
            if !repeats.is_first_of((&named.name, &named.tags, named.time), view, &mut encoded) {
                continue;
            }
            let metric = Metric { named: &named, interval, unit: view.unit().unwrap_or_default() };
            let json = match self.flavour {
                Flavour::GrafanaCloud => metric.for_grafana_cloud()?,
                Flavour::TsdbGw => {
                    metric.for_tsdb_gw(self.org.unwrap_or(1), view.point.data_type.is_counter())?
                }
            };
            array.push(json.as_bytes())?;
            encoded.datapoints += 1;
        }
        array.end()?;
        Ok(encoded)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        self.request(Post::new(&self.http, surroundings, "", &Body::empty()))
            .destination(self.metrics_url())
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        let sent = match count(body) {
            Ok(sent) => sent,
            Err(error) => {
                let reason = chain(&http::Error::Body(error));
                return Receipt::Retry { reason, after: None };
            }
        };
        match self.post(body, surroundings, deadline) {
            Ok(answer) => answer::receipt(&answer, sent),
            Err(error) => error.receipt(),
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        let metrics: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
        let part = |metrics: &[&RawValue]| {
            let mut bytes = Vec::new();
            let mut array = Array::begin(&mut bytes).ok()?;
            metrics.iter().try_for_each(|metric| array.push(metric.get().as_bytes())).ok()?;
            array.end().ok()?;
            Some(Part { bytes, datapoints: metrics.len() as u64 })
        };
        let (first, second) = metrics.split_at(metrics.len() / 2);
        if first.is_empty() { None } else { Some([part(first)?, part(second)?]) }
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        let metrics: Vec<serde_json::Value> = serde_json::from_slice(body).ok()?;
        let [metric] = metrics.as_slice() else { return None };
        let tags = metric["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str());
        let parts: Vec<_> = metric["name"].as_str().into_iter().chain(tags).collect();
        Some(parts.join(";"))
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        let nothing = Body::Memory(b"[]".to_vec());
        let answer = self.post(&nothing, surroundings, deadline).map_err(|error| chain(&error))?;
        match answer.status {
            // It is not much to be given nothing, and not all of them take that for a good request.
            200 | 400 => Ok(format!("`{}` lets us in", self.url)),
            _ => Err(format!("`{}`: {}", self.url, answer.describe())),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.token.iter().chain(self.http.secrets()).collect()
    }

    fn conflicts(&self) -> Vec<Problem> {
        let mut problems = self.http.conflicts();
        problems.extend(name_conflicts(self.name.as_ref()));
        let mut clash = |path: &[&str], message: &str| problems.push(Problem::at(path, message));
        if self.text == Text::Tag && !self.tags {
            clash(&["text"], "`text: tag` needs `tags: true`");
        }
        if self.url.uri().query().is_some() {
            clash(&["url"], "the URL has a query, which `/metrics` cannot be added to");
        }
        if let Some(option) = self.http.says_who().filter(|_| self.token.is_some()) {
            clash(&["http", option], "`token` says who asks: give one of them");
        }
        if self.user.is_some() && self.token.is_none() {
            clash(&["user"], "`user` needs `token`");
        }
        if self.org.is_some() && self.flavour != Flavour::TsdbGw {
            clash(&["org"], "`org` is for `flavour: tsdb_gw`");
        }
        if self.interval.is_some_and(|interval| interval.get().as_secs() == 0) {
            clash(&["interval"], "`interval` is less than a second");
        }
        problems
    }
}

/// How many elements an [`Array`] has.
fn count(body: &Body) -> io::Result<u64> {
    let mut reader = body.open()?;
    let mut piece = vec![0; 64 * 1024];
    let mut lines = 0;
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => lines += memchr::memchr_iter(b'\n', &piece[..length]).count() as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // One behind the opening bracket, and one before the closing one.
    Ok(lines.saturating_sub(1))
}

#[cfg(test)]
mod tests;
