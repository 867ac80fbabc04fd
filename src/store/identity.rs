//! The agent's id: 64 hex digits, made once, kept where pattoo's own agents keep theirs.

use std::fs;
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{Error, Store};

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
        let random: [u8; 32] =
            crate::host::random().map_err(|error| Error::file(&self.id_path(program), error))?;
        self.adopt_agent_id(program, &hex(&random))
    }

    /// Keeps this id, unless the agent has one. Gives back the one that it has.
    ///
    /// # Errors
    /// As [`Store::agent_id`].
    pub fn adopt_agent_id(&self, program: &str, id: &str) -> Result<String, Error> {
        if let Some(known) = self.known_agent_id(program)? {
            return Ok(known);
        }
        let path = self.id_path(program);
        let mut fill = |file: &mut dyn io::Write| {
            file.write_all(id.as_bytes())?;
            Ok(path.file_name().unwrap_or_default().to_owned())
        };
        match self.shelf.create(&self.ids(), &mut fill) {
            Ok(_) => Ok(id.to_owned()),
            // Another first run was faster: its id is this agent's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.known_agent_id(program)?.ok_or_else(|| Error::file(&path, error))
            }
            Err(error) => Err(Error::file(&path, error)),
        }
    }

    /// Puts this id in the place of the one that the agent has here.
    ///
    /// # Errors
    /// [`Error`] when it cannot be written.
    pub fn replace_agent_id(&self, program: &str, id: &str) -> Result<(), Error> {
        let path = self.id_path(program);
        self.shelf.write(&path, id.as_bytes()).map_err(|error| Error::file(&path, error))
    }

    /// The agent's id, if it has been made.
    ///
    /// # Errors
    /// As [`Store::agent_id`].
    pub fn known_agent_id(&self, program: &str) -> Result<Option<String>, Error> {
        let path = self.id_path(program);
        match self.shelf.read(&path) {
            Ok((text, _)) => {
                let text = String::from_utf8_lossy(&text);
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

    /// All shards of a configuration are one agent.
    fn ids(&self) -> PathBuf {
        self.home.join("agent_id")
    }

    fn id_path(&self, program: &str) -> PathBuf {
        self.ids().join(format!("{program}.agent_id"))
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
