//! Length and checksum in a body's name: what a disk has made another body of is not sent.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};

use crc32fast::Hasher;

/// How much is read at once, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a body's bytes come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Sum {
    /// How many they are.
    pub(in crate::store) bytes: u64,
    crc32: u32,
}

impl Sum {
    /// Of a body in memory.
    pub(in crate::store) fn of(body: &[u8]) -> Self {
        Self { bytes: body.len() as u64, crc32: crc32fast::hash(body) }
    }

    /// As a part of a name: `<bytes>.<checksum>`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (bytes, crc32) = text.split_once('.')?;
        Some(Self { bytes: bytes.parse().ok()?, crc32: u32::from_str_radix(crc32, 16).ok()? })
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:08x}", self.bytes, self.crc32)
    }
}

/// A writer that sums up what goes through it.
pub(super) struct Summing<'a> {
    to: &'a mut dyn Write,
    hasher: Hasher,
    bytes: u64,
}

impl<'a> Summing<'a> {
    pub(super) fn new(to: &'a mut dyn Write) -> Self {
        Self { to, hasher: Hasher::new(), bytes: 0 }
    }

    /// What was written comes to this.
    pub(super) fn sum(self) -> Sum {
        Sum { bytes: self.bytes, crc32: self.hasher.finalize() }
    }
}

impl Write for Summing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What is said of a body that is not what was written.
pub(in crate::store) fn damaged() -> io::Error {
    io::Error::other("it is damaged: its checksum does not fit")
}

/// Fails when a file is not what was written.
pub(in crate::store) fn check(mut file: &File, expected: Sum) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length != expected.bytes {
        return Err(damaged());
    }
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; BUFFER_BYTES.min(length.try_into().unwrap_or(BUFFER_BYTES))];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    if hasher.finalize() == expected.crc32 { Ok(()) } else { Err(damaged()) }
}
