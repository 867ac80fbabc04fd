//! The one way in which a file that lasts is written: without a name or under a temporary one, flushed, put in place, and
//! the folder flushed too. A reader sees the old file or the new one, never half of one, whenever the machine stops.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat_with};
use rustix::io::Errno;

/// The ending of names that are not yet in place; an old one is of a run that was killed.
const TEMPORARY: &str = "tmp";
/// Where the kernel shows this process's open files by their numbers.
const OPEN_FILES: &str = "/proc/self/fd";
/// After how long a temporary file is nobody's any more.
const LEFTOVER_AGE: Duration = Duration::from_secs(3_600);

/// Writes `path` (mode 0600; its folder is made with 0700 where it is missing) with what `fill` writes, in place
/// of what is there.
///
/// # Errors
/// Any of the steps; nothing is left behind then.
pub fn write<T>(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    put(folder_of(path), fill, |_| path.to_owned(), |from, to| fs::rename(from, to))
        .map(|(_, done)| done)
}

/// Writes `path` in one piece in place of what is there, and leaves it to the kernel when it is flushed: a reader sees
/// the old file or the new one, but a power cut may take the new one.
///
/// # Errors
/// Any of the steps; nothing is left behind then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    // Always the same: what a run that was killed has left is written over.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder_of(path).join(format!(".{name}.{TEMPORARY}"));
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary);
    let replaced = file
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path));
    if replaced.is_err() {
        // The first error is the one to tell.
        drop(fs::remove_file(&temporary));
    }
    replaced
}

/// As [`write()`], where nothing may be there yet.
///
/// # Errors
/// Any of the steps; [`io::ErrorKind::AlreadyExists`] when another was first.
pub fn create<T>(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    create_named(folder_of(path), fill, |_| path.file_name().unwrap_or_default().to_owned())
        .map(|(_, done)| done)
}

/// The same for a file whose name depends on what was written. Gives back its path and `fill`'s result.
///
/// # Errors
/// Those of [`create`].
pub fn create_named<T>(
    folder: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    name: impl FnOnce(&T) -> OsString,
) -> io::Result<(PathBuf, T)> {
    make_folder(folder)?;
    let Some(file) = unnamed(folder) else {
        return put(folder, fill, |done| folder.join(name(done)), place);
    };
    let (mut file, done) = flushed(file, fill)?;
    let path = folder.join(name(&done));
    let open = format!("{OPEN_FILES}/{}", file.as_raw_fd());
    match linkat(CWD, open, CWD, &path, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => flush(folder),
        Err(error @ Errno::EXIST) => return Err(error.into()),
        // Somebody forbids that: it gets its name in the usual way.
        Err(_) => {
            file.rewind()?;
            put(folder, |to| io::copy(&mut file, to), |_| path.clone(), place)?;
        }
    }
    Ok((path, done))
}

/// A file that has no name yet, so that nothing is left of it when the run is killed; `None` where the file system has
/// no such files, or there is no way to name one.
fn unnamed(folder: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR).ok()?;
    Path::new(OPEN_FILES).is_dir().then(|| file.into())
}

/// Moves a file, within one file system, where nothing may be there yet. Both folders are flushed.
///
/// # Errors
/// When it stays where it was.
pub fn relocate(from: &Path, to: &Path) -> io::Result<()> {
    make_folder(folder_of(to))?;
    place(from, to)?;
    flush(folder_of(to));
    flush(folder_of(from));
    Ok(())
}

/// Makes a folder and those above it (mode 0700), each flushed in the one that holds it.
///
/// # Errors
/// When one cannot be made.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        folder.ancestors().take_while(|f| !f.as_os_str().is_empty() && !f.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            // Another run was first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            made => made?,
        }
        flush(folder_of(folder));
    }
    Ok(())
}

/// Some random hex digits, for a name that no other run has.
///
/// # Errors
/// When the kernel has no random numbers.
pub fn random_suffix() -> io::Result<String> {
    let random: [u8; 8] = crate::host::random()?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

fn put<T>(
    folder: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    path: impl FnOnce(&T) -> PathBuf,
    place: impl FnOnce(&Path, &Path) -> io::Result<()>,
) -> io::Result<(PathBuf, T)> {
    make_folder(folder)?;
    let temporary = folder.join(format!(".{}.{TEMPORARY}", random_suffix()?));
    let written = fill_file(&temporary, fill).and_then(|done| {
        let path = path(&done);
        place(&temporary, &path)?;
        Ok((path, done))
    });
    match &written {
        Ok(_) => flush(folder),
        // The first error is the one to tell; this one would only say the same again.
        Err(_) => drop(fs::remove_file(&temporary)),
    }
    written
}

fn fill_file<T>(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    flushed(file, fill).map(|(_, result)| result)
}

fn flushed<T>(
    file: File,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> io::Result<(File, T)> {
    let mut writer = BufWriter::with_capacity(64 * 1024, file);
    let result = fill(&mut writer)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    Ok((file, result))
}

/// Renames without replacing; where the file system cannot, a hard link does the same.
fn place(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}

/// Makes names in a folder last. The file is in place by now and must not be taken for one that is not.
fn flush(folder: &Path) {
    if let Err(error) = File::open(folder).and_then(|folder| folder.sync_all()) {
        log::warn!("`{}` cannot be flushed to disk: {error}", folder.display());
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a file is one that a run had begun which was killed, long ago.
pub fn is_leftover(file: &fs::DirEntry) -> bool {
    let name = file.file_name();
    let is_temporary = name.as_encoded_bytes().starts_with(b".")
        && Path::new(&name).extension().is_some_and(|extension| extension == TEMPORARY);
    let age = || file.metadata().ok()?.modified().ok()?.elapsed().ok();
    is_temporary && age().is_some_and(|age| age > LEFTOVER_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tested = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn what_is_there_is_not_replaced_unless_that_is_meant() -> Tested {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("new/below/file");
        create(&path, |file| file.write_all(b"first"))?;
        let second = create(&path, |file| file.write_all(b"second"));
        assert_eq!(second.map_err(|error| error.kind()), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path)?, b"first");
        write(&path, |file| file.write_all(b"third"))?;
        assert_eq!(fs::read(&path)?, b"third");
        assert_eq!(fs::read_dir(folder_of(&path))?.count(), 1);
        Ok(())
    }
}
