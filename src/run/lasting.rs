//! What lasts between runs, as far as a run can have it: lock, store, agent's id.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Keep;
use crate::config::{Config, Environment};
use crate::plan::PlannedOutput;
use crate::report::chain;
use crate::store::lock::{Lock, NotLocked};
use crate::store::{self, Store};

/// Takes the lock of the daemon directory, if there is one; [`run`](super::run) tells what is wrong with it.
///
/// # Errors
/// [`NotLocked::Held`] when another run has it until `deadline`.
pub fn enter(
    config: &Config,
    environment: Environment<'_>,
    deadline: Instant,
) -> Result<Option<Lock>, NotLocked> {
    let configured = config.main.daemon_directory.as_deref();
    let directory = daemon_directory(&config.directory, configured, environment);
    let Some(store) = directory.and_then(|directory| Store::open(&directory).ok()) else {
        return Ok(None);
    };
    match store.lock(deadline) {
        Ok(lock) => Ok(Some(lock)),
        Err(held @ NotLocked::Held { .. }) => Err(held),
        Err(error @ NotLocked::Impossible(_)) => {
            log::warn!("{}", chain(&error));
            Ok(None)
        }
    }
}

/// Where what lasts is kept, if there is such a place.
pub fn daemon_directory(
    config_directory: &Path,
    configured: Option<&Path>,
    environment: Environment<'_>,
) -> Option<PathBuf> {
    match configured {
        Some(directory) => Some(config_directory.join(directory)),
        None => Store::default_directory(environment, rustix::process::getuid().is_root()),
    }
}

/// What lasts, as far as it can be had.
pub(super) struct Lasting {
    /// The folder; `None` when there is none that is safe to use.
    pub(super) directory: Option<PathBuf>,
    /// `None` when nothing can be kept there.
    pub(super) store: Option<Store>,
    /// The agent's id, if it has one; an error when it seems to have one that cannot be used.
    pub(super) id: Result<Option<String>, store::Error>,
}

/// Opens what lasts. Without it the run goes on.
pub(super) fn find_lasting(
    program: &str,
    directory: Option<PathBuf>,
    keep: Keep,
    warnings: &mut Vec<String>,
) -> Lasting {
    const NOTHING_KEPT: &str = "nothing that is not accepted now can be kept";
    let Some(path) = directory.as_deref() else {
        let hint = "set `main.daemon_directory`, or HOME";
        warnings.push(format!("there is no daemon directory ({hint}); {NOTHING_KEPT}"));
        return Lasting { directory, store: None, id: Ok(None) };
    };
    let known = Store::at(path).known_agent_id(program);
    if keep == Keep::Nothing {
        return Lasting { directory, store: None, id: known };
    }
    match Store::open(path) {
        Ok(store) => {
            let id = store.agent_id(program).map(Some).or_else(|error| match known {
                // A new agent that cannot keep an id: the one made from the machine's serves.
                Ok(None) => {
                    warnings.push(chain(&error));
                    Ok(None)
                }
                _ => Err(error),
            });
            Lasting { directory, store: Some(store), id }
        }
        Err(error) => {
            warnings.push(format!("{}; {NOTHING_KEPT}", chain(&error)));
            match error {
                store::Error::Directory { .. } => Lasting { directory, store: None, id: known },
                // An id that others may have put there is not ours to use, nor may another stand in for it.
                _ => {
                    let id = if matches!(known, Ok(None)) { Ok(None) } else { Err(error) };
                    Lasting { directory: None, store: None, id }
                }
            }
        }
    }
}

/// A warning for each spool that none of the outputs empties.
pub(super) fn abandoned(store: &Store, outputs: &[PlannedOutput]) -> Vec<String> {
    let used = outputs.iter().map(|output| (output.id.as_str(), output.kind));
    match store.abandoned(used) {
        Ok(found) => found
            .iter()
            .map(|(path, bodies)| {
                format!("{bodies} bodies wait in `{}`, for no output of this run", path.display())
            })
            .collect(),
        Err(error) => vec![chain(&error)],
    }
}
