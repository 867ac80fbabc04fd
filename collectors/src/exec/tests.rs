//! Real programs: `sh` and what every system has.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::*;
use crate::decode::decode;
use crate::sink::Collected;

const A_MINUTE: Duration = Duration::from_secs(60);
/// Long enough for a shell to start on a busy machine, short enough to wait for.
const SOON: Duration = Duration::from_millis(1500);
const KILL_SOON: Duration = Duration::from_secs(1);

fn context(directory: &Path, timeout: Duration) -> Context {
    let variable = |name: &str, value: &str| (name.to_owned(), value.into());
    Context {
        job: "the job".into(),
        now_ms: 1_700_000_000_000,
        deadline: Instant::now() + timeout,
        cursor: None,
        directory: Arc::from(directory),
        environment: Arc::from([
            variable("PATH", "/usr/local/bin:/usr/bin:/bin"),
            variable("LANG", "C"),
        ]),
    }
}

/// How a job went: its error with all causes, and what it collected.
struct Went {
    error: Option<String>,
    collected: Collected,
}

impl Went {
    fn failed(&self) -> &str {
        self.error.as_deref().expect("the job fails")
    }

    /// `key=value` of each datapoint.
    fn points(&self) -> Vec<String> {
        let batch = &self.collected.batch;
        let tell = |p: &crate::batch::Point| format!("{}={}", batch.text(p.key), batch.value(p));
        batch.points().iter().map(tell).collect()
    }

    fn log(&self) -> Vec<&str> {
        self.collected.log.iter().map(|(_, line)| line.as_str()).collect()
    }
}

fn run_in(directory: &Path, timeout: Duration, options: serde_json::Value) -> Went {
    let exec: Exec = decode(&options).expect("options");
    assert_eq!(exec.conflicts(), []);
    let context = context(directory, timeout);
    let sink = Sink::new("host".into(), Vec::new(), context.now_ms);
    let result = exec.run(Mode::Collect, KILL_SOON, &context, &sink);
    Went { error: result.err().map(|e| told(&e)), collected: sink.seal().expect("open") }
}

fn run(options: serde_json::Value) -> Went {
    run_in(Path::new("/"), A_MINUTE, options)
}

fn sh(script: &str) -> Went {
    run(json!({"command": ["sh", "-c", script]}))
}

fn told(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", told(cause)),
        None => error.to_string(),
    }
}

/// Whether the process has ended; a zombie that nobody has waited for has.
fn is_gone(pid: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim().starts_with('Z')),
        Err(_) => true,
    }
}

