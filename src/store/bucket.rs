//! A prefix of a bucket in S3 as the place of what lasts. A file's path is its address, `s3://bucket/prefix/…`.
//!
//! An object is there whole or not at all, and durable when S3 says so. Two runs cannot write the same: what must be new is
//! written on condition that it is not there, what is replaced on condition that it is what was read.

mod lease;

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::lock::{Holding, NotLocked, Term};
use super::shelf::{Contents, Fill, Measure, Shelf, Version};
use super::spool::{Sum, checksum};
use crate::aws::bucket as s3;
use crate::aws::bucket::{Condition, Object};
use crate::config::{Environment, sections};
use crate::outputs::Body;

/// No file is larger, in bytes: it is in memory while it is written and sent.
const FILE_CAP_BYTES: u64 = 256 << 20;
/// No small file (state, history, a reason) is larger, in bytes.
const SMALL_CAP_BYTES: u64 = 64 << 20;
/// A file to which lines are added is written anew with each, so it is shorter here than on disk, in bytes.
const LINES_CAP_BYTES: u64 = 256 << 10;

/// A prefix of a bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    bucket: s3::Bucket,
    root: PathBuf,
    /// What listings have told of the files.
    known: Mutex<HashMap<PathBuf, Measure>>,
}

impl Bucket {
    pub(super) fn new(
        place: &sections::S3,
        environment: Environment<'_>,
        ends_by: Option<Instant>,
    ) -> Self {
        let sections::S3 { bucket, region, endpoint, .. } = place;
        let bucket = s3::Bucket::new(bucket, region.as_deref(), endpoint.as_deref(), environment);
        let root = PathBuf::from(place.to_string());
        Self { bucket: bucket.until(ends_by), root, known: Mutex::default() }
    }

