//! Name lookup on the calling thread.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ArrayVec, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// As many as ureq has room for; the type of the list holds this number to it.
const ADDRESSES_TRIED: usize = 16;

/// Looks names up where it is called: ureq's own resolver starts a thread for each request with a timeout.
///
/// A lookup can so outlive the timeout; the job's thread is then abandoned by the runner.
#[derive(Debug)]
pub(super) struct CallingThread;

impl Resolver for CallingThread {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().ok_or(Error::HostNotFound)?;
        let port = port(uri).ok_or(Error::HostNotFound)?;
        let found = lookup(host, port)?;
        let mut addresses: ArrayVec<SocketAddr, ADDRESSES_TRIED> = self.empty();
        for address in config.ip_family().keep_wanted(found.into_iter()).take(ADDRESSES_TRIED) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// The addresses of `host`, which may be an address itself.
pub(super) fn lookup(host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
        Err(_) => Ok((bare, port).to_socket_addrs()?.collect()),
    }
}

/// The port, by default the scheme's.
pub(super) fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or_else(|| match uri.scheme_str()? {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    })
}
