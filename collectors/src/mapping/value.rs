//! A value of an element: where it is, what it means, and what it is multiplied by.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::element::{Element, Found, NotFound};
use super::json::{self, Json};
use super::pick::Pick;
use super::short::text_or_map;
use crate::datapoint::{DataType, Flaw, Value};

/// How a datapoint's value is read.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(into = "Form")]
pub(super) struct ValueRule {
    pub(super) from: Pick,
    pub(super) data_type: Option<DataType>,
    pub(super) unit: Option<String>,
    scale: Option<Scale>,
    pub(super) optional: bool,
}

/// A value as a map.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Form {
    /// Where the value is; without it the whole element is the value.
    #[serde(default)]
    from: Pick,
    /// What it means. By default what it looks like: a number with a fraction is a `float`, one without an
    /// `int`, anything else a `string`. Give it where the source writes `21` and `21.5`: a series has one type.
    /// With `int`, `true` and `false` become 1 and 0.
    #[serde(default, rename = "type")]
    data_type: Option<DataType>,
    /// Its unit, such as `celsius` or `bytes`.
    #[serde(default)]
    unit: Option<String>,
    /// What it is multiplied by. The result is a float, rounded where `type` is an integer.
    #[serde(default)]
    scale: Option<Scale>,
    /// Nothing is said when it is missing.
    #[serde(default)]
    optional: bool,
}

/// A finite factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
#[schemars(transparent)]
#[serde(transparent)]
struct Scale(f64);

impl<'de> Deserialize<'de> for Scale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let factor = f64::deserialize(deserializer)?;
        if factor.is_finite() {
            Ok(Self(factor))
        } else {
            Err(D::Error::custom(format!("a scale of {factor}, expected a finite number")))
        }
    }
}

impl ValueRule {
    /// The value in this element; `None` when it may be missing and is.
    pub(super) fn read<'a, E: Element + ?Sized>(
        &'a self,
        element: &'a E,
    ) -> Result<Option<Value<'a>>, String> {
        let found = match element.find(&self.from) {
            Ok(found) => found,
            Err(NotFound::Missing(_)) if self.optional => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let value = match found {
            Found::Text(text) => {
                from_text(text, self.data_type).map_err(|flaw| flaw.to_string())?
            }
            Found::Json(json) => from_json(json, self.data_type)?,
        };
        match self.scale {
            None => Ok(Some(value)),
            Some(Scale(factor)) => match scaled(value, factor, self.data_type) {
                Ok(value) => Ok(Some(value)),
                Err(flaw) => Err(flaw.to_string()),
            },
        }
    }
}

fn from_json(json: &Json, data_type: Option<DataType>) -> Result<Value<'_>, String> {
    if let Some(literal) = json::out_of_range(json) {
        return Err(format!("the number {literal} is out of range"));
    }
    let value = match (json, data_type) {
        (Json::Bool(flag), Some(DataType::Int)) => Ok(Value::Int(i64::from(*flag))),
        (Json::Bool(_), Some(DataType::String)) => {
            return json::scalar_text(json).map(Value::Text);
        }
        (Json::String(text), Some(_)) => from_text(text, data_type),
        _ => Value::from_json(json),
    };
    value.map_err(|flaw| match (flaw, json) {
        (flaw, Json::Bool(_)) => format!("{flaw}; `type: int` makes it 1 or 0"),
        (flaw, _) => flaw.to_string(),
    })
}

/// Text as the type wants it; without a type, a number where it reads as one. Integers stay exact, which
/// [`Value::typed`] does not promise.
fn from_text(text: &str, data_type: Option<DataType>) -> Result<Value<'_>, Flaw> {
    let as_text = Value::Text(Cow::Borrowed(text));
    if data_type == Some(DataType::String) {
        return Ok(as_text);
    }
    let trimmed = text.trim();
    if let Ok(int) = trimmed.parse() {
        return Ok(Value::Int(int));
    }
    if let Ok(uint) = trimmed.parse() {
        return Ok(Value::Uint(uint));
    }
    match data_type {
        Some(data_type) => as_text.typed(data_type),
        None => match trimmed.parse() {
            Ok(number) => Value::float(number),
            Err(_) => Ok(as_text),
        },
    }
}

