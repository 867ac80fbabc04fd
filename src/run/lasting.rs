//! What lasts between runs, as far as a run can have it: store and agent's id.

use std::path::{Path, PathBuf};
use std::time::Duration;

use collectors::period::Period;
use sha2::{Digest, Sha256};

use super::{Entrance, Keep};
use crate::config::{Config, Environment};
use crate::host::Clocks;
use crate::plan::PlannedOutput;
use crate::report::chain;
use crate::store::{self, Place, Store, fallback_agent_id};

const NOTHING_KEPT: &str = "nothing that is not accepted now can be kept";

/// The folder for what lasts, by this configuration, if there is such a place.
pub fn configured_directory(config: &Config, environment: Environment<'_>) -> Option<PathBuf> {
    daemon_directory(&config.directory, config.main.daemon_directory.as_deref(), environment)
}

/// By how much a run is delayed: a share of `agent.splay`, always the same for one agent.
pub fn splay(config: &Config, environment: Environment<'_>) -> Duration {
    let Some(longest) = config.agent.splay else { return Duration::ZERO };
    let program = collectors::datapoint::trim(&config.agent.program);
    let known = Place::of(config, environment, None)
        .and_then(|place| place.look(environment, None).known_agent_id(program).ok().flatten());
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
pub(super) struct Lasting<'a> {
    /// The folder of this machine; `None` when there is none that is safe to use.
    pub(super) directory: Option<PathBuf>,
    /// `None` when nothing can be kept there.
    pub(super) store: Option<&'a Store>,
    /// The agent's id, if it has one; a reason when it seems to have one that cannot be used.
    pub(super) id: Result<Option<String>, String>,
}

/// Looks for what lasts, where a run came in. Without it the run goes on.
pub(super) fn find_lasting<'a>(
    program: &str,
    entrance: &'a Entrance,
    keep: Keep,
    warnings: &mut Vec<String>,
) -> Lasting<'a> {
    let Entrance { place, seen, store, folder, .. } = entrance;
    let nothing = Lasting { directory: folder.clone(), store: None, id: Ok(None) };
    let Some((place, seen)) = place.as_ref().zip(seen.as_ref()) else {
        let hint = "set `main.daemon_directory`, or HOME";
        warnings.push(format!("there is no daemon directory ({hint}); {NOTHING_KEPT}"));
        return nothing;
    };
    // What was known last, for when the bucket cannot be asked.
    let copy = folder.as_deref().filter(|_| matches!(place, Place::Bucket(..))).map(Store::at);
    let copied = || copy.as_ref()?.known_agent_id(program).ok().flatten();
    let known = || match seen.known_agent_id(program) {
        Err(error) => copied().map(Some).ok_or(error),
        known => known,
    };
    let told = |id: Result<Option<String>, store::Error>| id.map_err(|error| chain(&error));
    match store.as_ref().filter(|_| keep == Keep::Lasting) {
        None => Lasting { id: told(known()), ..nothing },
        Some(Ok(store)) => {
            let made = match copied() {
                Some(id) => store.adopt_agent_id(program, &id),
                None => store.agent_id(program),
            };
            let id = made.map(Some).or_else(|error| match known() {
                // A new agent that cannot keep an id: the one made from the machine's serves, or the copy.
                Ok(id) if id.is_none() || copy.is_some() => {
                    warnings.push(chain(&error));
                    Ok(id)
                }
                _ => Err(error),
            });
            if let (Some(_), Some(folder), Ok(Some(id))) = (&copy, folder, &id) {
                remember_agent_id(folder, program, id);
            }
            Lasting { store: Some(store), id: told(id), ..nothing }
        }
        Some(Err(error)) => {
            warnings.push(format!("{}; {NOTHING_KEPT}", chain(error)));
            match error {
                store::Error::Directory { .. } => Lasting { id: told(known()), ..nothing },
                store::Error::Bucket { .. } if error.is_silence() => {
                    let id = copied().map(Some).ok_or_else(|| chain(error));
                    Lasting { id, ..nothing }
                }
                store::Error::Bucket { .. } => Lasting { id: told(known()), ..nothing },
                // An id that others may have put there is not ours to use, nor may another stand in for it.
                _ => {
                    let id = if matches!(known(), Ok(None)) { Ok(None) } else { Err(chain(error)) };
                    Lasting { directory: None, id, ..nothing }
                }
            }
        }
    }
}

/// Keeps a copy of the agent's id on this machine, for when the bucket cannot be asked.
fn remember_agent_id(folder: &Path, program: &str, id: &str) {
    let copied = Store::open(folder).and_then(|store| match store.known_agent_id(program) {
        Ok(Some(known)) if known == id => Ok(()),
        _ => store.replace_agent_id(program, id),
    });
    if let Err(error) = copied {
        log::debug!("the agent's id is not copied: {}", chain(&error));
    }
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

/// A warning for each spool that no run empties.
pub(super) fn abandoned(
    store: &Store,
    place: Option<&Place>,
    outputs: &[PlannedOutput],
) -> Vec<String> {
    let wait = |bodies: usize| match bodies {
        1 => "1 body waits".to_owned(),
        bodies => format!("{bodies} bodies wait"),
    };
    let used = outputs.iter().map(|output| (output.id.as_str(), output.kind));
    let mut warnings = match store.abandoned(used) {
        Ok(found) => found
            .iter()
            .map(|(path, bodies)| {
                format!("{} in `{}`, for no output of this run", wait(*bodies), path.display())
            })
            .collect(),
        Err(error) => vec![chain(&error)],
    };
    if let Some(Place::Bucket(s3, shard)) = place {
        match store.left_behind(*shard) {
            Ok(found) => warnings.extend(found.iter().map(|(other, bodies)| {
                let bodies = wait(*bodies);
                let (when, option) = match other {
                    Some(shard) => {
                        (format!("there were {} shards", shard.count()), format!(" --shard {shard}"))
                    }
                    None => ("there were no shards".to_owned(), String::new()),
                };
                format!("{bodies} in `{s3}`, from when {when}; `collector spool send{option}` sends them")
            })),
            Err(error) => warnings.push(chain(&error)),
        }
    }
    warnings
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
