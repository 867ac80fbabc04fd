//! Where each output's spool lies, and the spools that no output empties any more.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::{Error, Spool, Store};

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
        Spool::new(self.spools().join(spool_name(output, kind)))
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
        let listing = match fs::read_dir(&spools) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&spools, error)),
        };
        let mut found = Vec::new();
        for folder in listing {
            let path = folder.map_err(|error| Error::file(&spools, error))?.path();
            if !used.contains(&path) && path.is_dir() {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let output = name.split_once('.').map_or(&*name, |(output, _)| output);
                let output = name_of_file(output);
                found.push(Stray { output, spool: Spool::new(path.clone()), path });
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Makes all that waits as old as it is, where the wall clock was set ahead by `leap`. Gives back how many bodies.
    ///
    /// # Errors
    /// [`Error`] where the ages of some stay wrong.
    pub fn correct_ages(&self, leap: Duration) -> Result<usize, Error> {
        let mut corrected = Ok(0);
        for Stray { spool, .. } in self.strays(std::iter::empty())? {
            for entry in spool.list().entries {
                // One that keeps its age keeps no other from getting its own.
                let done = entry.correct_age(leap);
                corrected = corrected.and_then(|count| done.map(|()| count + 1));
            }
        }
        corrected
    }

    fn spools(&self) -> PathBuf {
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
