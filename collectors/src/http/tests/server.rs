//! A real HTTP server on loopback, with a thread per connection. It lives as long as the tests.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came: head and body.
pub(super) struct Received {
    pub(super) text: String,
    /// The path and query that were asked for.
    pub(super) path: String,
}

pub(super) trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

pub(super) type Handler = dyn Fn(&Received, &mut dyn Wire) -> io::Result<()> + Send + Sync;

#[derive(Clone)]
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) received: Arc<Mutex<Vec<String>>>,
    pub(super) connections: Arc<AtomicUsize>,
}

impl Server {
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn requests(&self) -> Vec<String> {
        self.received.lock().expect("not poisoned").clone()
    }
}

/// An answer with a length, after which the connection may be used again.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Serves with `handler`; an error of it breaks the connection.
pub(super) fn serve(
    handler: impl Fn(&Received, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
) -> Server {
    listen(handler, |stream, session| session(stream))
}

/// The same over TLS.
pub(super) fn serve_tls(
    config: ServerConfig,
    handler: impl Fn(&Received, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
) -> Server {
    let config = Arc::new(config);
    listen(handler, move |stream, session| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a session");
        session(&mut StreamOwned::new(connection, stream));
    })
}

fn listen(
    handler: impl Fn(&Received, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
    wrap: impl Fn(&mut TcpStream, &dyn Fn(&mut dyn Wire)) + Send + Sync + 'static,
) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = Server {
        port: listener.local_addr().expect("bound").port(),
        received: Arc::default(),
        connections: Arc::default(),
    };
    let (shared, wrap, handler) = (server.clone(), Arc::new(wrap), Arc::new(handler));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let (server, wrap, handler) = (shared.clone(), Arc::clone(&wrap), Arc::clone(&handler));
            server.connections.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                wrap(&mut stream, &|wire| session(wire, &server, &*handler));
            });
        }
    });
    server
}

fn session(wire: &mut dyn Wire, server: &Server, handler: &Handler) {
    while let Ok(Some(received)) = receive(wire) {
        server.received.lock().expect("not poisoned").push(received.text.clone());
        if handler(&received, wire).is_err() {
            return;
        }
    }
}

fn receive(wire: &mut dyn Wire) -> io::Result<Option<Received>> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if wire.read(&mut byte)? == 0 {
            return Ok(None);
        }
        text.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&text).into_owned();
    let length = head.to_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    wire.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    Ok(Some(Received { text: head + &String::from_utf8_lossy(&body), path }))
}
