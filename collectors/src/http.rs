//! Datapoints from a web service: an HTTP request, and what its answer says.
//!
//! The answer is JSON (values are picked by JSON Pointer such as `/main/temp` or by JSONPath such as
//! `$.list[0].temp`), CSV (by column), one plain value, or text in which a pattern finds values (by group).
//! `mapping.each` points to a list whose elements each give datapoints, with `target`, `labels` and `timestamp`
//! taken from the element. `pages` follows the answer's next page, by its `Link` header or by a pointer into it; more pages
//! than `pages.max` are an error, and those that were read are kept.
//!
//! `probe` adds datapoints about the service itself. With probes and no `mapping.values` the job only watches:
//! whatever the status, it is a datapoint and no failure.
//!
//! Credentials (`auth`, `headers`) are sent to the host of `url` only: a redirect to another host is followed
//! without them, a next page on another host is an error, and so is a redirect after which `json` or `body` would be
//! posted to another host. At most `redirects` are followed.
//!
//! | key | unit | type |
//! |---|---|---|
//! | as `mapping.values` names them | `unit` of the value | `type` of the value |
//! | `http_status` (`probe: [status]`) | | int |
//! | `http_latency_seconds` (`probe: [latency]`): from the request to the end of the answer | seconds | float |
//! | `http_certificate_expires_days` (`probe: [certificate]`): negative when it has expired | days | float |
//!
//! An answer with another status than `expect_status` fails the job, and so does one that is late, too long or
//! not of its format. A value that is missing or of the wrong type is refused by name, and the others are kept.
//!
//! ```yaml
//! jobs:
//!   - id: weather
//!     http:
//!       url: https://api.open-meteo.com/v1/forecast
//!       query: {latitude: 52.52, longitude: 13.41, current: "temperature_2m,surface_pressure"}
//!       probe: [status, latency, certificate]
//!       mapping:
//!         values:
//!           temperature: {from: /current/temperature_2m, type: float, unit: celsius}
//!           pressure: {from: /current/surface_pressure, type: float, unit: hectopascal}
//! ```

mod answer;
mod exchange;
mod failure;
mod link;
mod options;
mod request;

use std::collections::HashSet;
use std::time::Instant;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Context, Error};
use crate::datapoint::{DataType, Datapoint, Value};
use crate::decode::Problem;
use crate::mapping::{Format, Mapping};
use crate::period::Period;
use crate::secret::{Secret, SecretTree};
use crate::sink::{Sealed, Sink};
use crate::web::{self, Auth, HeaderName, Tls, Url};

use answer::Answer;
use exchange::Exchange;
use failure::Failure;
use options::{Method, NextPage, Pages, Parameter, Probe, Status};
use request::Request;

/// The options of `http`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Http {
    /// What is asked for. User and password belong into `auth`.
    url: Url,
    /// `GET`, or `POST` with `json` or `body`.
    #[serde(default)]
    method: Method,
    /// Parameters that are added to the URL, each a text, a number or a secret.
    #[serde(default)]
    query: IndexMap<String, Parameter>,
    /// Headers, each a text or a secret.
    #[serde(default)]
    headers: IndexMap<HeaderName, Secret>,
    /// How to authenticate.
    #[serde(default)]
    auth: Option<Auth>,
    /// What is posted, as JSON; `{env: NAME}` and the other references in it stand for secrets.
    #[serde(default)]
    json: Option<SecretTree>,
    /// What is posted, as it stands.
    #[serde(default)]
    body: Option<Secret>,
    /// How long one request may take from its beginning to the end of the answer; the job's own time also ends it.
    #[serde(default = "default_timeout")]
    timeout: Period,
    /// The longest answer, uncompressed; a longer one is an error.
    #[serde(default = "default_max_bytes")]
    max_bytes: u64,
    /// How many redirects are followed for one request.
    #[serde(default = "default_redirects")]
    redirects: u32,
    /// The statuses of a good answer; none means 200 to 299.
    #[serde(default)]
    expect_status: Vec<Status>,
    /// What the answer is made of.
    #[serde(default)]
    format: Format,
    /// How the answer becomes datapoints.
    #[serde(default)]
    mapping: Mapping,
    /// Where the answer tells its next page.
    #[serde(default)]
    pages: Option<Pages>,
    /// Datapoints about the service itself.
    #[serde(default)]
    probe: Vec<Probe>,
    /// How an `https` server is trusted.
    #[serde(default)]
    tls: Tls,
}

