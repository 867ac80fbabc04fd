//! Picks the front: the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    collector::cli::main()
}
