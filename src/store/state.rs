//! The state of all jobs, in two generations: one that is damaged or gone is replaced by the one before it.
//!
//! It is saved when the bodies that belong to it are durable, and is not flushed itself: what a power cut takes of
//! it is the newest generation, which only means that something is collected twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::shelf::{Shelf, Version};
use super::{Error, Store};
use crate::report::chain;
use crate::state::{Damage, State};

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest state that can be read; empty when there is none.
    pub state: State,
    /// What is wrong with what was there.
    pub warning: Option<String>,
    /// What is wrong with whose it is.
    pub foreign: Option<String>,
    /// Whether the newest file is sound, so that it is worth keeping as the one before the next.
    pub(crate) is_newest_sound: bool,
    /// What the newest file was.
    version: Version,
}

/// Why a generation cannot be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is not there")]
    Missing,
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    #[error("{0}")]
    Damaged(#[from] Damage),
}

impl Store {
    /// Reads the state. What cannot be read is a warning and a first run, never a refusal.
    pub fn load_state(&self) -> Found {
        let [newest, before] = [self.state_path(), self.older_state_path()];
        let (newest_state, version) = read(&*self.shelf, &newest);
        let why = match newest_state {
            Ok(state) => {
                return Found { state, is_newest_sound: true, version, ..Found::default() };
            }
            Err(why) => why,
        };
        let found = Found { version, ..Found::default() };
        let is_missing = matches!(why, Unusable::Missing);
        if why.is_silence() {
            // Whoever does not answer does not tell of the one before either.
            let warning = first_time(&newest, &why);
            return Found { warning: Some(warning), ..found };
        }
        match read(&*self.shelf, &before).0 {
            // A run was killed while it put a new one in place.
            Ok(state) if is_missing => Found { state, ..found },
            Ok(state) => {
                let why = chain(&why);
                let warning = format!("`{}`: {why}; the state before it is used", newest.display());
                Found { state, warning: Some(warning), ..found }
            }
            Err(Unusable::Missing) if is_missing => found,
            Err(_) => {
                let warning = first_time(&newest, &why);
                Found { warning: Some(warning), ..found }
            }
        }
    }

    /// Reads the state for a run with the configuration in this file, whose it is from now on.
    pub fn load_state_for(&self, configuration: &Path) -> Found {
        let mut found = self.load_state();
        // One file may be named in many ways.
        let ours = fs::canonicalize(configuration);
        let ours = ours.as_deref().unwrap_or(configuration).display().to_string();
        let theirs = found.state.configuration.replace(ours.clone());
        found.foreign = theirs.filter(|theirs| *theirs != ours).map(|theirs| {
            format!(
                "the last run in the daemon directory `{}` was of `{theirs}`: what two configurations call by one name they \
                 take from each other; set `main.daemon_directory` in each (where the file was only moved, all is well)",
                self.root.display()
            )
        });
        found
    }

    /// Saves the state in place of the one that was [found](Store::load_state).
    ///
    /// # Errors
    /// [`Error`] when it cannot be written; the one before it stays.
    pub fn save_state(&self, state: &State, found: &Found) -> Result<(), Error> {
        let path = self.state_path();
        let failed = |error| Error::file(&path, error);
        let text = state.to_text().map_err(|error| failed(error.into()))?;
        let older = found.is_newest_sound.then(|| self.older_state_path());
        self.shelf.succeed(&path, &text, &found.version, older.as_deref()).map_err(failed)
    }

    fn state_path(&self) -> PathBuf {
        self.root.join("state.json")
    }

    fn older_state_path(&self) -> PathBuf {
        self.root.join("state.previous.json")
    }
}

fn first_time(path: &Path, why: &Unusable) -> String {
    format!("`{}`: {}; every job runs as for the first time", path.display(), chain(why))
}

impl Unusable {
    fn is_silence(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.kind() == io::ErrorKind::TimedOut)
    }
}

fn read(shelf: &dyn Shelf, path: &Path) -> (Result<State, Unusable>, Version) {
    match shelf.read(path) {
        Ok((text, version)) => (State::parse(&text).map_err(Unusable::Damaged), version),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (Err(Unusable::Missing), shelf.absent())
        }
        Err(error) => (Err(error.into()), shelf.unknown()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::state::JobState;

    fn at(last_start_ms: i64) -> State {
        let job = JobState { last_start_ms: Some(last_start_ms), ..JobState::default() };
        State { jobs: [("job".to_owned(), job)].into(), ..State::default() }
    }

    #[test]
    fn a_damaged_state_gives_way_to_the_one_before_and_does_not_take_its_place()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path())?;
        assert_eq!(store.load_state().state, State::default());
        for at_ms in 1..=3 {
            store.save_state(&at(at_ms), &store.load_state())?;
        }
        assert_eq!(store.load_state().state, at(3));
        fs::write(store.state_path(), "{}")?;
        let found = store.load_state();
        assert_eq!(found.state, at(2));
        assert!(
            found.warning.as_ref().is_some_and(|warning| warning.contains("the state before it"))
        );
        store.save_state(&at(4), &found)?;
        fs::remove_file(store.state_path())?;
        let found = store.load_state();
        assert_eq!((found.state, found.warning), (at(2), None));
        fs::write(store.state_path(), "")?;
        fs::write(store.older_state_path(), "")?;
        let found = store.load_state();
        assert_eq!(found.state, State::default());
        assert!(found.warning.is_some_and(|warning| warning.contains("first time")));
        Ok(())
    }
}
