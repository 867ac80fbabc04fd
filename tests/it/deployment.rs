//! What is deployed: the SAM template, the package, and the samples for Kubernetes and Step Functions.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::lambda_api::Function;
use crate::python::python_program;
use crate::workspace::Workspace;

const TOP: &str = env!("CARGO_MANIFEST_DIR");

fn template() -> String {
    std::fs::read_to_string(Path::new(TOP).join("template.yaml")).expect("the template")
}

/// A Python program, with neither credentials nor telemetry.
fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(python_program(program))
        .args(arguments)
        .current_dir(TOP)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("SAM_CLI_TELEMETRY", "0")
        .output()
        .expect("it starts")
}

#[track_caller]
fn good(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

/// What cfn-lint says of the CloudFormation template that SAM makes of this one.
fn lint_translated(workspace: &Workspace, template: &str) -> Output {
    workspace.write("template.yaml", template);
    let source = workspace.path("template.yaml").display().to_string();
    let translated = good(&run("python", &["tests/template/translate.py", &source]));
    workspace.write("translated.json", translated);
    run("cfn-lint", &[&workspace.path("translated.json").display().to_string()])
}

#[test]
fn the_template_is_sound_as_written_and_as_translated() {
    good(&run("sam", &["validate", "--lint"]));
    good(&run("cfn-lint", &["template.yaml"]));
    good(&lint_translated(&Workspace::empty(), &template()));
}

#[test]
fn the_lint_of_the_translation_sees_what_is_easily_got_wrong() {
    let workspace = Workspace::empty();
    for (right, wrong) in [
        ("Runtime: provided.al2023", "Runtime: provided.al2025"),
        ("Mode: \"OFF\"", "Mode: OFF"),
        ("MaximumEventAgeInSeconds: 60", "MaximumEventAgeInSeconds: 6"),
    ] {
        let template = template();
        assert!(template.contains(right), "{right}");
        let linted = lint_translated(&workspace, &template.replace(right, wrong));
        assert!(!linted.status.success(), "`{wrong}` is not seen");
    }
}

#[test]
fn the_functions_policies_grant_nothing_on_everything() {
    let text = template();
    assert!(!text.contains("Resource: \"*\"") && !text.contains("Resource: '*'"));
    for broad in ["SSMParameterReadPolicy", "S3CrudPolicy", "ssm:*", "kms:*", "s3:*"] {
        assert!(!text.contains(broad), "{broad}");
    }
}

#[test]
fn the_package_that_sam_builds_is_a_function_with_its_configuration() {
    let workspace = Workspace::empty();
    let folder = workspace.path("build").display().to_string();
    let built = Command::new(python_program("sam"))
        .args(["build", "--build-dir", &folder])
        .current_dir(TOP)
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("SAM_CLI_TELEMETRY", "0")
        .env("BINARY", env!("CARGO_BIN_EXE_collector"))
        .output();
    good(&built.expect("sam starts"));
    let package: PathBuf = workspace.path("build/Function");
    let sample = Path::new(TOP).join("config/lambda.yaml");
    let read = |path: &Path| std::fs::read(path).expect("a file");
    assert_eq!(read(&package.join("collector.yaml")), read(&sample));
    let config = package.join("collector.yaml").display().to_string();
    let function =
        Function::of(&package.join("bootstrap"), &workspace, &[("COLLECTOR_CONFIG", &config)]);
    let shown = function.report(r#"{"dry_run": true, "shard": "1/1", "only": ["weather"]}"#);
    assert!(shown["shown"].as_str().expect("text").contains("pattoo.example.org"), "{shown}");
}

#[test]
fn the_state_machine_is_sound_and_its_events_are_understood() {
    let text = std::fs::read_to_string(Path::new(TOP).join("config/step-functions.asl.json"));
    let machine: Value = serde_json::from_str(&text.expect("the sample")).expect("JSON");
    let template = json!({"Resources": {"Machine": {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/machine",
            "DefinitionSubstitutions": {"FunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:f"},
            "Definition": machine,
        },
    }}});
    let workspace = Workspace::empty();
    workspace.write("machine.json", template.to_string());
    let file = workspace.path("machine.json").display().to_string();
    good(&run("cfn-lint", &[&file]));
    // A state that does not exist must be noticed, or the check above says nothing.
    workspace.write(
        "machine.json",
        template.to_string().replace("\"StartAt\":\"Run\"", "\"StartAt\":\"Rum\""),
    );
    assert!(!run("cfn-lint", &[&file]).status.success());

    // A shard that fails is not passed over, and one that another run holds is tried again.
    let map = &machine["States"]["Shards"];
    assert_eq!(map["ToleratedFailurePercentage"], 0);
    let task = &map["ItemProcessor"]["States"]["Run"];
    let retried = task["Retry"].as_array().expect("a list").iter().map(|r| &r["ErrorEquals"]);
    assert!(retried.flat_map(|errors| errors.as_array()).flatten().any(|e| e == "Collector.Locked"));

    // What it does with two shards, by hand.
    let numbers = &machine["States"]["Number"]["Parameters"]["numbers.$"];
    assert_eq!(numbers, "States.ArrayRange(1, $.shards, 1)");
    let selected = &map["ItemSelector"]["shard.$"];
    assert_eq!(selected, "States.Format('{}/{}', $$.Map.Item.Value, $.shards)");
    let payload = &task["Parameters"]["Payload"];
    assert_eq!(payload["shard.$"], "$.shard");
    let jobs = "jobs: [{id: a, random: {}}, {id: b, random: {}}, {id: c, random: {}}]\noutputs: [{stdout: {}}]\n";
    let workspace = Workspace::new(jobs);
    let function = Function::start(&workspace);
    let mut ran = Vec::new();
    for shard in ["1/2", "2/2"] {
        let event = json!({"once": payload["once"], "shard": shard}).to_string();
        let report = function.report(&event);
        let jobs = report["jobs"].as_array().expect("a list").iter();
        ran.extend(jobs.map(|job| job["job"].as_str().expect("an id").to_owned()));
    }
    ran.sort();
    assert_eq!(ran, ["a", "b", "c"]);
}

#[test]
fn the_kubernetes_sample_is_sound_and_its_numbers_agree() {
    good(&run("kubernetes-validate", &["--strict", "config/kubernetes.yaml"]));
    let text = std::fs::read_to_string(Path::new(TOP).join("config/kubernetes.yaml"));
    let text = text.expect("the sample");
    for same in ["completions: 4\n", "parallelism: 4\n", "[run, --shard, \"4\"]"] {
        assert!(text.contains(same), "{same}");
    }
}
