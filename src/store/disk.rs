//! A folder as the place of what lasts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use super::lock::{Holding, NotLocked, Term};
use super::shelf::{Contents, Fill, Measure, Shelf, Version};
use super::spool::{Sum, checksum};
use super::{durable, lock};
use crate::outputs::Body;

/// The file system.
#[derive(Debug)]
pub(super) struct Disk;

impl Shelf for Disk {
    fn list(&self, folder: &Path) -> Contents {
        let mut contents = Contents::default();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return contents,
            Err(error) => return Contents { error: Some(error), ..contents },
        };
        for entry in entries {
            match entry {
                Ok(entry) if durable::is_leftover(&entry) => contents.leftovers.push(entry.path()),
                // What is nothing but a name is a file until somebody wants to read it.
                Ok(entry) if is_folder(&entry) => contents.folders.push(entry.path()),
                Ok(entry) => contents.files.push(entry.path()),
                Err(error) => contents.error = Some(error),
            }
        }
        contents
    }

    fn has(&self, folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> bool {
        match fs::read_dir(folder) {
            // The first is enough.
            Ok(mut files) => files.any(|file| file.is_ok_and(|file| is_wanted(&file.path()))),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    fn read(&self, path: &Path) -> io::Result<(Vec<u8>, Version)> {
        let mut bytes = Vec::new();
        open(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
        Ok((bytes, Version::Any))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(open(path, OpenOptions::new().read(true))?))
    }

    fn end(&self, path: &Path, cap_bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let mut file = open(path, OpenOptions::new().read(true))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(cap_bytes)))?;
        let mut end = Vec::new();
        file.take(cap_bytes).read_to_end(&mut end)?;
        Ok(Some(end))
    }

    fn body(&self, path: &Path, sum: Option<Sum>) -> io::Result<Body> {
        // Opening a pipe would wait for a writer.
        if !fs::symlink_metadata(path)?.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let file = File::open(path)?;
        if let Some(expected) = sum {
            checksum::check(&file, expected)?;
        }
        Body::from_file(file)
    }

    fn create(&self, folder: &Path, fill: &mut Fill<'_>) -> io::Result<PathBuf> {
        durable::create_named(folder, fill, Clone::clone).map(|(path, _)| path)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        durable::write(path, |file| file.write_all(content))
    }

    fn succeed(
        &self,
        path: &Path,
        content: &[u8],
        _: &Version,
        older: Option<&Path>,
    ) -> io::Result<()> {
        if let Some(older) = older {
            fs::rename(path, older)?;
        }
        durable::replace(path, content)
    }

    fn append(&self, path: &Path, line: &[u8], cap_bytes: u64, older: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = open(path, &mut options)?;
        let length = file.metadata()?.len();
        if length > 0 && length + line.len() as u64 > cap_bytes {
            fs::rename(path, older)?;
            file = open(path, &mut options)?;
        } else if length > 0 {
            let mut last = [0];
            file.read_exact_at(&mut last, length - 1)?;
            if last != *b"\n" {
                // Behind half a line, which is of a run that was killed or found the disk full.
                return file.write_all(&[b"\n", line].concat());
            }
        }
        file.write_all(line)
    }

    fn relocate(&self, from: &Path, to: &Path, anew: bool) -> io::Result<()> {
        if anew {
            let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
            let now = Timestamps { last_access: now, last_modification: now };
            utimensat(CWD, from, &now, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        durable::relocate(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn clear(&self, path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        }
    }

    fn measure(&self, path: &Path) -> io::Result<Measure> {
        let found = fs::symlink_metadata(path)?;
        if !found.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Measure { bytes: found.len(), made: found.modified().ok() })
    }

    fn correct_age(&self, path: &Path, leap: Duration) -> io::Result<()> {
        let made = fs::symlink_metadata(path)?.modified()?;
        // Where a run was killed at this point it is done again.
        let made = made.checked_add(leap).unwrap_or(made).min(SystemTime::now());
        let since = made.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tv_sec = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let last_modification = Timespec { tv_sec, tv_nsec: since.subsec_nanos().into() };
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access, last_modification };
        Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn lock(&self, path: &Path, term: Term) -> Result<Box<dyn Holding>, NotLocked> {
        lock::of_file(path, term.wait_until)
    }
}

fn is_folder(entry: &fs::DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink() && entry.path().is_dir())
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Opening a pipe with nobody at its other end must not wait.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = options.mode(0o600).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}