    /// The address of the prefix.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The key of a file.
    fn key<'a>(&self, path: &'a Path) -> io::Result<&'a str> {
        let path = path.to_str().and_then(|path| path.strip_prefix("s3://"));
        let key = path.and_then(|path| path.strip_prefix(self.bucket.name())?.strip_prefix('/'));
        key.ok_or_else(|| io::Error::other("it lies in another bucket"))
    }

    /// The path of a key.
    fn path(&self, key: &str) -> PathBuf {
        PathBuf::from(format!("s3://{}/{}", self.bucket.name(), key.trim_end_matches('/')))
    }

    fn get(&self, path: &Path, cap_bytes: u64) -> io::Result<Object> {
        Ok(self.bucket.get(self.key(path)?, cap_bytes)?)
    }

    fn put(&self, path: &Path, content: &[u8], condition: &Condition) -> io::Result<String> {
        if content.len() as u64 > FILE_CAP_BYTES {
            let mib = FILE_CAP_BYTES >> 20;
            return Err(io::Error::other(format!("larger than {mib} MiB")));
        }
        Ok(self.bucket.put(self.key(path)?, content, condition)?)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<PathBuf, Measure>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for Bucket {
    fn list(&self, folder: &Path) -> Contents {
        let key = match self.key(folder) {
            Ok(key) => format!("{key}/"),
            Err(error) => return Contents { error: Some(error), ..Contents::default() },
        };
        let (listing, error) = self.bucket.list(&key);
        let mut known = self.known();
        let files = listing.items.into_iter().map(|item| {
            let path = self.path(&item.key);
            known.insert(path.clone(), Measure { bytes: item.bytes, made: item.made });
            path
        });
        let folders = listing.folders.iter().map(|key| self.path(key));
        Contents {
            files: files.collect(),
            folders: folders.collect(),
            leftovers: Vec::new(),
            error: error.map(io::Error::from),
        }
    }

    fn read(&self, path: &Path) -> io::Result<(Vec<u8>, Version)> {
        let Object { bytes, tag, .. } = self.get(path, SMALL_CAP_BYTES)?;
        Ok((bytes, tag.map_or(Version::Unknown, Version::Tagged)))
    }

    fn absent(&self) -> Version {
        Version::Absent
    }

    fn unknown(&self) -> Version {
        Version::Unknown
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(self.read(path)?.0)))
    }

    fn body(&self, path: &Path, sum: Option<Sum>) -> io::Result<Body> {
        let cap_bytes = sum.map_or(FILE_CAP_BYTES, |sum| sum.bytes.min(FILE_CAP_BYTES));
        let expected_bytes = if sum.is_some() { cap_bytes } else { 0 };
        let key = self.key(path)?;
        let bytes = match self.bucket.get_expecting(key, cap_bytes, expected_bytes) {
            Err(s3::Error::TooLarge(_)) if sum.is_some() => return Err(checksum::damaged()),
            object => object?.bytes,
        };
        match sum.is_none_or(|sum| sum == Sum::of(&bytes)) {
            true => Ok(Body::Memory(bytes)),
            false => Err(checksum::damaged()),
        }
    }

    fn create(&self, folder: &Path, fill: &mut Fill<'_>) -> io::Result<PathBuf> {
        let mut content = Vec::new();
        let path = folder.join(fill(&mut content)?);
        self.put(&path, &content, &Condition::New)?;
        Ok(path)
    }

    fn retract(&self, path: &Path, error: io::Error) -> io::Error {
        let is_unsettled = s3_error(&error).is_some_and(s3::Error::is_unsettled);
        if !is_unsettled || self.remove(path).is_ok() {
            return error;
        }
        io::Error::new(error.kind(), Doubtful(error))
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.put(path, content, &Condition::None).map(drop)
    }

    fn succeed(
        &self,
        path: &Path,
        content: &[u8],
        version: &Version,
        older: Option<&Path>,
    ) -> io::Result<()> {
        let (condition, tag) = match version {
            Version::Absent => (Condition::New, None),
            Version::Tagged(tag) => (Condition::Is(tag.clone()), Some(tag.as_str())),
            Version::Any | Version::Unknown => {
                let what = "it could not be read, so it stays as it is";
                return Err(io::Error::other(what));
            }
        };
        if let Some(older) = older {
            self.bucket.copy(self.key(path)?, self.key(older)?, tag)?;
        }
        self.put(path, content, &condition).map(drop)
    }

    fn append(&self, path: &Path, line: &[u8], cap_bytes: u64, older: &Path) -> io::Result<()> {
        let cap_bytes = cap_bytes.min(LINES_CAP_BYTES);
        let (mut content, version) = match self.read(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), Version::Absent),
            Err(error) => return Err(error),
        };
        let is_full = !content.is_empty() && (content.len() + line.len()) as u64 > cap_bytes;
        if is_full {
            content.clear();
        }
        content.extend_from_slice(line);
        self.succeed(path, &content, &version, is_full.then_some(older))
    }

    fn relocate(&self, from: &Path, to: &Path, _: bool) -> io::Result<()> {
        // It is the same body where it is there already: a run ended between the two steps.
        self.bucket.copy(self.key(from)?, self.key(to)?, None)?;
        self.remove(from)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Ok(self.bucket.delete(self.key(path)?, None)?)
    }

    fn clear(&self, path: &Path) -> io::Result<()> {
        self.remove(path)
    }

    fn measure(&self, path: &Path) -> io::Result<Measure> {
        self.known().get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn has_own_clock(&self) -> bool {
        true
    }

    fn correct_age(&self, _: &Path, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path, term: Term) -> Result<Box<dyn Holding>, NotLocked> {
        lease::take(&self.bucket, self.key(path), path, term)
    }
}

/// A file that S3 has perhaps, though it did not say so.
#[derive(Debug, thiserror::Error)]
#[error("it may be in the bucket all the same, and then is sent twice")]
struct Doubtful(#[source] io::Error);

/// The error of a bucket.
fn s3_error(error: &io::Error) -> Option<&s3::Error> {
    let inner = error.get_ref()?;
    match inner.downcast_ref::<Doubtful>() {
        Some(Doubtful(error)) => s3_error(error),
        None => inner.downcast_ref(),
    }
}

/// Whether an error of a bucket says nothing about the file; `None`: it is none of a bucket.
pub(super) fn is_passing(error: &io::Error) -> Option<bool> {
    let error = s3_error(error)?;
    Some(error.is_passing() || error.is_denied())
}
