//! The bodies there are, and those that are meant.

use collectors::decode::nearest;

use super::super::text;
use super::Failure;
use crate::config::Config;
use crate::report::chain;
use crate::store::spool::{Entry, Listing};
use crate::store::{Spool, Store};

/// The least that is shown of a body's id, in characters.
const SHORTEST_ID: usize = 8;

/// Every body of every output.
pub(super) struct Bodies {
    pub(super) all: Vec<Found>,
    /// Why there may be more.
    pub(super) errors: Vec<String>,
    /// The outputs' ids, and whether each is configured.
    outputs: Vec<(String, bool)>,
}

/// A body and where it lies.
pub(super) struct Found {
    /// The id of its output.
    pub(super) output: String,
    /// Whether that is configured; if not, nobody will send it.
    pub(super) is_configured: bool,
    pub(super) place: Place,
    pub(super) spool: Spool,
    pub(super) entry: Entry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Waiting,
    Quarantine,
}

impl Place {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Quarantine => "quarantine",
        }
    }
}

impl Found {
    /// Why it was set aside, if it was.
    pub(super) fn reason(&self) -> Option<String> {
        (self.place == Place::Quarantine).then(|| self.spool.reason(&self.entry))?
    }
}

impl Bodies {
    /// Looks for them: first those of the configured outputs, in their order.
    pub(super) fn find(config: &Config, store: &Store) -> Result<Self, Failure> {
        let configured = || config.outputs.iter().map(|output| (output.id.as_str(), output.kind));
        let mut bodies = Self { all: Vec::new(), errors: Vec::new(), outputs: Vec::new() };
        for (id, kind) in configured() {
            bodies.add(id, true, &store.spool(id, kind));
        }
        for stray in store.strays(configured())? {
            bodies.add(&stray.output, false, &stray.spool);
        }
        Ok(bodies)
    }

    fn add(&mut self, output: &str, is_configured: bool, spool: &Spool) {
        self.outputs.push((output.to_owned(), is_configured));
        for (place, listing) in
            [(Place::Waiting, spool.list()), (Place::Quarantine, spool.quarantined())]
        {
            let Listing { entries, error, .. } = listing;
            self.errors.extend(error.map(|error| chain(&error)));
            self.all.extend(entries.into_iter().map(|entry| Found {
                output: output.to_owned(),
                is_configured,
                place,
                spool: spool.clone(),
                entry,
            }));
        }
    }

    /// The bodies of an output in one place; of all outputs without an id. Of an output that is not configured any
    /// more where none of that id is.
    pub(super) fn of(&self, output: Option<&str>, place: Place) -> Result<Vec<&Found>, Failure> {
        let here = self.all.iter().filter(|found| found.place == place);
        let Some(id) = output else { return Ok(here.collect()) };
        let named = || self.outputs.iter().filter(|(known, _)| known == id);
        if named().next().is_none() {
            return Err(no_such_output(id, self.outputs.iter().map(|(id, _)| id.as_str())));
        }
        let is_configured = named().any(|(_, is_configured)| *is_configured);
        let is_meant = |found: &&Found| found.output == id && found.is_configured == is_configured;
        Ok(here.filter(is_meant).collect())
    }

    /// The body whose id or file name is `wanted`, or begins with it.
    pub(super) fn one(&self, wanted: &str) -> Result<&Found, Failure> {
        const LIST: &str = "`collector spool list` prints all of them";
        let names = |found: &Found| [id(&found.entry).to_owned(), found.entry.name().to_owned()];
        let wanted = wanted.trim().trim_end_matches(".body");
        let exact = self.all.iter().find(|found| names(found).iter().any(|name| name == wanted));
        if let Some(found) = exact {
            return Ok(found);
        }
        let begins = |found: &&Found| names(found).iter().any(|name| name.starts_with(wanted));
        let found: Vec<&Found> =
            self.all.iter().filter(|found| !wanted.is_empty() && begins(found)).collect();
        match found.as_slice() {
            [] => {
                Err(Failure::asked(format!("there is no body `{}`", text::visible(wanted)), LIST))
            }
            [found] => Ok(found),
            several => Err(Failure::asked(
                format!("{} bodies begin with `{}`", several.len(), text::visible(wanted)),
                LIST,
            )),
        }
    }

    /// For each body as much of its id as it takes to tell it from all others.
    pub(super) fn short_ids(&self) -> Vec<&str> {
        let mut sorted: Vec<&str> = self.all.iter().map(|found| id(&found.entry)).collect();
        sorted.sort_unstable();
        self.all
            .iter()
            .map(|found| {
                let whole = id(&found.entry);
                let place = sorted.partition_point(|other| *other < whole);
                let before = place.checked_sub(1).and_then(|before| sorted.get(before));
                let neighbours = before.into_iter().chain(sorted.get(place + 1));
                let shared = neighbours.map(|other| shared_bytes(whole, other)).max();
                let length = SHORTEST_ID.max(shared.unwrap_or(0) + 1).min(whole.len());
                whole.get(..length).unwrap_or(whole)
            })
            .collect()
    }
}

pub(super) fn no_such_output<'a>(id: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let meant = nearest(id, known).map(|meant| format!("; did you mean `{meant}`?"));
    let message =
        format!("there is no output `{}`{}", text::visible(id), meant.unwrap_or_default());
    Failure::asked(message, "`collector spool list` prints what waits, and for which output")
}

/// What tells a body from all others: the random part of its name.
fn id(entry: &Entry) -> &str {
    let name = entry.name();
    let without_count = name.rsplit_once('-').map_or(name, |(rest, _)| rest);
    without_count.rsplit_once('-').map_or(without_count, |(_, id)| id)
}

fn shared_bytes(one: &str, other: &str) -> usize {
    one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(names: &[&str]) -> Result<(tempfile::TempDir, Bodies), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let spool = Store::open(folder.path())?.spool("out", "file");
        let place = folder.path().join("spool/out.file");
        std::fs::create_dir_all(&place)?;
        for (at, name) in names.iter().enumerate() {
            std::fs::write(place.join(format!("{at:020}-run-{name}-1.body")), "")?;
        }
        let mut bodies = Bodies { all: Vec::new(), errors: Vec::new(), outputs: Vec::new() };
        bodies.add("out", true, &spool);
        Ok((folder, bodies))
    }

    #[test]
    fn ids_are_as_long_as_it_takes() -> Result<(), Box<dyn std::error::Error>> {
        let (_folder, bodies) =
            bodies(&["0000000011112222", "0000000011113333", "ffff000011112222", "ffff.1"])?;
        let short = bodies.short_ids();
        assert_eq!(short, ["0000000011112", "0000000011113", "ffff0000", "ffff.1"]);
        for (found, short) in bodies.all.iter().zip(short) {
            let name = bodies.one(short).map(|found| found.entry.name().to_owned());
            assert_eq!(name.ok().as_deref(), Some(found.entry.name()));
        }
        for wanted in ["ffff", "", "0000", "nothing"] {
            assert!(bodies.one(wanted).is_err(), "{wanted}");
        }
        assert!(bodies.one("00000000000000000002-run").is_ok());
        Ok(())
    }
}
