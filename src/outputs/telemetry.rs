//! Datapoints to the flows of Telemetry (telemetryapp.com, TelemetryTV), in one batch.
//!
//! Each datapoint sets a property of a flow. The flow's tag and the property's name are made of text, `{key}`,
//! `{target}`, `{host}`, `{job}`, `{label.NAME}` and `{labels}`: by default the tag is `{key}.{labels}`, which is the key
//! alone where there are no labels, and the property is `value`.
//! With `tag: "{target}"` and `property: "{key}"` all that is known of a target is one flow. What several jobs bring
//! for one flow is merged property by property; of two values for one property the newest is sent, and the others are
//! counted.
//!
//! `update: merge` (the default) leaves the flow's other properties as they are, `replace` takes them away, and
//! `json_patch` sets each property by an operation of its own. With `expires_after` a flow is marked as out of date
//! when nothing new has come for so long.
//!
//! Telemetry answers 200 also when it skips flows, such as those that do not exist. The answer is read: the flows that it
//! names are set aside with what it says, and all others are in. Where it does not name them they are searched for.
//!
//! `boards` are made before the first datapoints of a run are sent, each from a template with a name and a prefix of
//! its own; the prefix is put before the tag of each of its flows. A board that is there is compared with its template,
//! widget by widget: what is missing is added, what differs is replaced, and widgets that the template does not know
//! stay. A flow that is there keeps its data. What goes wrong while a board is made is taken back. As long as a board
//! cannot be made its flows may be missing, so the datapoints wait in the spool. A board that many machines share is best
//! made by `board apply` first: two that begin at once would each make it. To compare takes two requests a run for
//! each board, and one for each of its flows. `collector board dump NAME` prints a board as a template, `collector board
//! apply` sees to the boards now.
//!
//! With `error_tag` a job that fails is told at the flow of that tag, made of text, `{job}` and `{host}`, with the
//! reason, in which the job's secrets are hidden; one with `alert_after` when its time has come. It is said once the
//! run's datapoints are in, and only then, and is about this run: nothing of it waits, and what Telemetry does not take
//! is a warning. The next run says it again if it is still so.
//!
//! ```yaml
//! outputs:
//!   - telemetry:
//!       api_key: {env: TELEMETRY_API_KEY}
//!       tag: "{host}_{key}_{labels}"
//!       expires_after: 15m
//! ```

mod answer;
mod boards;
mod errors;
mod flows;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use collectors::decode::Problem;
use collectors::period::Period;
use collectors::secret::Secret;
use collectors::web::{Auth, NotAUrl, Url};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, Http, Method, Post, Question};
use super::template::{Piece, Template};
use super::{Body, Destination, Output, Part, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};
use crate::report::chain;
use boards::Api;
use flows::Flows;

pub use boards::{Applied, Board, Error as BoardError, Layout};

/// The options of `telemetry`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Telemetry {
    /// Where the API is. Default: `https://api.telemetrytv.com`.
    #[serde(default)]
    url: Option<Url>,
    /// The API key.
    api_key: Secret,
    /// How flows are updated.
    #[serde(default)]
    update: Update,
    /// What the API calls what flows hold.
    #[serde(default)]
    resource: Resource,
    /// The tag of a channel, for flows that are its own. Default: none.
    #[serde(default)]
    channel: Option<String>,
    /// The flow's tag.
    #[serde(default = "key_and_labels")]
    tag: Template,
    /// The property that a datapoint sets.
    #[serde(default = "value")]
    property: Template,
    /// How long after the run a flow counts as out of date. Default: never.
    #[serde(default)]
    expires_after: Option<Period>,
    /// The boards that are seen to before datapoints are sent.
    #[serde(default)]
    boards: Vec<Board>,
    /// The tag of the flow at which a job that fails is told, made of text, `{job}` and `{host}`. Default: none.
    #[serde(default)]
    error_tag: Option<Template>,
    /// How the server is reached.
    #[serde(default)]
    http: Http,
    /// Whether this run has seen to the boards.
    #[serde(skip)]
    is_prepared: AtomicBool,
}

