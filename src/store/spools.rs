//! Where each output's spool lies, and the spools that no output empties any more.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::shelf::Contents;
use super::{Error, Spool, Store};
use crate::shard::Shard;

/// A spool of an output that is not configured any more.
#[derive(Debug)]
pub struct Stray {
    /// The output's id.
    pub output: String,
    /// Its spool.
    pub spool: Spool,
    /// The spool's folder.
    pub path: PathBuf,
}

impl Store {
    /// The bodies that wait for an output. Its kind is part of the place: a body of one kind is nothing to another.
    pub fn spool(&self, output: &str, kind: &str) -> Spool {
        self.spool_in(self.spools().join(spool_name(output, kind)))
    }

    /// The spools with bodies that none of these outputs (id and kind) will send, and how many wait in each.
    ///
    /// # Errors
    /// [`Error`] when they cannot be listed.
    pub fn abandoned<'a>(
        &self,
        outputs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Vec<(PathBuf, usize)>, Error> {
        let mut found = Vec::new();
        for Stray { path, spool, .. } in self.strays(outputs)? {
            let waiting = spool.list().entries.len();
            if waiting > 0 {
                found.push((path, waiting));
            }
        }
        Ok(found)
    }

    /// The spools that belong to none of these outputs (id and kind).
    ///
    /// # Errors
    /// [`Error`] when they cannot be listed.
    pub fn strays<'a>(
        &self,
        outputs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Vec<Stray>, Error> {
        let spools = self.spools();
        let used: HashSet<PathBuf> =
            outputs.map(|(id, kind)| spools.join(spool_name(id, kind))).collect();
        let Contents { folders, error, .. } = self.shelf.list(&spools);
        if let Some(error) = error {
            return Err(Error::file(&spools, error));
        }
        let mut found = Vec::new();
        for path in folders.into_iter().filter(|path| !used.contains(path)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let output = name.split_once('.').map_or(&*name, |(output, _)| output);
            let output = name_of_file(output);
            found.push(Stray { output, spool: self.spool_in(path.clone()), path });
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Makes all that waits as old as it is, where the wall clock was set ahead by `leap`. Gives back how many bodies.
    ///
    /// # Errors
    /// [`Error`] where the ages of some stay wrong.
    pub fn correct_ages(&self, leap: Duration) -> Result<usize, Error> {
        if self.shelf.has_own_clock() {
            return Ok(0);
        }
        let mut corrected = Ok(0);
        for Stray { spool, .. } in self.strays(std::iter::empty())? {
            for entry in spool.list().entries {
                // One that keeps its age keeps no other from getting its own.
                let done = spool.correct_age(&entry, leap);
                corrected = corrected.and_then(|count| done.map(|()| count + 1));
            }
        }
        corrected
    }

    /// The parts of a bucket that no run looks after any more, because there is another number of shards now, and how
    /// many bodies wait in each. Only the first shard looks, for all.
    ///
    /// # Errors
    /// [`Error`] when they cannot be listed.
    pub fn left_behind(&self, shard: Option<Shard>) -> Result<Vec<(Option<Shard>, usize)>, Error> {
        if shard.is_some_and(|shard| shard.number() > 1) {
            return Ok(Vec::new());
        }
        let shards = self.home.join("shards");
        let Contents { folders, error, .. } = self.shelf.list(&shards);
        if let Some(error) = error {
            return Err(Error::file(&shards, error));
        }
        let others = folders.into_iter().filter_map(|folder| {
            let name = folder.file_name()?.to_string_lossy();
            let other = Shard::parse(&name.replacen("-of-", "/", 1)).ok()?;
            let is_ours = shard.is_some_and(|shard| shard.count() == other.count());
            (!is_ours).then_some((Some(other), folder))
        });
        let undivided = shard.map(|_| (None, self.home.clone()));
        let mut found = Vec::new();
        for (other, root) in undivided.into_iter().chain(others) {
            let part = Self { root, ..self.clone() };
            let waiting = part.abandoned(std::iter::empty())?;
            let waiting: usize = waiting.iter().map(|(_, bodies)| bodies).sum();
            found.extend((waiting > 0).then_some((other, waiting)));
        }
        Ok(found)
    }

    pub(super) fn spool_in(&self, folder: PathBuf) -> Spool {
        Spool::new(Arc::clone(&self.shelf), folder)
    }

    pub(super) fn spools(&self) -> PathBuf {
        self.root.join("spool")
    }
}

/// No id has a bare dot in it, see [`file_name`].
fn spool_name(output: &str, kind: &str) -> String {
    format!("{}.{kind}", file_name(output))
}

/// A name as part of a path: what is not plain is written as `%XX`, so that different names stay different.
fn file_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The name that [`file_name`] has written; what it has not written stays as it is.
fn name_of_file(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('%') {
        bytes.extend(plain.bytes());
        match escaped.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &escaped[2..];
            }
            None => {
                bytes.push(b'%');
                rest = escaped;
            }
        }
    }
    bytes.extend(rest.bytes());
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_from_its_file() {
        for name in ["plain", "a b.c/%41", "µ", "", "%"] {
            assert_eq!(name_of_file(&file_name(name)), name);
        }
        assert_eq!(name_of_file("%zz%F"), "%zz%F");
        assert_eq!(name_of_file("%FF"), "%FF");
    }
}
