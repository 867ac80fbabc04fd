//! The `Link` header (RFC 8288).

/// The target of the link that is the next page: `<https://h/p?page=2>; rel="next"`.
pub(super) fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let end = end_of_parameters(after);
        if is_next(&after[..end]) {
            return Some(target.trim());
        }
        rest = &after[end..];
    }
    None
}

/// Where the comma is that ends a link's parameters; one between quotes does not.
fn end_of_parameters(text: &str) -> usize {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        let relations = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("rel")
            && relations.split_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_the_links() {
        for (header, expected) in [
            (
                r#"<https://h/?page=1>; rel="prev", <https://h/?page=3>; rel="next""#,
                Some("https://h/?page=3"),
            ),
            (r#"</a?x=1,2>;title="a, <b>; rel=next";REL=Next"#, Some("/a?x=1,2")),
            (r#"<a>; rel="last next""#, Some("a")),
            (r#"<a>; rel="nextish", <b>; rel=last"#, None),
            ("<a; rel=next", None),
            ("", None),
            (r#"<a>; rel="next"#, Some("a")),
            ("é<é>;é,", None),
        ] {
            assert_eq!(next(header), expected, "{header}");
        }
    }
}