/// How flows are updated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Update {
    /// Other properties of a flow stay.
    #[default]
    Merge,
    /// Other properties of a flow are taken away.
    Replace,
    /// By operations of JSON Patch.
    JsonPatch,
}

/// What the API calls what flows hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Resource {
    /// `/data`
    #[default]
    Data,
    /// `/metrics`, as later versions of the API say.
    Metrics,
}

const DEFAULT_URL: &str = "https://api.telemetrytv.com";

/// An answer to a batch is read up to this much beyond the batch's own length, in bytes: it names each flow once, as the
/// batch does, and may say why it left some out.
const ANSWER_ROOM_BYTES: u64 = 1024 * 1024;

fn key_and_labels() -> Template {
    Template::from([Piece::Key, Piece::Text(".".into()), Piece::Labels])
}

fn value() -> Template {
    Template::from([Piece::Text("value".into())])
}

impl Telemetry {
    /// What the API calls what flows hold.
    fn resource(&self) -> &'static str {
        match self.resource {
            Resource::Data => "data",
            Resource::Metrics => "metrics",
        }
    }

    /// Where the API is.
    fn base(&self) -> Result<Url, NotAUrl> {
        self.url.clone().map_or_else(|| Url::parse(DEFAULT_URL), Ok)
    }

    /// The boards that it sees to.
    pub fn boards(&self) -> &[Board] {
        &self.boards
    }

    /// Makes or mends a board.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn apply_board(
        &self,
        board: &Board,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Result<Applied, BoardError> {
        let layout = board.layout(&surroundings.config_directory)?;
        let api = Api { telemetry: self, surroundings, deadline };
        boards::apply(&api, &layout, &board.name, &board.prefix)
    }

    /// A board as a template, the tags of its flows without `prefix`.
    ///
    /// # Errors
    /// [`BoardError`].
    pub fn dump_board(
        &self,
        name: &str,
        prefix: &str,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Result<Layout, BoardError> {
        boards::dump(&Api { telemetry: self, surroundings, deadline }, name, prefix)
    }

    /// Sees to the boards, once a run.
    fn prepare(&self, surroundings: &Surroundings, deadline: Instant) -> Result<(), Receipt> {
        if self.boards.is_empty() || self.is_prepared.load(Ordering::Relaxed) {
            return Ok(());
        }
        for board in &self.boards {
            match self.apply_board(board, surroundings, deadline) {
                Ok(applied) => log::info!("board `{}`: {applied}", board.name),
                // Its flows may be missing, and what is sent to such is refused for good.
                Err(error) => {
                    let reason = format!("board `{}`: {}", board.name, chain(&error));
                    return Err(Receipt::Retry { reason, after: error.after() });
                }
            }
        }
        self.is_prepared.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn batch_url(&self) -> Result<Url, NotAUrl> {
        let resource = self.resource();
        let path = match &self.channel {
            Some(tag) => {
                format!("/channels/{}/{resource}", utf8_percent_encode(tag, NON_ALPHANUMERIC))
            }
            None => format!("/{resource}"),
        };
        self.base()?.below(&path)
    }

    fn request<'a>(&'a self, plain: Post<'a>) -> Post<'a> {
        Post {
            method: self.method(),
            headers: vec![("Content-Type", self.content_type())],
            auth: Some(self.auth()),
            answer_cap_bytes: plain.body.length().saturating_add(ANSWER_ROOM_BYTES),
            ..plain
        }
    }

    fn auth(&self) -> Auth {
        Auth::Basic { user: self.api_key.clone(), password: None }
    }

    fn method(&self) -> Method {
        if self.update == Update::Replace { Method::Post } else { Method::Patch }
    }

    fn content_type(&self) -> &'static str {
        match self.update {
            Update::JsonPatch => "application/json-patch+json",
            Update::Merge | Update::Replace => "application/json",
        }
    }
}

