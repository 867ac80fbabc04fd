//! Snappy's block format, written while the content is made.
//!
//! The format is the content's length and then compressed blocks of 64 KiB, each by itself. So only the length must
//! be known beforehand, and a body need not be in memory.

use std::io::{self, Write};

use snap::raw::{Encoder, max_compress_len};

use crate::outputs::protobuf::{put_varint, varint_bytes};

/// What snappy compresses at once.
const BLOCK_BYTES: usize = 64 * 1024;

/// Takes content and writes blocks.
pub(super) struct Blocks<'a> {
    to: &'a mut dyn Write,
    encoder: Encoder,
    pending: Vec<u8>,
    compressed: Vec<u8>,
}

impl<'a> Blocks<'a> {
    /// Begins a body whose content will have so many bytes.
    pub(super) fn begin(content_bytes: u64, to: &'a mut dyn Write) -> io::Result<Self> {
        if u32::try_from(content_bytes).is_err() {
            return Err(io::Error::other("the body would exceed 4 GiB, which snappy cannot hold"));
        }
        let mut head = Vec::new();
        put_varint(content_bytes, &mut head);
        to.write_all(&head)?;
        Ok(Self {
            to,
            encoder: Encoder::new(),
            pending: Vec::with_capacity(2 * BLOCK_BYTES),
            compressed: vec![0; max_compress_len(BLOCK_BYTES)],
        })
    }

    /// Where the content goes.
    pub(super) fn content(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Writes what has become whole blocks.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.pending.len() < BLOCK_BYTES {
            return Ok(());
        }
        self.write(self.pending.len() / BLOCK_BYTES * BLOCK_BYTES)
    }

    /// Writes the rest.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write(self.pending.len())
    }

    fn write(&mut self, bytes: usize) -> io::Result<()> {
        for block in self.pending[..bytes].chunks(BLOCK_BYTES) {
            let written = self.encoder.compress(block, &mut self.compressed)?;
            // It puts the block's own length in front, which only the whole has.
            let head = varint_bytes(block.len() as u64);
            self.to.write_all(&self.compressed[head..written])?;
        }
        self.pending.drain(..bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_blocks_are_those_that_snap_makes_of_the_whole() {
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0] & 0b1001
        };
        for length in [0, 1, 20, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7]
        {
            let content: Vec<u8> = (0..length).map(|_| byte()).collect();
            let mut written = Vec::new();
            let mut blocks = Blocks::begin(length as u64, &mut written).expect("a vector");
            for piece in content.chunks(1_000) {
                blocks.content().extend_from_slice(piece);
                blocks.settle().expect("a vector");
            }
            blocks.finish().expect("a vector");
            assert_eq!(written, Encoder::new().compress_vec(&content).expect("small"), "{length}");
        }
    }

    #[test]
    fn a_body_beyond_snappys_size_is_refused_before_anything_is_written() {
        let mut written = Vec::new();
        assert!(Blocks::begin(1 << 32, &mut written).is_err());
        assert!(written.is_empty());
    }
}
