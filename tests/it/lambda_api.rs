//! Lambda's runtime API to the letter, and the program as a function behind it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::server::read_request;
use crate::workspace::Workspace;

/// How long an invocation has when a test does not say.
const TIMEOUT: Duration = Duration::from_secs(60);
const ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:poller";

/// What became of an invocation.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Its answer.
    Response(Value),
    /// Its error: type and message.
    Error(String, String),
}

#[derive(Default)]
struct State {
    /// Id, event and deadline of what is to be done next.
    event: Option<(String, Vec<u8>, u128)>,
    /// What is being done.
    current: Option<String>,
    answers: HashMap<String, Answer>,
}

struct Api {
    state: Mutex<State>,
    changed: Condvar,
}

/// The program as a function; it ends with this.
pub(crate) struct Function {
    api: Arc<Api>,
    child: Child,
    count: std::cell::Cell<u32>,
    log: PathBuf,
}

impl Function {
    /// Starts the function in a workspace, with its `collector.yaml` as the configuration.
    pub(crate) fn start(workspace: &Workspace) -> Self {
        let config = workspace.path("collector.yaml").display().to_string();
        Self::start_with(workspace, &[("COLLECTOR_CONFIG", &config)])
    }

    /// The same with these variables.
    pub(crate) fn start_with(workspace: &Workspace, variables: &[(&str, &str)]) -> Self {
        Self::of(Path::new(env!("CARGO_BIN_EXE_collector")), workspace, variables)
    }

    /// The same with another program.
    pub(crate) fn of(program: &Path, workspace: &Workspace, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let api = Arc::new(Api { state: Mutex::default(), changed: Condvar::new() });
        let served = Arc::clone(&api);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let api = Arc::clone(&served);
                thread::spawn(move || api.serve(&stream));
            }
        });
        std::fs::create_dir_all(workspace.path("tmp")).expect("a folder");
        let log = workspace.path("log");
        let mut command = workspace.command_of(program, &[]).into_command();
        command
            .env_remove("STATE_DIRECTORY")
            .env("AWS_LAMBDA_RUNTIME_API", &address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "poller")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("TMPDIR", workspace.path("tmp"))
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log).expect("a log"));
        let child = command.spawn().expect("the function starts");
        Self { api, child, count: 0.into(), log }
    }

    /// Sends an event and waits for what becomes of it.
    pub(crate) fn invoke(&self, event: &str) -> Answer {
        self.invoke_within(event, TIMEOUT)
    }

    /// The same, with less time.
    pub(crate) fn invoke_within(&self, event: &str, timeout: Duration) -> Answer {
        self.count.set(self.count.get() + 1);
        let id = format!("8476a536-e9f4-11e8-9739-{:012}", self.count.get());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        let deadline = (now + timeout).as_millis();
        let mut state = self.api.state.lock().expect("no panic");
        state.event = Some((id.clone(), event.as_bytes().to_vec(), deadline));
        self.api.changed.notify_all();
        loop {
            if let Some(answer) = state.answers.get(&id) {
                return answer.clone();
            }
            let waited = self.api.changed.wait_timeout(state, timeout + Duration::from_secs(60));
            let (guard, is_over) = waited.expect("no panic");
            assert!(!is_over.timed_out(), "no answer; the log:\n{}", self.log());
            state = guard;
        }
    }

    /// Sends an event that must be answered, and gives the answer.
    #[track_caller]
    pub(crate) fn report(&self, event: &str) -> Value {
        match self.invoke(event) {
            Answer::Response(report) => report,
            error @ Answer::Error(..) => panic!("{error:?}\n{}", self.log()),
        }
    }

    /// Sends an event that must fail, and gives the type and message of its error.
    #[track_caller]
    pub(crate) fn error(&self, event: &str) -> (String, String) {
        match self.invoke(event) {
            Answer::Error(kind, message) => (kind, message),
            answer @ Answer::Response(_) => panic!("{answer:?}\n{}", self.log()),
        }
    }

    /// The names of its threads.
    pub(crate) fn threads(&self) -> Vec<String> {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(tasks).expect("it runs").flatten();
        let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
        names.flatten().map(|name| name.trim().to_owned()).collect()
    }

    /// What it wrote to standard error.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Api {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let mut writer = stream;
        while let Some(request) = read_request(&mut reader) {
            let answer = match request.line.split_once(" /2018-06-01/runtime/") {
                Some(("GET", "invocation/next")) => self.next(),
                Some(("POST", place)) => {
                    let place = place.strip_prefix("invocation/").and_then(|p| p.split_once('/'));
                    self.settle(place, &request)
                }
                _ => answer("404 Not Found", "", b""),
            };
            if writer.write_all(&answer).is_err() {
                return;
            }
        }
    }

    /// Waits for an event. The function is frozen while it waits, so it must have answered the last one.
    fn next(&self) -> Vec<u8> {
        let mut state = self.state.lock().expect("no panic");
        state.current = None;
        loop {
            if let Some((id, event, deadline)) = state.event.take() {
                let headers = format!(
                    "Content-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n\
                     Lambda-Runtime-Deadline-Ms: {deadline}\r\nLambda-Runtime-Invoked-Function-Arn: {ARN}\r\n\
                     Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\n"
                );
                state.current = Some(id);
                return answer("200 OK", &headers, &event);
            }
            state = self.changed.wait(state).expect("no panic");
        }
    }

    fn settle(&self, place: Option<(&str, &str)>, request: &crate::server::Request) -> Vec<u8> {
        let wrong = |error: &str| {
            let body = format!("{{\"errorType\":\"{error}\",\"errorMessage\":\"\"}}");
            answer("400 Bad Request", "Content-Type: application/json\r\n", body.as_bytes())
        };
        let mut state = self.state.lock().expect("no panic");
        let Some((id, what)) = place.filter(|(id, _)| state.current.as_deref() == Some(id)) else {
            return wrong("InvalidRequestID");
        };
        if state.answers.contains_key(id) {
            return wrong("InvalidStateTransition");
        }
        if request.body.len() > 6 * 1024 * 1024 {
            return answer("413 Payload Too Large", "", b"");
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let settled = match what {
            "response" => Answer::Response(body),
            "error" => {
                let header = request.header("lambda-runtime-function-error-type");
                assert!(header.is_some_and(|kind| !kind.is_empty()), "an error has its header");
                Answer::Error(text("errorType"), text("errorMessage"))
            }
            _ => return answer("404 Not Found", "", b""),
        };
        state.answers.insert(id.to_owned(), settled);
        self.changed.notify_all();
        answer("202 Accepted", "", b"{\"status\":\"OK\"}")
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
