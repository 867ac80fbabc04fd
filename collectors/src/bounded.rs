//! Reading no more than was agreed.

use std::io::{self, Read};

/// Why something could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is more than may be read.
    #[error("there are more than {max_bytes} bytes ({limit})")]
    TooLong {
        /// How much may be read.
        max_bytes: u64,
        /// What sets that limit, such as an option.
        limit: &'static str,
    },
    /// The reader failed.
    #[error("reading failed")]
    Io(#[from] io::Error),
}

/// Everything there is, if that is at most `max_bytes`, which `limit` sets.
///
/// # Errors
/// [`Error`] when there is more, or the reader fails.
pub fn read(reader: impl Read, max_bytes: u64, limit: &'static str) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = reader.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if read as u64 > max_bytes { Err(Error::TooLong { max_bytes, limit }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_read_and_what_does_not_is_an_error() {
        assert_eq!(read(&b"four"[..], 4, "the test").expect("it fits"), b"four");
        let error = read(io::repeat(0), 4, "the test").expect_err("no end");
        assert_eq!(error.to_string(), "there are more than 4 bytes (the test)");
    }
}
