//! Protobuf written by hand: the large bodies, whose parts are put together from what was encoded before.
//!
//! Only what these bodies need, with field numbers below 16. Whatever is small, and whatever is read, goes through
//! `prost`; the tests hold the two against each other.

/// A field with a length before its content: text or a message.
pub(super) const fn delimited(field: u8) -> u8 {
    field << 3 | 2
}

/// A field of eight bytes.
pub(super) const fn fixed64(field: u8) -> u8 {
    field << 3 | 1
}

/// A field of a number of variable length.
pub(super) const fn varint(field: u8) -> u8 {
    field << 3
}

/// Writes a number in seven bits a byte.
pub(super) fn put_varint(mut number: u64, to: &mut Vec<u8>) {
    while number >= 0x80 {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// How many bytes that takes.
pub(super) const fn varint_bytes(number: u64) -> usize {
    (63 - (number | 1).leading_zeros() as usize) / 7 + 1
}

/// Writes the head of a field whose content of that many bytes follows.
pub(super) fn put_head(field: u8, content_bytes: usize, to: &mut Vec<u8>) {
    to.push(delimited(field));
    put_varint(content_bytes as u64, to);
}

/// How many bytes head and content take.
pub(super) const fn field_bytes(content_bytes: usize) -> usize {
    1 + varint_bytes(content_bytes as u64) + content_bytes
}

/// Writes a text or an encoded message.
pub(super) fn put_bytes(field: u8, content: &[u8], to: &mut Vec<u8>) {
    put_head(field, content.len(), to);
    to.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_prost_gives_them() {
        let steps = (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1]);
        for number in steps.chain([u64::MAX]) {
            let mut bytes = Vec::new();
            put_varint(number, &mut bytes);
            assert_eq!(bytes.len(), varint_bytes(number), "{number}");
            let length = usize::try_from(number).expect("64 bits");
            assert_eq!(prost::decode_length_delimiter(bytes.as_slice()), Ok(length));
            assert_eq!(bytes.len(), prost::length_delimiter_len(length));
        }
    }
}
