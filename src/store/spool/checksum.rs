//! The checksum in a body's name: what a disk has made another body of is not sent.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use crc32fast::Hasher;

/// How much is read at once, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// A writer that sums up what goes through it.
pub(super) struct Summing<'a> {
    to: &'a mut dyn Write,
    hasher: Hasher,
}

impl<'a> Summing<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> Self {
        Self { to, hasher: Hasher::new() }
    }

    /// The checksum of what was written.
    pub(super) fn sum(self) -> u32 {
        self.hasher.finalize()
    }
}

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Fails when a file is not what was written.
pub(super) fn check(mut file: &File, expected: u32) -> io::Result<()> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    if hasher.finalize() == expected {
        return Ok(());
    }
    Err(io::Error::other("it is damaged: its checksum does not fit"))
}