impl Output for Telemetry {
    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let mut encoded = Encoded::default();
        let mut flows = Flows::default();
        let host = &payload.agent.hostname;
        for view in payload.datapoints() {
            let (tag, property) = (self.tag.of(view, host), self.property.of(view, host));
            if let Err(reason) = flows.set(tag, property, view, &mut encoded) {
                encoded.refuse(view.job, view.key(), reason);
            }
        }
        let expires_at = self.expires_after.map(|after| {
            let seconds = i64::try_from(after.get().as_secs()).unwrap_or(i64::MAX);
            payload.timestamp_ms.div_euclid(1000).saturating_add(seconds)
        });
        flows.write(self.update == Update::JsonPatch, expires_at, to)?;
        Ok(encoded)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        let url = self.batch_url().map_or_else(|error| error.to_string(), |url| url.to_string());
        self.request(Post::new(&self.http, surroundings, "", &Body::empty())).destination(url)
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        if let Err(receipt) = self.prepare(surroundings, deadline) {
            return receipt;
        }
        let url = match self.batch_url() {
            Ok(url) => url.uri().to_string(),
            Err(error) => return Receipt::Retry { reason: chain(&error), after: None },
        };
        match http::post(&self.request(Post::new(&self.http, surroundings, &url, body)), deadline) {
            Ok(answer) => answer::receipt(&answer, body),
            Err(error) => error.receipt(),
        }
    }

    fn tell_failures(
        &self,
        payload: &Payload,
        surroundings: &Surroundings,
        deadline: Instant,
    ) -> Vec<String> {
        let Some(tag) = &self.error_tag else { return Vec::new() };
        let api = Api { telemetry: self, surroundings, deadline };
        errors::tell(&api, tag, payload)
    }

    fn boards(&self) -> Option<&Telemetry> {
        Some(self)
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        flows::halve(body)
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        flows::only_tag(body)
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        for board in &self.boards {
            board.layout(&surroundings.config_directory).map_err(|error| chain(&error))?;
        }
        let url = self.base().map_err(|error| chain(&error))?;
        let boards = url.below("/boards").map_err(|error| chain(&error))?.uri().to_string();
        let answer =
            Question { http: &self.http, surroundings, url: &boards, auth: Some(&self.auth()) }
                .get(deadline);
        match answer.map_err(|error| chain(&error))? {
            answer if answer.status == 200 => Ok(format!("`{url}` lets us in")),
            answer => Err(format!("`{url}`: {}", answer.describe())),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        [&self.api_key].into_iter().chain(self.http.secrets()).collect()
    }

    fn conflicts(&self) -> Vec<Problem> {
        let mut problems = self.http.conflicts();
        let mut clash = |path: &[&str], message: &str| problems.push(Problem::at(path, message));
        if !self.tag.has(&Piece::Key) && !self.property.has(&Piece::Key) {
            clash(
                &["tag"],
                "neither `tag` nor `property` has `{key}`: all values would be one property",
            );
        }
        if let Some(option) = self.http.says_who() {
            clash(&["http", option], "`api_key` says who asks: leave this out");
        }
        if self.url.as_ref().is_some_and(|url| url.uri().query().is_some()) {
            clash(&["url"], "the URL has a query, which no path can be added to");
        }
        if self.channel.as_ref().is_some_and(String::is_empty) {
            clash(&["channel"], "the tag is empty");
        }
        if self.error_tag.as_ref().is_some_and(|tag| !tag.is_of_jobs()) {
            clash(
                &["error_tag"],
                "a job that fails has no datapoints: only `{job}` and `{host}` are known",
            );
        }
        for (index, board) in self.boards.iter().enumerate() {
            if board.name.is_empty() {
                clash(&["boards"], "a board's `name` is empty");
            }
            let others = &self.boards[..index];
            if others.iter().any(|other| other.name == board.name) {
                clash(&["boards"], "two boards have one name: each would undo the other");
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests;
