//! What foreign programs say, made fit for errors and logs: without secrets, control characters, or end.

use percent_encoding::utf8_percent_encode;
use zeroize::Zeroizing;

use crate::secret::{REDACTED, Secret};
use crate::web::ESCAPED;

/// The longest text that is kept of a line; the rest is cut off.
pub const TEXT_BYTES: usize = 4096;

/// A value in the configuration itself that is shorter than this is taken for a word, not for a secret.
const SHORTEST_PLAIN_BYTES: usize = 4;

/// The secrets that a text may hold by accident.
#[derive(Default)]
pub struct Redact {
    /// The longest first, so that none is hidden by a part of itself.
    needles: Vec<Zeroizing<String>>,
}

impl Redact {
    /// Hides these secrets, also as they stand in a URL and in JSON, and each line of those that have several. One
    /// without a value hides nothing.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets {
            let shortest = if secret.reference().is_some() { 1 } else { SHORTEST_PLAIN_BYTES };
            let lines = secret.expose().unwrap_or_default().lines().map(str::trim);
            let lines = lines.filter(|line| line.len() >= shortest);
            needles.extend(lines.flat_map(forms));
        }
        needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        needles.dedup();
        Self { needles }
    }

    /// How much of a line must be at hand so that no secret is cut in two at [`TEXT_BYTES`].
    pub fn bytes_needed(&self) -> usize {
        TEXT_BYTES + self.needles.first().map_or(0, |needle| needle.len())
    }

    /// The text with secrets hidden, control characters replaced, and cut off after [`TEXT_BYTES`].
    pub fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len().min(TEXT_BYTES));
        let mut rest = text;
        // The limit counts the bytes that were read: what redaction shortens brings no cut-off secret in.
        while let Some(next) = rest.chars().next() {
            if text.len() - rest.len() >= TEXT_BYTES {
                out.push('…');
                break;
            }
            let needle = self.needles.iter().find(|needle| rest.starts_with(needle.as_str()));
            let taken = match needle {
                Some(needle) => {
                    out.push_str(REDACTED);
                    needle.len()
                }
                None => {
                    let is_odd = next.is_control() && next != '\t';
                    out.push(if is_odd { char::REPLACEMENT_CHARACTER } else { next });
                    next.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        out
    }
}

/// The text as it is, in a URL, in a form, and in JSON.
fn forms(text: &str) -> [Zeroizing<String>; 4] {
    let in_url = utf8_percent_encode(text, ESCAPED).to_string();
    let in_form = in_url.replace("%20", "+");
    let in_json = serde_json::Value::from(text).to_string();
    let in_json = in_json[1..in_json.len() - 1].to_owned();
    [text.to_owned(), in_url, in_form, in_json].map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_control_characters_are_hidden_and_the_end_is_cut_off() {
        let secrets = [Secret::plain("hunter2"), Secret::plain("hunter22"), Secret::plain("on")];
        let redact = Redact::new(&secrets);
        assert_eq!(redact.text("on hunter22\u{1b}[m"), "on [redacted]\u{fffd}[m");
        let long = format!("hunter2{}hunter2 and more", "x".repeat(TEXT_BYTES - 10));
        let told = redact.text(&long);
        assert!(told.ends_with("xx[redacted]…"), "{told}");
        assert!(!told.contains("hunt"));
    }

    #[test]
    fn a_secret_is_hidden_in_each_of_its_forms() {
        let redact = Redact::new(&[Secret::plain("a b&\"c")]);
        for form in ["a b&\"c", "a%20b%26%22c", "a+b%26%22c", "a b&\\\"c"] {
            assert_eq!(redact.text(&format!("<{form}>")), "<[redacted]>");
        }
    }

    #[test]
    fn each_line_of_a_secret_is_hidden() {
        let redact = Redact::new(&[Secret::plain("BEGIN\nabcdef\n")]);
        assert_eq!(redact.text("key: abcdef"), "key: [redacted]");
    }
}
