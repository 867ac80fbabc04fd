//! The checksum that identifies a series: a chain of SHA-256 links.
//!
//! The chain starts with `sha256(key + data type)`; each further link is
//! `sha256(hex of the link before + name + value)`: one for each identity label, then one for the agent's host
//! name, id, target and program.
//!
//! From the second link on, a message is 64 hex digits, which is exactly one block, and a tail that many
//! datapoints share, padding included. Up to the agent's id nothing depends on the target, so that this much
//! of the chain, the stem, is remembered for the next target with the same key.

use sha2::block_api::compress256;

use crate::payload::Agent;
use collectors::datapoint::trim;

/// SHA-256's first state (FIPS 180-4, 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

const BLOCK_BYTES: usize = 64;

/// How many stems a thread remembers at most: 44 bytes each.
const STEMS_MAX: usize = 1 << 15;

type Block = [u8; BLOCK_BYTES];

/// A digest as hex digits: just one block.
pub(super) type Hex = [u8; BLOCK_BYTES];

/// The end of a message, padded.
#[derive(Debug, Clone, Default)]
struct Tail(Vec<Block>);

impl Tail {
    fn new(before_bytes: usize, parts: &[&str]) -> Self {
        let mut tail = Self::default();
        tail.set(before_bytes, parts);
        tail
    }

    /// The tail of a message in which whole blocks of `before_bytes` precede `parts`.
    fn set(&mut self, before_bytes: usize, parts: &[&str]) {
        let parts_bytes: usize = parts.iter().map(|part| part.len()).sum();
        // Behind the message stand one byte that ends it and eight that count its bits.
        let blocks = (parts_bytes + 1 + 8).div_ceil(BLOCK_BYTES);
        self.0.clear();
        self.0.resize(blocks, [0; BLOCK_BYTES]);
        let bytes = self.0.as_flattened_mut();
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part.as_bytes());
            at += part.len();
        }
        bytes[at] = 0x80;
        let bits = (before_bytes + parts_bytes) as u64 * 8;
        let count_at = bytes.len() - 8;
        bytes[count_at..].copy_from_slice(&bits.to_be_bytes());
    }

    /// The digest of a message that is nothing but this.
    fn digest(&self) -> [u32; 8] {
        let mut state = START;
        compress256(&mut state, &self.0);
        state
    }

    /// The next link of a chain: the digest of `before` in hex and this.
    fn link(&self, before: &[u32; 8]) -> [u32; 8] {
        let mut state = START;
        compress256(&mut state, &[hex(before)]);
        compress256(&mut state, &self.0);
        state
    }
}

/// Lower-case hex digits of a digest.
fn hex(digest: &[u32; 8]) -> Hex {
    let mut digits = [0; BLOCK_BYTES];
    for (word, eight) in digest.iter().zip(digits.as_chunks_mut::<8>().0) {
        *eight = hex_digits(*word);
    }
    digits
}

/// All eight digits at once; digit by digit this would take longer than the hashing.
fn hex_digits(word: u32) -> [u8; 8] {
    // Spread out until each byte holds four bits.
    let mut nibbles = u64::from(word);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 in each byte that is 10 or more, which 6 more carry into the upper half.
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    let digits = nibbles + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - 10 - b'0');
    digits.to_be_bytes()
}

/// What the chains of one payload have in common.
#[derive(Debug)]
pub(super) struct Chain {
    hostname: Tail,
    id: Tail,
    program: Tail,
}

/// All that makes a series, as numbers that are equal where the text is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Series {
    /// Key, data type and labels.
    pub identity: Identity,
    /// The target's text.
    pub target: u32,
}

/// All that makes a series but its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    /// The key's text.
    pub key: u32,
    /// The data type's code.
    pub data_type: u8,
    /// The identity labels.
    pub labels: u32,
}

#[derive(Debug, Clone, Copy)]
struct Stem {
    identity: Identity,
    digest: [u32; 8],
}

/// A thread's workplace: what it remembers from one checksum to the next.
#[derive(Debug)]
pub(super) struct Checksums<'a> {
    chain: &'a Chain,
    stems: Vec<Option<Stem>>,
    target: Option<u32>,
    target_tail: Tail,
    scratch: Tail,
}

impl Chain {
    pub(super) fn new(agent: &Agent) -> Self {
        let tail = |name, value| Tail::new(BLOCK_BYTES, &[name, trim(value)]);
        Self {
            hostname: tail("pattoo_agent_hostname", &agent.hostname),
            id: tail("pattoo_agent_id", &agent.id),
            program: tail("pattoo_agent_program", &agent.program),
        }
    }

    /// A workplace for about `datapoints` checksums.
    pub(super) fn checksums(&self, datapoints: usize) -> Checksums<'_> {
        let stems = datapoints.next_power_of_two().clamp(64, STEMS_MAX);
        Checksums {
            chain: self,
            stems: vec![None; stems],
            target: None,
            target_tail: Tail::default(),
            scratch: Tail::default(),
        }
    }
}

impl Checksums<'_> {
    /// The checksum of a series; the texts behind its numbers are `key` and the data type's code, `labels` and
    /// `target`.
    pub(super) fn checksum<'a>(
        &mut self,
        series: Series,
        key: (&str, u8),
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        target: &str,
    ) -> Hex {
        let stem = self.stem(series.identity, key, labels);
        if self.target != Some(series.target) {
            self.target = Some(series.target);
            self.target_tail.set(BLOCK_BYTES, &["pattoo_agent_polled_target", target]);
        }
        hex(&self.chain.program.link(&self.target_tail.link(&stem)))
    }

    fn stem<'a>(
        &mut self,
        identity: Identity,
        (key, code): (&str, u8),
        labels: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> [u32; 8] {
        let place = place(identity, self.stems.len());
        match &self.stems[place] {
            Some(stem) if stem.identity == identity => return stem.digest,
            _ => {}
        }
        self.scratch.set(0, &[key, itoa::Buffer::new().format(code)]);
        let mut digest = self.scratch.digest();
        for (name, value) in labels {
            self.scratch.set(BLOCK_BYTES, &[name, value]);
            digest = self.scratch.link(&digest);
        }
        digest = self.chain.id.link(&self.chain.hostname.link(&digest));
        self.stems[place] = Some(Stem { identity, digest });
        digest
    }
}

/// Keys count from 0, so that few of them fall onto the same place, and labels are spread among them.
fn place(identity: Identity, places: usize) -> usize {
    let labels = identity.labels.wrapping_mul(0x9e37_79b1);
    (identity.key ^ labels ^ u32::from(identity.data_type) << 7) as usize & (places - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(message: &str) -> String {
        String::from_utf8(hex(&Tail::new(0, &[message]).digest()).to_vec()).expect("ASCII")
    }

    #[test]
    fn a_message_that_is_one_tail_has_the_published_digest() {
        // FIPS 180-4's own examples, of one block and of two.
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
    }

    proptest! {
        #[test]
        fn hex_digits_are_those_of_the_standard_library(word: u32) {
            let (digits, expected) = (hex_digits(word), format!("{word:08x}"));
            prop_assert_eq!(&digits[..], expected.as_bytes());
        }
    }
}
