//! Legal names of metrics and labels.

/// A metric's name for a key: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub(super) fn metric(prefix: &str, key: &str) -> String {
    legal(format!("{prefix}{key}").chars(), |c| c == ':')
}

/// A label's name: `[a-zA-Z_][a-zA-Z0-9_]*`, and not one of those that Prometheus keeps for itself.
pub(super) fn label(name: &str) -> String {
    let legal = legal(name.chars(), |_| false);
    match legal.strip_prefix("__") {
        Some(rest) => format!("_{}", rest.trim_start_matches('_')),
        None => legal,
    }
}

fn legal(name: impl Iterator<Item = char>, also: impl Fn(char) -> bool) -> String {
    let mut legal = String::new();
    for c in name {
        if legal.is_empty() && c.is_ascii_digit() {
            legal.push('_');
        }
        let is_legal = c.is_ascii_alphanumeric() || c == '_' || also(c);
        legal.push(if is_legal { c } else { '_' });
    }
    legal
}

/// Whether names may begin with this.
///
/// # Errors
/// What is wrong with it.
pub(in crate::outputs) fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() || metric("", prefix) == prefix {
        return Ok(());
    }
    Err(format!("`{prefix}` cannot begin a metric's name: letters, digits, `_` and `:` can"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_legal_becomes_an_underscore() {
        assert_eq!(metric("", "cpu.load-1 %"), "cpu_load_1__");
        assert_eq!(metric("", "1min:load"), "_1min:load");
        assert_eq!(metric("c_", "1min"), "c_1min");
        assert_eq!(metric("", "größe"), "gr__e");
        assert_eq!(label("a:b"), "a_b");
        assert_eq!(label("__name__"), "_name__");
        assert_eq!(label("___"), "_");
        assert_eq!(label("2nd"), "_2nd");
    }

    #[test]
    fn an_option_with_a_name_that_is_not_legal_is_a_mistake() {
        assert_eq!(check_prefix(""), Ok(()));
        assert_eq!(check_prefix("collector_"), Ok(()));
        assert!(check_prefix("a-").is_err());
    }

    proptest! {
        #[test]
        fn every_name_is_made_legal(name in "\\PC+") {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let label = label(&name);
            prop_assert!(label.chars().all(is_word) && !label.starts_with("__"));
            prop_assert!(!label.starts_with(|c: char| c.is_ascii_digit()) && !label.is_empty());
            let metric = metric("", &name);
            prop_assert!(metric.chars().all(|c| is_word(c) || c == ':'));
            prop_assert!(!metric.starts_with(|c: char| c.is_ascii_digit()) && !metric.is_empty());
        }
    }
}
