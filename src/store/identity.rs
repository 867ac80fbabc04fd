//! The agent's id: 64 hex digits, made once, kept where pattoo's own agents keep theirs.

use std::fs;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Error, Store, durable};

impl Store {
    /// The agent's id in `<daemon_directory>/agent_id/<program>.agent_id`; made from random bytes the first time.
    ///
    /// # Errors
    /// [`Error`] when the file cannot be read or made, or holds something else: a new id would start every series
    /// anew, so nothing is overwritten.
    pub fn agent_id(&self, program: &str) -> Result<String, Error> {
        if let Some(id) = self.known_agent_id(program)? {
            return Ok(id);
        }
        let path = self.root.join("agent_id").join(format!("{program}.agent_id"));
        let random: [u8; 32] = crate::host::random().map_err(|error| Error::file(&path, error))?;
        let id = hex(&random);
        match durable::create(&path, |file| file.write_all(id.as_bytes())) {
            Ok(()) => Ok(id),
            // Another first run was faster: its id is this agent's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.known_agent_id(program)?.ok_or_else(|| Error::file(&path, error))
            }
            Err(error) => Err(Error::file(&path, error)),
        }
    }

    /// Keeps this id, unless the agent has one.
    ///
    /// # Errors
    /// As [`Store::agent_id`].
    pub fn adopt_agent_id(&self, program: &str, id: &str) -> Result<(), Error> {
        if self.known_agent_id(program)?.is_some() {
            return Ok(());
        }
        let path = self.root.join("agent_id").join(format!("{program}.agent_id"));
        match durable::create(&path, |file| file.write_all(id.as_bytes())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(Error::file(&path, error))
            }
            _ => Ok(()),
        }
    }

    /// The agent's id, if it has been made.
    ///
    /// # Errors
    /// As [`Store::agent_id`].
    pub fn known_agent_id(&self, program: &str) -> Result<Option<String>, Error> {
        known(&self.root, program)
    }
}

fn known(root: &Path, program: &str) -> Result<Option<String>, Error> {
    let path = root.join("agent_id").join(format!("{program}.agent_id"));
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_id { Ok(Some(id.to_owned())) } else { Err(Error::NoAgentId { path }) }
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
            _ => Err(Error::file(&path, error)),
        },
    }
}

/// The id of an agent that has no folder to keep one in: the same for each run on this machine.
pub fn fallback_agent_id(program: &str, hostname: &str) -> String {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let mut hash = Sha256::new();
    for part in ["collector", machine.trim(), hostname, program] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

/// The id of an agent that is known by a name of its own wherever it runs, and whose folder does not last.
pub fn derived_agent_id(program: &str, name: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["collector", "derived", name, program] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_once_and_read_with_a_newline() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path())?;
        let id = store.agent_id("p")?;
        assert_eq!(id.len(), 64);
        let path = folder.path().join("agent_id/p.agent_id");
        fs::write(&path, format!("{id}\n"))?;
        assert_eq!(store.agent_id("p")?, id);
        fs::write(&path, "garbage")?;
        assert!(matches!(store.agent_id("p"), Err(Error::NoAgentId { .. })));
        Ok(())
    }

    #[test]
    fn first_runs_that_race_end_with_one_id() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path())?;
        let ids: Vec<Option<String>> = std::thread::scope(|scope| {
            let racers: Vec<_> =
                (0..16).map(|_| scope.spawn(|| store.agent_id("p").ok())).collect();
            racers.into_iter().map(|racer| racer.join().unwrap_or_default()).collect()
        });
        let kept = store.known_agent_id("p")?;
        assert!(kept.is_some() && ids.iter().all(|id| *id == kept), "{ids:?}");
        Ok(())
    }
}
