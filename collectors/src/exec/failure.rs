//! Why a program's job fails.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::errors::Tail;

/// Why a program could not be run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("there is no such program in any folder of `PATH`")]
    NotInPath,
    #[error("there is no such program")]
    NotThere,
    #[error("it is there, and the interpreter that its first line names is not")]
    NoInterpreter,
    #[error("`{}` may not be executed", .0.display())]
    NotExecutable(PathBuf),
    #[error("`directory` is no folder: `{}`", .0.display())]
    NoDirectory(PathBuf),
    #[error("it cannot be started")]
    NotStarted(#[source] io::Error),
    #[error("what it is to find on its standard input cannot be written")]
    Request(#[source] serde_json::Error),
    #[error("its pipes cannot be watched")]
    Unwatched(#[source] io::Error),
    #[error("the secret for `{variable}` cannot be used")]
    Secret { variable: String, source: crate::secret::Unresolved },
    #[error("a secret in `config` cannot be used")]
    Config(#[source] crate::secret::Unresolved),
    #[error("it failed: {status}")]
    Exit {
        status: ExitStatus,
        #[source]
        said: Option<Tail>,
    },
    #[error("it was still running at its deadline, and was ended")]
    Late {
        #[source]
        said: Option<Tail>,
    },
    #[error("its {what} is longer than {max_bytes} bytes (`max_bytes`), and was cut off there")]
    TooLong { what: &'static str, max_bytes: u64 },
    #[error(
        "it ended, but a process that it left behind kept its standard output open, and was ended too"
    )]
    Held,
}
