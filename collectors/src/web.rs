//! The HTTP client of the whole program: one agent, one TLS configuration, one way to write a URL into a log.
//!
//! What `ureq` does by default costs too much with hundreds of jobs at once: 128 KiB buffers, a thread per
//! request for the name lookup, and a TLS configuration per request as soon as the request has options of its
//! own. Here the buffers are small, names are looked up on the calling thread (which the runner may abandon),
//! and the TLS configuration is made once, when the first `https` URL is asked for.
//!
//! Nothing here reads the environment: a proxy is used only when a request is given one.

mod certificate;
mod resolver;
mod tls;
mod url;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, TcpConnector};

pub use certificate::{ProbeError, expiry_ms};
pub use tls::BadRoots;
pub(crate) use url::ESCAPED;
pub use url::{NotAUrl, Url, redact_url};

/// What the program calls itself.
pub const USER_AGENT: &str = concat!("collector/", env!("CARGO_PKG_VERSION"));

/// An answer's status line and headers must fit into the input buffer as a whole: this much is what web servers
/// pass on by default. A request may ask for [`LARGE_INPUT_BUFFER_BYTES`].
const INPUT_BUFFER_BYTES: usize = 8 * 1024;
/// An input buffer for answers with very long headers.
pub const LARGE_INPUT_BUFFER_BYTES: usize = 64 * 1024;
/// A single header must fit into the output buffer as a whole; see [`output_buffer_bytes`].
const OUTPUT_BUFFER_BYTES: usize = 2 * 1024;
/// As many as there are jobs at once, so that no connection is made twice.
const IDLE_CONNECTIONS: usize = 256;

/// How `https` servers are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tls {
    /// A PEM file with the certificate authorities to trust, instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
}

/// The agent for servers that the authorities in `ca_file` vouch for (`None`: the built-in ones).
///
/// There is one per `ca_file` for the life of the process. A status is never an error, redirects are not followed,
/// and there is no timeout: the request sets its own.
///
/// # Errors
/// [`BadRoots`] when the file cannot be read or holds no certificate.
pub fn agent(ca_file: Option<&Path>) -> Result<Agent, BadRoots> {
    type Agents = Vec<(Option<PathBuf>, Agent)>;
    static AGENTS: Mutex<Agents> = Mutex::new(Vec::new());
    let agents = || AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let known = |agents: &Agents| {
        agents.iter().find(|(known, _)| known.as_deref() == ca_file).map(|(_, agent)| agent.clone())
    };
    if let Some(agent) = known(&agents()) {
        return Ok(agent);
    }
    // Not under the lock: a file on a dead server would keep every other request waiting.
    let tls = match ca_file {
        Some(path) => tls::TlsConnector::with_roots_from(path)?,
        None => tls::TlsConnector::default(),
    };
    let connector =
        ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(tls);
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(USER_AGENT)
        .input_buffer_size(INPUT_BUFFER_BYTES)
        .output_buffer_size(OUTPUT_BUFFER_BYTES)
        .max_response_header_size(INPUT_BUFFER_BYTES - 1)
        .max_idle_connections(IDLE_CONNECTIONS)
        .max_idle_connections_per_host(IDLE_CONNECTIONS)
        .build();
    let agent = Agent::with_parts(config, connector, resolver::CallingThread);
    let mut agents = agents();
    // Another thread may have been faster; its connections are there to be shared.
    if let Some(agent) = known(&agents) {
        return Ok(agent);
    }
    agents.push((ca_file.map(Path::to_owned), agent.clone()));
    Ok(agent)
}

/// The output buffer that a request needs whose longest line (URL or header) has `longest_line` bytes.
///
/// A buffer of another size keeps the request from sharing connections, so it is the usual one where that does.
pub fn output_buffer_bytes(longest_line: usize) -> usize {
    // The request line adds a method and a version, a header a colon and a line end.
    OUTPUT_BUFFER_BYTES.max(longest_line.saturating_add(64))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_of_authorities_that_does_not_answer_holds_up_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let fifo = folder.path().join("ca.pem");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.expect("mkfifo").success());
        let waiting = thread::spawn({
            let fifo = fifo.clone();
            move || agent(Some(&fifo)).is_err()
        });
        // Opens when the other thread has opened it too, which then waits for what is never written.
        let writer = std::fs::OpenOptions::new().write(true).open(&fifo).expect("a reader");
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || done.send(agent(None).is_ok()));
        assert_eq!(is_done.recv_timeout(Duration::from_secs(30)), Ok(true));
        drop(writer);
        assert!(waiting.join().expect("no panic"), "an empty file has no authorities");
    }
}
