//! The commands. The only place that writes to standard output: data and tables there, talk on standard error.

mod args;
mod board;
mod catalogue;
mod check;
mod configuration;
mod data;
mod failure;
mod history;
mod install;
mod plan;
mod progress;
mod run;
mod signals;
mod sparkline;
mod spool;
mod state;
mod text;

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::config::{Config, Environment, Origin};
use crate::plan::{self as planning, Plan, Request};
use crate::report::Status;
use crate::shard::Shard;
use crate::state::State;

pub use args::Arguments;
use args::{Command, Common, Part};

/// The program.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // `--help` and `--version` come this way too, and are no mistake.
            let status = if error.use_stderr() { Status::Usage } else { Status::Success };
            error.print().ok();
            return status.code().into();
        }
    };
    start_log(&arguments.common);
    crate::runner::quiet_job_panics();
    let environment = |name: &str| std::env::var_os(name);
    // Nothing is used any more that a panic may have left half done.
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(&arguments, &environment)));
    let status = match result {
        Ok(Ok(status)) => status,
        // Whoever read our output has seen enough.
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => Status::Success,
        Ok(Err(error)) => {
            say(format_args!("error: {error}"));
            Status::Bug
        }
        // The panic hook has said what and where.
        Err(_) => {
            say(format_args!("error: {}", Status::Bug.meaning()));
            Status::Bug
        }
    };
    collectors::end_children(std::time::Duration::from_secs(5));
    status.code().into()
}

fn dispatch(arguments: &Arguments, environment: Environment<'_>) -> io::Result<Status> {
    let Arguments { common, command } = arguments;
    match command {
        Command::Run(options) => run::run(options, common, environment),
        Command::Check(options) => check::check(options, common, environment),
        Command::List => catalogue::list(),
        Command::Show { name } => catalogue::show(name),
        Command::Init(options) => configuration::init(options),
        Command::Config(options) => configuration::print(options, common, environment),
        Command::Plan(options) => plan::plan(options, common, environment),
        Command::State(options) => state::state(options, common, environment),
        Command::Data(command) => data::data(command, common, environment),
        Command::Spool(options) => spool::spool(options, common, environment),
        Command::Board(command) => board::board(command, common, environment),
        Command::History(options) => history::history(options, common, environment),
        Command::Install(options) => install::install(options, common, environment),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "collector", &mut text);
            io::stdout().write_all(&text)?;
            Ok(Status::Success)
        }
        Command::Man => catalogue::man(Arguments::command()),
    }
}

/// The shard that is meant, if one is; a mistake is told.
fn shard(part: &Part, environment: Environment<'_>) -> Result<Option<Shard>, Status> {
    let shard = part.shard.as_deref().map(|text| Shard::of_pod(text, environment));
    shard.transpose().map_err(|error| {
        say(format_args!("error: {error}"));
        Status::Usage
    })
}

/// Reads the configuration; mistakes are told, and `None` is given.
fn load(common: &Common, environment: Environment<'_>) -> Option<Config> {
    let origin = Origin::choose(common.config.as_deref(), environment);
    if origin == Origin::Demonstration && !common.quiet {
        say(format_args!(
            "note: no configuration found; this is the built-in demonstration (`collector init` writes one)"
        ));
    }
    match Config::load(&origin) {
        Ok(config) => Some(config),
        Err(mistakes) => {
            say(format_args!("{mistakes}"));
            None
        }
    }
}

/// Decides a run; what the configuration cannot meet is told, and `None` is given.
fn planned(config: Config, request: Request, state: &State) -> Option<Plan> {
    Plan::new(config, request, state).map_err(|errors| tell_all(&errors)).ok()
}

fn tell_all(errors: &[planning::Error]) {
    errors.iter().for_each(|error| say(format_args!("error: {error}")));
}

/// A line on standard error. When that is closed there is nobody to tell.
fn say(line: std::fmt::Arguments<'_>) {
    writeln!(io::stderr(), "{line}").ok();
}

fn start_log(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => log::LevelFilter::Error,
        (false, 0) => log::LevelFilter::Warn,
        (false, 1) => log::LevelFilter::Info,
        (false, _) => log::LevelFilter::Debug,
    };
    crate::logs::start(level, |out, record| {
        let level = match record.level() {
            log::Level::Warn => "warning".to_owned(),
            other => other.as_str().to_lowercase(),
        };
        writeln!(out, "{level}: {}", record.args())
    });
}
