//! TLS over rustls with ring, configured once.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};
use zeroize::Zeroizing;

use crate::bounded;

/// Many times as much as all the authorities take that a system knows.
const PEM_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Who a client is: a certificate and its private key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The file with the certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// The file with the private key; it may be the same file.
    pub key: PathBuf,
}

/// A file of certificates or keys that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} in `{}`", path.display())]
pub struct BadTlsFile {
    what: &'static str,
    path: PathBuf,
    source: Flaw,
}

#[derive(Debug, thiserror::Error)]
enum Flaw {
    #[error("the file cannot be read")]
    Unreadable(#[source] bounded::Error),
    #[error("the file is not PEM")]
    Pem(#[source] rustls::pki_types::pem::Error),
    #[error("a certificate cannot be used as an authority")]
    Certificate(#[source] rustls::Error),
    #[error("there is no certificate in the file")]
    Empty,
    #[error("there is no private key in the file")]
    NoKey(#[source] rustls::pki_types::pem::Error),
    #[error("the private key does not belong to the certificate, or is of no kind that is known")]
    Mismatch(#[source] rustls::Error),
}

/// Wraps connections to `https` URLs in TLS.
///
/// ureq's own connector makes a new configuration, and with it loses every session ticket, for each request
/// that has a timeout of its own.
pub(super) struct TlsConnector {
    /// `None`: the built-in authorities.
    roots: Option<RootCertStore>,
    identity: Option<Arc<CertifiedKey>>,
    config: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
}

impl TlsConnector {
    /// Nothing is read or made for what is not given, so that plain `http` does not pay for it.
    pub(super) fn new(
        ca_file: Option<&Path>,
        identity: Option<&Identity>,
    ) -> Result<Self, BadTlsFile> {
        Ok(Self {
            roots: ca_file.map(read_roots).transpose()?,
            identity: identity.map(read_identity).transpose()?.map(Arc::new),
            config: OnceLock::new(),
        })
    }

    fn config(&self) -> Result<Arc<ClientConfig>, rustls::Error> {
        let make = || {
            let roots = self.roots.clone().unwrap_or_else(|| RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            });
            let config = ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots);
            Ok(Arc::new(match &self.identity {
                None => config.with_no_client_auth(),
                Some(identity) => {
                    let identity = SingleCertAndKey::from(Arc::clone(identity));
                    config.with_client_cert_resolver(Arc::new(identity))
                }
            }))
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

fn read_roots(path: &Path) -> Result<RootCertStore, BadTlsFile> {
    let read = || {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&read_pem(path)?)? {
            roots.add(certificate).map_err(Flaw::Certificate)?;
        }
        Ok(roots)
    };
    let what = "certificate authorities";
    read().map_err(|source| BadTlsFile { what, path: path.to_owned(), source })
}

fn read_identity(identity: &Identity) -> Result<CertifiedKey, BadTlsFile> {
    let bad = |what, path: &Path| {
        let path = path.to_owned();
        move |source| BadTlsFile { what, path, source }
    };
    let chain = read_pem(&identity.certificate).and_then(|pem| certificates(&pem));
    let chain = chain.map_err(bad("the client's certificate", &identity.certificate))?;
    let key = || {
        let pem = Zeroizing::new(read_pem(&identity.key)?);
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(Flaw::NoKey)?;
        CertifiedKey::from_der(chain, key, &provider()).map_err(Flaw::Mismatch)
    };
    key().map_err(bad("the client's key", &identity.key))
}

fn read_pem(path: &Path) -> Result<Vec<u8>, Flaw> {
    let file = std::fs::File::open(path).map_err(|error| Flaw::Unreadable(error.into()))?;
    bounded::read(file, PEM_MAX_BYTES, "the most for a file of certificates")
        .map_err(Flaw::Unreadable)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(Flaw::Pem)?;
    if certificates.is_empty() { Err(Flaw::Empty) } else { Ok(certificates) }
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
