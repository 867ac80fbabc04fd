//! A JSON array with an element on each line, written as it goes.

use std::io::{self, Write};

/// An array that is open.
pub(super) struct Array<'a> {
    to: &'a mut dyn Write,
    is_empty: bool,
}

impl<'a> Array<'a> {
    pub(super) fn begin(to: &'a mut dyn Write) -> io::Result<Self> {
        to.write_all(b"[")?;
        Ok(Self { to, is_empty: true })
    }

    /// `element` is JSON without line feeds.
    pub(super) fn push(&mut self, element: &[u8]) -> io::Result<()> {
        self.to.write_all(if self.is_empty { b"\n" } else { b",\n" })?;
        self.is_empty = false;
        self.to.write_all(element)
    }

    pub(super) fn end(self) -> io::Result<()> {
        self.to.write_all(b"\n]")
    }
}
