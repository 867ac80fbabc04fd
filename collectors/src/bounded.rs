//! Reading no more than was agreed.

use std::io::{self, Read};

/// Why something could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is more than may be read.
    #[error("there are more than {0} bytes (`max_bytes`)")]
    TooLong(u64),
    /// The reader failed.
    #[error("reading failed")]
    Io(#[from] io::Error),
}

/// Everything there is, if that is at most `max_bytes`.
pub(crate) fn read(reader: impl Read, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = reader.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if read as u64 > max_bytes { Err(Error::TooLong(max_bytes)) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_read_and_what_does_not_is_an_error() {
        assert_eq!(read(&b"four"[..], 4).expect("it fits"), b"four");
        assert!(matches!(read(io::repeat(0), 4), Err(Error::TooLong(4))));
    }
}
