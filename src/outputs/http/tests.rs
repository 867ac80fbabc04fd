//! The transport against servers on loopback: what goes out, and what comes of every kind of answer.

mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use super::*;
use crate::payload::Agent;

/// One request as a server read it, and which of its connections it came over.
struct Seen {
    connection: usize,
    head: String,
    body: Vec<u8>,
}

/// A server that answers every request in the same way, and tells what it was sent.
fn server(answer: impl Fn(&mut TcpStream) + Send + Clone + 'static) -> (u16, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().flatten().enumerate() {
            let (sender, answer) = (sender.clone(), answer.clone());
            thread::spawn(move || {
                let mut writer = stream.try_clone().expect("a second handle");
                let mut reader = BufReader::new(stream);
                while let Some((head, body)) = read_request(&mut reader) {
                    sender.send(Seen { connection, head, body }).ok();
                    answer(&mut writer);
                }
            });
        }
    });
    (port, receiver)
}

fn read_request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.and_then(|length| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn say(text: &'static str) -> impl Fn(&mut TcpStream) + Send + Clone + 'static {
    move |stream| stream.write_all(text.as_bytes()).expect("it listens")
}

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn surroundings() -> Surroundings {
    Surroundings {
        agent: Agent { id: "i".into(), program: "p".into(), hostname: "h".into() },
        config_directory: "/".into(),
        daemon_directory: None,
        now_ms: 0,
    }
}

fn options(yaml: &str) -> Http {
    let tree: serde_json::Value = serde_yaml::from_str(yaml).expect(yaml);
    serde_json::from_value(tree).expect(yaml)
}

fn http(yaml: &str) -> Http {
    let http = options(yaml);
    assert_eq!(http.conflicts().len(), 0, "{yaml}");
    http
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn post_to(port: u16, http: &Http, body: &[u8]) -> Result<Answer, Error> {
    let url = format!("http://127.0.0.1:{port}/in");
    let (surroundings, body) = (surroundings(), Body::Memory(body.to_vec()));
    post(&Post::new(http, &surroundings, &url, &body), soon())
}

#[test]
fn the_bodies_of_a_backlog_go_over_one_connection() {
    let (port, seen) = server(say(OK));
    for length in [1, 1_000_000, 7] {
        let answer = post_to(port, &Http::default(), &vec![b'x'; length]).expect("an answer");
        assert_eq!((answer.status, answer.is_whole), (204, true));
        let request = seen.recv().expect("a request");
        assert_eq!((request.connection, request.body.len()), (0, length));
    }
}

#[test]
fn a_compressed_body_has_its_length_and_is_whole() {
    let (port, seen) = server(say(OK));
    let url = format!("http://127.0.0.1:{port}/in");
    let text = "the same again ".repeat(10_000);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("body");
    std::fs::write(&path, &text).expect("written");
    let file = Body::from_file(std::fs::File::open(&path).expect("opened")).expect("a body");
    let (http, surroundings) = (Http::default(), surroundings());
    for body in [Body::Memory(text.clone().into_bytes()), file] {
        let post_of = Post::new(&http, &surroundings, &url, &body);
        post(&Post { compression: Compression::Gzip, ..post_of }, soon()).expect("an answer");
        let request = seen.recv().expect("a request");
        assert!(request.head.contains("content-encoding: gzip\r\n"), "{}", request.head);
        let mut plain = String::new();
        let mut decoder = flate2::read::GzDecoder::new(request.body.as_slice());
        decoder.read_to_string(&mut plain).expect("gzip");
        assert!(plain == text && request.body.len() < text.len() / 10);
    }
}

#[test]
fn headers_of_the_configuration_come_before_the_outputs_own() {
    let (port, seen) = server(say(OK));
    let http =
        http("{auth: {basic: {user: u, password: p}}, headers: {content-type: mine, X-A: b}}");
    let url = format!("http://127.0.0.1:{port}/in");
    let (surroundings, body) = (surroundings(), Body::Memory(Vec::new()));
    let headers = vec![("Content-Type", "text/plain"), ("Accept", "x/y")];
    let post_of = Post::new(&http, &surroundings, &url, &body);
    let with = Post { headers, method: Method::Patch, ..post_of };
    let shown = with.destination(url.clone());
    let names: Vec<_> = shown.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        (shown.method, names.as_slice()),
        ("PATCH", &["Accept", "authorization", "content-type", "x-a"][..])
    );
    post(&with, soon()).expect("an answer");
    let head = seen.recv().expect("a request").head;
    assert!(head.starts_with("patch /in "), "{head}");
    for line in ["authorization: basic dtpw", "content-type: mine", "x-a: b", "accept: x/y"] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
    assert!(!head.contains("text/plain"), "{head}");
    let token = Auth::Token(Secret::plain("t"));
    post(&Post { auth: Some(token), ..with }, soon()).expect("an answer");
    let head = seen.recv().expect("a request").head;
    assert!(head.contains("\r\nauthorization: token t\r\n") && !head.contains("dtpw"), "{head}");
}

#[test]
fn of_a_gigabyte_only_the_beginning_is_read() {
    let (sender, sent) = channel();
    let (port, _seen) = server(move |stream: &mut TcpStream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("it listens");
        let piece = vec![b'x'; 1 << 20];
        sender.send((0..1024).take_while(|_| stream.write_all(&piece).is_ok()).count()).ok();
    });
    let answer = post_to(port, &Http::default(), b"x").expect("an answer");
    assert_eq!((answer.status, answer.is_whole), (200, false));
    assert!(answer.text.len() < 100_000, "{}", answer.text.len());
    let megabytes = sent.recv().expect("a count");
    assert!(megabytes < 100, "{megabytes}");
}

#[test]
fn an_answer_that_breaks_off_has_its_status_and_is_not_whole() {
    let (port, _seen) = server(|stream: &mut TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").expect("it listens");
        stream.shutdown(std::net::Shutdown::Both).expect("it was open");
    });
    let answer = post_to(port, &Http::default(), b"x").expect("an answer");
    assert_eq!((answer.status, answer.is_whole, answer.text.as_str()), (200, false, "half"));
}

