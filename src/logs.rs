//! What the program says while it works, for whoever looks for a fault.

use std::io;

use env_logger::fmt::Formatter;
use log::{LevelFilter, Record};

/// Starts the log: lines of this program and of its jobs from `level` on, where `COLLECTOR_LOG` does not say otherwise.
pub(crate) fn start(
    level: LevelFilter,
    write: impl Fn(&mut Formatter, &Record<'_>) -> io::Result<()> + Send + Sync + 'static,
) {
    env_logger::Builder::new()
        .filter_module("collector", level)
        .filter_module("collectors", level)
        .filter_module("job", level)
        .parse_env("COLLECTOR_LOG")
        .format(write)
        .init();
}