/// The process id that a program has written to a file.
fn wait_until_gone(folder: &Path) {
    let pid = std::fs::read_to_string(folder.join("pid")).expect("a pid");
    while !is_gone(pid.trim()) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_is_printed_is_collected() {
    let went =
        run(json!({"command": ["printf", r#"{"key":"a","value":%s}\n"#, "1", "2.5", "\"x\""]}));
    assert_eq!(went.error, None);
    assert_eq!(went.points(), ["a=1", "a=2.5", "a=x"]);
}

#[test]
fn nothing_printed_is_nothing_collected() {
    let went = run(json!({"command": ["true"]}));
    assert_eq!(went.error, None);
    assert_eq!(went.points(), [""; 0]);
}

#[test]
fn the_sample_works() {
    let page = crate::find("exec").expect("registered").page;
    let sample = page.sample().expect("a sample");
    assert!(sample.contains("command: [printf, "), "{sample}");
    let command = json!([
        "printf",
        "{\"key\":\"greetings\",\"value\":%d,\"labels\":{\"to\":\"%s\"}}\\n",
        "7",
        "world"
    ]);
    let went = run(json!({"command": command}));
    assert_eq!((went.error.as_deref(), went.points()), (None, vec!["greetings=7".to_owned()]));
}

#[test]
fn a_program_is_asked_and_sees_a_clean_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = "cat >request; env | sort >environment; pwd >where";
    let went = run_in(
        folder.path(),
        A_MINUTE,
        json!({
            "command": ["sh", "-c", script],
            "env": {"TOKEN": "geheim", "LANG": "C.UTF-8", "COLLECTOR_JOB": "another"},
            "directory": ".",
            "config": {"b": [1], "a": {"c": null}},
        }),
    );
    assert_eq!(went.error, None);
    let read = |name| std::fs::read_to_string(folder.path().join(name)).expect("written");
    let request = read("request");
    let start = concat!(
        r#"{"version":1,"mode":"collect","job":"the job","config":{"b":[1],"a":{"c":null}},"#,
        r#""state":null,"timestamp":1700000000000,"deadline":"#,
    );
    let deadline = request.strip_prefix(start).and_then(|rest| rest.strip_suffix("}\n"));
    let deadline: i64 = deadline.expect(&request).parse().expect("a number");
    assert!((1_700_000_000_001..=1_700_000_060_000).contains(&deadline), "{deadline}");
    // What the shell sets itself is not ours.
    let shells_own = ["PWD=", "OLDPWD=", "SHLVL=", "_="];
    let environment = read("environment");
    let ours: Vec<&str> =
        environment.lines().filter(|v| shells_own.iter().all(|own| !v.starts_with(own))).collect();
    let expected = [
        "COLLECTOR_JOB=the job",
        "LANG=C.UTF-8",
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "TOKEN=geheim",
    ];
    assert_eq!(ours, expected);
    let canonical = folder.path().canonicalize().expect("it is there");
    assert_eq!(Path::new(read("where").trim()), canonical);
}

#[test]
fn a_check_tells_the_program_so_and_collects_nothing() {
    let exec: Exec = decode(&json!({
        "command": ["sh", "-c", r#"grep -q '"mode":"check"' && echo '{"key":"a","value":1}'"#],
    }))
    .expect("options");
    let found = exec.check(&context(Path::new("/"), A_MINUTE)).expect("it works");
    assert_eq!(found, "it ran well, 1 datapoints");
    let exec: Exec = decode(&json!({
        "command": ["sh", "-c", r#"echo '{"type":"error","message":"no route"}'"#],
    }))
    .expect("options");
    let error = exec.check(&context(Path::new("/"), A_MINUTE)).expect_err("it says so");
    assert_eq!(told(&error), "`sh`: no route");
}

#[test]
fn a_program_need_not_read_its_input() {
    // More than a pipe holds.
    let config = json!({"text": "x".repeat(1 << 20)});
    let went = run(json!({"command": ["true"], "config": config}));
    assert_eq!(went.error, None);
    let went = run(json!({
        "command": ["sh", "-c", r#"exec <&-; echo '{"key":"a","value":1}'"#], "config": config,
    }));
    assert_eq!(went.points(), ["a=1"]);
    assert_eq!(went.error, None);
    // And who reads it gets all of it.
    let script = r#"printf '{"key":"bytes","value":%d}' "$(wc -c)""#;
    let went = run(json!({"command": ["sh", "-c", script], "config": config}));
    let bytes = went.points()[0].strip_prefix("bytes=").and_then(|n| n.parse().ok());
    assert!(bytes.is_some_and(|bytes: usize| bytes > 1 << 20), "{:?}", went.points());
}

#[test]
fn an_exit_status_fails_the_job_and_keeps_what_was_printed() {
    let went = sh(r#"echo '{"key":"a","value":1}'; echo one >&2; echo "  two" >&2; exit 3"#);
    assert_eq!(went.failed(), "`sh`: it failed: exit status: 3: it said\n  one\n    two");
    assert_eq!(went.points(), ["a=1"]);
    assert_eq!(went.log(), ["one", "  two"]);
    assert!(sh("kill -9 $$").failed().contains("signal: 9 (SIGKILL)"));
}

#[test]
fn a_bad_line_fails_the_job_and_the_others_are_kept() {
    for (script, points, reason) in [
        (
            r#"printf '{"key":"a","value":1}\n{"key":"b","val'"#,
            vec!["a=1"],
            "line 2: the line ends where",
        ),
        (
            r#"printf '\377\000\n{"key":"a","value":1}'"#,
            vec!["a=1"],
            "line 1: the line is not UTF-8",
        ),
        ("head -c 100000 /dev/urandom", vec![], "lines refused"),
        (
            r#"head -c 2000000 /dev/zero | tr '\0' x; printf '\n{"key":"a","value":1}'"#,
            vec!["a=1"],
            "line 1: the line is longer than 1048576 bytes",
        ),
        ("echo hello", vec![], "line 1: expected an object at column 1"),
    ] {
        let went = sh(script);
        assert!(went.failed().starts_with("`sh`: "), "{}", went.failed());
        assert!(went.failed().contains(reason), "{script} gave {}", went.failed());
        assert_eq!(went.points(), points, "{script}");
        assert!(went.collected.refused > 0);
    }
}

#[test]
fn a_flood_is_cut_off_with_an_error() {
    let options = |format: &str| {
        json!({
            "command": ["yes", r#"{"key":"a","value":1}"#], "max_bytes": 220, "format": format,
            "mapping": if format == "json" { json!({"values": {"a": "/a"}}) } else { json!({}) },
        })
    };
    let went = run(options("jsonl"));
    let failure =
        "`yes`: its standard output is longer than 220 bytes (`max_bytes`), and was cut off there";
    assert_eq!(went.failed(), failure);
    assert_eq!((went.points().len(), went.collected.refused), (10, 0));
    for format in ["json", "value"] {
        let went = run(options(format));
        assert_eq!(went.failed(), failure);
        assert_eq!(went.points(), [""; 0], "half an answer is no answer");
    }
    let went = run(json!({"command": ["sh", "-c", "yes >&2"], "max_bytes": 1000}));
    assert!(went.failed().contains("its standard error is longer"), "{}", went.failed());
    // Exactly as much as allowed is allowed.
    let went = run(json!({"command": ["printf", "12345"], "max_bytes": 5, "format": "value"}));
    assert_eq!((went.error.as_deref(), went.points()), (None, vec!["value=12345".to_owned()]));
}

#[test]
fn at_the_deadline_the_group_gets_term_and_what_was_printed_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
        trap 'echo "{\"key\":\"last\",\"value\":2}"; echo bye >&2; exit 0' TERM
        sleep 1000 & echo $! >pid
        echo '{"key":"first","value":1}'
        wait"#;
    let options = json!({"command": ["sh", "-c", script], "directory": "."});
    let went = run_in(folder.path(), SOON, options);
    let failure = "`sh`: it was still running at its deadline, and was ended: it said bye";
    assert_eq!(went.failed(), failure);
    assert_eq!(went.points(), ["first=1", "last=2"]);
    wait_until_gone(folder.path());
}

#[test]
fn who_ignores_term_gets_kill_with_all_descendants() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
        trap '' TERM
        echo '{"key":"a","value":1}'
        (echo $$ >parent; exec sleep 1000) & echo $! >pid
        wait; wait; wait"#;
    let options = json!({"command": ["sh", "-c", script], "directory": "."});
    let went = run_in(folder.path(), SOON, options);
    assert!(went.failed().contains("still running at its deadline"), "{}", went.failed());
    assert_eq!(went.points(), ["a=1"]);
    wait_until_gone(folder.path());
}

#[test]
fn nobody_waits_for_who_holds_the_output_after_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"sleep 1000 & echo $! >pid; echo '{"key":"a","value":1}'"#;
    let options = json!({"command": ["sh", "-c", script], "directory": "."});
    let went = run_in(folder.path(), A_MINUTE, options);
    assert!(went.failed().contains("kept its standard output open"), "{}", went.failed());
    assert_eq!(went.points(), ["a=1"]);
    wait_until_gone(folder.path());
}

#[test]
fn what_a_program_leaves_in_its_group_does_not_outlive_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"sleep 1000 >/dev/null 2>&1 & echo $! >pid; echo '{"key":"a","value":1}'"#;
    let options = json!({"command": ["sh", "-c", script], "directory": "."});
    let went = run_in(folder.path(), A_MINUTE, options);
    assert_eq!((went.error.as_deref(), went.points()), (None, vec!["a=1".to_owned()]));
    wait_until_gone(folder.path());
}

#[test]
fn a_grandchild_that_prints_on_is_heard() {
    let went = sh(r#"(sleep 0.3; echo '{"key":"late","value":1}') & echo '{"key":"a","value":1}'"#);
    assert_eq!(
        (went.error.as_deref(), went.points()),
        (None, vec!["a=1".to_owned(), "late=1".to_owned()])
    );
}

#[test]
fn a_sealed_sink_ends_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"echo $$ >pid; exec yes '{"key":"a","value":1}'"#;
    let exec: Exec =
        decode(&json!({"command": ["sh", "-c", script], "directory": "."})).expect("options");
    let context = context(folder.path(), A_MINUTE);
    let sink = Sink::new("host".into(), Vec::new(), context.now_ms);
    let collected = std::thread::scope(|scope| {
        let job = scope.spawn(|| exec.collect(&context, &sink));
        while sink.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let collected = sink.seal().expect("open");
        assert!(matches!(job.join().expect("no panic"), Err(Error::Sealed(_))));
        collected
    });
    assert!(!collected.batch.is_empty());
    wait_until_gone(folder.path());
}

#[test]
fn who_cannot_be_started_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
    };
    write("plain", "#!/bin/sh\n", 0o644);
    write("strange", "#!/no/such/interpreter\n", 0o755);
    let here = folder.path().display();
    for (command, reason) in [
        ("no-such-program", "there is no such program in any folder of `PATH`".to_owned()),
        ("./no-such-program", "there is no such program".into()),
        ("./plain", format!("`{here}/./plain` may not be executed")),
        ("./strange", "the interpreter that its first line names is not".into()),
        ("/tmp", "`/tmp` may not be executed".into()),
    ] {
        let went =
            run_in(folder.path(), A_MINUTE, json!({"command": [command, "secret-argument"]}));
        assert!(went.failed().starts_with(&format!("`{command}`: ")), "{}", went.failed());
        assert!(went.failed().contains(&reason), "{}", went.failed());
        assert!(!went.failed().contains("secret-argument"));
    }
    let path = json!({"PATH": folder.path()});
    let went = run(json!({"command": ["plain"], "env": path}));
    assert!(went.failed().contains("/plain` may not be executed"), "{}", went.failed());
    let went = run(json!({"command": ["true"], "directory": "/no/such/folder"}));
    assert_eq!(went.failed(), "`true`: `directory` is no folder: `/no/such/folder`");
}

#[test]
fn values_of_the_environment_stay_out_of_errors_and_logs() {
    let script = r#"
        echo "{\"type\":\"log\",\"message\":\"with $TOKEN\"}"
        echo "{\"type\":\"error\",\"message\":\"not $TOKEN\"}"
        echo "{\"key\":\"$TOKEN\",\"value\":null}"
        echo "{\"$TOKEN\":1}"
        echo "key is $TOKEN" >&2
        exit 1"#;
    let went = run(json!({"command": ["sh", "-c", script], "env": {"TOKEN": "hunter2"}}));
    let everything = format!("{:?} {:?}", went.error, went.collected);
    assert!(went.failed().contains("it said key is [redacted]"), "{}", went.failed());
    assert_eq!(went.collected.errors, ["not [redacted]"]);
    assert!(everything.contains("with [redacted]"), "{everything}");
    assert_eq!(went.collected.refused, 2);
    assert!(!everything.contains("hunter2"), "{everything}");
    let secret = json!({"env": "NOT_RESOLVED"});
    let went = run(json!({"command": ["true"], "env": {"TOKEN": secret}}));
    assert!(went.failed().starts_with("`true`: the secret for `TOKEN` cannot be used: "));
}

#[test]
fn whole_answers_are_mapped() {
    let went = run(json!({
        "command": ["echo", r#"{"disks": [{"n": "a", "free": 1}, {"n": "b", "free": 2.5}]}"#],
        "format": "json",
        "mapping": {"each": "/disks", "labels": {"disk": "/n"}, "values": {"free": "/free"}},
    }));
    assert_eq!(went.error, None);
    assert_eq!(went.points(), ["free=1", "free=2.5"]);
    let went = run(json!({"command": ["echo", " 21.5 "], "format": "value"}));
    assert_eq!((went.error.as_deref(), went.points()), (None, vec!["value=21.5".to_owned()]));
    let went = run(json!({
        "command": ["sh", "-c", "echo 7; exit 2"], "format": "value",
    }));
    assert!(went.failed().contains("exit status: 2"));
    assert_eq!(went.points(), ["value=7"]);
}

#[test]
fn what_cannot_work_is_a_conflict_and_what_cannot_be_is_told_at_its_place() {
    let conflicts = |options| decode::<Exec>(&options).expect("options").conflicts().len();
    let values = json!({"values": {"v": "/v"}});
    assert_eq!(conflicts(json!({"command": ["x"], "mapping": values})), 1);
    assert_eq!(conflicts(json!({"command": ["x"], "format": "json"})), 1);
    assert_eq!(conflicts(json!({"command": ["x"], "format": "value", "config": {"a": 1}})), 1);
    let problem = |options| {
        let problems = decode::<Exec>(&options).expect_err("a mistake");
        let problem = &problems[0];
        format!("{}: {}", crate::decode::Path(&problem.path), problem.message)
    };
    assert!(problem(json!({"command": ["sleep", 5]})).starts_with("command[1]: wrong type"));
    assert!(problem(json!({"command": []})).starts_with("command: there is no program"));
    let odd = json!({"command": ["x"], "env": {"A=B": "x"}});
    assert!(problem(odd.clone()).contains("`A=B` cannot name a variable"), "{}", problem(odd));
}

#[test]
fn secrets_in_config_reach_the_program_and_are_not_told() {
    let exec: Exec = decode(&json!({
        "command": ["sh", "-c", "cat >&2; exit 1"],
        "config": {"password": "hunter2", "dsn": {"env": "DSN"}, "limit": 7},
    }))
    .expect("options");
    exec.secrets()[1].resolve("x");
    let sink = Sink::new("host".into(), Vec::new(), 0);
    let context = context(Path::new("/"), A_MINUTE);
    let mut error: &dyn std::error::Error = &exec.collect(&context, &sink).expect_err("it failed");
    let mut told = error.to_string();
    while let Some(cause) = error.source() {
        told.push_str(&cause.to_string());
        error = cause;
    }
    let config = r#""config":{"password":"[redacted]","dsn":"[redacted]","limit":7}"#;
    assert!(told.contains(config), "{told}");
    let effective = serde_json::to_value(&exec).expect("json");
    let shown = json!({"password": "[redacted]", "dsn": {"env": "DSN"}, "limit": 7});
    assert_eq!(effective["config"], shown);
}

#[test]
fn a_secret_is_no_argument() {
    let problems =
        decode::<Exec>(&json!({"command": ["x", {"env": "PW"}]})).expect_err("a mistake");
    assert_eq!(crate::decode::Path(&problems[0].path).to_string(), "command[1]");
    let hint = problems[0].hint.as_deref().unwrap_or_default();
    assert!(hint.contains("so a secret belongs in `env`"), "{hint}");
}

#[test]
fn a_thousand_short_programs_run_from_few_threads() {
    let exec: Exec = decode(&json!({"command": ["true"]})).expect("options");
    let context = context(Path::new("/"), A_MINUTE);
    let next = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 1000 {
                    let sink = Sink::new("host".into(), Vec::new(), 0);
                    exec.collect(&context, &sink).expect("it runs");
                }
            });
        }
    });
}
