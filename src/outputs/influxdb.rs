//! Datapoints to InfluxDB 1, 2 or 3 as line protocol, and to whatever else takes its `/write`.
//!
//! By default a datapoint's key is the measurement, its value the field `value`, and its labels are tags, with `host`
//! (this host) and `target` (what was polled) beside them. `measurement` and `field` are made of text, `{key}`,
//! `{target}` and `{host}`: `measurement: collector` with `field: "{key}"` puts all into one measurement. Times are in
//! milliseconds.
//!
//! Integers are written as integers, and numbers of the type `float` always as floats: InfluxDB never changes the
//! type of a field, and refuses what does not fit. `numbers: float` writes all of them as floats, for sources that
//! mix the two. InfluxDB 1 holds no integer above 2^63 - 1, so that such a datapoint is refused by name; the others
//! get it as an unsigned integer. A tag without a value is left out, and so is a backslash at the end of a name.
//!
//! With `version: 1` the database is created when it is missing. `database.duration` (`90d`, or `INF`) makes a
//! retention policy of that length, `database.policy` (`<name>_collector` unless it is named), sets it right where it
//! differs, and makes it the default. A user who may only write needs `database.create: false`.
//!
//! A body that is refused for some of its lines is divided until those are found; they are set aside with what
//! InfluxDB says, and all others are in. Sending the same lines again changes nothing there.
//!
//! ```yaml
//! outputs:
//!   - influxdb:
//!       url: http://influxdb.example.org:8086
//!       version: 1
//!       database: {name: metrics, duration: 90d}
//! ```

mod answer;
mod escape;
mod line;
mod names;
mod options;
mod places;
mod policy;
mod series;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use collectors::decode::Problem;
use collectors::secret::Secret;
use collectors::web::{Auth, NotAUrl, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, Compression, Http, Post};
use super::template::{Piece, Template};
use super::{Body, Destination, Output, Part, Receipt, Surroundings, halves};
use crate::payload::{Encoded, Payload};
use crate::report::chain;
use options::{Database, Numbers, Version};

/// The options of `influxdb`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct InfluxDb {
    /// Where InfluxDB is, such as `http://influxdb:8086`.
    url: Url,
    /// Its major version: 1, 2 or 3.
    version: Version,
    /// The database; for versions 1 and 3.
    #[serde(default)]
    database: Option<Database>,
    /// The organisation; for version 2.
    #[serde(default)]
    org: Option<String>,
    /// The bucket; for version 2.
    #[serde(default)]
    bucket: Option<String>,
    /// The user; for version 1.
    #[serde(default)]
    username: Option<Secret>,
    /// The user's password; for version 1.
    #[serde(default)]
    password: Option<Secret>,
    /// The token; for versions 2 and 3.
    #[serde(default)]
    token: Option<Secret>,
    /// The measurement, made of text, `{key}`, `{target}`, `{host}` and `{job}`.
    #[serde(default = "key")]
    measurement: Template,
    /// The field, made of the same.
    #[serde(default = "value")]
    field: Template,
    /// The tag that holds this host's name; `null` for none.
    #[serde(default = "host")]
    host_tag: Option<String>,
    /// The tag that holds what was polled; `null` for none.
    #[serde(default = "target")]
    target_tag: Option<String>,
    /// The tag that holds the unit, where there is one. Default: none.
    #[serde(default)]
    unit_tag: Option<String>,
    /// Whether info labels, which describe a series and do not make it, are tags too.
    #[serde(default)]
    info: bool,
    /// How numbers are written.
    #[serde(default)]
    numbers: Numbers,
    /// How bodies are compressed on their way.
    #[serde(default)]
    compression: Compression,
    /// How the server is reached.
    #[serde(default)]
    http: Http,
    /// Whether this run has seen to the database.
    #[serde(skip)]
    is_prepared: AtomicBool,
}

fn key() -> Template {
    Template::from([Piece::Key])
}

fn value() -> Template {
    Template::from([Piece::Text("value".into())])
}

#[expect(clippy::unnecessary_wraps, reason = "the field's type")]
fn host() -> Option<String> {
    Some("host".into())
}

#[expect(clippy::unnecessary_wraps, reason = "the field's type")]
fn target() -> Option<String> {
    Some("target".into())
}

