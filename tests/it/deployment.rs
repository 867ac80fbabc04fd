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
fn a_run_ends_before_the_next_one_and_silence_is_longer_than_the_pause_between_two() {
    let workspace = Workspace::empty();
    workspace.write("template.yaml", template());
    let source = workspace.path("template.yaml").display().to_string();
    let translated = good(&run("python", &["tests/template/translate.py", &source]));
    let template: Value = serde_json::from_str(&translated).expect("JSON");
    let allowed = |parameter: &str| -> Vec<String> {
        let values = template["Parameters"][parameter]["AllowedValues"].as_array();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        values.expect("a list").iter().map(text).collect()
    };
    let rules = template["Rules"].as_object().expect("rules");
    let holds = |condition: &Value, parameter: &str, value: &str| -> Option<bool> {
        let is_of = |given: &Value| given == &json!({"Ref": parameter});
        if let Some([given, one]) = condition["Fn::Equals"].as_array().map(Vec::as_slice) {
            return is_of(given).then(|| one == value);
        }
        let contains = condition["Fn::Contains"].as_array().expect("nothing else is used");
        let one_of = contains[0].as_array().expect("a list");
        is_of(&contains[1]).then(|| one_of.iter().any(|one| one == value))
    };
    let is_accepted = |rate: &str, parameter: &str, value: &str| {
        let counting = rules.values().filter(|rule| {
            holds(&rule["RuleCondition"], "PollingInterval", rate).expect("it is of the rate")
        });
        let asserted = counting.flat_map(|rule| rule["Assertions"].as_array().expect("a list"));
        asserted.filter_map(|one| holds(&one["Assert"], parameter, value)).all(|holds| holds)
    };
    for rate in allowed("PollingInterval") {
        let words: Vec<&str> =
            rate.trim_start_matches("rate(").trim_end_matches(')').split(' ').collect();
        let [number, unit] = words[..] else { panic!("{rate}") };
        let unit = match unit.trim_end_matches('s') {
            "minute" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            other => panic!("{other}"),
        };
        let interval = number.parse::<u64>().expect("a number") * unit;
        for timeout in allowed("Timeout") {
            let expected = timeout.parse::<u64>().expect("a number") < interval;
            assert_eq!(is_accepted(&rate, "Timeout", &timeout), expected, "{rate}, {timeout}");
        }
        // Of the alarm.
        let periods = if rate == "rate(1 day)" { 2 } else { 1 };
        for silence in allowed("SilenceSeconds") {
            let expected = silence.parse::<u64>().expect("a number") * periods >= 2 * interval;
            assert_eq!(
                is_accepted(&rate, "SilenceSeconds", &silence),
                expected,
                "{rate}, {silence}"
            );
        }
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
    assert!(
        retried.flat_map(|errors| errors.as_array()).flatten().any(|e| e == "Collector.Locked")
    );

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
