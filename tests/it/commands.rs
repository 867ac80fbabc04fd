//! The commands around the run: catalogue, samples, schema, completions.

use std::fs;
use std::path::Path;

use collectors::page::Page;

use crate::workspace::Workspace;

#[test]
fn help_shows_every_exit_status() {
    let help = Workspace::empty().command(&["--help"]).finish().exit(0).stdout();
    for status in collector::report::Status::ALL {
        assert!(help.contains(status.meaning()), "{help}");
    }
}

#[test]
fn every_sample_works_when_pasted() {
    let collectors = collectors::COLLECTORS.iter().map(|one| (one.name, one.page));
    let outputs = collector::outputs::OUTPUTS.iter().map(|one| (one.name, one.page));
    for (name, page) in collectors.chain(outputs) {
        let sample = page.sample().unwrap_or_else(|| panic!("`{name}` has no sample"));
        let workspace = Workspace::new(&sample);
        workspace.run(&["check"]).exit(0);
        // Of the others' sources, and where outputs go to, only the user has any.
        if ["system", "exec", "file", "random"].contains(&name) {
            workspace.run(&["run", "--dry-run", "--once"]).exit(0);
        }
        let shown = Workspace::empty().command(&["show", name]).finish().exit(0);
        shown.prints(&sample).prints("## Options");
    }
}

#[test]
fn show_lists_the_options_inside_others() {
    let shown = |name| Workspace::empty().command(&["show", name]).finish().exit(0).stdout();
    let http = shown("http");
    for row in [
        "| `url` | required | What is asked for.",
        "| `method` | `\"GET\"` | `GET`, or `POST` with `json` or `body`. `GET`: For an answer alone. `POST`:",
        "| `auth.basic` | one of these | By user and password. |",
        "| `auth.basic.user` | required | The user. |",
        "| `auth.basic.password` | none | The password",
        "| `tls` | as below |",
        "| `auth.bearer` |",
        "| `auth.header.name` |",
        "| `pages.max` | `20` |",
        "| `mapping.values.*` | none | Where a value is, or a map",
        "| `mapping.values.*.scale` | none | What it is multiplied by.",
        "| `mapping.values.*.type` | none | What it means.",
        "| `mapping.labels.*.text` |",
        "| `mapping.timestamp.format` |",
        "| `tls.ca_file` |",
        "`rfc3339`",
        "`counter64`",
        "`certificate`: `http_certificate_expires_days`",
    ] {
        assert!(http.contains(row), "no {row:?} in\n{http}");
    }
    assert!(!http.contains(".env`"), "{http}");
    for name in ["file", "exec"] {
        let shown = shown(name);
        assert!(
            shown.contains("`jsonl`: One datapoint") && shown.contains("mapping.values.*.unit"),
            "{shown}"
        );
    }
}

#[test]
fn the_readme_lists_what_there_is() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let collectors = collectors::COLLECTORS.iter().map(|one| (one.name, one.page));
    let outputs = collector::outputs::OUTPUTS.iter().map(|one| (one.name, one.page));
    let rows = |pages: &mut dyn Iterator<Item = (&'static str, Page)>| {
        let rows = pages.map(|(name, page)| format!("| `{name}` | {} |\n", page.summary()));
        rows.collect::<String>()
    };
    let (collectors, outputs) = (rows(&mut collectors.into_iter()), rows(&mut outputs.into_iter()));
    let table = format!(
        "| collector | what it is |\n|---|---|\n{collectors}\n| output | what it is |\n|---|---|\n{outputs}"
    );
    assert!(readme.expect("the README").contains(&table), "the README needs this:\n{table}");
}

#[test]
fn list_and_show_know_every_name_and_guess_misspelt_ones() {
    let list = Workspace::empty().command(&["list"]).finish().exit(0).stdout();
    for one in collectors::COLLECTORS {
        assert!(list.contains(one.name) && list.contains(&one.page.summary()), "{list}");
    }
    Workspace::empty().command(&["show", "sistem"]).finish().exit(2).says("did you mean `system`?");
}

#[test]
fn the_written_configuration_is_good_and_is_not_overwritten() {
    let workspace = Workspace::empty();
    workspace.command(&["init"]).finish().exit(0);
    workspace.run(&["check"]).exit(0);
    workspace.command(&["init"]).finish().exit(2).says("is there already");
    workspace.command(&["init", "--force"]).finish().exit(0);
}

#[test]
fn the_schema_in_config_is_current() {
    let schema = Workspace::empty().command(&["config", "--schema"]).finish().exit(0).stdout();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema.json");
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(schema == kept, "renew it: collector config --schema > config/schema.json");
}

#[test]
fn the_effective_configuration_redacts_secrets_and_reads_back() {
    let workspace = Workspace::new(
        "jobs:
  - id: web
    http: {url: 'http://x.example/', auth: {bearer: hunter2}, mapping: {values: {a: /a}}}
  - id: by-reference
    http: {url: 'http://x.example/', auth: {bearer: {env: TOKEN}}, mapping: {values: {a: /a}}}
  - id: posted
    http:
      url: http://x.example/
      method: POST
      auth: {basic: {user: hunter3}}
      json: {login: {env: LOGIN}, password: hunter4, limit: 5}
      mapping: {values: {a: /a}}
",
    );
    let shown = workspace.run(&["config", "--effective"]).exit(0).prints("env: TOKEN");
    let shown = shown.prints("env: LOGIN").prints("limit: 5").prints("password: null");
    assert!(!shown.stdout().contains("hunter"), "{}", shown.stdout());
    workspace.write("collector.yaml", shown.stdout());
    workspace.run(&["check"]).exit(0);
}

#[test]
fn completions_and_man_page_are_printed() {
    for shell in ["bash", "zsh", "fish"] {
        Workspace::empty().command(&["completions", shell]).finish().exit(0).prints("collector");
    }
    let man = Workspace::empty().command(&["man"]).finish().exit(0);
    man.prints(".TH collector").prints("dry\\-run").prints("since");
}

#[test]
fn the_configurations_that_we_show_are_good() {
    let read = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        fs::read_to_string(path).expect("the file")
    };
    let readme = read("README.md");
    let blocks: Vec<&str> = readme.split("```yaml\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let (yaml, _) = block.split_once("```").expect("the block's end");
        let checked = Workspace::new(yaml).run(&["check"]);
        match yaml.contains("s3:") && cfg!(not(feature = "lambda")) {
            true => _ = checked.exit(2).says("the Cargo feature `lambda` gives it"),
            false => _ = checked.exit(0),
        }
    }
    // The sample with everything in it that is commented out: a comment that is YAML has no blank sentence behind `#`.
    let sample = read("config/collector.yaml");
    let whole: String = sample
        .lines()
        .map(|line| match line.find("# ") {
            Some(at) if is_yaml(&line[at + 2..]) => format!("{}{}\n", &line[..at], &line[at + 2..]),
            _ => format!("{line}\n"),
        })
        .collect();
    let workspace = Workspace::empty();
    workspace.write("collector.yaml", whole.replace("include: conf.d", "include: ./conf.d"));
    workspace.run(&["check"]).exit(0).prints("3 jobs");
}

/// Whether a comment's text is a line of YAML that is turned off: a key, or an element of a list.
fn is_yaml(text: &str) -> bool {
    let text = text.trim_start();
    let word = text.trim_start_matches("- ");
    let key = word.split(':').next().unwrap_or_default();
    word.contains(':') && !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}
