//! What lasts between runs, as far as a run can have it: lock, store, agent's id.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use collectors::period::Period;
use sha2::{Digest, Sha256};

use super::Keep;
use crate::config::{Config, Environment};
use crate::host::Clocks;
use crate::plan::{Plan, PlannedOutput};
use crate::report::chain;
use crate::store::lock::{Lock, NotLocked};
use crate::store::spool::Listing;
use crate::store::state::Found;
use crate::store::{self, Store, fallback_agent_id};

/// What a run finds when it comes in.
#[derive(Default)]
pub struct Entrance {
    /// The lock, while this lives; `None` where none can be had.
    pub lock: Option<Lock>,
    /// What the last run left.
    pub found: Found,
}

/// Takes the lock of the daemon directory, if there is one, and reads the state; [`run`](super::run) tells what is
/// wrong with the folder.
///
/// # Errors
/// [`NotLocked::Held`] when another run has it until `deadline`.
pub fn enter(
    config: &Config,
    environment: Environment<'_>,
    deadline: Instant,
) -> Result<Entrance, NotLocked> {
    let Some(directory) = configured_directory(config, environment) else {
        return Ok(Entrance::default());
    };
    let store = match Store::open(&directory) {
        Ok(store) => store,
        // What is only to be read is read.
        Err(store::Error::Directory { .. }) => return Ok(look(config, environment)),
        // What others may have put there is not gone by.
        Err(_) => return Ok(Entrance::default()),
    };
    let lock = match store.lock(deadline) {
        Ok(lock) => Some(lock),
        Err(held @ NotLocked::Held { .. }) => return Err(held),
        Err(error @ NotLocked::Impossible(_)) => {
            log::warn!("{}", chain(&error));
            None
        }
    };
    Ok(Entrance { lock, found: found(&store, config) })
}

/// Reads the state and takes no lock: for what changes nothing.
pub fn look(config: &Config, environment: Environment<'_>) -> Entrance {
    let directory = configured_directory(config, environment);
    let found = directory.map(|directory| found(&Store::at(&directory), config));
    Entrance { lock: None, found: found.unwrap_or_default() }
}

fn found(store: &Store, config: &Config) -> Found {
    match config.files.first() {
        Some(file) => store.load_state_for(file),
        None => store.load_state(),
    }
}

/// Where what lasts is kept by this configuration, if there is such a place.
pub fn configured_directory(config: &Config, environment: Environment<'_>) -> Option<PathBuf> {
    daemon_directory(&config.directory, config.main.daemon_directory.as_deref(), environment)
}

/// By how much a run is delayed: a share of `agent.splay`, always the same for one agent.
pub fn splay(config: &Config, environment: Environment<'_>) -> Duration {
    let Some(longest) = config.agent.splay else { return Duration::ZERO };
    let program = collectors::datapoint::trim(&config.agent.program);
    let known = configured_directory(config, environment)
        .and_then(|directory| Store::at(&directory).known_agent_id(program).ok().flatten());
    let id = known.unwrap_or_else(|| {
        let hostname = config.agent.hostname.clone();
        fallback_agent_id(program, &hostname.unwrap_or_else(crate::host::fully_qualified_name))
    });
    share(&id, longest.get())
}

fn share(id: &str, longest: Duration) -> Duration {
    let digest = Sha256::digest(id.as_bytes());
    let share = digest.iter().take(4).fold(0_u32, |share, byte| share << 8 | u32::from(*byte));
    longest.mul_f64(f64::from(share) / (f64::from(u32::MAX) + 1.0))
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

/// Whether bodies wait for an output of this plan.
pub fn is_anything_waiting(plan: &Plan, environment: Environment<'_>) -> bool {
    let directory =
        daemon_directory(&plan.config_directory, plan.daemon_directory.as_deref(), environment);
    let store = directory.map(|directory| Store::at(&directory));
    store.is_some_and(|store| {
        let mut outputs = plan.outputs.iter().filter(|output| output.output.can_wait());
        outputs.any(|output| !store.spool(&output.id, output.kind).is_empty())
    })
}

/// What waits for each output.
pub(super) fn listings(store: &Store, outputs: &[PlannedOutput]) -> Vec<Listing> {
    outputs.iter().map(|output| store.spool(&output.id, output.kind).list()).collect()
}

/// Keeps what waits, for whichever output, from being given up because the clock was set ahead since the last run. Gives
/// back what there is to say of it.
pub(super) fn correct_ages(
    store: &Store,
    before: Option<&Clocks>,
    now: Option<&Clocks>,
) -> Option<String> {
    let leap = now?.set_ahead_since(before?)?;
    let minutes = (leap.as_secs() + 30) / 60;
    let by = Period::from_secs(minutes * 60);
    let told = format!("the clock was set ahead by {by} since the last run");
    match store.correct_ages(leap) {
        Ok(0) => None,
        Ok(_) => Some(format!("{told}: what waits counts as no older for it")),
        Err(error) => Some(format!("{told}, and what waits counts as older: {}", chain(&error))),
    }
}

/// A warning for each spool that none of the outputs empties.
pub(super) fn abandoned(store: &Store, outputs: &[PlannedOutput]) -> Vec<String> {
    let used = outputs.iter().map(|output| (output.id.as_str(), output.kind));
    match store.abandoned(used) {
        Ok(found) => found
            .iter()
            .map(|(path, bodies)| {
                let (bodies, wait) = if *bodies == 1 {
                    ("1 body".to_owned(), "waits")
                } else {
                    (format!("{bodies} bodies"), "wait")
                };
                format!("{bodies} {wait} in `{}`, for no output of this run", path.display())
            })
            .collect(),
        Err(error) => vec![chain(&error)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_start_at_moments_of_their_own_that_stay_the_same() {
        let longest = Duration::from_secs(60);
        let shares: Vec<_> = (0..1_000).map(|id| share(&id.to_string(), longest)).collect();
        assert_eq!(share("7", longest), shares[7]);
        assert!(shares.iter().all(|share| *share < longest));
        let early = shares.iter().filter(|share| **share < longest / 4).count();
        assert!((200..300).contains(&early), "{early} of 1000 in the first quarter");
    }
}
