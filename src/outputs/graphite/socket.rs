//! A body over TCP, and the certainty that it was read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::super::Body;

/// So much is read from the body at once, in bytes.
const PIECE_BYTES: usize = 64 * 1024;
/// How much of what should not be an answer is shown, in bytes.
const ANSWER_BYTES: usize = 80;

/// Why a body was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the name has no address")]
    NoAddress,
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    #[error("cannot read the body")]
    Body(#[source] io::Error),
    #[error("the connection broke off")]
    Send(#[source] io::Error),
    #[error("no time was left")]
    Late,
    #[error("the server did not say that it has read all")]
    Silent(#[source] io::Error),
    #[error("it answered {0:?}, and Graphite never does: is it another server's port?")]
    Answer(String),
}

/// Sends a body and waits until the server has read it and closes the connection.
pub(super) fn send(host: &str, port: u16, body: &Body, deadline: Instant) -> Result<(), Error> {
    let mut stream = connect(host, port, deadline)?;
    let mut reader = body.open().map_err(Error::Body)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let length = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Body(error)),
        };
        write(&mut stream, &piece[..length], deadline)?;
    }
    stream.shutdown(Shutdown::Write).map_err(Error::Send)?;
    let mut answer = [0; ANSWER_BYTES];
    stream.set_read_timeout(Some(left(deadline)?)).map_err(Error::Send)?;
    match stream.read(&mut answer) {
        Ok(0) => Ok(()),
        Ok(length) => Err(Error::Answer(String::from_utf8_lossy(&answer[..length]).into_owned())),
        Err(error) => Err(Error::Silent(error)),
    }
}

fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, Error> {
    let mut failure = Error::NoAddress;
    for address in (host, port).to_socket_addrs().map_err(Error::Connect)? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Error::Connect(error),
        }
    }
    Err(failure)
}

/// Writes it all before the deadline: a server that takes a byte now and then does not get more time for it.
fn write(stream: &mut TcpStream, bytes: &[u8], deadline: Instant) -> Result<(), Error> {
    let mut rest = bytes;
    while !rest.is_empty() {
        stream.set_write_timeout(Some(left(deadline)?)).map_err(Error::Send)?;
        match stream.write(rest) {
            Ok(0) => return Err(Error::Send(io::ErrorKind::WriteZero.into())),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::Send(error)),
        }
    }
    Ok(())
}

fn left(deadline: Instant) -> Result<Duration, Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(Error::Late) } else { Ok(left) }
}
