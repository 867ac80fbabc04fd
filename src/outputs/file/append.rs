//! A body to the end of a file, whole or not at all.
//!
//! Before the first byte, a file beside it (`.<name>.append`) says durably where the body begins. A run that is
//! killed leaves that file behind, and the next one takes back what it finds after that place: the body is still
//! in the spool, and comes again whole.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::super::Body;
use crate::store::durable;

/// How often a lock that is held, or a pipe that is full, is tried again.
const PAUSE: Duration = Duration::from_millis(10);
const CHUNK_BYTES: usize = 64 * 1024;

/// Appends `body` to `path`, before `deadline`. A pipe or device takes what it takes.
///
/// # Errors
/// When it is not there whole; a file is then as long as before.
pub(super) fn append(path: &Path, body: &Body, deadline: Instant) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        durable::make_folder(folder)?;
    }
    let is_new = !path.exists();
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        // Opening a pipe that nobody reads must not wait.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return copy(&mut body.open()?, &mut file, deadline);
    }
    lock(&file, path, deadline)?;
    if is_new {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    let journal = Journal::beside(path);
    journal.recover(&file)?;
    let begin = file.metadata()?;
    journal.begin(&begin, body.length());
    let written = copy(&mut body.open()?, &mut file, deadline).and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(begin.len())?;
    }
    journal.end();
    written
}

fn copy(from: &mut dyn Read, to: &mut dyn Write, deadline: Instant) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            in_time(deadline)?;
            match to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// Two outputs or runs with the same file take turns.
fn lock(file: &File, path: &Path, deadline: Instant) -> io::Result<()> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {
                in_time(deadline)?;
                thread::sleep(PAUSE);
            }
            Err(TryLockError::Error(error)) => {
                log::warn!("`{}` cannot be locked: {error}", path.display());
                return Ok(());
            }
        }
    }
}

fn in_time(deadline: Instant) -> io::Result<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no time was left to write it"))
}

/// Where the body that is being appended begins.
struct Journal {
    path: PathBuf,
}

impl Journal {
    fn beside(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self { path: path.with_file_name(format!(".{name}.append")) }
    }

    /// Takes back what a run that was killed has begun.
    fn recover(&self, file: &File) -> io::Result<()> {
        let Some([device, inode, begin, length]) = self.read() else { return Ok(()) };
        let found = file.metadata()?;
        let is_same = (found.dev(), found.ino()) == (device, inode);
        // Longer than the body could have made it: somebody else has appended, and that is not ours to take.
        if is_same && (begin..=begin.saturating_add(length)).contains(&found.len()) {
            file.set_len(begin)?;
            file.sync_data()?;
        }
        Ok(())
    }

    fn read(&self) -> Option<[u64; 4]> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let numbers: Option<Vec<u64>> = text.split_whitespace().map(|n| n.parse().ok()).collect();
        numbers?.try_into().ok()
    }

    /// Without a journal the body goes out all the same; only a kill in its midst would then leave half of it.
    fn begin(&self, file: &Metadata, length: u64) {
        let line = format!("{} {} {} {length}\n", file.dev(), file.ino(), file.len());
        let written = durable::write(&self.path, |to| to.write_all(line.as_bytes()));
        if let Err(error) = written {
            log::debug!("`{}`: {error}", self.path.display());
        }
    }

    fn end(&self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            log::warn!("`{}`: {error}", self.path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    fn body(text: &str) -> Body {
        Body::Memory(text.as_bytes().to_vec())
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn devices_take_bodies_too() -> Tested {
        append(Path::new("/dev/null"), &body("a\n"), soon())?;
        Ok(())
    }

    #[test]
    fn a_pipe_that_nobody_reads_is_not_waited_for() -> Tested {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)?;
        assert!(append(&path, &body("a\n"), soon()).is_err());
        Ok(())
    }

    #[test]
    fn what_a_killed_run_began_is_taken_back_and_nothing_else() -> Tested {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out");
        // Somebody's last line has no end, and stays.
        fs::write(&path, "theirs")?;
        Journal::beside(&path).begin(&fs::metadata(&path)?, 10);
        fs::write(&path, "theirs, half a")?;
        append(&path, &body("whole\n"), soon())?;
        assert_eq!(fs::read_to_string(&path)?, "theirswhole\n");
        assert_eq!(fs::read_dir(folder.path())?.count(), 1);
        Journal::beside(&path).begin(&fs::metadata(&path)?, 2);
        fs::write(&path, "theirswhole\nsomebody else\n")?;
        append(&path, &body("whole\n"), soon())?;
        assert_eq!(fs::read_to_string(&path)?, "theirswhole\nsomebody else\nwhole\n");
        Ok(())
    }

    #[test]
    fn a_file_that_is_held_is_waited_for_until_the_deadline() -> Tested {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out");
        let held = File::create(&path)?;
        held.lock()?;
        let late = append(&path, &body("a\n"), Instant::now() + PAUSE);
        assert_eq!(late.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        drop(held);
        append(&path, &body("a\n"), soon())?;
        assert_eq!(fs::read_to_string(&path)?, "a\n");
        Ok(())
    }

    #[test]
    fn a_body_that_cannot_be_read_leaves_the_file_as_it_was() -> Tested {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("out");
        fs::write(&path, "before\n")?;
        let unreadable = Body::from_file(File::open("/")?)?;
        assert!(append(&path, &unreadable, soon()).is_err());
        assert_eq!(fs::read_to_string(&path)?, "before\n");
        Ok(())
    }
}
