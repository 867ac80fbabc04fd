//! Datapoints from a program's standard output.
//!
//! The program is started once per run, without a shell, in a process group of its own. It sees the variables
//! `PATH`, `HOME`, `LANG`, `TZ`, those of `env`, and `COLLECTOR_JOB`, the job's id. A name without a slash is
//! looked for in `PATH`; other relative paths start at the configuration's folder.
//!
//! With `format: jsonl` it prints one JSON object a line. `{"key": "temperature", "value": 21.5}` is a datapoint,
//! which may also have `target`, `data_type` (`int`, `float`, `counter`, `counter64`, `string`), `unit`,
//! `timestamp` (milliseconds), `labels` and `info` (objects; the order of the line is kept, across both);
//! `{"type": "log", "message": "…", "level": "warn"}` goes to the job's log, and
//! `{"type": "error", "message": "…"}` makes the job count as failed. What it prints is collected at once: a
//! program that is ended keeps what it had printed. On standard input it finds one JSON object: `version`, `mode`
//! (`collect` or `check`), `job`, `config` (from the options), `state`, `timestamp` and `deadline` (milliseconds).
//! The other formats are read as a whole and mapped as in `http` and `file`.
//!
//! | key | unit | type |
//! |---|---|---|
//! | as printed, or as `mapping.values` names them | as printed, or `unit` of the value | as printed, or `type` of the value |
//!
//! At the job's deadline the group gets TERM, and KILL 5 seconds later. An exit status other than 0 fails the
//! job, and so does a line that is none of the above, an output longer than `max_bytes`, and one that a process in
//! the background still holds when the program has ended; what was printed before is kept. What a program leaves
//! running in its group when it ends gets TERM. Standard error goes to the job's log, its last lines stand in
//! the report when the job fails, and values of `env` and secrets in `config` are
//! hidden in both.
//!
//! ```yaml
//! jobs:
//!   - id: hello
//!     exec:
//!       command: [printf, '{"key":"greetings","value":%d,"labels":{"to":"%s"}}\n', '7', world]
//! ```

mod errors;
mod failure;
mod group;
mod program;
mod pump;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Context, Error};
use crate::content::{Content, default_max_bytes};
use crate::decode::Problem;
use crate::mapping::{self, Mapping};
use crate::protocol::Lines;
use crate::redact::Redact;
use crate::secret::{Secret, SecretMap};
use crate::sink::{Level, Sealed, Sink};

use errors::{Errors, Tail};
use failure::Failure;
use group::{GROUPS, NotStarted};
use program::{Program, Variable};
use pump::{Ending, Limits, Listener, Pump, Stop};

/// How long after TERM a program gets KILL.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// The options of `exec`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Exec {
    /// The program and its arguments, one by one; no shell takes part. Everyone on the host can see them: what is
    /// secret belongs in `env`, or in `config`.
    command: Program,
    /// What it prints.
    #[serde(default = "Content::jsonl")]
    format: Content,
    /// How its output becomes datapoints; not for `jsonl`.
    #[serde(default)]
    mapping: Mapping,
    /// Variables of its environment, beside `PATH`, `HOME`, `LANG`, `TZ` and `COLLECTOR_JOB`.
    #[serde(default)]
    env: BTreeMap<Variable, Secret>,
    /// The folder that it works in; by default the one in which the run was started. A relative one starts at
    /// the configuration's folder.
    #[serde(default)]
    directory: Option<PathBuf>,
    /// How much it may print; a longer output is cut off there, and the job fails.
    #[serde(default = "default_max_bytes")]
    max_bytes: u64,
    /// With `jsonl`: options of its own, which it finds as `config` in the object on its standard input;
    /// `{env: NAME}` and the other references in it stand for secrets.
    #[serde(default)]
    config: SecretMap,
}

/// What the program is to do.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Collect,
    /// Try the connection and print errors; what else it prints goes nowhere.
    Check,
}

/// What the program finds on its standard input.
#[derive(Serialize)]
struct Request<'a> {
    version: u32,
    mode: Mode,
    job: &'a str,
    config: serde_json::Map<String, serde_json::Value>,
    /// Nothing lasts from run to run yet.
    state: Option<serde_json::Value>,
    timestamp: i64,
    deadline: i64,
}

impl Collector for Exec {
    fn collect(&self, context: &Context, sink: &Sink) -> Result<(), Error> {
        self.run(Mode::Collect, KILL_AFTER, context, sink)
    }

    fn check(&self, context: &Context) -> Result<String, Error> {
        let sink = Sink::new(String::new(), Vec::new(), context.now_ms);
        self.run(Mode::Check, KILL_AFTER, context, &sink)?;
        let collected = sink.seal().unwrap_or_default();
        match collected.errors.first() {
            Some(error) => Err(Error::at(self.command.name(), error.clone())),
            None => Ok(format!("it ran well, {} datapoints", collected.batch.len())),
        }
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.env.values().chain(self.config.secrets()).collect()
    }

    fn conflicts(&self) -> Vec<Problem> {
        let mut problems = self.format.conflicts(&self.mapping);
        if self.format != Content::Jsonl && !self.config.is_empty() {
            let message = "only with `format: jsonl` a program is given its `config`";
            problems.push(Problem::at(&["config"], message));
        }
        problems
    }
}

