//! The one way in which a file that lasts is written: under a temporary name, flushed, renamed, and the folder
//! flushed too. A reader sees the old file or the new one, never half of one, whenever the machine stops.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The ending of names that are not yet in place; a leftover is of a run that was killed.
pub const TEMPORARY: &str = "tmp";

/// Writes `path` (mode 0600; its folder is made with 0700 where it is missing) with what `fill` writes.
///
/// # Errors
/// Any of the steps; nothing is left behind then.
pub fn write<T>(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let name = path.file_name().unwrap_or_default();
    write_named(path.parent().unwrap_or(Path::new(".")), fill, |_| name.into())
        .map(|(_, done)| done)
}

/// The same for a file whose name depends on what was written. Gives back its path and `fill`'s result.
///
/// # Errors
/// Any of the steps; nothing is left behind then.
pub fn write_named<T>(
    folder: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    name: impl FnOnce(&T) -> OsString,
) -> io::Result<(PathBuf, T)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{}-{count}.{TEMPORARY}", std::process::id()));
    let written = fill_file(&temporary, fill).and_then(|done| {
        let path = folder.join(name(&done));
        fs::rename(&temporary, &path)?;
        File::open(folder)?.sync_all()?;
        Ok((path, done))
    });
    if written.is_err() {
        // The first error is the one to tell; this one would only say the same again.
        fs::remove_file(&temporary).ok();
    }
    written
}

fn fill_file<T>(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut writer = BufWriter::with_capacity(64 * 1024, file);
    let result = fill(&mut writer)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    Ok(result)
}
