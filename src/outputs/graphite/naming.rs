//! What Graphite calls a datapoint: a name, and tags where it has them.

use collectors::datapoint::{LabelKind, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::template::{Piece, Template};
use crate::payload::View;

/// What becomes of text, which Graphite has no values for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::outputs) enum Text {
    /// It is refused, and counted as lost.
    #[default]
    Refuse,
    /// It is the tag `value` of a metric that is always 1 and whose name ends in `_info`.
    Tag,
}

/// How datapoints are named.
#[derive(Debug, Clone, Copy)]
pub(in crate::outputs) struct Naming<'a> {
    pub(in crate::outputs) name: &'a Template,
    pub(in crate::outputs) has_tags: bool,
    pub(in crate::outputs) text: Text,
    pub(in crate::outputs) host: &'a str,
}

/// A datapoint as Graphite knows it.
#[derive(Debug, PartialEq)]
pub(in crate::outputs) struct Named {
    pub(in crate::outputs) name: String,
    /// By name.
    pub(in crate::outputs) tags: Vec<(String, String)>,
    pub(in crate::outputs) value: Number,
    /// In seconds since 1970.
    pub(in crate::outputs) time: i64,
}

/// A number as it stands in the datapoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::outputs) enum Number {
    Int(i64),
    Uint(u64),
    Float(f64),
}

impl Number {
    /// As text that every reader of decimal numbers takes.
    pub(in crate::outputs) fn text(self) -> String {
        match self {
            Self::Int(int) => int.to_string(),
            Self::Uint(uint) => uint.to_string(),
            Self::Float(float) => zmij::Buffer::new().format_finite(float).to_owned(),
        }
    }
}

/// Without tags each node is a folder or a file, with `.wsp` behind it. carbon logs what it cannot create, and goes on.
const NODE_CAP_BYTES: usize = 255 - ".wsp".len();
/// carbon ends the connection at a line of more than 16 384 bytes, without a word.
const NAME_CAP_BYTES: usize = 16_000;

impl Naming<'_> {
    /// Names a datapoint.
    ///
    /// # Errors
    /// Why Graphite has no place for it.
    pub(in crate::outputs) fn name(&self, view: View<'_>) -> Result<Named, &'static str> {
        let (value, text) = match view.value() {
            Value::Int(int) => (Number::Int(int), None),
            Value::Uint(uint) => (Number::Uint(uint), None),
            Value::Float(float) => (Number::Float(float.get()), None),
            Value::Text(_) if self.text == Text::Refuse => {
                return Err("Graphite holds numbers, and this is text");
            }
            Value::Text(text) => (Number::Int(1), Some(text)),
        };
        let time = view.point.timestamp_ms.div_euclid(1000);
        if !(0..=i64::from(u32::MAX)).contains(&time) {
            return Err("its time is beyond the years 1970 to 2106 that Graphite can hold");
        }
        let mut name = self.path(view);
        if name.is_empty() {
            return Err("nothing is left of its name");
        }
        if text.is_some() && !name.ends_with("_info") {
            name.push_str("_info");
        }
        let mut tags = Vec::new();
        if self.has_tags {
            let labels = view.labels(LabelKind::Identity);
            let own = [("host", self.host), ("target", view.target())];
            let text = text.as_deref().map(|text| ("value", text));
            // The first of a name counts: the text, then the datapoint's labels.
            for (tag, value) in text.into_iter().chain(labels).chain(own) {
                let (tag, value) = (tag_name(tag), tag_value(value));
                let is_known = tags.iter().any(|(known, _)| *known == tag);
                if !tag.is_empty() && !value.is_empty() && !is_known {
                    tags.push((tag, value));
                }
            }
            tags.sort_unstable();
        }
        if !self.has_tags && name.split('.').any(|node| node.len() > NODE_CAP_BYTES) {
            return Err("a part of its name is longer than the name of a file can be");
        }
        let tags_bytes: usize = tags.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        if name.len() + tags_bytes > NAME_CAP_BYTES {
            return Err("its name is so long that carbon would end the connection");
        }
        Ok(Named { name, tags, value, time })
    }

    /// The name: nodes with dots between them, none of them empty.
    fn path(&self, view: View<'_>) -> String {
        let mut path = String::new();
        for piece in self.name.pieces() {
            match piece {
                Piece::Text(text) => path.push_str(&nodes(text)),
                Piece::Key => path.push_str(&nodes(view.key())),
                Piece::Target => path.push_str(&node(view.target())),
                Piece::Host => path.push_str(&node(self.host)),
                Piece::Job => path.push_str(&node(view.job)),
                Piece::Label(name) => {
                    let label = view.labels(LabelKind::Identity).find(|(known, _)| known == name);
                    path.push_str(&node(label.map_or("", |(_, value)| value)));
                }
                Piece::Labels => {
                    let values: Vec<_> = self.name.other_labels(view).map(node).collect();
                    path.push_str(&values.join("."));
                }
            }
        }
        let nodes: Vec<_> = path.split('.').filter(|node| !node.is_empty()).collect();
        nodes.join(".")
    }
}

/// A text that is one node of a name.
fn node(text: &str) -> String {
    nodes(text).replace('.', "_")
}

/// A text that may be several nodes.
fn nodes(text: &str) -> String {
    clean(text, |c| {
        !matches!(
            c,
            '/' | '\\'
                | '*'
                | '?'
                | '{'
                | '}'
                | '['
                | ']'
                | '('
                | ')'
                | ','
                | '"'
                | '\''
                | ';'
                | '='
                | '~'
                | '!'
                | '^'
                | '|'
                | '<'
                | '>'
                | '#'
                | '`'
        )
    })
}

fn tag_name(text: &str) -> String {
    clean(text, |c| !matches!(c, ';' | '!' | '^' | '='))
}

fn tag_value(text: &str) -> String {
    let value = clean(text, |c| c != ';');
    // It would be taken for a pattern.
    match value.strip_prefix('~') {
        Some(rest) => format!("_{rest}"),
        None => value,
    }
}

/// The text with `_` in the place of white space, control characters, and what `is_good` does not let through.
fn clean(text: &str, is_good: impl Fn(char) -> bool) -> String {
    let is_good = |c: char| !c.is_whitespace() && !c.is_control() && is_good(c);
    text.chars().map(|c| if is_good(c) { c } else { '_' }).collect()
}
