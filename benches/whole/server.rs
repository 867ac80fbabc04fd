//! The web server that whole-process figures are measured against: `benches/compare` starts it.
//!
//! It prints its address, answers every request with status 200 and a small JSON document, and a request for
//! `/delay/N` after N milliseconds. A request for `/count` is told how many others there were, so that a run which
//! asked for nothing is not taken for a fast one. It ends when its standard input does, so that it cannot outlive
//! who started it.
//! A thread per connection, so that what is measured never waits for the server's turn.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What a request is answered with.
const BODY: &str = r#"{"value": 21.5}"#;
/// The longest request line or header, in bytes.
const LINE_CAP_BYTES: u64 = 16 * 1024;
/// The longest delay that a request can ask for.
const DELAY_CAP_MS: u64 = 60_000;
/// A connection's thread needs little, and there are hundreds.
const STACK_BYTES: usize = 128 * 1024;

/// How many requests were answered, those for the count left out.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

fn main() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    thread::spawn(move || accept(&listener));
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn accept(listener: &TcpListener) {
    for connection in listener.incoming() {
        let started = connection.and_then(|connection| {
            connection.set_nodelay(true)?;
            // A peer that goes away ends its connection, and that is all.
            thread::Builder::new().stack_size(STACK_BYTES).spawn(move || serve(&connection))
        });
        if let Err(error) = started {
            complain(&error);
            // Out of threads or files: the next moment may have some.
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn complain(error: &io::Error) {
    // There is nobody left to tell when standard error is gone.
    drop(writeln!(io::stderr(), "server: {error}"));
}

/// Answers requests until the peer closes the connection.
fn serve(connection: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut writer = connection;
    while let Some(request) = Request::read(&mut reader)? {
        if request.expects_continue {
            writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        request.skip_body(&mut reader)?;
        thread::sleep(request.delay);
        let body = if request.asks_for_count {
            ANSWERED.load(Ordering::Relaxed).to_string()
        } else {
            ANSWERED.fetch_add(1, Ordering::Relaxed);
            BODY.to_owned()
        };
        let connection = if request.keeps_alive { "keep-alive" } else { "close" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\n\r\n{body}",
            body.len()
        );
        writer.write_all(answer.as_bytes())?;
        if !request.keeps_alive {
            break;
        }
    }
    Ok(())
}

/// A request's head, as far as it matters here.
struct Request {
    delay: Duration,
    asks_for_count: bool,
    body: Body,
    keeps_alive: bool,
    expects_continue: bool,
}

enum Body {
    Length(u64),
    Chunked,
}

impl Request {
    /// The next request; `None` when the peer has closed the connection.
    fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let first = line(reader)?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut words = first.split(' ');
        let path = words.nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let version = words.next().unwrap_or_default();
        let delay_ms = path.strip_prefix("/delay/").and_then(|ms| ms.parse().ok()).unwrap_or(0);
        let mut request = Self {
            delay: Duration::from_millis(DELAY_CAP_MS.min(delay_ms)),
            asks_for_count: path == "/count",
            body: Body::Length(0),
            keeps_alive: version != "HTTP/1.0",
            expects_continue: false,
        };
        loop {
            let header = line(reader)?;
            if header.is_empty() {
                return Ok(Some(request));
            }
            let (name, value) = header.split_once(':').unwrap_or((&header, ""));
            request.header(&name.to_ascii_lowercase(), value.trim())?;
        }
    }

    fn header(&mut self, name: &str, value: &str) -> io::Result<()> {
        match name {
            "content-length" => self.body = Body::Length(value.parse().map_err(io::Error::other)?),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => {
                self.body = Body::Chunked;
            }
            "connection" if value.eq_ignore_ascii_case("close") => self.keeps_alive = false,
            "connection" if value.eq_ignore_ascii_case("keep-alive") => self.keeps_alive = true,
            "expect" => self.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
        Ok(())
    }

    fn skip_body(&self, reader: &mut impl BufRead) -> io::Result<()> {
        match self.body {
            Body::Length(length) => skip(reader, length),
            Body::Chunked => loop {
                let head = line(reader)?;
                let digits = head.split(';').next().unwrap_or_default().trim();
                let length = u64::from_str_radix(digits, 16).map_err(io::Error::other)?;
                skip(reader, length)?;
                // The line's end behind the chunk; no one sends trailers here.
                line(reader)?;
                if length == 0 {
                    return Ok(());
                }
            },
        }
    }
}

fn skip(reader: &mut impl BufRead, length: u64) -> io::Result<()> {
    let skipped = io::copy(&mut reader.take(length), &mut io::sink())?;
    if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// A line without its end; empty at the end of the stream too.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    reader.take(LINE_CAP_BYTES).read_line(&mut text)?;
    if text.len() as u64 == LINE_CAP_BYTES {
        return Err(io::Error::other("the line is too long"));
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
