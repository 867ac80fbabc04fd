//! What stands behind a name in the configuration, a collector's or an output's: its page, its options, and how they
//! become one.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decode::{Problem, decode};
use crate::page::Page;

/// A kind of collector, or of output, as the rest of the program knows it; `Made` is what its options become.
pub struct Definition<Made: ?Sized> {
    /// Its name in YAML, which is also the name of its file.
    pub name: &'static str,
    /// The head of its file.
    pub page: Page,
    /// Options into what they describe, or everything that is wrong with them.
    pub decode: fn(&Value) -> Result<Box<Made>, Vec<Problem>>,
    /// The options as they will be used, defaults filled in and secrets redacted.
    pub effective: fn(&Value) -> Result<Value, Vec<Problem>>,
    /// The JSON Schema of its options.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl<Made: ?Sized> Definition<Made> {
    /// The definition of what has the options `T`.
    pub const fn new<T: Serialize + DeserializeOwned + JsonSchema>(
        name: &'static str,
        page: Page,
        decode: fn(&Value) -> Result<Box<Made>, Vec<Problem>>,
    ) -> Self {
        Self { name, page, decode, effective: effective::<T>, schema: schema::<T> }
    }
}

fn effective<T: Serialize + DeserializeOwned + JsonSchema>(
    options: &Value,
) -> Result<Value, Vec<Problem>> {
    Ok(serde_json::to_value(decode::<T>(options)?).unwrap_or_default())
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Options that are right one by one, and together.
///
/// # Errors
/// Everything that is wrong with them.
pub fn decode_whole<T: DeserializeOwned + JsonSchema>(
    options: &Value,
    conflicts: fn(&T) -> Vec<Problem>,
) -> Result<T, Vec<Problem>> {
    let decoded = decode::<T>(options)?;
    let conflicts = conflicts(&decoded);
    if conflicts.is_empty() { Ok(decoded) } else { Err(conflicts) }
}
