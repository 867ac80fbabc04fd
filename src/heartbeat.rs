//! The dead man's switch: a service that raises the alarm when it does not hear of a run that went well.
//!
//! In the style of healthchecks.io: a POST to `<url>/start` when a run begins, and to `<url>` or `<url>/fail` when it
//! has ended. Every exit status but 0 is a failure: data that waits (4) will be late, and whoever wants to be patient
//! sets the grace time of the service. A run that could not begin (1, 2, 6) is not heard of, which raises the alarm too
//! when it goes on.
//!
//! Nothing here changes what becomes of the run, or holds it up beyond the section's timeout.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use collectors::secret::{Secret, Unresolved};
use collectors::web::{self, BadTlsFile, NotAUrl, Url};

use crate::config::{Config, Environment, sections};
use crate::report::{Report, Status, chain};
use crate::secrets;
use crate::shard::Shard;

/// What such services keep of a body, in bytes.
const BODY_CAP_BYTES: usize = 10_000;

/// Why a signal did not get through. Nothing of the URL is told: all of it is a secret.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Secret(#[from] secrets::Error),
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    #[error("`heartbeat.url`")]
    Url(#[from] NotAUrl),
    #[error(transparent)]
    Roots(#[from] BadTlsFile),
    #[error("the service cannot be reached")]
    Request(#[source] Box<ureq::Error>),
    #[error("the service answered {0}; is `heartbeat.url` right?")]
    Refused(u16),
    #[error("the service did not answer in time")]
    Late,
    #[error("cannot start a thread")]
    NoThread(#[source] std::io::Error),
}

#[derive(Clone, Copy)]
enum Signal {
    Start,
    Success,
    Fail,
}

impl Signal {
    /// What is added to the URL's path.
    fn suffix(self) -> &'static str {
        match self {
            Self::Start => "/start",
            Self::Success => "",
            Self::Fail => "/fail",
        }
    }
}

/// A run of which the service has been told, or is being told.
pub struct Heartbeat {
    line: Arc<Line>,
    timeout: Duration,
    started: Receiver<Result<(), Error>>,
}

/// What the configuration says of it, for a run of all jobs: a part of them tells nothing about the others.
pub fn wanted(
    config: &Config,
    only: &[String],
    shard: Option<Shard>,
) -> Option<sections::Heartbeat> {
    let is_whole = only.is_empty() && shard.is_none_or(|shard| shard.count() == 1);
    config.heartbeat.clone().filter(|_| is_whole)
}

impl Heartbeat {
    /// Says that a run begins, in the background.
    pub fn start(
        section: &sections::Heartbeat,
        config_directory: &Path,
        environment: Environment<'_>,
    ) -> Self {
        let url = section.url.clone();
        let line = Arc::new(Line {
            variables: secrets::variables(&[&url], environment),
            url,
            directory: config_directory.to_owned(),
            run: uuid(),
        });
        let timeout = section.timeout.get();
        let started = in_background(&line, Signal::Start, String::new(), timeout);
        Self { line, timeout, started }
    }

    /// Says how the run has ended, in the section's timeout and until `ends_by` at the latest. Gives a warning for each
    /// signal that did not get through.
    pub fn end(self, report: &Report, ends_by: Option<Instant>) -> Vec<String> {
        let now = Instant::now();
        let left = ends_by.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
        let timeout = self.timeout.min(left);
        let deadline = now + timeout;
        let mut warnings = Vec::new();
        let mut warn = |what: &str, error: &Error| {
            warnings.push(format!("heartbeat: {what} did not get through: {}", chain(error)));
        };
        // In their order; but half of the time is kept for the one that matters.
        if let Err(error) = wait(&self.started, timeout / 2) {
            warn("the start", &error);
        }
        let signal = match report.status {
            Status::Success => Signal::Success,
            _ => Signal::Fail,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let ended = in_background(&self.line, signal, body(report), left);
        if let Err(error) = wait(&ended, left) {
            warn("the end", &error);
        }
        warnings
    }
}

/// The way to the service.
struct Line {
    url: Secret,
    /// What resolving the URL needs of the environment.
    variables: HashMap<String, OsString>,
    directory: PathBuf,
    /// By which the service knows that start and end belong together.
    run: Option<String>,
}

impl Line {
    fn send(&self, signal: Signal, body: &str, timeout: Duration) -> Result<(), Error> {
        let variable = |name: &str| self.variables.get(name).cloned();
        secrets::resolve(&[&self.url], &variable, &self.directory, Instant::now() + timeout)?;
        let url = address(self.url.expose()?, signal, self.run.as_deref())?;
        let request = web::agent(None)?.post(url.uri()).config().timeout_global(Some(timeout));
        let sent = request.build().header("Content-Type", "text/plain; charset=utf-8").send(body);
        match sent.map_err(|error| Error::Request(Box::new(error)))?.status().as_u16() {
            200..300 => Ok(()),
            status => Err(Error::Refused(status)),
        }
    }
}

/// In a thread of its own: a name server, or the disk that the URL's file is on, may hang.
fn in_background(
    line: &Arc<Line>,
    signal: Signal,
    body: String,
    timeout: Duration,
) -> Receiver<Result<(), Error>> {
    let (sender, receiver) = channel();
    let line = Arc::clone(line);
    let done = sender.clone();
    // Nobody listens any more when it took too long.
    let work = move || drop(done.send(line.send(signal, &body, timeout)));
    if let Err(error) = thread::Builder::new().name("heartbeat".into()).spawn(work) {
        drop(sender.send(Err(Error::NoThread(error))));
    }
    receiver
}

fn wait(done: &Receiver<Result<(), Error>>, timeout: Duration) -> Result<(), Error> {
    match done.recv_timeout(timeout) {
        Ok(result) => result,
        // Only a panic ends the thread without a word; its hook has told what and where.
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Error::Late),
    }
}

/// Where a signal goes: the suffix is added to the path, before a query.
fn address(url: &str, signal: Signal, run: Option<&str>) -> Result<Url, NotAUrl> {
    let url = Url::parse(url)?;
    let path = url.uri().path().trim_end_matches('/');
    let query = url.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let url = url.join(&format!("{path}{}{query}", signal.suffix()))?;
    url.with_query(run.into_iter().map(|run| ("rid", run)))
}

/// The run's id, what became of it, and a line for everything that went wrong.
fn body(report: &Report) -> String {
    let mut text = format!(
        "run {}: status {}, {}\n",
        report.run,
        report.status.code(),
        report.status.meaning()
    );
    for failure in report.failures() {
        text.push_str(&format!("error: {failure}\n"));
    }
    for warning in &report.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    if text.len() > BODY_CAP_BYTES {
        text.truncate(text.floor_char_boundary(BODY_CAP_BYTES - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// A random UUID (RFC 9562, version 4); `None` when the kernel has no random numbers.
fn uuid() -> Option<String> {
    let number = u128::from_be_bytes(crate::host::random().ok()?) & !(0xf << 76) | 0x4 << 76;
    let number = number & !(0b11 << 62) | 0b10 << 62;
    let digits = format!("{number:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    Some(parts.map(|(from, to)| &digits[from..to]).join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn the_signal_is_added_to_the_path_and_the_run_to_the_query() -> Tested {
        let start = |url| address(url, Signal::Start, Some("r")).map(|url| url.uri().to_string());
        assert_eq!(start("https://h/u")?, "https://h/u/start?rid=r");
        assert_eq!(start("https://h/k/slug/?create=1")?, "https://h/k/slug/start?create=1&rid=r");
        assert_eq!(start("https://h")?, "https://h/start?rid=r");
        let end = |signal| address("https://h/u", signal, None).map(|url| url.uri().to_string());
        assert_eq!(end(Signal::Success)?, "https://h/u");
        assert_eq!(end(Signal::Fail)?, "https://h/u/fail");
        Ok(())
    }

    #[test]
    fn a_run_has_a_random_uuid() {
        let [one, other] = [uuid(), uuid()].map(Option::unwrap_or_default);
        assert_ne!(one, other);
        let form: String =
            one.chars().map(|c| if c.is_ascii_hexdigit() { 'x' } else { c }).collect();
        assert_eq!(form, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert_eq!(one.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let report = Report {
            run: "r1".into(),
            version: "0",
            timestamp_ms: 0,
            duration: Duration::ZERO,
            status: Status::JobFailed,
            jobs: Vec::new(),
            outputs: Vec::new(),
            unwanted: 0,
            warnings: vec!["µ".repeat(10_000)],
        };
        let body = body(&report);
        assert!(body.starts_with("run r1: status 3, accepted, but"), "{body}");
        assert!((BODY_CAP_BYTES - 3..=BODY_CAP_BYTES).contains(&body.len()), "{}", body.len());
    }
}