impl InfluxDb {
    /// Where bodies go.
    fn write_url(&self) -> Result<Url, NotAUrl> {
        let given = |value: &Option<String>| value.clone().unwrap_or_default();
        let database = || self.database.as_ref().map_or("", |database| &database.name).to_owned();
        let policy = self.database.as_ref().and_then(Database::policy);
        let (path, parameters) = match self.version {
            Version::One => {
                let mut parameters = vec![("db", database()), ("precision", "ms".to_owned())];
                parameters.extend(policy.map(|policy| ("rp", policy)));
                ("/write", parameters)
            }
            Version::Two => {
                let org = self.org.clone().map(|org| ("org", org));
                let rest = [("bucket", given(&self.bucket)), ("precision", "ms".to_owned())];
                ("/api/v2/write", org.into_iter().chain(rest).collect())
            }
            Version::Three => {
                let parameters = [
                    ("db", database()),
                    ("precision", "millisecond".to_owned()),
                    ("accept_partial", "true".to_owned()),
                ];
                ("/api/v3/write_lp", Vec::from(parameters))
            }
        };
        let parameters = parameters.iter().map(|(name, value)| (*name, value.as_str()));
        self.url.below(path)?.with_query(parameters)
    }

    /// Who asks.
    fn auth(&self) -> Option<Auth> {
        match (self.version, &self.username, &self.token) {
            (Version::One, Some(user), _) => {
                Some(Auth::Basic { user: user.clone(), password: self.password.clone() })
            }
            (Version::Two, _, Some(token)) => Some(Auth::Token(token.clone())),
            (Version::Three, _, Some(token)) => Some(Auth::Bearer(token.clone())),
            _ => None,
        }
    }

    /// Sees to the database, once a run.
    fn prepare(&self, surroundings: &Surroundings, deadline: Instant) -> Result<(), Receipt> {
        let Some(database) = self.database.as_ref().filter(|_| self.version == Version::One) else {
            return Ok(());
        };
        if !database.create || self.is_prepared.load(Ordering::Relaxed) {
            return Ok(());
        }
        let url = self.url.below("/query").map_err(|error| retry(chain(&error)))?;
        policy::create(database, |statement| {
            let body = Body::Memory(policy::form(statement));
            let url = url.uri().to_string();
            let headers = vec![("Content-Type", "application/x-www-form-urlencoded")];
            let post = Post::new(&self.http, surroundings, &url, &body);
            http::post(&Post { headers, auth: self.auth(), ..post }, deadline)
        })?;
        self.is_prepared.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn request<'a>(&'a self, plain: Post<'a>) -> Post<'a> {
        Post {
            headers: vec![("Content-Type", CONTENT_TYPE)],
            auth: self.auth(),
            compression: self.compression,
            ..plain
        }
    }

    fn send(
        &self,
        body: &Body,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Result<http::Answer, Receipt> {
        let url = self.write_url().map_err(|error| retry(chain(&error)))?.uri().to_string();
        let request = self.request(Post::new(&self.http, surroundings, &url, body));
        http::post(&request, deadline).map_err(|error| error.receipt())
    }
}

const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

fn retry(reason: String) -> Receipt {
    Receipt::Retry { reason, after: None }
}

impl Output for InfluxDb {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let layout = line::Layout {
            measurement: &self.measurement,
            field: &self.field,
            host: &payload.agent.hostname,
            host_tag: self.host_tag.as_deref(),
            target_tag: self.target_tag.as_deref(),
            unit_tag: self.unit_tag.as_deref(),
            info: self.info,
            has_unsigned: self.version != Version::One,
            all_floats: self.numbers == Numbers::Float,
        };
        line::encode(payload, &layout, to)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        let url =
            self.write_url().map_or_else(|_| self.url.to_string(), |url| url.uri().to_string());
        self.request(Post::new(&self.http, surroundings, "", &Body::empty())).destination(url)
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        let sent = self.prepare(surroundings, deadline);
        match sent.and_then(|()| self.send(body, surroundings, deadline)) {
            Ok(answer) => answer::receipt(&answer, body),
            Err(receipt) => receipt,
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        halves::of_lines(body, escape::line_bytes)
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        Some(String::from_utf8_lossy(escape::head(body)).into_owned())
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        let nothing = Body::empty();
        let said = |receipt| match receipt {
            Receipt::Retry { reason, .. } | Receipt::Fault { reason, .. } => reason,
            other => format!("{other:?}"),
        };
        let answer = self.send(&nothing, surroundings, deadline).map_err(said)?;
        let creates = self.database.as_ref().is_some_and(|database| database.create);
        match answer.status {
            204 => Ok(format!("`{}` takes lines", self.url)),
            // Nothing was sent, which these versions do not take; who is not let in is told before.
            400 if self.version != Version::One => Ok(format!("`{}` is an InfluxDB", self.url)),
            404 if self.version == Version::One && creates => {
                Ok(format!("`{}` will be asked to create the database", self.url))
            }
            _ => Err(format!("`{}`: {}", self.url, answer.describe())),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        let own = [&self.username, &self.password, &self.token];
        own.into_iter().flatten().chain(self.http.secrets()).collect()
    }

    fn conflicts(&self) -> Vec<Problem> {
        options::conflicts(self)
    }
}

#[cfg(test)]
mod tests;
