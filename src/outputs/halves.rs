//! Bodies of lines, taken apart.

use super::Part;

/// The two halves of a body of lines, a datapoint each; `None` when it has one. `line_bytes` says how long the line
/// is with which a text begins, its end included: at least 1, and at most the text.
pub(super) fn of_lines(body: &[u8], line_bytes: impl Fn(&[u8]) -> usize) -> Option<[Part; 2]> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < body.len() {
        at += line_bytes(&body[at..]).clamp(1, body.len() - at);
        ends.push(at);
    }
    let first = ends.len() / 2;
    let middle = *ends.get(first.checked_sub(1)?)?;
    let part =
        |bytes: &[u8], lines: usize| Part { bytes: bytes.to_vec(), datapoints: lines as u64 };
    Some([part(&body[..middle], first), part(&body[middle..], ends.len() - first)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shared_out_and_none_is_lost() {
        for (body, expected) in [
            ("", None),
            ("a 1\n", None),
            ("a 1\nb 2\n", Some(("a 1\n", 1, "b 2\n", 1))),
            ("a 1\nb 2\nc 3", Some(("a 1\n", 1, "b 2\nc 3", 2))),
        ] {
            let line = |text: &[u8]| text.iter().take_while(|byte| **byte != b'\n').count() + 1;
            let halves = of_lines(body.as_bytes(), line);
            let halves = halves.as_ref().map(|[a, b]| {
                let text = |part: &Part| String::from_utf8_lossy(&part.bytes).into_owned();
                (text(a), a.datapoints, text(b), b.datapoints)
            });
            let expected = expected.map(|(a, m, b, n)| (a.to_owned(), m, b.to_owned(), n));
            assert_eq!(halves, expected);
        }
    }
}
