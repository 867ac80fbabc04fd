//! Picks the front: the command line, or Lambda when the runtime API is in the environment.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "lambda")]
    if std::env::var_os(collector::lambda::RUNTIME_API).is_some() {
        return collector::lambda::main();
    }
    collector::cli::main()
}