impl Exec {
    fn run(
        &self,
        mode: Mode,
        kill_after: Duration,
        context: &Context,
        sink: &Sink,
    ) -> Result<(), Error> {
        let name = self.command.name();
        let redact = Redact::new(self.secrets());
        let Some(pump) =
            self.start(mode, kill_after, context).map_err(|failure| Error::at(name, failure))?
        else {
            return Err(Sealed.into());
        };
        let mut report =
            Report { output: self.output(sink, &redact), errors: Errors::new(sink, &redact) };
        let ending = pump.run(&mut report);
        let ending = ending.map_err(|error| Error::at(name, Failure::Unwatched(error)))?;
        let output = report.output.finish(ending.stop.is_some(), self, sink);
        match self.failure(&ending, report.errors.finish()) {
            Ok(()) => output,
            Err(failure) => {
                if let Err(Error::Target { source, .. }) = output {
                    // One error stands for the job, and this one would be lost.
                    sink.log(Level::Error, source.to_string()).unwrap_or_default();
                }
                Err(failure)
            }
        }
    }

    /// Starts the program; `None` when there is no time left for it.
    fn start(
        &self,
        mode: Mode,
        kill_after: Duration,
        context: &Context,
    ) -> Result<Option<Pump<'static>>, Failure> {
        let remaining = context.remaining();
        if remaining.is_zero() {
            return Ok(None);
        }
        let is_asked = self.format == Content::Jsonl;
        let (stdin, input) = if is_asked {
            (Stdio::piped(), self.request(mode, remaining, context)?)
        } else {
            (Stdio::null(), Vec::new())
        };
        let directory = self.directory.as_deref();
        let mut command = self.command.command(&self.env, directory, stdin, context)?;
        let group = match GROUPS.start(&mut command) {
            Ok(group) => group,
            Err(NotStarted::Ending) => return Ok(None),
            Err(NotStarted::Io(error)) => return Err(Program::not_started(&command, error)),
        };
        let limits = Limits { deadline: context.deadline, kill_after, max_bytes: self.max_bytes };
        Pump::new(group, input, limits).map(Some).map_err(Failure::Unwatched)
    }

    /// The line that a program finds on its standard input.
    fn request(
        &self,
        mode: Mode,
        remaining: Duration,
        context: &Context,
    ) -> Result<Vec<u8>, Failure> {
        let remaining_ms = i64::try_from(remaining.as_millis()).unwrap_or(i64::MAX);
        let request = Request {
            version: 1,
            mode,
            job: &context.job,
            config: self.config.expose().map_err(Failure::Config)?,
            state: None,
            timestamp: context.now_ms,
            deadline: context.now_ms.saturating_add(remaining_ms),
        };
        let mut line = serde_json::to_vec(&request).map_err(Failure::Request)?;
        line.push(b'\n');
        Ok(line)
    }

    fn output<'a>(&self, sink: &'a Sink, redact: &'a Redact) -> Output<'a> {
        match self.format.mapped() {
            None => Output::Lines(Lines::new(sink, redact)),
            Some(format) => Output::Whole { body: Vec::new(), format },
        }
    }

    fn failure(&self, ending: &Ending, said: Option<Tail>) -> Result<(), Error> {
        let failure = match (ending.stop, ending.status) {
            (Some(Stop::Sealed), _) => return Err(Sealed.into()),
            (Some(Stop::Deadline), _) | (None, None) => Failure::Late { said },
            (Some(Stop::TooLong(what)), _) => Failure::TooLong { what, max_bytes: self.max_bytes },
            (_, Some(status)) if !status.success() => Failure::Exit { status, said },
            (Some(Stop::Held), _) => Failure::Held,
            (None, Some(_)) => return Ok(()),
        };
        Err(Error::at(self.command.name(), failure))
    }
}

/// What a program prints, on its way.
struct Report<'a> {
    output: Output<'a>,
    errors: Errors<'a>,
}

enum Output<'a> {
    Lines(Lines<'a>),
    Whole { body: Vec<u8>, format: mapping::Format },
}

impl Listener for Report<'_> {
    fn output(&mut self, piece: &[u8]) -> Result<(), Sealed> {
        match &mut self.output {
            Output::Lines(lines) => lines.feed(piece)?,
            Output::Whole { body, .. } => body.extend_from_slice(piece),
        }
        Ok(())
    }

    fn errors(&mut self, piece: &[u8]) {
        self.errors.feed(piece);
    }
}

impl Output<'_> {
    /// Of an output that was cut off, only whole lines count: half a number is another number.
    fn finish(self, is_cut: bool, exec: &Exec, sink: &Sink) -> Result<(), Error> {
        let name = exec.command.name();
        match self {
            Self::Lines(lines) => {
                let refused = if is_cut { lines.into_refused() } else { lines.finish()? };
                refused.map_err(|bad| Error::at(name, bad))
            }
            Self::Whole { .. } if is_cut => Ok(()),
            Self::Whole { body, format } => {
                exec.mapping.apply(format, &body, sink).map_err(|error| error.at(name))
            }
        }
    }
}

/// Ends every program that is still running, with all that it has started in its process group: TERM now, KILL
/// after `grace`. Returns when they are gone, or a second after KILL.
///
/// For the end of the run: programs whose jobs were abandoned would otherwise outlive it.
pub fn end_children(grace: Duration) {
    GROUPS.end(grace);
}
