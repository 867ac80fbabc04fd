//! The bodies that an output will never accept, and what a person may do about them.

use std::io::{self, Read};
use std::sync::Arc;

use super::super::Error;
use super::{Entry, Listing, Spool};

/// How much of a reason is read, in bytes.
const REASON_CAP_BYTES: u64 = 4 * 1024;

impl Spool {
    /// The bodies that were set aside, oldest first.
    pub fn quarantined(&self) -> Listing {
        Self::new(Arc::clone(&self.shelf), self.folder.join("quarantine")).list()
    }

    /// Why a body was set aside, as far as that is known.
    pub fn reason(&self, entry: &Entry) -> Option<String> {
        let file = self.shelf.open(&entry.path.with_extension("reason")).ok()?;
        let mut bytes = Vec::new();
        file.take(REASON_CAP_BYTES).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Lets a body that was set aside wait again. Its age counts from now, so that it is not given up at once.
    ///
    /// # Errors
    /// [`Error`] when it cannot be moved: it stays where it is.
    pub fn restore(&self, entry: &Entry) -> Result<(), Error> {
        let place = self.folder.join(entry.path.file_name().unwrap_or_default());
        self.shelf
            .relocate(&entry.path, &place, true)
            .map_err(|error| Error::file(&entry.path, error))?;
        self.forget_reason(entry);
        Ok(())
    }

    /// Gives up a body, whether it waits or was set aside.
    ///
    /// # Errors
    /// [`Error`] when it cannot be removed.
    pub fn give_up(&self, entry: &Entry) -> Result<(), Error> {
        // What is no file was set aside because it is none.
        self.shelf.clear(&entry.path).map_err(|error| Error::file(&entry.path, error))?;
        self.forget_reason(entry);
        Ok(())
    }

    /// One that stays does no harm: it says why a body was set aside that is not there.
    fn forget_reason(&self, entry: &Entry) {
        let path = entry.path.with_extension("reason");
        if let Err(error) = self.shelf.remove(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::debug!("`{}`: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::payload::Encoded;
    use crate::store::spool::Caps;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn what_is_restored_waits_anew_and_has_no_reason_any_more() -> Tested {
        let folder = tempfile::tempdir()?;
        let caps = Caps { bytes: u64::MAX, age: Duration::from_secs(7 * 86_400) };
        let spool = Spool::on_disk(folder.path().join("out")).with_caps(caps);
        let encoded = Encoded { datapoints: 3, ..Encoded::default() };
        let (entry, _) = spool.put(1, "run", |to| to.write_all(b"body").map(|()| encoded))?;
        let long_ago = SystemTime::now() - Duration::from_secs(14 * 86_400);
        fs::File::options().write(true).open(entry.path())?.set_modified(long_ago)?;
        spool.quarantine(&entry, "bad key")?;
        let aside = spool.quarantined().entries;
        assert_eq!((aside.len(), aside[0].datapoints), (1, 3));
        assert_eq!(spool.reason(&aside[0]).as_deref(), Some("bad key"));

        spool.restore(&aside[0])?;
        let waiting = spool.list().entries;
        assert_eq!(waiting, [entry]);
        assert_eq!(fs::read(waiting[0].path())?, b"body");
        assert_eq!(spool.beyond_caps(&waiting), []);
        assert_eq!(fs::read_dir(folder.path().join("out/quarantine"))?.count(), 0);
        assert!(fs::metadata(waiting[0].path())?.modified()?.elapsed()? < Duration::from_secs(600));
        Ok(())
    }

    #[test]
    fn what_is_given_up_is_gone_with_its_reason() -> Tested {
        let folder = tempfile::tempdir()?;
        let spool = Spool::on_disk(folder.path().to_owned());
        let aside = folder.path().join("quarantine");
        fs::create_dir_all(aside.join("09223372036854776808-run-5.body/below"))?;
        fs::write(aside.join("09223372036854776808-run-5.reason"), "no regular file")?;
        for entry in spool.quarantined().entries {
            spool.give_up(&entry)?;
        }
        assert_eq!(fs::read_dir(aside)?.count(), 0);
        Ok(())
    }
}
