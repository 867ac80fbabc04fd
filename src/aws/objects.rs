//! The text of an object in S3, remembered for a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::bucket::{self, Bucket};
use crate::report::{chain, table};

/// How long it may take to find out that S3 cannot be asked where there is an old text. One request may take a third.
const PATIENCE: Duration = Duration::from_secs(6);
/// An object is refused beyond this, in bytes.
const OBJECT_CAP_BYTES: u64 = 16 * 1024 * 1024;

/// Why an object's text cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object cannot be read.
    #[error(transparent)]
    Bucket(#[from] bucket::Error),
    /// It is not text.
    #[error("not UTF-8 text")]
    NotText,
}

/// An object that was read.
#[derive(Clone)]
struct Remembered {
    bucket: String,
    key: String,
    text: String,
    fetched: Instant,
}

/// An object as text, which is fetched when what is remembered of it is as old as `ttl`. The old text serves when S3
/// cannot be asked; not when S3 refuses. It is given up before `ends_by`, while there is time left to use the old one.
///
/// # Errors
/// Why it cannot be had.
pub fn text(bucket: &str, key: &str, ttl: Duration, ends_by: Instant) -> Result<String, Error> {
    static TEXTS: Mutex<Vec<Remembered>> = Mutex::new(Vec::new());
    let texts = || TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let is_it = |known: &&Remembered| known.bucket == bucket && known.key == key;
    let known = texts().iter().find(is_it).cloned();
    if let Some(known) = known.as_ref().filter(|known| known.fetched.elapsed() < ttl) {
        return Ok(known.text.clone());
    }
    let ends_by = match known {
        Some(_) => ends_by.min(Instant::now() + PATIENCE),
        None => ends_by,
    };
    let place = Bucket::new(bucket, None, None, &|name| std::env::var_os(name));
    let fetched = place.until(Some(ends_by)).get(key, OBJECT_CAP_BYTES);
    let text = match (fetched, known) {
        (Ok(object), _) => String::from_utf8(object.bytes).map_err(|_| Error::NotText)?,
        (Err(error), Some(known)) if error.is_passing() => {
            let (why, age) = (chain(&error), table::short(known.fetched.elapsed()));
            log::warn!("`s3://{bucket}/{key}`: {why}; its text of {age} ago is used");
            return Ok(known.text);
        }
        (Err(error), _) => return Err(error.into()),
    };
    let (bucket, key) = (bucket.to_owned(), key.to_owned());
    let mut texts = texts();
    texts.retain(|known| known.bucket != bucket || known.key != key);
    texts.push(Remembered { bucket, key, text: text.clone(), fetched: Instant::now() });
    Ok(text)
}
