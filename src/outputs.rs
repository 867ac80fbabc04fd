//! Where bodies go: one file per output.
//!
//! An output encodes a payload into a body (pure), says where the body would go, sends a body and reads the
//! answer. It neither retries nor keeps anything: that is [`crate::delivery`]'s work, the same for all.
//!
//! Adding an output is one new file, a `mod` line and a line in [`OUTPUTS`], all below.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use collectors::decode::Problem;
use collectors::definition::{Definition, decode_whole};
use collectors::page;
use collectors::page::Page;
use collectors::secret::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::{Agent, Encoded, Payload};

mod body;
mod file;
mod graphite;
mod graphite_http;
mod halves;
pub mod http;
mod influxdb;
mod json_array;
pub mod json_lines;
pub mod otlp;
pub mod pattoo;
mod prometheus;
pub mod prometheus_remote_write;
mod protobuf;
mod pushgateway;
mod repeats;
pub mod sqlite;
mod stdout;
pub mod telemetry;
mod template;
mod textfile;
mod webhook;

pub use body::Body;

/// What an output answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// The body is in: every datapoint of it.
    Accepted,
    /// The body is in but for some of its datapoints, which the output will never accept.
    Partly {
        /// How many it refused.
        rejected: u64,
        /// Which, and what the output said.
        reason: String,
    },
    /// The body is in but for this part of it, which the output will never accept.
    AllBut {
        /// What it refused, as a body.
        part: Part,
        /// What the output said.
        reason: String,
    },
    /// Not now, whatever is sent: the same body may be sent again.
    Retry {
        /// What went wrong.
        reason: String,
        /// How long the output asked to be left alone.
        after: Option<Duration>,
    },
    /// The output failed at this body. It may be the output's state or the body itself, so the same body may be sent
    /// again; when it goes on while others are accepted, it is the body.
    Fault {
        /// What went wrong.
        reason: String,
        /// How long the output asked to be left alone.
        after: Option<Duration>,
    },
    /// Never: the same body will not be accepted again.
    Rejected {
        /// What the output said.
        reason: String,
    },
}

/// A part of a body that is a body itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The body.
    pub bytes: Vec<u8>,
    /// How many datapoints it has.
    pub datapoints: u64,
}

/// Where a body goes, with nothing secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// The HTTP method, or what is done with a file: `APPEND`, `INSERT`, `WRITE`.
    pub method: &'static str,
    /// The URL or path.
    pub url: String,
    /// Headers; the value of a secret one is redacted.
    pub headers: Vec<(String, String)>,
}

/// What the outputs are given of the run's surroundings.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Who collected.
    pub agent: Agent,
    /// Where relative paths of the configuration start.
    pub config_directory: PathBuf,
    /// Where what lasts is kept, if there is such a place.
    pub daemon_directory: Option<PathBuf>,
    /// The run's clock, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Surroundings {
    /// A path of the configuration, relative ones from the configuration's folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.config_directory.join(path)
    }
}

/// An output with its options: the deserialised options are the output.
pub trait Output: Send + Sync {
    /// Writes the payload as this output's body.
    ///
    /// # Errors
    /// Only those of `to`.
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded>;

    /// Where a body goes.
    fn destination(&self, surroundings: &Surroundings) -> Destination;

    /// Sends one body and reads the answer, before `deadline`.
    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt;

    /// Takes a body apart into two bodies with about half of its datapoints each, so that what makes the output
    /// reject it can be found. The same body always gives the same halves. `None` when it has a single datapoint, or
    /// cannot be taken apart.
    fn halve(&self, _body: &[u8]) -> Option<[Part; 2]> {
        None
    }

    /// What a body of a single datapoint is about, for whoever must find it: its key, or its line. `None` when it
    /// cannot be told.
    fn subject(&self, _body: &[u8]) -> Option<String> {
        None
    }

    /// Tries whether a body could be sent, without sending one.
    ///
    /// # Errors
    /// Why it could not.
    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String>;

    /// Whether a body still makes sense later, so that it is kept in the spool until it is accepted.
    fn can_wait(&self) -> bool {
        true
    }

    /// Whether what it is sent takes the place of what it had, so that a job that does not run in a run is gone from it.
    fn is_replaced(&self) -> bool {
        false
    }

    /// Whether it says since when each counter counts, which costs state.
    fn wants_starts(&self) -> bool {
        false
    }

    /// Tells the jobs of this run that failed, once its datapoints are in. What is told is about now: it is kept
    /// nowhere, and not tried again. Gives back what could not be told, and why.
    fn tell_failures(
        &self,
        _payload: &Payload,
        _surroundings: &Surroundings,
        _deadline: Instant,
    ) -> Vec<String> {
        Vec::new()
    }

    /// The output whose boards `collector board` reads and makes, if this is one.
    fn boards(&self) -> Option<&telemetry::Telemetry> {
        None
    }

    /// The embedded store that it fills, for those who read it. The folders are the configuration's and the one
    /// for what lasts.
    fn store(&self, _config_directory: &Path, _daemon_directory: Option<&Path>) -> Option<PathBuf> {
        None
    }

    /// Whether its bodies or addresses carry the agent's id, so that none can be made without it.
    fn names_agent(&self) -> bool {
        false
    }

    /// Every secret among the options.
    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    /// Combinations of options that cannot work.
    fn conflicts(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// Every output, in the order in which they are listed.
pub static OUTPUTS: &[Definition<dyn Output>] = &[
    define::<pattoo::Pattoo>("pattoo", page!("outputs/pattoo.rs")),
    define::<influxdb::InfluxDb>("influxdb", page!("outputs/influxdb.rs")),
    define::<graphite::Graphite>("graphite", page!("outputs/graphite.rs")),
    define::<graphite_http::GraphiteHttp>("graphite_http", page!("outputs/graphite_http.rs")),
    define::<sqlite::Sqlite>("sqlite", page!("outputs/sqlite.rs")),
    define::<prometheus_remote_write::PrometheusRemoteWrite>(
        "prometheus_remote_write",
        page!("outputs/prometheus_remote_write.rs"),
    ),
    define::<otlp::Otlp>("otlp", page!("outputs/otlp.rs")),
    define::<pushgateway::Pushgateway>("pushgateway", page!("outputs/pushgateway.rs")),
    define::<textfile::Textfile>("textfile", page!("outputs/textfile.rs")),
    define::<telemetry::Telemetry>("telemetry", page!("outputs/telemetry.rs")),
    define::<webhook::Webhook>("webhook", page!("outputs/webhook.rs")),
    define::<file::File>("file", page!("outputs/file.rs")),
    define::<stdout::Stdout>("stdout", page!("outputs/stdout.rs")),
];

/// The output of that name.
pub fn find(name: &str) -> Option<&'static Definition<dyn Output>> {
    OUTPUTS.iter().find(|definition| definition.name == name)
}

const fn define<T>(name: &'static str, page: Page) -> Definition<dyn Output>
where
    T: Output + Serialize + DeserializeOwned + schemars::JsonSchema + 'static,
{
    Definition::new::<T>(name, page, |options| Ok(Box::new(decode_whole(options, T::conflicts)?)))
}
