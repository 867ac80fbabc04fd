//! What the JSON Schema of the options says of a place in them.

use serde_json::Value;

use super::Segment;

/// The keys that the schema allows at `path`.
pub(super) fn properties(schema: &Value, path: &[Segment]) -> Vec<String> {
    let mut names = Vec::new();
    for node in nodes_at(schema, path) {
        for node in alternatives(schema, node) {
            if let Some(map) = node.get("properties").and_then(Value::as_object) {
                names.extend(map.keys().cloned());
            }
        }
    }
    names
}

/// What the schema says of the key `name` in the map at `path`, in one line.
pub(super) fn description(schema: &Value, path: &[Segment], name: &str) -> Option<String> {
    let key = Segment::Key(name.to_owned());
    let nodes = nodes_at(schema, path);
    let mut found = nodes.into_iter().flat_map(|node| step(schema, node, &key));
    let text = found.find_map(|node| node.get("description").and_then(Value::as_str))?;
    Some(format!("`{name}`: {}", text.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn nodes_at<'a>(schema: &'a Value, path: &[Segment]) -> Vec<&'a Value> {
    let mut nodes = vec![schema];
    for segment in path {
        nodes = nodes.into_iter().flat_map(|node| step(schema, node, segment)).collect();
    }
    nodes
}

fn step<'a>(root: &'a Value, node: &'a Value, segment: &Segment) -> Vec<&'a Value> {
    alternatives(root, node)
        .into_iter()
        .filter_map(|node| match segment {
            Segment::Index(_) => node.get("items"),
            Segment::Key(key) => node
                .get("properties")
                .and_then(|map| map.get(key))
                .or_else(|| node.get("additionalProperties")),
        })
        .collect()
}

/// The node itself with references followed, and everything under `anyOf`, `oneOf`, `allOf`.
fn alternatives<'a>(root: &'a Value, node: &'a Value) -> Vec<&'a Value> {
    let mut found = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        if found.len() > 100 {
            break;
        }
        found.push(node);
        if let Some(reference) = node.get("$ref").and_then(Value::as_str)
            && let Some(target) = reference.strip_prefix('#').and_then(|at| root.pointer(at))
        {
            open.push(target);
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            open.extend(node.get(word).and_then(Value::as_array).into_iter().flatten().rev());
        }
    }
    found
}
