//! Secrets and configurations in AWS: real calls of the SDK, to `moto` and to a server that answers as told.

use std::time::Duration;

use serde_json::json;

use crate::lambda_api::{Answer as Settled, Function};
use crate::moto::{credentials, moto};
use crate::server::{Answer, Server};
use crate::workspace::{Invocation, Workspace};

/// Jobs that ask `port`, each with the secret of its id.
fn jobs(port: u16, secrets: &[(&str, &str)]) -> String {
    let job = |(id, secret): &(&str, &str)| {
        format!(
            "  - {{id: {id}, http: {{url: 'http://127.0.0.1:{port}/{id}', auth: {{bearer: {secret}}}, probe: [status]}}}}\n"
        )
    };
    let jobs: String = secrets.iter().map(job).collect();
    format!("outputs: [{{file: {{path: out.jsonl}}}}]\nagent: {{secrets_ttl: 0s}}\njobs:\n{jobs}")
}

/// `run --once` with AWS at `endpoint`.
fn run(workspace: &Workspace, endpoint: &str) -> Invocation {
    let mut run = workspace
        .command(&["run", "--once"])
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"))
        .env("AWS_ENDPOINT_URL", endpoint);
    for (name, value) in credentials() {
        run = run.env(name, value);
    }
    run
}

/// What was sent as `Authorization`, by path.
fn tokens(server: &Server) -> Vec<(String, String)> {
    let mut tokens: Vec<_> = server
        .requests()
        .iter()
        .map(|r| (r.line.clone(), r.header("authorization").unwrap_or_default().to_owned()))
        .collect();
    tokens.sort();
    tokens
}

#[test]
fn secrets_come_from_parameter_store_in_versions_and_from_secrets_manager() {
    let moto = moto();
    assert_eq!(moto.put_parameter("/kinds/key", "old"), 1);
    moto.put_parameter("/kinds/key", "new");
    moto.put_secret("kinds-secret", "managed");
    let source = Server::start();
    let workspace = Workspace::new(&jobs(
        source.port(),
        &[
            ("latest", "{ssm: /kinds/key}"),
            ("first", "{ssm: '/kinds/key:1'}"),
            ("managed", "{secretsmanager: kinds-secret}"),
        ],
    ));
    run(&workspace, &moto.url()).finish().exit(0).silent();
    let expected = [("first", "old"), ("latest", "new"), ("managed", "managed")];
    let expected = expected.map(|(id, key)| (format!("GET /{id}"), format!("Bearer {key}")));
    assert_eq!(tokens(&source), expected);
}

#[test]
fn a_missing_parameter_is_named_and_fails_its_job_alone() {
    let moto = moto();
    moto.put_parameter("/missing/there", "v");
    let source = Server::start();
    let secrets = [("good", "{ssm: /missing/there}"), ("bad", "{ssm: /missing/gone}")];
    let workspace = Workspace::new(&jobs(source.port(), &secrets));
    let finished = run(&workspace, &moto.url()).finish().exit(3);
    finished.says("job `bad` failed: secret {ssm: /missing/gone}: there is no such parameter in `eu-central-1`");
    assert_eq!(tokens(&source), [("GET /good".to_owned(), "Bearer v".to_owned())]);
}

#[test]
fn many_parameters_are_asked_for_ten_at_a_time() {
    let names: Vec<String> = (0..25).map(|i| format!("/many/{i}")).collect();
    let answer = |range: std::ops::Range<usize>| {
        let found: Vec<_> =
            names[range].iter().map(|n| json!({"Name": n, "Value": "v", "Version": 1})).collect();
        let body = json!({"Parameters": found, "InvalidParameters": []}).to_string();
        Answer::Status(200, "Content-Type: application/x-amz-json-1.1\r\n", body)
    };
    let ssm = Server::answering(vec![answer(0..10), answer(10..20), answer(20..25)]);
    let source = Server::start();
    let ids: Vec<_> =
        (0..25).map(|i| (format!("job-{i}"), format!("{{ssm: /many/{i}}}"))).collect();
    let ids: Vec<_> = ids.iter().map(|(id, secret)| (id.as_str(), secret.as_str())).collect();
    let workspace = Workspace::new(&jobs(source.port(), &ids));
    run(&workspace, &format!("http://127.0.0.1:{}", ssm.port())).finish().exit(0);
    let requests = ssm.requests();
    assert_eq!(requests.len(), 3);
    let first: serde_json::Value = serde_json::from_slice(&requests[0].body).expect("JSON");
    assert_eq!(first["WithDecryption"], true);
    assert_eq!(first["Names"].as_array().map(Vec::len), Some(10));
    assert_eq!(source.requests().len(), 25);
}

#[test]
fn what_is_wrong_with_parameter_store_is_said() {
    let error = |status, code: &str, message: &str| {
        let body = json!({"__type": code, "message": message}).to_string();
        Answer::Status(status, "Content-Type: application/x-amz-json-1.1\r\n", body)
    };
    let throttled = error(400, "ThrottlingException", "Rate exceeded");
    let denied =
        error(400, "AccessDeniedException", "not authorized to perform: ssm:GetParameters");
    let cases = [
        (vec![throttled; 3], "Parameter Store cannot be asked: ThrottlingException: Rate exceeded"),
        (vec![denied], "Parameter Store refuses it: AccessDeniedException: not authorized"),
        (vec![Answer::Close; 3], "Parameter Store cannot be asked: "),
        (vec![Answer::Hang; 3], "Parameter Store did not answer in time"),
    ];
    for (answers, expected) in cases {
        let ssm = Server::answering(answers);
        let source = Server::start();
        let yaml = jobs(source.port(), &[("a", "{ssm: /wrong/key}")]);
        let workspace = Workspace::new(&yaml.replace("{id: a,", "{id: a, timeout: 4s,"));
        let endpoint = format!("http://127.0.0.1:{}", ssm.port());
        run(&workspace, &endpoint).finish().exit(3).says(expected);
        assert_eq!(source.requests().len(), 0);
    }
}

