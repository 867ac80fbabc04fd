//! What every collector is: options that can collect.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::secret::Secret;
use crate::sink::{Sealed, Sink};

/// What a job's run is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// The job's id.
    pub job: Arc<str>,
    /// The run's clock, in milliseconds since 1970: the timestamp of datapoints that bring none.
    pub now_ms: i64,
    /// When the job must have ended.
    pub deadline: Instant,
    /// Where relative paths start: the folder of the configuration file.
    pub directory: Arc<std::path::Path>,
    /// What the job's last run left with [`Sink::leave`]. It may be of another version of the collector, or of other
    /// options: what does not fit is taken for nothing.
    pub cursor: Option<Arc<serde_json::Value>>,
    /// The variables a child process may see (`PATH`, `HOME`, `LANG`, `TZ`).
    pub environment: Arc<[(String, OsString)]>,
}

impl Context {
    /// What is left of the job's time; zero when it is over.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// A path of the configuration, relative ones from the configuration's folder.
    pub fn path(&self, path: &std::path::Path) -> std::path::PathBuf {
        self.directory.join(path)
    }
}

/// Why a job failed. What it had pushed before is kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host has no such thing: said, and no failure.
    #[error("nothing to read here: {what}")]
    Absent {
        /// What is not there.
        what: String,
    },
    /// A target could not be read.
    #[error("`{target}`")]
    Target {
        /// What was read: a path, a URL without its query, a program.
        target: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The job's time is over.
    #[error(transparent)]
    Sealed(#[from] Sealed),
}

impl Error {
    /// An error of `target`.
    pub fn at(
        target: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Target { target: target.into(), source: source.into() }
    }
}

/// A collector with its options: the deserialised options are the collector.
pub trait Collector: Send + Sync {
    /// Reads the source once and pushes what it finds.
    ///
    /// # Errors
    /// [`Error`] when the source could not be read, or not all of it. What was pushed before is kept.
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error>;

    /// Tries the source without collecting: reachable, allowed, in the form expected. Says what it found.
    ///
    /// By default a collection whose datapoints go nowhere.
    ///
    /// # Errors
    /// As [`Collector::collect`].
    fn check(&self, context: &Context) -> Result<String, Error> {
        let sink = Sink::new(String::new(), Vec::new(), context.now_ms);
        self.collect(context, &sink)?;
        let collected = sink.seal().unwrap_or_default();
        match collected.first_problem() {
            Some(problem) => Err(Error::at(context.job.to_string(), problem)),
            None => Ok(format!("{} datapoints", collected.batch.len())),
        }
    }

    /// Every secret among the options, so that they can be resolved before the run.
    fn secrets(&self) -> Vec<&Secret> {
        Vec::new()
    }

    /// Combinations of options that cannot work, each with the path of the option it is about.
    ///
    /// What a single value can have wrong is for the value's own type to refuse.
    fn conflicts(&self) -> Vec<crate::decode::Problem> {
        Vec::new()
    }

    /// What is polled when the job names no target; `None`: this host.
    fn default_target(&self) -> Option<String> {
        None
    }
}
