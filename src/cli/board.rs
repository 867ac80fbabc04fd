//! `collector board`: the boards of Telemetry, read as templates and made from them.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use collectors::decode::nearest;

use super::args::{BoardApply, BoardCommand, BoardDump, Common};
use super::failure::Failure;
use super::{load, say};
use crate::config::{Config, Environment, OutputEntry};
use crate::host::{fully_qualified_name, wall_clock_ms};
use crate::outputs::Surroundings;
use crate::outputs::telemetry::{Board, Telemetry};
use crate::payload::Agent;
use crate::report::{Status, chain, printable};
use crate::secrets;
use crate::store::fallback_agent_id;

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// What to do where no output has boards.
const NONE: &str = "an output of the kind `telemetry` has them";

pub(super) fn board(
    command: &BoardCommand,
    common: &Common,
    environment: Environment<'_>,
) -> io::Result<Status> {
    let Some(config) = load(common, environment) else { return Ok(Status::Usage) };
    let done = match command {
        BoardCommand::Dump(options) => dump(options, &config, environment),
        BoardCommand::Apply(options) => apply(options, &config, environment),
    };
    done.or_else(Failure::tell)
}

fn dump(
    options: &BoardDump,
    config: &Config,
    environment: Environment<'_>,
) -> Result<Status, Failure> {
    let outputs = outputs(config, options.output.as_deref())?;
    let [(output, telemetry)] = outputs.as_slice() else {
        let ids: Vec<_> = outputs.iter().map(|(output, _)| format!("`{}`", output.id)).collect();
        let hint = format!("`--output ID` is one of {}", ids.join(", "));
        return Err(Failure::asked("several outputs may have the board", hint));
    };
    let known = telemetry.boards().iter().find(|board| board.name == options.name);
    let prefix = options.prefix.clone().or_else(|| known.map(|board| board.prefix.clone()));
    let (surroundings, deadline) = (surroundings(config), Instant::now() + TIMEOUT);
    let told = ready(output, config, environment, deadline).and_then(|()| {
        let prefix = prefix.unwrap_or_default();
        let dumped = telemetry.dump_board(&options.name, &prefix, &surroundings, deadline);
        dumped.map_err(|error| chain(&error))
    });
    match told {
        Ok(layout) => {
            let mut stdout = io::stdout().lock();
            serde_json::to_writer_pretty(&mut stdout, &layout)?;
            writeln!(stdout)?;
            Ok(Status::Success)
        }
        Err(why) => {
            say(format_args!("error: output `{}`: {}", output.id, printable(&why)));
            Ok(Status::JobFailed)
        }
    }
}

fn apply(
    options: &BoardApply,
    config: &Config,
    environment: Environment<'_>,
) -> Result<Status, Failure> {
    let outputs = outputs(config, options.output.as_deref())?;
    let boards = || outputs.iter().flat_map(|(_, telemetry)| telemetry.boards());
    for name in &options.names {
        if !boards().any(|board| board.name == *name) {
            let meant = nearest(name, boards().map(|board| board.name.as_str()));
            let hint = match meant {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`boards` of an output `telemetry` names them".to_owned(),
            };
            return Err(Failure::asked(format!("there is no board `{name}`"), hint));
        }
    }
    let surroundings = surroundings(config);
    let is_wanted =
        |board: &&Board| options.names.is_empty() || options.names.contains(&board.name);
    let mut status = Status::Success;
    for (output, telemetry) in outputs {
        let deadline = Instant::now() + TIMEOUT;
        let mut boards = telemetry.boards().iter().filter(is_wanted).peekable();
        if boards.peek().is_none() {
            continue;
        }
        let is_ready = ready(output, config, environment, deadline);
        for board in boards {
            let applied = is_ready.clone().and_then(|()| {
                let applied = telemetry.apply_board(board, &surroundings, deadline);
                applied.map_err(|error| chain(&error))
            });
            match applied {
                Ok(applied) => writeln!(io::stdout(), "board `{}`: {applied}", board.name)?,
                Err(why) => {
                    say(format_args!("error: board `{}`: {}", board.name, printable(&why)));
                    status = Status::JobFailed;
                }
            }
        }
    }
    Ok(status)
}

/// The outputs that have boards; one of them where it is named.
fn outputs<'a>(
    config: &'a Config,
    wanted: Option<&str>,
) -> Result<Vec<(&'a OutputEntry, &'a Telemetry)>, Failure> {
    let all = config.outputs.iter().filter_map(|output| Some((output, output.output.boards()?)));
    let all: Vec<_> = all.filter(|(output, _)| wanted.is_none_or(|id| output.id == id)).collect();
    match (all.is_empty(), wanted) {
        (false, _) => Ok(all),
        (true, Some(id)) => Err(Failure::asked(format!("no output `{id}` has boards"), NONE)),
        (true, None) => Err(Failure::asked("no output has boards", NONE)),
    }
}

/// Resolves what the output needs.
fn ready(
    output: &OutputEntry,
    config: &Config,
    environment: Environment<'_>,
    deadline: Instant,
) -> Result<(), String> {
    let secrets = output.output.secrets();
    secrets::resolve(&secrets, environment, &config.directory, deadline)
        .map_err(|error| chain(&error))
}

fn surroundings(config: &Config) -> Surroundings {
    let hostname = config.agent.hostname.clone().unwrap_or_else(fully_qualified_name);
    let program = config.agent.program.clone();
    // No board names the agent.
    let id = fallback_agent_id(&program, &hostname);
    Surroundings {
        agent: Agent { id, program, hostname },
        config_directory: config.directory.clone(),
        daemon_directory: None,
        now_ms: wall_clock_ms(),
    }
}
