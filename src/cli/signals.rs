//! TERM, Ctrl-C and a terminal that goes away: the first ends collecting, so that what there is is delivered; the second ends the process.

use std::io;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::runner::Stop;

/// From now on a signal asks the run to stop.
///
/// # Errors
/// When signals cannot be watched; they then end the process as ever.
pub(super) fn stop_in_order(stop: &Stop) -> io::Result<()> {
    let stop = stop.clone();
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let watch = move || {
        for (before, signal) in signals.forever().enumerate() {
            if before > 0 {
                // What is in the spool is safe; programs must not be left behind.
                collectors::end_children(Duration::ZERO);
                low_level::exit(128 + signal);
            }
            log::info!("signal {signal}: collecting ends, what there is will be delivered");
            stop.ask();
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch)?;
    Ok(())
}
