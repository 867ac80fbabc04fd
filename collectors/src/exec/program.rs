//! Which program is run, with what arguments, in which environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fmt, io};

use rustix::fs::{Access, access};
use schemars::JsonSchema;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use super::failure::Failure;
use crate::collector::Context;
use crate::secret::Secret;

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A program and its arguments.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<Word>", into = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub(super) struct Program {
    name: String,
    arguments: Vec<String>,
}

/// A list that is no command.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotACommand {
    #[error("there is no program, expected `[program, argument, …]`")]
    Empty,
    #[error("a command holds a NUL character, which no argument can")]
    Nul,
}

/// A program or an argument.
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor;

        impl Visitor<'_> for WordVisitor {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "text; everyone can see a program's arguments, so a secret belongs in `env`",
                )
            }

            fn visit_str<E>(self, text: &str) -> Result<Word, E> {
                Ok(Word(text.to_owned()))
            }
        }

        deserializer.deserialize_any(WordVisitor)
    }
}

impl TryFrom<Vec<Word>> for Program {
    type Error = NotACommand;

    fn try_from(words: Vec<Word>) -> Result<Self, NotACommand> {
        let words = words.into_iter().map(|Word(word)| word).collect::<Vec<_>>();
        if words.iter().any(|word| word.contains('\0')) {
            return Err(NotACommand::Nul);
        }
        let mut words = words.into_iter();
        match words.next() {
            Some(name) if !name.is_empty() => Ok(Self { name, arguments: words.collect() }),
            _ => Err(NotACommand::Empty),
        }
    }
}

impl From<Program> for Vec<String> {
    fn from(program: Program) -> Self {
        std::iter::once(program.name).chain(program.arguments).collect()
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Variable(String);

/// Text that cannot name a variable.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot name a variable: a name is not empty and has neither `=` nor NUL")]
pub(super) struct NotAVariable(String);

impl TryFrom<String> for Variable {
    type Error = NotAVariable;

    fn try_from(name: String) -> Result<Self, NotAVariable> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(NotAVariable(name));
        }
        Ok(Self(name))
    }
}

impl From<Variable> for String {
    fn from(variable: Variable) -> Self {
        variable.0
    }
}

impl Program {
    /// As it is called in errors. Arguments stay out of them: they may be secret.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Everything that is needed to start it; standard input is `input`, the others are pipes.
    pub(super) fn command(
        &self,
        variables: &BTreeMap<Variable, Secret>,
        directory: Option<&Path>,
        input: Stdio,
        context: &Context,
    ) -> Result<Command, Failure> {
        let mut environment: Vec<(&OsStr, OsString)> = context
            .environment
            .iter()
            .map(|(name, value)| (OsStr::new(name), value.clone()))
            .collect();
        for (variable, secret) in variables {
            let value = secret.expose().map_err(|source| {
                let variable = variable.0.clone();
                Failure::Secret { variable, source }
            })?;
            environment.push((OsStr::new(&variable.0), value.into()));
        }
        environment.push((OsStr::new("COLLECTOR_JOB"), OsString::from(&*context.job)));
        let path = environment.iter().rfind(|(name, _)| *name == "PATH").map(|(_, path)| &**path);
        let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
        // Found here and not by std, which copies the whole process with `fork` to look in another `PATH`.
        let mut command = Command::new(self.find(path, context)?);
        command.args(&self.arguments).env_clear().envs(environment);
        if let Some(directory) = directory {
            command.current_dir(context.path(directory));
        }
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// What the kernel's refusal to start `command` means.
    pub(super) fn not_started(command: &Command, error: io::Error) -> Failure {
        let program = Path::new(command.get_program());
        if let Some(directory) = command.get_current_dir()
            && !directory.is_dir()
        {
            return Failure::NoDirectory(directory.to_owned());
        }
        match error.kind() {
            io::ErrorKind::NotFound if program.exists() => Failure::NoInterpreter,
            io::ErrorKind::NotFound => Failure::NotThere,
            io::ErrorKind::PermissionDenied => Failure::NotExecutable(program.to_owned()),
            _ => Failure::NotStarted(error),
        }
    }

    /// A name with a slash is a path, from the configuration's folder on; others are looked up.
    fn find(&self, path: &OsStr, context: &Context) -> Result<PathBuf, Failure> {
        if self.name.contains('/') {
            return Ok(context.path(Path::new(&self.name)));
        }
        let mut found = None;
        // An empty entry would be whatever folder the run was started in.
        for folder in std::env::split_paths(path).filter(|folder| folder.is_absolute()) {
            let candidate = folder.join(&self.name);
            if access(&candidate, Access::EXEC_OK).is_ok() && candidate.is_file() {
                return Ok(candidate);
            }
            if found.is_none() && candidate.is_file() {
                found = Some(candidate);
            }
        }
        Err(found.map_or(Failure::NotInPath, Failure::NotExecutable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_a_program_and_a_variable_has_a_name() {
        let program = |json| serde_json::from_str::<Program>(json).map_err(|e| e.to_string());
        assert!(program(r#"["true", "1"]"#).is_ok());
        assert!(program("[]").is_err_and(|e| e.contains("there is no program")));
        assert!(program(r#"["", "x"]"#).is_err());
        assert!(program(r#"["a\u0000"]"#).is_err());
        for name in ["\"\"", "\"A=B\"", "\"A\\u0000\""] {
            assert!(serde_json::from_str::<Variable>(name).is_err(), "{name}");
        }
    }
}
