//! A Prometheus Pushgateway, from which Prometheus scrapes what was pushed last.
//!
//! Each run replaces its group (PUT): the labels `job` (`collector` unless `job` says otherwise) and `instance` (this
//! host's name unless `instance` says otherwise). Two configurations on one host need different ones, or each removes
//! what the other has pushed. So all jobs that feed a group must run together: they have one interval, and a run with `--only`
//! or `--shard` warns of the jobs that are gone from it. Prometheus should scrape the Pushgateway with `honor_labels: true`.
//!
//! Each datapoint is a value of the metric that its key names (`prefix` goes before it), with the labels `target` and
//! its own; counters are of the type `counter`, all else is a `gauge`. A Pushgateway has no times: of a series that has
//! several, the latest is pushed and the others are counted. It adds `push_time_seconds`, so that an alert can tell
//! when there are no new ones; a datapoint of that name is refused. Names, labels and text are made legal as in `prometheus_remote_write`; a datapoint's own
//! label `job` or `instance` is called `exported_job` or `exported_instance`.
//!
//! Old values in the place of new ones would be wrong, so nothing waits: what it does not take is lost, and counted. A
//! group that it refuses, as for a metric that has another type elsewhere, is divided until the bad metrics are found:
//! the first part that it takes replaces the group, and the others are added to it (POST).
//!
//! ```yaml
//! outputs:
//!   - pushgateway:
//!       url: http://pushgateway.example.org:9091
//!       job: backups
//! ```

use std::io::{self, Read, Write};
use std::time::Instant;

use collectors::decode::Problem;
use collectors::secret::Secret;
use collectors::web::Url;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, Http, Method, Post, Question};
use super::prometheus::exposition::{self, TARGET};
use super::prometheus::{Rules, Text, check_prefix, is_page, receipt};
use super::{Body, Destination, Output, Part, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};
use crate::report::chain;

const HEADERS: [(&str, &str); 1] = [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")];

/// What a Pushgateway says itself of each group: it takes a datapoint of that name, and shows its own.
const RESERVED: [&str; 2] = ["push_time_seconds", "push_failure_time_seconds"];

/// With this comment begins what is added to a group that is there.
const ADDED: &[u8] = b"# added to the group\n";

/// The options of `pushgateway`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Pushgateway {
    /// Where it listens, such as `http://localhost:9091`.
    url: Url,
    /// The group's label `job`.
    #[serde(default = "default_job")]
    job: String,
    /// The group's label `instance`. Default: this host's name.
    #[serde(default)]
    instance: Option<String>,
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

fn default_job() -> String {
    "collector".to_owned()
}

impl Pushgateway {
    fn request<'a>(&'a self, plain: Post<'a>) -> Post<'a> {
        Post { method: Method::Put, headers: HEADERS.to_vec(), ..plain }
    }

    fn path(&self, path: &str) -> String {
        let base = self.url.uri().to_string();
        let (base, query) = base.split_once('?').unwrap_or((&base, ""));
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", base.trim_end_matches('/'))
    }

    /// Where the group is.
    fn group(&self, surroundings: &Surroundings) -> String {
        let escaped = |value| utf8_percent_encode(value, NON_ALPHANUMERIC);
        let instance = self.instance.as_deref().unwrap_or(&surroundings.agent.hostname);
        let (job, instance) = (escaped(&self.job), escaped(instance));
        self.path(&format!("/metrics/job/{job}/instance/{instance}"))
    }
}

/// Whether a body is a part of a group of which another part is in. One that cannot be read fails when it is sent.
fn is_added(body: &Body) -> bool {
    let mut beginning = Vec::with_capacity(ADDED.len());
    let read =
        body.open().and_then(|body| body.take(ADDED.len() as u64).read_to_end(&mut beginning));
    read.is_ok() && beginning == ADDED
}

impl Output for Pushgateway {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let rules = Rules {
            prefix: &self.prefix,
            job: None,
            target: TARGET,
            taken: &["job", "instance"],
            reserved: &RESERVED,
            info: self.info,
            text: self.text,
        };
        exposition::encode(payload, rules, None, to)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        let url = collectors::web::redact_url(&self.group(surroundings));
        self.request(Post::new(&self.http, surroundings, "", &Body::empty())).destination(url)
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        let url = self.group(surroundings);
        let request = self.request(Post::new(&self.http, surroundings, &url, body));
        let method = if is_added(body) { Method::Post } else { request.method };
        match http::post(&Post { method, ..request }, deadline) {
            Err(error) => error.receipt(),
            Ok(answer) => receipt(&answer, &self.url, "it is no Pushgateway"),
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        let metrics = body.strip_prefix(ADDED).unwrap_or(body);
        let [first, second] = exposition::halve(metrics)?;
        let added = |part: Part| Part { bytes: [ADDED, &part.bytes].concat(), ..part };
        let is_added = metrics.len() < body.len();
        Some([if is_added { added(first) } else { first }, added(second)])
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(body).ok()?;
        Some(text.lines().find(|line| !line.starts_with('#'))?.to_owned())
    }

    fn can_wait(&self) -> bool {
        false
    }

    fn is_replaced(&self) -> bool {
        true
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        let url = self.path("/-/ready");
        let answer =
            Question { http: &self.http, surroundings, url: &url, auth: None }.get(deadline);
        let answer = answer.map_err(|error| chain(&error))?;
        match answer.status {
            200..300 if !is_page(&answer) => Ok(format!("`{}` is ready", self.url)),
            _ => Err(format!("`{}` is not ready: {}", self.url, answer.describe())),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.http.secrets()
    }

    fn conflicts(&self) -> Vec<Problem> {
        let group = [("job", Some(&self.job)), ("instance", self.instance.as_ref())];
        let group = group.into_iter().filter_map(|(name, value)| {
            let problem = |what: &str| Some(Problem::at(&[name], what));
            match value?.as_str() {
                "" => problem("the group's label is empty"),
                value if value.contains('/') => problem("a group's label cannot hold `/`"),
                _ => None,
            }
        });
        let prefix = check_prefix(&self.prefix).err();
        let prefix = prefix.map(|message| Problem::at(&["prefix"], message));
        group.chain(prefix).chain(self.http.conflicts()).collect()
    }
}
