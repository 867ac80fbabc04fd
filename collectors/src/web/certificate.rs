//! Until when a server's certificate is valid, whoever issued it and whether or not it still is.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};
use x509_cert::der::Decode;

use super::url::Url;
use super::{resolver, tls};

/// A certificate's end that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The server could not be reached, or broke off.
    #[error("the certificate could not be fetched")]
    Io(#[from] io::Error),
    /// There is no TLS with this server.
    #[error("the certificate could not be fetched")]
    Tls(#[from] rustls::Error),
    /// Nothing that a certificate can be asked for: not `https`, or a host that is no name.
    #[error("the URL names no server with a certificate")]
    NoServer,
    /// The server sent none, or one that is no X.509.
    #[error("the server's certificate cannot be read")]
    NotX509,
}

/// When the certificate of the server behind `url` expires, in milliseconds since 1970.
///
/// The handshake trusts any certificate, whoever issued it and until when, since an expired one is just what is looked
/// for; the server must have its key. Nothing but the handshake is sent on the connection.
///
/// # Errors
/// [`ProbeError`] when no certificate was seen by `deadline`.
pub fn expiry_ms(url: &Url, deadline: Instant) -> Result<i64, ProbeError> {
    let host = url.uri().host().ok_or(ProbeError::NoServer)?;
    let port = resolver::port(url.uri()).ok_or(ProbeError::NoServer)?;
    let name = tls::server_name(host).ok_or(ProbeError::NoServer)?;
    let witness = Arc::new(Witness { provider: tls::provider(), seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let mut connection = ClientConnection::new(Arc::new(config), name)?;
    let mut socket = Bounded { stream: connect(host, port, deadline)?, deadline };
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    connection.send_close_notify();
    // The certificate is there already: whether the farewell arrives does not matter.
    connection.complete_io(&mut socket).ok();
    let seen = witness.seen.lock().unwrap_or_else(PoisonError::into_inner);
    let certificate = seen.as_deref().ok_or(ProbeError::NotX509)?;
    not_after_ms(certificate).ok_or(ProbeError::NotX509)
}

fn not_after_ms(certificate: &[u8]) -> Option<i64> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(end.as_millis()).ok()
}

fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in resolver::lookup(host, port)? {
        match TcpStream::connect_timeout(&address, left_until(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A connection on which nothing waits beyond the deadline.
struct Bounded {
    stream: TcpStream,
    deadline: Instant,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left_until(self.deadline)?))?;
        self.stream.read(buffer)
    }
}

impl Write for Bounded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(left_until(self.deadline)?))?;
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Looks at the server's certificate and lets every one pass whose key the server has.
#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Vec<u8>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(certificate.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