#[test]
fn without_a_region_it_says_which_variable_sets_one() {
    let workspace = Workspace::new(&jobs(1, &[("a", "{ssm: /key}")]));
    workspace
        .command(&["run", "--once"])
        .env("COLLECTOR_CONFIG", workspace.path("collector.yaml"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .finish()
        .exit(3)
        .says("no AWS region is known; `AWS_REGION` sets it");
}

#[test]
fn a_warm_function_uses_the_old_value_while_parameter_store_fails_or_is_silent() {
    let failing = Answer::Status(503, "", "Service Unavailable".to_owned());
    // What is tried again may fail sooner or later than the old value is used.
    for (answer, expected) in
        [(failing, "Parameter Store "), (Answer::Hang, "did not answer in time")]
    {
        uses_the_old_value(answer, expected);
    }
}

/// What a warm function does whose second run meets a Parameter Store that answers so.
fn uses_the_old_value(answer: Answer, expected: &str) {
    let found = json!({"Parameters": [{"Name": "/warm/key", "Value": "v"}]}).to_string();
    let found = Answer::Status(200, "Content-Type: application/x-amz-json-1.1\r\n", found);
    let ssm = Server::answering([vec![found], vec![answer; 3]].concat());
    let source = Server::start();
    let workspace = Workspace::new(&jobs(source.port(), &[("a", "{ssm: /warm/key}")]));
    let config = workspace.path("collector.yaml").display().to_string();
    let endpoint = format!("http://127.0.0.1:{}", ssm.port());
    let mut variables = vec![("COLLECTOR_CONFIG", config), ("AWS_ENDPOINT_URL", endpoint)];
    variables.extend(credentials());
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let function = Function::start_with(&workspace, &variables);
    assert_eq!(function.report(r#"{"once": true}"#)["warnings"], json!([]));
    let report = function.report(r#"{"once": true}"#);
    assert_eq!(report["status"], 0);
    let warning = report["warnings"].to_string();
    for told in ["parameter `/warm/key`", expected, "is used"] {
        assert!(warning.contains(told), "{told}: {warning}");
    }
    assert_eq!(tokens(&source).len(), 2);
}

#[test]
fn the_configuration_itself_comes_from_a_parameter_or_an_object() {
    let moto = moto();
    let server = Server::start();
    let yaml = format!(
        "polling: {{ip_address: 127.0.0.1, ip_bind_port: {}}}\njobs: [{{id: from-aws, random: {{}}}}]\n",
        server.port()
    );
    moto.put_parameter("/config/collector", &yaml);
    moto.put_object("configurations", "a%20b/collector.yaml", &yaml);
    for origin in ["ssm:/config/collector", "s3://configurations/a b/collector.yaml"] {
        let workspace = Workspace::empty();
        let mut variables = moto.variables();
        variables.push(("COLLECTOR_CONFIG", origin.to_owned()));
        let variables: Vec<_> = variables.iter().map(|(n, value)| (*n, value.as_str())).collect();
        let function = Function::start_with(&workspace, &variables);
        assert_eq!(function.report("{}")["jobs"][0]["job"], "from-aws", "{origin}");
    }
}

#[test]
fn a_configuration_that_does_not_come_in_an_invocations_time_is_named_as_the_cause() {
    let cases = [
        ("ssm:/silent/config", "Parameter Store did not answer in time"),
        ("s3://silent/collector.yaml", "does not answer"),
    ];
    for (origin, expected) in cases {
        let silent = Server::answering(vec![Answer::Hang; 9]);
        let workspace = Workspace::empty();
        let endpoint = format!("http://127.0.0.1:{}", silent.port());
        let mut variables = vec![("COLLECTOR_CONFIG", origin.to_owned())];
        variables.push(("AWS_ENDPOINT_URL", endpoint));
        variables.extend(credentials());
        let variables: Vec<_> = variables.iter().map(|(n, value)| (*n, value.as_str())).collect();
        let function = Function::start_with(&workspace, &variables);
        match function.invoke_within("{}", Duration::from_secs(3)) {
            Settled::Error(kind, message) => {
                assert_eq!(kind, "Collector.Configuration", "{message}");
                assert!(message.contains(origin) && message.contains(expected), "{message}");
            }
            answer @ Settled::Response(_) => panic!("{answer:?}"),
        }
    }
}

#[test]
fn a_configuration_that_cannot_be_fetched_is_named_with_the_reason() {
    let moto = moto();
    moto.put_object("emptied", "other.yaml", "jobs: []");
    let cases = [
        ("s3://emptied/gone.yaml", "S3 in `eu-central-1` answered 404: NoSuchKey"),
        ("ssm:/gone/config", "there is no such parameter"),
        ("s3://emptied", "expected `s3://bucket/key`"),
    ];
    for (origin, expected) in cases {
        let workspace = Workspace::empty();
        let mut check = workspace.command(&["check"]).env("COLLECTOR_CONFIG", origin);
        for (name, value) in moto.variables() {
            check = check.env(name, value);
        }
        check.finish().exit(2).says(origin).says(expected);
    }
}
