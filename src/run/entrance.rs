//! How a run comes in: the lock, and what the last run left.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::lasting::configured_directory;
use crate::config::{Config, Environment};
use crate::delivery;
use crate::plan::PlannedOutput;
use crate::report::chain;
use crate::shard::Shard;
use crate::store::lock::{Lock, NotLocked, Term};
use crate::store::spool::Listing;
use crate::store::state::Found;
use crate::store::{self, Place, Store};

/// What a run may take longer than its time, at the most: for what it says last.
const AFTERWARDS: Duration = delivery::GRACE.saturating_add(Duration::from_secs(30));

/// How a run comes in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry {
    /// Until when another run is waited for.
    pub wait_until: Option<Instant>,
    /// When this one has ended, where somebody sees to that.
    pub ends_by: Option<Instant>,
    /// When it is ended from outside, with what it has written by then.
    pub killed_at: Option<Instant>,
    /// Which of the jobs are its own.
    pub shard: Option<Shard>,
}

/// What a run finds when it comes in.
#[derive(Default)]
pub struct Entrance {
    /// The lock, while this lives; `None` where none can be had.
    pub lock: Option<Lock>,
    /// What the last run left.
    pub found: Found,
    /// Where what lasts is kept, if there is such a place.
    pub place: Option<Place>,
    /// What is there, to be looked at.
    pub(super) seen: Option<Store>,
    /// What is there, to be written to; an error when it cannot be used, and `None` when it was not asked for.
    pub(super) store: Option<Result<Store, store::Error>>,
    /// The folder of the configuration's machine, also where what lasts is kept elsewhere.
    pub(super) folder: Option<PathBuf>,
}

/// Takes the lock of the place where what lasts is kept, if there is one, and reads the state; [`run`](super::run) tells
/// what is wrong with the place.
///
/// # Errors
/// [`NotLocked::Held`] when another run has it until the entry's time is up.
pub fn enter(
    config: &Config,
    environment: Environment<'_>,
    entry: &Entry,
) -> Result<Entrance, NotLocked> {
    let entrance = Entrance::before(config, environment, entry);
    let Some(place) = &entrance.place else { return Ok(entrance) };
    let store = match place.open(environment, entry.ends_by) {
        Ok(store) => store,
        Err(error) => return Ok(entrance.without_store(error, config)),
    };
    let now = Instant::now();
    let left = entry.killed_at.map(|end| end.saturating_duration_since(now));
    let lease = config.agent.timeout(&config.polling).get() + AFTERWARDS;
    let lease = left.map_or(lease, |left| left.min(lease));
    let wait_until = entry.wait_until.unwrap_or(now);
    let lock = match store.lock(Term { wait_until, lease, killed_at: entry.killed_at }) {
        Ok(lock) => Some(lock),
        Err(held @ (NotLocked::Held { .. } | NotLocked::Taken { .. })) => return Err(held),
        // There it is the first thing that is written.
        Err(NotLocked::Impossible(error)) if matches!(place, Place::Bucket(..)) => {
            let (place, source) = (place.clone(), Box::new(error));
            return Ok(entrance.without_store(store::Error::Bucket { place, source }, config));
        }
        Err(error @ NotLocked::Impossible(_)) => {
            log::warn!("{}", chain(&error));
            None
        }
    };
    let found = found(&store, config);
    let store = match entry.killed_at == entry.ends_by {
        true => Ok(store),
        // What is written last has until then.
        false => place.open(environment, entry.killed_at),
    };
    Ok(Entrance { lock, found, store: Some(store), ..entrance })
}

/// Reads the state and takes no lock: for what changes nothing.
pub fn look(config: &Config, environment: Environment<'_>, entry: &Entry) -> Entrance {
    let entrance = Entrance::before(config, environment, entry);
    let found = entrance.seen.as_ref().map(|seen| found(seen, config)).unwrap_or_default();
    Entrance { found, ..entrance }
}

/// The state, and whose it is. A bucket is read from several machines, where the configuration has other names.
fn found(store: &Store, config: &Config) -> Found {
    match config.files.first().filter(|_| config.store.is_none()) {
        Some(file) => store.load_state_for(file),
        None => store.load_state(),
    }
}

impl Entry {
    /// To look only, or to come in at once, with these jobs.
    pub fn of_shard(shard: Option<Shard>) -> Self {
        Self { shard, ..Self::default() }
    }
}

impl Entrance {
    /// Where a run is about to come in.
    fn before(config: &Config, environment: Environment<'_>, entry: &Entry) -> Self {
        let place = Place::of(config, environment, entry.shard);
        let seen = place.as_ref().map(|place| place.look(environment, entry.ends_by));
        let folder = configured_directory(config, environment);
        Self { place, seen, folder, ..Self::default() }
    }

    /// Nothing can be written there.
    fn without_store(self, error: store::Error, config: &Config) -> Self {
        let found = match (&error, &self.seen) {
            // What others may have put there is not gone by; what would only take time is not waited for.
            (store::Error::Directory { .. } | store::Error::Bucket { .. }, Some(seen))
                if !error.is_silence() =>
            {
                found(seen, config)
            }
            _ => Found::default(),
        };
        Self { found, store: Some(Err(error)), ..self }
    }

    /// What is there, to be changed.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn store(&self) -> Option<Result<&Store, &store::Error>> {
        Some(self.store.as_ref()?.as_ref())
    }

    /// Begins the lease of the lock anew, where there is one.
    ///
    /// # Errors
    /// [`NotLocked::Taken`] when it is another's by now.
    pub fn renew_lock(&self) -> Result<(), NotLocked> {
        self.lock.as_ref().map_or(Ok(()), Lock::renew)
    }

    /// The same where half of the lease is over.
    ///
    /// # Errors
    /// As [`Entrance::renew_lock`].
    pub fn keep_lock(&self) -> Result<(), NotLocked> {
        self.lock.as_ref().map_or(Ok(()), Lock::keep)
    }

    /// Whether bodies wait for one of these outputs, or perhaps.
    pub fn is_anything_waiting(&self, outputs: &[PlannedOutput]) -> bool {
        self.seen.as_ref().is_some_and(|store| {
            let mut outputs = outputs.iter().filter(|output| output.output.can_wait());
            outputs.any(|output| !store.spool(&output.id, output.kind).is_empty())
        })
    }

    /// What waits for each of these outputs. A place that cannot be written may be read: what lies there is not forgotten.
    pub(super) fn waiting(&self, outputs: &[PlannedOutput]) -> Vec<Listing> {
        let of =
            |store: &Store, output: &PlannedOutput| store.spool(&output.id, output.kind).list();
        let list = |output: &PlannedOutput| match (&self.store, &self.seen) {
            (Some(Ok(store)), _) => of(store, output),
            (Some(Err(store::Error::Foreign { .. } | store::Error::Open { .. })), _) => {
                Listing::default()
            }
            (Some(Err(error)), _) if error.is_silence() => {
                let error = output.output.can_wait().then(|| store::Error::Unasked(chain(error)));
                Listing { error, ..Listing::default() }
            }
            (Some(Err(_)), Some(seen)) => of(seen, output),
            (Some(Err(_)) | None, _) => Listing::default(),
        };
        outputs.iter().map(list).collect()
    }
}
