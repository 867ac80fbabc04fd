//! What a board looks like: the template, as `boarddump` of the Telemetry project prints it too.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A board without the ids that tell it from its copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Its name where it was dumped; a copy has its own.
    #[serde(default)]
    pub name: String,
    /// How it looks.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub theme: Json,
    /// Whether its name is shown.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub display_board_name: Json,
    /// Of which shape it is.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub aspect_ratio: Json,
    /// Its letters.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub font_family: Json,
    /// How large they are.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub font_size: Json,
    /// What is behind its widgets.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub widget_background: Json,
    /// The room between them.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub widget_margins: Json,
    /// The room within them.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub widget_padding: Json,
    /// What stands on it.
    pub widgets: Vec<Widget>,
}

/// A widget of a board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Widget {
    /// What it shows; `None` for one that shows nothing that changes.
    #[serde(default)]
    pub flow: Option<Flow>,
    /// Of which kind it is: `value`, `gauge`, …
    pub variant: String,
    /// The column in which it begins.
    #[serde(default)]
    pub column: Json,
    /// The row in which it begins.
    #[serde(default)]
    pub row: Json,
    /// How many columns it takes.
    #[serde(default)]
    pub width: Json,
    /// How many rows it takes.
    #[serde(default)]
    pub height: Json,
    /// Its place among those that cover it.
    #[serde(default)]
    pub in_board_index: Json,
    /// What is behind it.
    #[serde(default)]
    pub background: Json,
}

/// What a widget shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Its tag, without a board's prefix.
    pub tag: String,
    /// What it holds at first.
    #[serde(default)]
    pub data: Json,
}

impl Widget {
    /// Whether it is of the same kind, in the same place and of the same size as the template says.
    pub(super) fn looks_like(&self, template: &Self) -> bool {
        let all = |widget: &Self| {
            let Self { column, row, width, height, in_board_index, background, .. } = widget;
            [column, row, width, height, in_board_index, background].map(comparable)
        };
        self.variant == template.variant && agree(all(self), all(template))
    }

    /// Whether it is of the same kind and begins at the same place as the template says.
    pub(super) fn begins_like(&self, template: &Self) -> bool {
        let place = |widget: &Self| [&widget.column, &widget.row].map(comparable);
        self.variant == template.variant && agree(place(self), place(template))
    }
}

/// What the template leaves open is for the server to choose.
fn agree<const N: usize>(own: [Json; N], template: [Json; N]) -> bool {
    own.iter().zip(&template).all(|(own, wanted)| wanted.is_null() || own == wanted)
}

/// What is the same on the wire: 1 and 1.0; nothing and an empty text.
fn comparable(value: &Json) -> Json {
    match value {
        Json::Number(number) => number.as_f64().map_or_else(|| value.clone(), Json::from),
        Json::String(text) if text.is_empty() => Json::Null,
        other => other.clone(),
    }
}
