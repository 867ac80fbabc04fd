//! Datapoints to Graphite over TCP: carbon, its relays, and whatever else takes its plaintext lines.
//!
//! With tags (Graphite since 1.1) a datapoint's key is the metric's name, and its labels are tags, with `host` (this
//! host) and `target` (what was polled) beside them. With `tags: false` all of it stands in the name, by default
//! `{target}.{key}.{labels}`. A `name` of your own is made of text, `{key}`, `{target}`, `{host}`, `{label.NAME}`, and
//! `{labels}` for the values of the other labels. What a name cannot hold (white space, `;`, `*` and the like, and
//! dots within a target, a host or a label) becomes `_`, and an empty node is left out.
//!
//! The metrics of the run itself (`collector_job_duration_seconds` and the like) are named as all others, or stand below
//! an `own_prefix`.
//!
//! Graphite holds numbers, one for each second of a metric: text is refused by name, or with `text: tag` becomes the tag
//! `value` of a metric that is 1 and whose name ends in `_info`. Of two values for one second the first is sent, and
//! the other counted.
//!
//! Lines are never answered, and one that carbon cannot read vanishes there; so only lines are sent that it can read,
//! and a body counts as accepted when the server has read it to its end and closed the connection. The protocol has
//! neither passwords nor encryption.
//!
//! ```yaml
//! outputs:
//!   - graphite:
//!       host: graphite.example.org
//!       tags: false
//!       name: "servers.{host}.{key}.{labels}"
//! ```

pub(super) mod naming;
mod socket;

use std::io::{self, Write};
use std::time::Instant;

use collectors::decode::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::repeats::Repeats;
use super::template::{Piece, Template};
use super::{Body, Destination, Output, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};
use crate::report::{chain, metrics};
use naming::{Named, Naming, Text};

/// The options of `graphite`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Graphite {
    /// The server's name or address.
    host: String,
    /// Its port for plaintext lines.
    #[serde(default = "port")]
    port: u16,
    /// Whether metrics have tags, which needs Graphite 1.1.
    #[serde(default = "yes")]
    tags: bool,
    /// The metric's name. Default: `{key}` with tags, `{target}.{key}.{labels}` without.
    #[serde(default)]
    name: Option<Template>,
    /// What becomes of text, which Graphite has no values for.
    #[serde(default)]
    text: Text,
    /// Where the run's own metrics stand, such as `raintank.app.stats.taskagent.{host}`: they are then called
    /// `<own_prefix>.<key>.<labels>.gauge64` (`.counter64` for counters) and have no tags, as raintank's task agent has
    /// it. Default: they are named as all others.
    #[serde(default)]
    own_prefix: Option<Template>,
}

const fn port() -> u16 {
    2003
}

const fn yes() -> bool {
    true
}

impl Graphite {
    fn address(&self) -> String {
        let host = self.host.trim();
        match host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]:{}", self.port),
            Err(_) => format!("{host}:{}", self.port),
        }
    }
}

/// What a metric is called where the options do not say.
pub(super) fn usual_name(has_tags: bool) -> Template {
    if has_tags {
        return Template::from([Piece::Key]);
    }
    let dot = || Piece::Text(".".into());
    Template::from([Piece::Target, dot(), Piece::Key, dot(), Piece::Labels])
}

/// What one of the run's own metrics of that kind is called below a prefix.
fn own_name(prefix: &Template, kind: &str) -> Template {
    let text = |text: &str| Piece::Text(text.to_owned());
    prefix.followed_by([text("."), Piece::Key, text("."), Piece::Labels, text("."), text(kind)])
}

/// What cannot work with that name.
pub(super) fn name_conflicts(name: Option<&Template>) -> Option<Problem> {
    let name = name.filter(|name| !name.has(&Piece::Key))?;
    let message = format!("`{name}` has no `{{key}}`: all values would be one metric");
    Some(Problem::at(&["name"], message))
}

impl Output for Graphite {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let usual = usual_name(self.tags);
        let naming = Naming {
            name: self.name.as_ref().unwrap_or(&usual),
            has_tags: self.tags,
            text: self.text,
            host: &payload.agent.hostname,
        };
        let own = self.own_prefix.as_ref();
        let own = own.map(|prefix| ["gauge64", "counter64"].map(|kind| own_name(prefix, kind)));
        let mut encoded = Encoded::default();
        let mut repeats = Repeats::default();
        for view in payload.datapoints() {
            let is_own = **view.job == *metrics::JOB;
            let own = own.as_ref().filter(|_| is_own);
            let own = own.map(|names| &names[usize::from(view.point.data_type.is_counter())]);
            let own = own.map(|name| Naming { name, has_tags: false, ..naming });
            let named = match own.unwrap_or(naming).name(view) {
                Ok(named) => named,
                Err(reason) => {
                    encoded.refuse(view.job, view.key(), reason);
                    continue;
                }
            };
            let Named { mut name, tags, value, time } = named;
            for (tag, value) in &tags {
                name.extend([";", tag, "=", value]);
            }
            if repeats.is_first_of((&name, time), view, &mut encoded) {
                writeln!(to, "{name} {} {time}", value.text())?;
                encoded.datapoints += 1;
            }
        }
        Ok(encoded)
    }

    fn destination(&self, _: &Surroundings) -> Destination {
        let url = format!("tcp://{}", self.address());
        Destination { method: "SEND", url, headers: Vec::new() }
    }

    fn deliver(&self, body: &Body, _: &Surroundings, deadline: Instant) -> Receipt {
        match socket::send(self.host.trim(), self.port, body, deadline) {
            Ok(()) => Receipt::Accepted,
            Err(error) => {
                let reason = format!("`{}`: {}", self.address(), chain(&error));
                Receipt::Retry { reason, after: None }
            }
        }
    }

    fn check(&self, _: &Surroundings, deadline: Instant) -> Result<String, String> {
        let nothing = Body::Memory(Vec::new());
        match socket::send(self.host.trim(), self.port, &nothing, deadline) {
            Ok(()) => Ok(format!("`{}` takes connections", self.address())),
            Err(error) => Err(format!("`{}`: {}", self.address(), chain(&error))),
        }
    }

    fn conflicts(&self) -> Vec<Problem> {
        let host = super::pattoo::check_address(&self.host).err();
        let host = host.map(|message| Problem::at(&["host"], message));
        let port = (self.port == 0).then(|| Problem::at(&["port"], "no server listens on port 0"));
        let text = (self.text == Text::Tag && !self.tags)
            .then(|| Problem::at(&["text"], "`text: tag` needs `tags: true`"));
        let name = name_conflicts(self.name.as_ref());
        host.into_iter().chain(port).chain(text).chain(name).collect()
    }
}

#[cfg(test)]
mod tests;