const fn default_timeout() -> Period {
    Period::from_secs(30)
}

const fn default_max_bytes() -> u64 {
    16 * 1024 * 1024
}

const fn default_redirects() -> u32 {
    5
}

impl Collector for Http {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
        self.run(context, sink).map(|_| ())
    }

    fn check(&self, context: &Context) -> Result<String, Error> {
        let sink = Sink::new(self.url.host().to_owned(), Vec::new(), context.now_ms);
        let status = self.run(context, &sink)?;
        let collected = sink.seal().unwrap_or_default();
        let status = status.map(|status| format!("status {status}, ")).unwrap_or_default();
        match collected.first_problem() {
            Some(problem) => Err(Error::at(self.url.to_string(), format!("{status}{problem}"))),
            None => Ok(format!("{status}{} datapoints", collected.batch.len())),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        let auth = self.auth.iter().flat_map(Auth::secrets);
        let query = self.query.values().map(Parameter::secret);
        let json = self.json.iter().flat_map(SecretTree::secrets);
        self.headers.values().chain(query).chain(auth).chain(json).chain(&self.body).collect()
    }

    fn conflicts(&self) -> Vec<Problem> {
        let mut problems = self.mapping.conflicts(self.format, &["mapping"]);
        let mut clash = |key: &str, message: &str| problems.push(Problem::at(&[key], message));
        if !self.wants_answer() && self.probe.is_empty() {
            clash("mapping", "nothing would be collected: give `mapping.values` or `probe`");
        }
        if self.json.is_some() && self.body.is_some() {
            clash("body", "`json` and `body` cannot both be posted");
        }
        for (key, is_given) in [("json", self.json.is_some()), ("body", self.body.is_some())] {
            if is_given && self.method == Method::Get {
                clash(key, &format!("`{key}` needs `method: POST`"));
            }
        }
        if self.probe.contains(&Probe::Certificate) && !self.url.is_https() {
            clash("probe", "`certificate` needs an `https` URL");
        }
        if let Some(Pages { next: NextPage::Pick(_), .. }) = self.pages
            && self.format != Format::Json
        {
            clash("pages", "a next page can be picked out of JSON only");
        }
        problems
    }

    fn default_target(&self) -> Option<String> {
        Some(self.url.host().to_owned())
    }
}

impl Http {
    /// Makes the requests and pushes what they give; the first answer's status, if one was asked for.
    fn run(&self, context: &Context, sink: &Sink) -> Result<Option<u16>, Error> {
        let certificate = self.probe_certificate(context, sink);
        let is_certificate_all = self.probe.iter().all(|probe| *probe == Probe::Certificate);
        if is_certificate_all && !self.wants_answer() {
            return certificate.map(|()| None);
        }
        // The request says more than the probe does of a server that cannot be reached.
        let status = self.request_pages(context, sink)?;
        certificate.map(|()| Some(status))
    }

    fn wants_answer(&self) -> bool {
        !self.mapping.is_empty() || self.format == Format::Value
    }

    fn expects(&self, status: u16) -> bool {
        match self.expect_status.as_slice() {
            [] => (200..300).contains(&status),
            expected => expected.iter().any(|expected| expected.get() == status),
        }
    }