#[test]
fn a_server_that_hangs_is_left_after_the_timeout_and_one_that_refuses_at_once() {
    let (port, _seen) = server(|_: &mut TcpStream| {});
    let error = post_to(port, &http("{timeout: 100ms}"), b"x").expect_err("no answer");
    assert!(matches!(error.receipt(), Receipt::Fault { .. }), "{error}");

    let (port, _seen) = server(|stream: &mut TcpStream| {
        stream.shutdown(std::net::Shutdown::Both).expect("it was open");
    });
    let error = post_to(port, &Http::default(), b"x").expect_err("no answer");
    assert!(matches!(error.receipt(), Receipt::Fault { .. }), "{error}");

    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = closed.expect("an address").port();
    let error = post_to(port, &Http::default(), b"x").expect_err("no answer");
    assert!(matches!(error.receipt(), Receipt::Retry { .. }), "{error}");

    let (surroundings, body) = (surroundings(), Body::Memory(Vec::new()));
    let http = Http::default();
    let late = post(&Post::new(&http, &surroundings, "http://h/", &body), Instant::now());
    assert!(matches!(late, Err(Error::Late)));
}

#[test]
fn a_redirect_is_an_answer() {
    let (port, seen) =
        server(say("HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n"));
    let answer = post_to(port, &Http::default(), b"x").expect("an answer");
    assert!(matches!(answer.receipt(), Receipt::Retry { .. }));
    seen.recv().expect("a request");
    assert!(seen.try_recv().is_err(), "it was followed");
}

#[test]
fn secrets_that_a_server_repeats_are_not_told() {
    let (port, _seen) =
        server(say("HTTP/1.1 400 Bad\r\nContent-Length: 27\r\n\r\nno aHVudGVyMg== nor hunter2"));
    let http = http("{headers: {X-Key: hunter2, X-Other: Basic aHVudGVyMg==}}");
    let answer = post_to(port, &http, b"x").expect("an answer");
    assert_eq!(answer.describe(), "the server answered 400: no [redacted] nor [redacted]");
    assert_eq!(
        http.shown_headers(None),
        [("x-key".into(), "[redacted]".into()), ("x-other".into(), "[redacted]".into())]
    );
}

#[test]
fn a_header_that_cannot_be_sent_is_named_without_its_value() {
    let http = http("{headers: {X-Key: \"hunter2\\n\"}}");
    let error = post_to(1, &http, b"x").expect_err("no header");
    let told = crate::report::chain(&error);
    assert!(told.contains("`x-key`") && !told.contains("hunter2"), "{told}");
    assert!(matches!(error.receipt(), Receipt::Retry { .. }));
}

#[test]
fn a_proxy_is_asked_to_connect() {
    let (target, seen) = server(say(OK));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let proxy = thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client");
        let mut reader = BufReader::new(client.try_clone().expect("a second handle"));
        let (head, _) = read_request(&mut reader)?;
        let upstream = TcpStream::connect(("127.0.0.1", target)).expect("the server");
        (&client).write_all(b"HTTP/1.1 200 Go\r\n\r\n").expect("it listens");
        let mut back = (upstream.try_clone().expect("a second handle"), client);
        thread::spawn(move || std::io::copy(&mut back.0, &mut back.1));
        thread::spawn(move || std::io::copy(&mut reader, &mut &upstream));
        Some(head)
    });
    let http = http(&format!("{{proxy: 'http://me:pass@127.0.0.1:{port}'}}"));
    let answer = post_to(target, &http, b"x").expect("an answer");
    assert_eq!(answer.status, 204);
    assert_eq!(seen.recv().expect("a request").body, b"x");
    let head = proxy.join().expect("no panic").expect("a request");
    assert!(head.starts_with(&format!("connect 127.0.0.1:{target} ")), "{head}");
    assert!(head.contains("proxy-authorization: basic bwu6cgfzcw=="), "{head}");
}

#[test]
fn what_cannot_go_together_is_told() {
    for (yaml, place) in [
        ("{client_certificate: a.pem}", "client_certificate"),
        ("{client_key: a.pem}", "client_key"),
        ("{timeout: 0}", "timeout"),
        ("{auth: {bearer: t}, headers: {Authorization: x}}", "headers"),
        // Also where this build cannot sign at all.
        ("{sigv4: {service: ''}}", "sigv4"),
    ] {
        let problems = options(yaml).conflicts();
        assert_eq!(problems.len(), 1, "{yaml}");
        let path = collectors::decode::Path(&problems[0].path).to_string();
        assert_eq!(path, format!("http.{place}"));
    }
}

#[cfg(feature = "lambda")]
#[test]
fn a_signature_takes_the_place_of_no_other_credentials() {
    let sigv4 = options("{sigv4: {service: s}, headers: {authorization: x}}");
    let problems = sigv4.conflicts();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(collectors::decode::Path(&problems[0].path).to_string(), "http.headers");
    assert_eq!(sigv4.says_who(), Some("sigv4"));
}
