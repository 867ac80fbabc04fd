//! A payload encoded for an output: in memory, or a file of the spool.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// A body and its length in bytes.
#[derive(Debug)]
pub enum Body {
    /// In memory, when nothing can be kept on disk.
    Memory(Vec<u8>),
    /// A file that no one writes to any more.
    File {
        /// Where.
        path: PathBuf,
        /// How long, in bytes.
        length: u64,
    },
}

impl Body {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }

    /// A reader from its start.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        match self {
            Self::Memory(bytes) => Ok(Box::new(bytes.as_slice())),
            Self::File { path, .. } => Ok(Box::new(File::open(path)?)),
        }
    }
}