    fn request_pages(&self, context: &Context, sink: &Sink) -> Result<u16, Error> {
        let at_start = |failure: Failure| failure.at(&self.url);
        let request = Request::new(self).map_err(at_start)?;
        let ca_file = self.tls.ca_file.as_deref().map(|path| context.path(path));
        let agent = web::agent(ca_file.as_deref()).map_err(|e| at_start(e.into()))?;
        let parameters =
            self.query.iter().map(|(name, value)| Ok((name.as_str(), value.expose()?)));
        let parameters = parameters.collect::<Result<Vec<_>, Failure>>().map_err(at_start)?;
        let mut url = self
            .url
            .with_query(parameters.into_iter())
            .map_err(|e| at_start(Failure::BadAddress(e)))?;

        let pages = self.pages.as_ref().map_or(1, |pages| pages.max.get());
        let mut seen = HashSet::from([url.clone()]);
        let mut first_status = None;
        for _ in 0..pages {
            let begun = Instant::now();
            let exchange = Exchange {
                agent: &agent,
                request: &request,
                home: &self.url,
                until: context.deadline.min(begun + self.timeout.get()),
                max_bytes: self.max_bytes,
                redirects: self.redirects,
                expects: &|status| self.expects(status),
            };
            let answer = exchange.run(url)?;
            let status = answer.status;
            if first_status.is_none() {
                self.push_probes(status, begun, sink)?;
            }
            let first_status = *first_status.get_or_insert(status);
            if !self.wants_answer() {
                return Ok(first_status);
            }
            if !self.expects(status) {
                let text = answer::shortened(&answer.beginning(&request.redact));
                return Err(Failure::Status { status, text }.at(&answer.url));
            }
            match self.take(&answer, sink)? {
                None => return Ok(first_status),
                Some(next) if seen.insert(next.clone()) => url = next,
                Some(_) => return Err(Failure::PagesInACircle.at(&answer.url)),
            }
        }
        Err(Failure::MorePages(pages).at(&url))
    }

    /// Pushes what the answer holds, and finds the next page.
    fn take(&self, answer: &Answer, sink: &Sink) -> Result<Option<Url>, Error> {
        let next = match &self.pages {
            Some(Pages { next: NextPage::Pick(pick), .. }) => {
                let document = answer.json().map_err(|e| e.at(answer.url.to_string()))?;
                let mapped = self.mapping.apply_json(&document, sink);
                mapped.map_err(|e| e.at(answer.url.to_string()))?;
                answer::next_in(&document, pick)
            }
            pages => {
                let mapped = self.mapping.apply(self.format, &answer.body, sink);
                mapped.map_err(|e| e.at(answer.url.to_string()))?;
                Ok(pages.as_ref().and_then(|_| answer.next_in_headers()))
            }
        };
        let next = next.and_then(|next| match next {
            Some(reference) => {
                let next = answer.url.join(&reference).map_err(Failure::BadAddress)?;
                if next.has_origin_of(&answer.url) {
                    Ok(Some(next))
                } else {
                    Err(Failure::PageElsewhere(next.to_string()))
                }
            }
            None => Ok(None),
        });
        next.map_err(|failure| failure.at(&answer.url))
    }

    fn push_probes(&self, status: u16, begun: Instant, sink: &Sink) -> Result<(), Sealed> {
        let latency = begun.elapsed().as_secs_f64();
        for probe in &self.probe {
            match probe {
                Probe::Status => {
                    let status = Ok(Value::Int(i64::from(status)));
                    push(sink, "http_status", status, DataType::Int, None)?;
                }
                Probe::Latency => {
                    let seconds = Value::float(latency);
                    push(sink, "http_latency_seconds", seconds, DataType::Float, Some("seconds"))?;
                }
                Probe::Certificate => {}
            }
        }
        Ok(())
    }

    fn probe_certificate(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
        if !self.probe.contains(&Probe::Certificate) {
            return Ok(());
        }
        let until = context.deadline.min(Instant::now() + self.timeout.get());
        let expiry_ms =
            web::expiry_ms(&self.url, until).map_err(|e| Failure::Certificate(e).at(&self.url))?;
        #[expect(clippy::cast_precision_loss, reason = "days, with a fraction")]
        let days = (expiry_ms - context.now_ms) as f64 / 86_400_000.0;
        let key = "http_certificate_expires_days";
        push(sink, key, Value::float(days), DataType::Float, Some("days"))?;
        Ok(())
    }
}

fn push(
    sink: &Sink,
    key: &str,
    value: Result<Value<'_>, crate::datapoint::Flaw>,
    data_type: DataType,
    unit: Option<&str>,
) -> Result<(), Sealed> {
    match value.and_then(|value| Datapoint::new(key, value, data_type)) {
        Ok(datapoint) => sink.push(&Datapoint { unit, ..datapoint }),
        Err(flaw) => sink.refuse(key, flaw),
    }
}

#[cfg(test)]
mod tests;
