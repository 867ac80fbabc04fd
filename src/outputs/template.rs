//! Names made of what a datapoint has, such as `servers.{target}.{key}`.

use std::borrow::Cow;
use std::fmt;

use collectors::datapoint::LabelKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::payload::View;

/// A text with places in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

/// A piece of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it stands.
    Text(String),
    /// `{key}`: what was measured.
    Key,
    /// `{target}`: what was polled.
    Target,
    /// `{host}`: the agent's host.
    Host,
    /// `{job}`: the job that brought it.
    Job,
    /// `{label.NAME}`: that label's value.
    Label(String),
    /// `{labels}`: the values of the labels that have no place of their own, by their names.
    Labels,
}

/// Why a text is no template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("the name is empty")]
    Empty,
    #[error("`{0}` has a brace without its counterpart")]
    Brace(String),
    #[error(
        "`{{{0}}}` is no place, expected `{{key}}`, `{{target}}`, `{{host}}`, `{{job}}`, \
         `{{labels}}` or `{{label.NAME}}`"
    )]
    Unknown(String),
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (plain, after) = match rest.split_once('{') {
                Some((plain, after)) => (plain, Some(after)),
                None => (rest, None),
            };
            if plain.contains('}') {
                return Err(Flaw::Brace(text.to_owned()));
            }
            if !plain.is_empty() {
                pieces.push(Piece::Text(plain.to_owned()));
            }
            let Some(after) = after else { break };
            let (place, after) =
                after.split_once('}').ok_or_else(|| Flaw::Brace(text.to_owned()))?;
            pieces.push(match (place, place.strip_prefix("label.")) {
                ("key", _) => Piece::Key,
                ("target", _) => Piece::Target,
                ("host", _) => Piece::Host,
                ("job", _) => Piece::Job,
                ("labels", _) => Piece::Labels,
                // Labels' names are lower case.
                (_, Some(name)) if !name.is_empty() => Piece::Label(name.to_lowercase()),
                _ => return Err(Flaw::Unknown(place.to_owned())),
            });
            rest = after;
        }
        if pieces.is_empty() { Err(Flaw::Empty) } else { Ok(Self(pieces)) }
    }

    /// This one with more behind it.
    pub(super) fn followed_by(&self, more: impl IntoIterator<Item = Piece>) -> Self {
        Self(self.0.iter().cloned().chain(more).collect())
    }

    /// Its pieces, at least one.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The name of a datapoint, as it stands; several labels have dots between them. Where it has none, the signs before
    /// their place are left out as well.
    pub(super) fn of(&self, view: View<'_>, host: &str) -> String {
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Key => name.push_str(view.key()),
                Piece::Target => name.push_str(view.target()),
                Piece::Host => name.push_str(host),
                Piece::Job => name.push_str(view.job),
                Piece::Label(wanted) => {
                    let label = view.labels(LabelKind::Identity).find(|(known, _)| known == wanted);
                    name.push_str(label.map_or("", |(_, value)| value));
                }
                Piece::Labels => {
                    let values: Vec<_> = self.other_labels(view).collect();
                    if values.is_empty() {
                        name.truncate(name.trim_end_matches(['.', '_', '-', ':', '/']).len());
                    }
                    name.push_str(&values.join("."));
                }
            }
        }
        name
    }

    /// The name for all that a job does; what a datapoint alone has is left out.
    pub(super) fn of_job(&self, job: &str, host: &str) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Host => host,
            Piece::Job => job,
            Piece::Key | Piece::Target | Piece::Label(_) | Piece::Labels => "",
        });
        pieces.collect()
    }

    /// Whether it can be made without a datapoint.
    pub(super) fn is_of_jobs(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_) | Piece::Host | Piece::Job))
    }

    /// The values of a datapoint's labels that have no place of their own, by their names.
    pub(super) fn other_labels<'a>(&self, view: View<'a>) -> impl Iterator<Item = &'a str> {
        let mut labels: Vec<_> = view.labels(LabelKind::Identity).collect();
        labels.retain(|(name, _)| !self.has(&Piece::Label((*name).to_owned())));
        labels.sort_unstable();
        labels.into_iter().map(|(_, value)| value)
    }

    /// Whether it has that place.
    pub(super) fn has(&self, piece: &Piece) -> bool {
        self.0.contains(piece)
    }

    /// Whether it is the same for all labels.
    pub(super) fn is_without_labels(&self) -> bool {
        !self.0.iter().any(|piece| matches!(piece, Piece::Label(_) | Piece::Labels))
    }
}

impl<const PIECES: usize> From<[Piece; PIECES]> for Template {
    fn from(pieces: [Piece; PIECES]) -> Self {
        Self(pieces.into())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Key => f.write_str("{key}"),
            Piece::Target => f.write_str("{target}"),
            Piece::Host => f.write_str("{host}"),
            Piece::Job => f.write_str("{job}"),
            Piece::Label(name) => write!(f, "{{label.{name}}}"),
            Piece::Labels => f.write_str("{labels}"),
        })
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name with places such as `{key}`, `{target}`, `{host}`, `{job}`, `{label.NAME}`, `{labels}`.",
            "type": "string",
            "minLength": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_printed_as_it_was_written() {
        for text in ["{key}", "a.{host}.{job}.{target}-{label.room}.{labels}", "plain"] {
            assert_eq!(Template::parse(text).map(|template| template.to_string()), Ok(text.into()));
        }
    }

    #[test]
    fn what_is_no_template_is_told() {
        assert_eq!(Template::parse(""), Err(Flaw::Empty));
        assert_eq!(Template::parse("{key"), Err(Flaw::Brace("{key".into())));
        assert_eq!(Template::parse("key}"), Err(Flaw::Brace("key}".into())));
        assert_eq!(Template::parse("{keys}"), Err(Flaw::Unknown("keys".into())));
        assert_eq!(Template::parse("{label.}"), Err(Flaw::Unknown("label.".into())));
    }
}
