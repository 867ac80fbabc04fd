//! TLS over rustls with ring, configured once.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::bounded;

/// Many times as much as all the authorities take that a system knows.
const ROOTS_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A file of certificate authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("certificate authorities in `{}`", path.display())]
pub struct BadRoots {
    path: PathBuf,
    source: RootsFlaw,
}

#[derive(Debug, thiserror::Error)]
enum RootsFlaw {
    #[error("the file cannot be read")]
    Unreadable(#[source] bounded::Error),
    #[error("the file is not PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    #[error("a certificate cannot be used as an authority")]
    Certificate(#[source] rustls::Error),
    #[error("there is no certificate in the file")]
    Empty,
}

/// Wraps connections to `https` URLs in TLS.
///
/// ureq's own connector makes a new configuration, and with it loses every session ticket, for each request
/// that has a timeout of its own.
#[derive(Default)]
pub(super) struct TlsConnector {
    /// `None`: the built-in authorities.
    roots: Option<RootCertStore>,
    config: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
}

impl TlsConnector {
    pub(super) fn with_roots_from(path: &Path) -> Result<Self, BadRoots> {
        let roots =
            read_roots(path).map_err(|source| BadRoots { path: path.to_owned(), source })?;
        Ok(Self { roots: Some(roots), config: OnceLock::new() })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let make = || {
            let roots = self.roots.clone().unwrap_or_else(|| RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            });
            let config = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            Ok(Arc::new(config))
        };
        self.config.get_or_init(make).clone()
    }
}

/// The one TLS provider of the program.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())).clone()
}

/// The name by which a certificate must know the host.
pub(super) fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).ok()
}

fn read_roots(path: &Path) -> Result<RootCertStore, RootsFlaw> {
    let file = std::fs::File::open(path).map_err(|error| RootsFlaw::Unreadable(error.into()))?;
    let text = bounded::read(file, ROOTS_MAX_BYTES, "the most for a file of authorities");
    let text = text.map_err(RootsFlaw::Unreadable)?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(RootsFlaw::Pem)?;
        roots.add(certificate).map_err(RootsFlaw::Certificate)?;
    }
    if roots.is_empty() { Err(RootsFlaw::Empty) } else { Ok(roots) }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let name = details.uri.host().and_then(server_name);
        let name = name.ok_or(Error::Tls("the host is no name that a certificate can have"))?;
        let mut connection = ClientConnection::new(self.config()?, name)?;
        let mut socket =
            TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(left_of(details));
        connection.complete_io(&mut socket)?;
        let buffers = LazyBuffers::new(
            details.config.input_buffer_size(),
            details.config.output_buffer_size(),
        );
        let stream = StreamOwned { conn: connection, sock: socket };
        Ok(Some(Either::B(TlsTransport { buffers, stream })))
    }
}

/// What the connection before TLS has left of the timeout.
fn left_of(details: &ConnectionDetails<'_>) -> NextTimeout {
    let mut timeout = details.timeout;
    if let (Duration::Exact(after), Instant::Exact(start), Instant::Exact(now)) =
        (timeout.after, details.now, (details.current_time)())
    {
        timeout.after = Duration::Exact(after.saturating_sub(now.saturating_duration_since(start)));
    }
    timeout
}

pub(super) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnector").finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}
