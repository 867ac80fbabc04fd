//! The mount table, and which of its entries are worth a look.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::row::Malformed;

/// A line of `/proc/<pid>/mountinfo`. Bytes, because a mount point need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// `major:minor` of the file system, the same for each place where it is mounted.
    file_system: String,
    /// The directory of the file system that is mounted; `/` is all of it.
    directory: Vec<u8>,
    /// Where it is mounted.
    pub(super) mountpoint: Vec<u8>,
    /// Its type, such as `ext4`.
    pub(super) fstype: String,
    /// What is mounted, mostly a device.
    pub(super) source: String,
}

/// The lines that can be read, and the first mistake of the others.
///
/// # Errors
/// [`Malformed::Empty`].
pub(super) fn parse(table: &[u8]) -> Result<(Vec<Mount>, Option<Malformed>), Malformed> {
    if table.trim_ascii().is_empty() {
        return Err(Malformed::Empty);
    }
    let mut mounts = Vec::new();
    let mut mistake = None;
    for (index, line) in table.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse_line(line) {
            Ok(mount) => mounts.push(mount),
            Err(expected) => {
                mistake.get_or_insert(Malformed::Short { line: index + 1, expected });
            }
        }
    }
    Ok((mounts, mistake))
}

/// `36 35 98:0 /dir /mnt/point rw,noatime master:1 - ext4 /dev/root rw`, where the number of fields before the
/// `-` varies (proc(5)); the error is what is missing.
fn parse_line(line: &[u8]) -> Result<Mount, &'static str> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut field = |expected| fields.next().ok_or(expected);
    field("a mount id")?;
    field("a parent's id")?;
    let file_system = lossy(field("a device number")?);
    let directory = unescape(field("a directory")?);
    let mountpoint = unescape(field("a mount point")?);
    while field("a separator")? != b"-" {}
    let fstype = lossy(field("a file system type")?);
    let source = lossy(&unescape(field("a device")?));
    Ok(Mount { file_system, directory, mountpoint, fstype, source })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The kernel writes space, tab, newline, backslash and `#` as `\` and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        if let (b'\\', Some(byte)) = (first, after.get(..3).and_then(octal)) {
            out.push(byte);
            rest = &after[3..];
        } else {
            out.push(first);
            rest = after;
        }
    }
    out
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(digit - b'0'),
        _ => None,
    })
}

/// The mounts that can be seen: of those on one mount point the last hides the others.
pub(super) fn visible(mounts: Vec<Mount>) -> Vec<Mount> {
    let topmost: HashMap<Vec<u8>, usize> =
        mounts.iter().enumerate().map(|(index, mount)| (mount.mountpoint.clone(), index)).collect();
    let is_topmost = |index: &usize, mount: &Mount| topmost[&mount.mountpoint] == *index;
    mounts
        .into_iter()
        .enumerate()
        .filter(|(index, mount)| is_topmost(index, mount))
        .map(|(_, mount)| mount)
        .collect()
}

/// Each file system once, in the order of the table: where all of it is mounted rather than a part (a bind
/// mount), then where the path is shortest.
pub(super) fn one_per_file_system(mounts: Vec<Mount>) -> Vec<Mount> {
    let rank = |mount: &Mount| (mount.directory != b"/", mount.mountpoint.len());
    let mut best: HashMap<String, usize> = HashMap::new();
    for (index, mount) in mounts.iter().enumerate() {
        match best.entry(mount.file_system.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(index);
            }
            Entry::Occupied(mut entry) => {
                if rank(mount) < rank(&mounts[*entry.get()]) {
                    entry.insert(index);
                }
            }
        }
    }
    let is_best = |index: usize, mount: &Mount| best.get(&mount.file_system) == Some(&index);
    let mut chosen = Vec::with_capacity(best.len());
    for (index, mount) in mounts.into_iter().enumerate() {
        if is_best(index, &mount) {
            chosen.push(mount);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(mounts: &[Mount]) -> Vec<String> {
        mounts.iter().map(|mount| lossy(&mount.mountpoint)).collect()
    }

    fn table(text: &str) -> Vec<Mount> {
        let (mounts, mistake) = parse(text.as_bytes()).expect("a table");
        assert_eq!(mistake, None);
        mounts
    }

    #[test]
    fn optional_fields_and_escapes_are_understood() {
        let mounts = table(
            "36 35 98:0 /sub /mnt/a\\040b\\134043 rw,noatime master:1 shared:2 - ext4 /dev/x\\040y rw\n\
             37 35 0:9 / /mnt/- rw - fuse.x  rw\n",
        );
        assert_eq!(points(&mounts), ["/mnt/a b\\043", "/mnt/-"]);
        assert_eq!(mounts[0].source, "/dev/x y");
        assert_eq!((mounts[1].fstype.as_str(), mounts[1].source.as_str()), ("fuse.x", ""));
    }

    #[test]
    fn an_escape_that_is_none_stays() {
        for text in ["\\", "\\04", "\\999", "\\777", "a\\0"] {
            assert_eq!(unescape(text.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn good_lines_survive_bad_ones() {
        let (mounts, mistake) =
            parse(b"\xff\xfe\n36 35 98:0 / /m\xff rw - ext4 /dev/a rw\n36 35 98:0 / /n rw")
                .expect("some");
        assert_eq!(mounts[0].mountpoint, b"/m\xff");
        assert_eq!(mounts.len(), 1);
        let mistake = mistake.expect("two bad lines").to_string();
        assert_eq!(mistake, "line 1 ends where a parent's id was expected");
        assert_eq!(parse(b"\n \n"), Err(Malformed::Empty));
    }

    #[test]
    fn what_is_hidden_or_mounted_twice_is_told_once() {
        let mounts = table(
            "1 0 8:5 /srv /srv rw - ext4 /dev/sda5 rw\n\
             2 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
             3 0 8:9 / /data rw - xfs /dev/old rw\n\
             4 0 8:5 / /mnt/long/path rw - ext4 /dev/sda5 rw\n\
             5 0 8:7 / /data rw - xfs /dev/new rw\n\
             6 0 0:40 /@home /home rw - btrfs /dev/sdb rw\n\
             7 0 0:40 /@ /b rw - btrfs /dev/sdb rw\n",
        );
        let mounts = visible(mounts);
        assert_eq!(points(&mounts), ["/srv", "/", "/mnt/long/path", "/data", "/home", "/b"]);
        assert_eq!(mounts[3].source, "/dev/new");
        let mounts = one_per_file_system(mounts);
        assert_eq!(points(&mounts), ["/", "/mnt/long/path", "/data", "/b"]);
    }
}
