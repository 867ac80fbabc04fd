//! `collector list` and `collector show`: the catalogue, made from the registries.

use std::io::{self, Write};

use collectors::page::Page;
use comfy_table::Cell;
use schemars::SchemaGenerator;
use serde_json::Value;

use super::say;
use crate::outputs::OUTPUTS;
use crate::report::{Status, table};

pub(super) fn list() -> io::Result<Status> {
    let mut stdout = io::stdout().lock();
    let collectors = collectors::COLLECTORS.iter().map(|one| (one.name, one.page));
    write_list(&mut stdout, "collector", collectors)?;
    writeln!(stdout)?;
    write_list(&mut stdout, "output", OUTPUTS.iter().map(|one| (one.name, one.page)))?;
    writeln!(stdout, "\n`collector show NAME` prints the page of each.")?;
    Ok(Status::Success)
}

fn write_list(
    to: &mut impl Write,
    what: &str,
    entries: impl Iterator<Item = (&'static str, Page)>,
) -> io::Result<()> {
    let mut rows = table::plain(&[what, "what it is"]);
    for (name, page) in entries {
        rows.add_row(vec![Cell::new(name), Cell::new(page.summary())]);
    }
    writeln!(to, "{}", table::trimmed(&rows))
}

pub(super) fn show(name: &str) -> io::Result<Status> {
    let mut generator = SchemaGenerator::default();
    let mut found = Vec::new();
    if let Some(one) = collectors::find(name) {
        found.push(("collector", one.page, (one.schema)(&mut generator)));
    }
    if let Some(one) = crate::outputs::find(name) {
        found.push(("output", one.page, (one.schema)(&mut generator)));
    }
    if found.is_empty() {
        let names = collectors::COLLECTORS.iter().map(|one| one.name);
        let names = names.chain(OUTPUTS.iter().map(|one| one.name));
        let meant = collectors::decode::nearest(name, names);
        let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        say(format_args!("error: there is no collector or output `{name}`{meant}"));
        say(format_args!("hint: `collector list` prints all of them"));
        return Ok(Status::Usage);
    }
    let definitions = Value::Object(generator.take_definitions(true));
    let mut stdout = io::stdout().lock();
    for (what, page, schema) in found {
        writeln!(stdout, "# {what} `{name}`\n\n{}\n", page.markdown().trim_end())?;
        writeln!(stdout, "## Options\n\n{}", options(&schema.to_value(), &definitions))?;
    }
    Ok(Status::Success)
}

/// A Markdown table of a type's options.
fn options(schema: &Value, definitions: &Value) -> String {
    let schema = resolve(schema, definitions);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return "It has none.".to_owned();
    };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = String::from("| option | default | what it is |\n|---|---|---|\n");
    for (name, property) in properties {
        let default = match property.get("default") {
            Some(Value::Null) | None if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::Null) | None => "none".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let described = property.get("description").and_then(Value::as_str);
        let described = described
            .or_else(|| resolve(property, definitions).get("description").and_then(Value::as_str));
        let described = described.unwrap_or_default().split_whitespace().collect::<Vec<_>>();
        text.push_str(&format!("| `{name}` | {default} | {} |\n", described.join(" ")));
    }
    text
}

fn resolve<'a>(schema: &'a Value, definitions: &'a Value) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|at| at.rsplit('/').next());
    name.and_then(|name| definitions.get(name)).unwrap_or(schema)
}

/// The man page: of the program, and behind it those of its commands, so that one file has everything.
pub(super) fn man(program: clap::Command) -> io::Result<Status> {
    let mut stdout = io::stdout().lock();
    let mut program = program;
    program.build();
    clap_mangen::Man::new(program.clone()).render(&mut stdout)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let title = format!("collector-{}", command.get_name());
        clap_mangen::Man::new(command.clone()).title(title).render(&mut stdout)?;
    }
    Ok(Status::Success)
}