fn scaled(
    value: Value<'_>,
    factor: f64,
    data_type: Option<DataType>,
) -> Result<Value<'static>, Flaw> {
    #[expect(clippy::cast_precision_loss, reason = "a scaled value is a float")]
    let number = match &value {
        Value::Int(int) => *int as f64,
        Value::Uint(uint) => *uint as f64,
        Value::Float(float) => float.get(),
        Value::Text(text) => return Err(Flaw::NotNumeric(text.clone().into_owned())),
    };
    let product = Value::float(number * factor)?;
    match data_type {
        Some(DataType::Int | DataType::Counter | DataType::Counter64) => rounded(number * factor),
        _ => Ok(product),
    }
}

fn rounded(number: f64) -> Result<Value<'static>, Flaw> {
    let whole = number.round();
    // Rust writes a whole float digit by digit, so the text says exactly what the float holds.
    let text = format!("{whole:.0}");
    match (text.parse(), text.parse()) {
        (Ok(int), _) => Ok(Value::Int(int)),
        (_, Ok(uint)) => Ok(Value::Uint(uint)),
        _ => Err(Flaw::TooLarge(text)),
    }
}

impl From<Form> for ValueRule {
    fn from(Form { from, data_type, unit, scale, optional }: Form) -> Self {
        Self { from, data_type, unit, scale, optional }
    }
}

impl From<ValueRule> for Form {
    fn from(ValueRule { from, data_type, unit, scale, optional }: ValueRule) -> Self {
        Self { from, data_type, unit, scale, optional }
    }
}

impl<'de> Deserialize<'de> for ValueRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_map(
            deserializer,
            "where the value is, or a map with `from`, `type`, `unit`, `scale`, `optional`",
            |text| {
                let from = Pick::parse(text).map_err(|error| error.to_string())?;
                Ok(Self { from, ..Self::default() })
            },
            |form: Form| Ok(form.into()),
        )
    }
}

impl JsonSchema for ValueRule {
    fn schema_name() -> Cow<'static, str> {
        "ValueRule".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a value is, or a map that also says what it means.",
            "anyOf": [generator.subschema_for::<Pick>(), generator.subschema_for::<Form>()]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_in_text_are_exact() {
        let int = |text| from_text(text, Some(DataType::Int));
        assert_eq!(int("9007199254740993"), Ok(Value::Int(9_007_199_254_740_993)));
        assert_eq!(int(" 18446744073709551615 "), Ok(Value::Uint(u64::MAX)));
        assert_eq!(int("12.9"), Ok(Value::Int(12)));
        assert!(matches!(int("18446744073709551616"), Err(Flaw::TooLarge(_))));
    }

    #[test]
    fn text_without_a_type_is_a_number_where_it_reads_as_one() {
        assert_eq!(from_text("7", None), Ok(Value::Int(7)));
        assert_eq!(from_text(" 7.5\n", None), Value::float(7.5));
        assert_eq!(from_text("OK", None), Ok(Value::Text("OK".into())));
        assert!(matches!(from_text("NaN", None), Err(Flaw::NotFinite(_))));
        assert_eq!(from_text("7", Some(DataType::String)), Ok(Value::Text("7".into())));
    }

    #[test]
    fn a_scaled_integer_type_is_rounded() {
        assert_eq!(scaled(Value::Int(215), 0.1, None), Value::float(21.5));
        assert_eq!(scaled(Value::Int(215), 0.1, Some(DataType::Int)), Ok(Value::Int(22)));
        assert_eq!(
            scaled(Value::Int(1 << 53), 1024.0, Some(DataType::Counter64)),
            Ok(Value::Uint(1 << 63))
        );
        let bits = scaled(Value::Uint(u64::MAX), 8.0, Some(DataType::Counter64));
        assert!(matches!(bits, Err(Flaw::TooLarge(_))));
        assert!(matches!(scaled(Value::Int(2), 1e308, None), Err(Flaw::NotFinite(_))));
        assert!(matches!(scaled(Value::Text("x".into()), 2.0, None), Err(Flaw::NotNumeric(_))));
    }
}
