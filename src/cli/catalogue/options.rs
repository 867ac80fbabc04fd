//! The options of a collector or output as a table, those inside others by their path.

use serde_json::Value;

/// Options further inside than this are not listed.
const DEEPEST: usize = 6;
/// Types that are one thing to a user, whatever forms they have.
const WHOLE: [&str; 3] = ["Secret", "Parameter", "SecretTree"];

/// A Markdown table of a type's options.
pub(super) fn table(schema: &Value, definitions: &Value) -> String {
    let mut table = Table { definitions, rows: String::new() };
    table.members("", schema, DEEPEST);
    if table.rows.is_empty() {
        return "It has none.".to_owned();
    }
    format!("| option | default | what it is |\n|---|---|---|\n{}", table.rows)
}

struct Table<'a> {
    definitions: &'a Value,
    rows: String,
}

impl<'a> Table<'a> {
    /// A row for each member that something of this type may have, and for theirs.
    fn members(&mut self, path: &str, schema: &'a Value, depth: usize) {
        if depth == 0 {
            return;
        }
        let forms = self.forms(schema);
        let with_members = |form: &&&Value| form.get("properties").is_some();
        let is_choice = forms.iter().filter(with_members).count() > 1;
        for form in &forms {
            for (name, member) in form["properties"].as_object().into_iter().flatten() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let mut required = form["required"].as_array().into_iter().flatten();
                let is_required = required.any(|required| required == name);
                let default = match member.get("default") {
                    Some(Value::Null) | None if is_choice => "one of these".to_owned(),
                    Some(Value::Null) | None if is_required => "required".to_owned(),
                    Some(Value::Null) | None => "none".to_owned(),
                    Some(Value::Object(_)) if self.has_members(member) => "as below".to_owned(),
                    Some(default) => format!("`{default}`"),
                };
                // A variant is described where it is listed, and not at what it holds.
                let described = description(form).filter(|_| is_choice);
                self.row(&path, &default, described, member);
                self.members(&path, member, depth - 1);
            }
            for (key, suffix) in [("additionalProperties", ".*"), ("items", "[]")] {
                if let Some(inner) = form.get(key).filter(|inner| self.has_members(inner)) {
                    let path = format!("{path}{suffix}");
                    self.row(&path, "none", None, inner);
                    self.members(&path, inner, depth - 1);
                }
            }
        }
    }

    fn row(&mut self, path: &str, default: &str, described: Option<String>, schema: &'a Value) {
        let forms = self.forms(schema);
        let described = described.or_else(|| forms.iter().find_map(|form| description(form)));
        let mut text = described.unwrap_or_default();
        let items = forms.iter().filter_map(|form| form.get("items"));
        let items: Vec<_> = items.flat_map(|items| self.forms(items)).collect();
        for choice in forms.iter().chain(&items) {
            if let Some(word) = choice.get("const") {
                let word = word.as_str().map_or_else(|| word.to_string(), str::to_owned);
                let meaning = description(choice).map(|meaning| format!(": {meaning}"));
                text.push_str(&format!(" `{word}`{}", meaning.unwrap_or_default()));
            }
            let words = choice["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
            words.for_each(|word| text.push_str(&format!(" `{word}`")));
        }
        let text = text.replace('|', "\\|");
        self.rows.push_str(&format!("| `{path}` | {default} | {} |\n", text.trim()));
    }

    fn has_members(&self, schema: &'a Value) -> bool {
        self.forms(schema).iter().any(|form| form.get("properties").is_some())
    }

    /// The schema itself, what it refers to, and everything that it may be instead; [`WHOLE`] types stay closed.
    fn forms(&self, schema: &'a Value) -> Vec<&'a Value> {
        let mut forms = Vec::new();
        let mut open = vec![schema];
        while let Some(node) = open.pop() {
            if forms.len() > 100 {
                break;
            }
            forms.push(node);
            let name =
                node.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
            open.extend(
                name.filter(|name| !WHOLE.contains(name))
                    .and_then(|name| self.definitions.get(name)),
            );
            for word in ["allOf", "oneOf", "anyOf"] {
                open.extend(node.get(word).and_then(Value::as_array).into_iter().flatten().rev());
            }
        }
        forms
    }
}

fn description(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
