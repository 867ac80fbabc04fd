//! Between the program and `moto`: passes requests on, and refuses or swallows those that a test names.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::moto::{Moto, authorization};
use crate::server::{Request, read_request};

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    /// It is answered with this status and S3's words for it.
    Refused(u16, &'static str),
    /// The object of its path is removed, and then as with this status.
    Removed(u16, &'static str),
    /// It is never answered.
    Swallowed,
    /// It is passed on, and its answer is kept.
    Unanswered,
}

/// Requests whose first line or one of whose headers contains this, and what becomes of them.
type Rule = (&'static str, Fate);

/// The relay. It lives until the test process ends.
pub(crate) struct Relay {
    port: u16,
    rules: Arc<Mutex<Vec<Rule>>>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// In front of that server.
    pub(crate) fn before(moto: &Moto) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let (rules, lines) =
            (Arc::<Mutex<Vec<Rule>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let relay = Self { port, rules: Arc::clone(&rules), lines: Arc::clone(&lines) };
        let behind = moto.port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (rules, lines) = (Arc::clone(&rules), Arc::clone(&lines));
                thread::spawn(move || serve(&stream, behind, &rules, &lines));
            }
        });
        relay
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on this becomes of requests whose first line or one of whose headers contains that. The first rule counts.
    pub(crate) fn rules(&self, rules: &[Rule]) {
        *self.rules.lock().expect("no panic") = rules.to_vec();
    }

    /// The first lines of the requests since this was asked for last.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().expect("no panic"))
    }
}

fn serve(stream: &TcpStream, behind: u16, rules: &Mutex<Vec<Rule>>, lines: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut writer = stream;
    let Some(request) = read_request(&mut reader) else { return };
    lines.lock().expect("no panic").push(request.line.clone());
    let rules = rules.lock().expect("no panic").clone();
    let head = request.head();
    let rule = rules.into_iter().find(|(part, _)| head.contains(part));
    let answer = match rule {
        Some((_, Fate::Swallowed)) => {
            thread::sleep(Duration::from_secs(3_600));
            return;
        }
        Some((_, Fate::Unanswered)) => {
            passed_on(&request, behind);
            thread::sleep(Duration::from_secs(3_600));
            return;
        }
        Some((_, Fate::Refused(status, words))) => refusal(status, words),
        Some((_, Fate::Removed(status, words))) => {
            let removal = Request {
                line: request.line.replacen("PUT", "DELETE", 1),
                headers: vec![
                    ("host".to_owned(), "127.0.0.1".to_owned()),
                    ("authorization".to_owned(), authorization("s3")),
                ],
                body: Vec::new(),
            };
            passed_on(&removal, behind);
            refusal(status, words)
        }
        None => passed_on(&request, behind),
    };
    // One request a connection: the answer says that it is closed.
    writer.write_all(&answer).ok();
}

fn refusal(status: u16, words: &str) -> Vec<u8> {
    let body = format!("<Error><Code>{words}</Code><Message>as told</Message></Error>");
    let head =
        format!("HTTP/1.1 {status} Word\r\nConnection: close\r\nContent-Length: {}", body.len());
    format!("{head}\r\n\r\n{body}").into_bytes()
}

fn passed_on(request: &Request, behind: u16) -> Vec<u8> {
    let mut head = format!("{} HTTP/1.1\r\nConnection: close\r\n", request.line);
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "connection") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut server = TcpStream::connect(("127.0.0.1", behind)).expect("moto");
    server.write_all(&[head.as_bytes(), &request.body].concat()).expect("moto reads");
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).expect("moto answers");
    answer
}
