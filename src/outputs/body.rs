//! A payload encoded for an output: in memory, or a file of the spool.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::sync::OnceLock;

/// A body and its length in bytes.
#[derive(Debug)]
pub enum Body {
    /// In memory, when nothing can be kept on disk.
    Memory(Vec<u8>),
    /// A file that no one writes to any more.
    File(Kept),
}

/// An open file of the spool.
#[derive(Debug)]
pub struct Kept {
    file: File,
    length: u64,
    error: OnceLock<String>,
}

impl Body {
    /// A body of nothing.
    pub fn empty() -> Self {
        Self::Memory(Vec::new())
    }

    /// A body in a file.
    ///
    /// # Errors
    /// When the file's length cannot be read.
    pub fn from_file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self::File(Kept { file, length, error: OnceLock::new() }))
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(kept) => kept.length,
        }
    }

    /// A reader from its start. Only one at a time can be used.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(bytes.as_slice())),
            Self::File(kept) => {
                (&kept.file).rewind()?;
                Ok(Box::new(kept))
            }
        }
    }

    /// Why a reader could not go on: then it was the body that failed, and not the output.
    pub fn read_error(&self) -> Option<&str> {
        match self {
            Self::Memory(_) => None,
            Self::File(kept) => kept.error.get().map(String::as_str),
        }
    }
}

impl Read for &Kept {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.file).read(buffer);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.error.get_or_init(|| error.to_string());
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_fails_is_the_bodys_fault() -> io::Result<()> {
        // A folder can be opened, and not read.
        let body = Body::from_file(File::open("/")?)?;
        assert_eq!(body.read_error(), None);
        assert!(body.open()?.read(&mut [0; 8]).is_err());
        assert!(body.read_error().is_some());
        Ok(())
    }
}
