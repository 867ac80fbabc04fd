//! The configuration's JSON Schema, from the same types that read it.

use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::sections::{
    Agent, Heartbeat, JobSettings, Main, OutputSettings, Pattoo, PattooAgentApi, Polling, Store,
};

/// The schema of a configuration file.
pub fn schema() -> Value {
    let mut generator = SchemaGenerator::default();
    let collectors = collectors::COLLECTORS
        .iter()
        .map(|definition| (definition.name, (definition.schema)(&mut generator)));
    let collectors: Vec<_> = collectors.collect();
    let outputs = crate::outputs::OUTPUTS
        .iter()
        .map(|definition| (definition.name, (definition.schema)(&mut generator)));
    let outputs: Vec<_> = outputs.collect();
    let job = entry(JobSettings::schema(&mut generator), &collectors);
    let output = entry(OutputSettings::schema(&mut generator), &outputs);
    let sections = json!({
        "main": generator.subschema_for::<Main>(),
        "polling": generator.subschema_for::<Polling>(),
        "agent": generator.subschema_for::<Agent>(),
        "heartbeat": generator.subschema_for::<Heartbeat>(),
        "store": generator.subschema_for::<Store>(),
        "pattoo": generator.subschema_for::<Pattoo>(),
        "pattoo_agent_api": generator.subschema_for::<PattooAgentApi>(),
        "include": {
            "description": "More files, by name or pattern, from this file's folder.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
        },
        "outputs": {"description": "Where datapoints go.", "type": "array", "items": output},
        "jobs": {"description": "What is collected.", "type": "array", "items": job},
    });
    let mut root: Schema = schemars::json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "collector",
        "description": "The configuration of collector.",
        "type": "object",
        "properties": sections,
        "additionalProperties": false,
        "$defs": generator.take_definitions(true),
    });
    Closed.transform(&mut root);
    root.to_value()
}

trait Settings: schemars::JsonSchema {
    fn schema(generator: &mut SchemaGenerator) -> Value {
        Self::json_schema(generator).to_value()
    }
}

impl Settings for JobSettings {}
impl Settings for OutputSettings {}

/// An entry: its settings, and exactly one of the kinds.
fn entry(mut settings: Value, kinds: &[(&str, Schema)]) -> Value {
    for (name, schema) in kinds {
        let schema = json!({"anyOf": [schema, {"type": "null"}]});
        settings["properties"][*name] = schema;
    }
    let one: Vec<_> = kinds.iter().map(|(name, _)| json!({"required": [name]})).collect();
    settings["oneOf"] = Value::Array(one);
    settings
}

/// Unknown keys are mistakes, so the schema says so.
struct Closed;

impl Transform for Closed {
    fn transform(&mut self, schema: &mut Schema) {
        let lists_members = schema.get("properties").is_some();
        if lists_members && schema.get("additionalProperties").is_none() {
            schema.insert("additionalProperties".into(), Value::Bool(false));
        }
        transform_subschemas(self, schema);
    }
}
