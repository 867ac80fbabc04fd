//! A loopback HTTP server that keeps what it is sent and answers as told.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    /// Header names in lower case, with their values.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first line and the headers, a line each.
    #[cfg(feature = "lambda")]
    pub(crate) fn head(&self) -> String {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        std::iter::once(self.line.clone()).chain(headers).collect::<Vec<_>>().join("\n")
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

const HALF_AN_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Le";

/// How one request is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// With a status, headers and a body.
    Status(u16, &'static str, String),
    /// With 200 and what it makes of the request.
    Made(fn(&Request) -> String),
    /// Never; the connection stays open.
    Hang,
    /// With the first half of an answer, and then never.
    HangHalfway,
    /// By closing the connection.
    Close,
    /// By resetting the connection.
    Reset,
    /// With the first half of an answer, and then by resetting the connection.
    ResetHalfway,
    /// With something that is no answer.
    Garbage,
    /// With this status and a text of a gigabyte.
    Endless(u16),
}

impl Answer {
    /// A status and nothing else.
    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, "", String::new())
    }
}

/// How requests are answered.
enum Answers {
    /// In this order, and then with 200.
    InOrder(Mutex<VecDeque<Answer>>),
    /// As it says.
    By(Box<dyn Fn(&Request) -> Answer + Send + Sync>),
}

impl Answers {
    fn to(&self, request: &Request) -> Answer {
        match self {
            Self::InOrder(answers) => {
                let next = answers.lock().expect("no test panicked with it").pop_front();
                next.unwrap_or(Answer::status(200))
            }
            Self::By(decide) => decide(request),
        }
    }

    /// Whether the next connection is reset, whatever is asked.
    fn are_to_reset(&self) -> bool {
        let Self::InOrder(answers) = self else { return false };
        let answers = answers.lock().expect("no test panicked with it");
        matches!(answers.front(), Some(Answer::Reset | Answer::ResetHalfway))
    }
}

/// The server. It lives until the test process ends, or it is stopped.
pub(crate) struct Server {
    port: u16,
    is_stopped: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<Request>>>,
    sent_all: Arc<AtomicBool>,
}

impl Server {
    /// Answers every request with 200.
    pub(crate) fn start() -> Self {
        Self::answering(Vec::new())
    }

    /// Answers in this order, and then with 200.
    pub(crate) fn answering(answers: Vec<Answer>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), answers)
    }

    /// Answers each request as `decide` says.
    pub(crate) fn deciding(decide: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::with(listener, Answers::By(Box::new(decide)))
    }

    /// The same on a port that was free a moment ago.
    pub(crate) fn on_port(port: u16) -> Self {
        Self::on(TcpListener::bind(("127.0.0.1", port)).expect("the port is free"), Vec::new())
    }

    fn on(listener: TcpListener, answers: Vec<Answer>) -> Self {
        Self::with(listener, Answers::InOrder(Mutex::new(VecDeque::from(answers))))
    }

    fn with(listener: TcpListener, answers: Answers) -> Self {
        let answers = Arc::new(answers);
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        let sent_all = Arc::new(AtomicBool::new(false));
        let all = Arc::clone(&sent_all);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&is_stopped);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (kept, answers) = (Arc::clone(&kept), Arc::clone(&answers));
                let all = Arc::clone(&all);
                thread::spawn(move || serve(stream, &kept, &answers, &all));
            }
        });
        Self { port, is_stopped, requests, sent_all }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether an [`Answer::Endless`] went out to its end.
    pub(crate) fn sent_all(&self) -> bool {
        self.sent_all.load(Ordering::Relaxed)
    }

    /// Listens no more, and gives what came.
    pub(crate) fn stop(self) -> Vec<Request> {
        self.is_stopped.store(true, Ordering::SeqCst);
        // Wakes it, so that it sees that.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        while TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
        self.requests()
    }

    /// What came so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panicked with it").clone()
    }
}

/// A port on which nobody listens.
pub(crate) fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, answers: &Answers, sent_all: &AtomicBool) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut writer = stream;
    while let Some(request) = next_request(&writer, &mut reader, answers) {
        let answer = answers.to(&request);
        kept.lock().expect("no test panicked with it").push(request.clone());
        match answer {
            Answer::Status(status, headers, body) => {
                if say(&mut writer, status, headers, &body).is_err() {
                    return;
                }
            }
            Answer::Made(make) => {
                if say(&mut writer, 200, "", &make(&request)).is_err() {
                    return;
                }
            }
            Answer::Hang => thread::sleep(Duration::from_secs(3_600)),
            Answer::HangHalfway => {
                writer.write_all(HALF_AN_ANSWER).ok();
                thread::sleep(Duration::from_secs(3_600));
            }
            Answer::Endless(status) => {
                const PIECE: &[u8] = &[b'x'; 64 * 1024];
                const PIECES: usize = 16 * 1024;
                let length = PIECE.len() * PIECES;
                let head = format!("HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\n\r\n");
                if writer.write_all(head.as_bytes()).is_err()
                    || (0..PIECES).any(|_| writer.write_all(PIECE).is_err())
                {
                    return;
                }
                sent_all.store(true, Ordering::Relaxed);
            }
            // What is unread when a connection is closed resets it.
            Answer::Reset => return,
            Answer::ResetHalfway => {
                writer.write_all(HALF_AN_ANSWER).ok();
                return;
            }
            Answer::Garbage => {
                writer.write_all(b"\x00\xff garbage\r\n\r\n").ok();
                writer.shutdown(Shutdown::Both).ok();
                return;
            }
            Answer::Close => {
                writer.shutdown(Shutdown::Both).ok();
                return;
            }
        }
    }
}

fn say(to: &mut impl Write, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Word\r\n{headers}Content-Length: {length}\r\n\r\n");
    to.write_all(head.as_bytes())?;
    to.write_all(body.as_bytes())
}

/// The next request; it stays unread where the connection is to be reset.
fn next_request(
    stream: &TcpStream,
    reader: &mut impl BufRead,
    answers: &Answers,
) -> Option<Request> {
    if !answers.are_to_reset() {
        return read_request(reader);
    }
    let mut seen = vec![0; 1 << 16];
    loop {
        let length = stream.peek(&mut seen).ok().filter(|&length| length > 0)?;
        let has_head = seen[..length].windows(4).any(|end| end == b"\r\n\r\n");
        if has_head && let Some(request) = read_request(&mut &seen[..length]) {
            return Some(request);
        }
        thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|&length| length > 0)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Request { line, headers, body })
}
