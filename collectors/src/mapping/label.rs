//! Labels of an element: picked from it, or fixed.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

use super::element::{Element, Found, NotFound};
use super::json;
use super::pick::Pick;
use super::short::text_or_map;
use crate::datapoint::{Label, LabelKind};

/// Where a label's value is, or the value itself.
#[derive(Debug, Clone, Serialize)]
#[serde(into = "Form")]
pub(super) enum LabelRule {
    /// In the element.
    From {
        /// Where.
        from: Pick,
        /// Whether it may be missing.
        optional: bool,
    },
    /// The same for all.
    Text(String),
}

/// A label as a map.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Form {
    /// Where its value is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Pick>,
    /// Its value, the same for all elements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// With `from`: nothing is said when it is missing.
    #[serde(default)]
    optional: bool,
}

impl LabelRule {
    pub(super) fn pick(&self) -> Option<&Pick> {
        match self {
            Self::From { from, .. } => Some(from),
            Self::Text(_) => None,
        }
    }

    /// The label of this element; `None` when it may be missing and is.
    pub(super) fn read<E: Element + ?Sized>(
        &self,
        name: &str,
        kind: LabelKind,
        element: &E,
    ) -> Result<Option<Label<'static>>, String> {
        let (from, optional) = match self {
            Self::Text(text) => return make(name, kind, text).map(Some),
            Self::From { from, optional } => (from, *optional),
        };
        if let (true, Err(NotFound::Missing(_))) = (optional, element.find(from)) {
            return Ok(None);
        }
        make(name, kind, &text_of(element, from)?).map(Some)
    }
}

fn make(name: &str, kind: LabelKind, value: &str) -> Result<Label<'static>, String> {
    let label = match kind {
        LabelKind::Identity => Label::new(name, value),
        LabelKind::Info => Label::info(name, value),
    };
    label.map(Label::into_owned).map_err(|flaw| flaw.to_string())
}

/// What is picked, as text.
pub(super) fn text_of<E: Element + ?Sized>(element: &E, pick: &Pick) -> Result<String, String> {
    match element.find(pick).map_err(|error: NotFound| error.to_string())? {
        Found::Text(text) => Ok(text.to_owned()),
        Found::Json(json) => json::scalar_text(json)
            .map(Cow::into_owned)
            .map_err(|reason| format!("`{}`: {reason}", pick.as_str())),
    }
}

impl TryFrom<Form> for LabelRule {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        match form {
            Form { from: Some(from), text: None, optional } => Ok(Self::From { from, optional }),
            Form { from: None, text: Some(text), optional: false } => Ok(Self::Text(text)),
            _ => Err("a label needs either `from` or `text`".into()),
        }
    }
}

impl From<LabelRule> for Form {
    fn from(rule: LabelRule) -> Self {
        match rule {
            LabelRule::From { from, optional } => Self { from: Some(from), text: None, optional },
            LabelRule::Text(text) => Self { from: None, text: Some(text), optional: false },
        }
    }
}

impl<'de> Deserialize<'de> for LabelRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_map(
            deserializer,
            "where the label's value is, or a map with `from` or `text`",
            |text| {
                let from = Pick::parse(text).map_err(|error| error.to_string())?;
                Ok(Self::From { from, optional: false })
            },
            |form: Form| Self::try_from(form),
        )
    }
}

impl JsonSchema for LabelRule {
    fn schema_name() -> Cow<'static, str> {
        "LabelRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a label's value is, or `{text: …}` for a fixed one.",
            "anyOf": [generator.subschema_for::<Pick>(), generator.subschema_for::<Form>()]
        })
    }
}
