//! The line protocol's escapes.
//!
//! A name or tag value cannot end in a backslash there, and cannot hold a line feed: the one is left out, the other
//! becomes `\n`, as Telegraf does it.

/// Appends a measurement's name.
pub(super) fn measurement(text: &str, out: &mut Vec<u8>) {
    name_but_for(text, b", ", out);
}

/// Appends a tag's name or value, or a field's name.
pub(super) fn name(text: &str, out: &mut Vec<u8>) {
    name_but_for(text, b",= ", out);
}

fn name_but_for(text: &str, special: &[u8], out: &mut Vec<u8>) {
    let text = text.trim_end_matches('\\');
    for byte in text.bytes() {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\x0c' => out.extend_from_slice(b"\\f"),
            _ => {
                if special.contains(&byte) {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        }
    }
}

/// Appends a text as a field's value.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// How long the line is with which `body` begins, its end included. Texts may hold line feeds.
pub(super) fn line_bytes(body: &[u8]) -> usize {
    let mut at = after(body, 0, b' ');
    at = after(body, at, b'=');
    if body.get(at) == Some(&b'"') {
        at = after(body, at + 1, b'"');
    }
    memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |end| at + end + 1)
}

/// The place behind the first `wanted` that no backslash stands before.
fn after(body: &[u8], from: usize, wanted: u8) -> usize {
    let mut at = from;
    while let Some(&byte) = body.get(at) {
        at += match byte {
            b'\\' => 2,
            _ if byte == wanted => return at + 1,
            _ => 1,
        };
    }
    body.len()
}

/// The measurement, tags and field of the line with which `body` begins.
pub(super) fn head(body: &[u8]) -> &[u8] {
    let end = after(body, after(body, 0, b' '), b'=');
    &body[..end.saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_escapes() {
        let written = |write: fn(&str, &mut Vec<u8>), given: &str| {
            let mut out = Vec::new();
            write(given, &mut out);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(written(measurement, "a b,c=d\"\\"), "a\\ b\\,c=d\"");
        assert_eq!(written(name, "a b,c=d\\e\n\\\\"), "a\\ b\\,c\\=d\\e\\n");
        assert_eq!(written(text, "a \"b\"\\\nc"), "\"a \\\"b\\\"\\\\\nc\"");
    }

    #[test]
    fn a_line_ends_where_no_text_goes_on() {
        for line in [
            "m value=1 2\n",
            "m\\ x,a=say\\ \"hi value=1i 2\n",
            "m,a=b\\=c value=\"a\nb \\\" = c\\\\\" 2\n",
            "m value=1 2",
        ] {
            assert_eq!(line_bytes(line.as_bytes()), line.len(), "{line}");
            if line.ends_with('\n') {
                let two = format!("{line}n value=2 3\n");
                assert_eq!(line_bytes(two.as_bytes()), line.len(), "{line}");
            }
        }
        assert_eq!(head(b"m\\ x,a=b\\=c val\\=ue=1i 2\n"), b"m\\ x,a=b\\=c val\\=ue");
        for broken in ["", "\\", "m", "m \\", "m value=\"", "m value=\"\\"] {
            assert_eq!(line_bytes(broken.as_bytes()), broken.len(), "{broken}");
            assert!(head(broken.as_bytes()).len() <= broken.len());
        }
    }
}
