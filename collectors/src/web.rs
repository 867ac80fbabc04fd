//! The HTTP client of the whole program: one agent, one TLS configuration, one way to write a URL into a log.
//!
//! What `ureq` does by default costs too much with hundreds of jobs at once: 128 KiB buffers, a thread per
//! request for the name lookup, and a TLS configuration per request as soon as the request has options of its
//! own. Here the buffers are small, names are looked up on the calling thread (which the runner may abandon),
//! and the TLS configuration is made once, when the first `https` URL is asked for.
//!
//! Nothing here reads the environment: a proxy is used only when a request is given one.

mod auth;
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

pub use auth::{Auth, HeaderName};
pub use certificate::{ProbeError, expiry_ms};
pub use tls::{BadTlsFile, Identity};
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
/// `ureq` sends half of its buffer at a time. Twice 32 KiB, and room for headers: what most runs send goes out in one
/// call with its headers, a large body in pieces of that size. Not more: a buffer is zeroed, and a run of milliseconds
/// feels every page.
const DATA_OUTPUT_BUFFER_BYTES: usize = 2 * 32 * 1024 + 8 * 1024;
/// For the headers of the answer to data: no server passes on more by default.
const DATA_INPUT_BUFFER_BYTES: usize = 16 * 1024;
/// As many as there are jobs at once, so that no connection is made twice.
const IDLE_CONNECTIONS: usize = 256;

/// How `https` servers are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Tls {
    /// A PEM file with the certificate authorities to trust, instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
}

/// What tells one agent from another: requests of the same client share connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// A PEM file with the certificate authorities to trust, instead of the built-in ones.
    pub ca_file: Option<PathBuf>,
    /// Who the client is to an `https` server that asks.
    pub identity: Option<Identity>,
    /// What it sends.
    pub sends: Sends,
}

/// How much a client sends at once; it is the size of its buffers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sends {
    /// Questions: hundreds at once, each with a few headers.
    #[default]
    Questions,
    /// Data: a few at once, in large pieces.
    Data,
}

impl Client {
    /// Its agent, one for the life of the process. A status is never an error, redirects are not followed, and there
    /// is no timeout: the request sets its own.
    ///
    /// # Errors
    /// [`BadTlsFile`] when one of its files cannot be used.
    pub fn agent(&self) -> Result<Agent, BadTlsFile> {
        type Agents = Vec<(Client, Agent)>;
        static AGENTS: Mutex<Agents> = Mutex::new(Vec::new());
        let agents = || AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |agents: &Agents| {
            agents.iter().find(|(known, _)| known == self).map(|(_, agent)| agent.clone())
        };
        if let Some(agent) = known(&agents()) {
            return Ok(agent);
        }
        // Not under the lock: a file on a dead server would keep every other request waiting.
        let tls = tls::TlsConnector::new(self.ca_file.as_deref(), self.identity.as_ref())?;
        let agent = self.make_agent(tls);
        let mut agents = agents();
        // Another thread may have been faster; its connections are there to be shared.
        if let Some(agent) = known(&agents) {
            return Ok(agent);
        }
        agents.push((self.clone(), agent.clone()));
        Ok(agent)
    }

    fn make_agent(&self, tls: tls::TlsConnector) -> Agent {
        let connector =
            ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default()).chain(tls);
        let (input_bytes, output_bytes) = match self.sends {
            Sends::Questions => (INPUT_BUFFER_BYTES, OUTPUT_BUFFER_BYTES),
            Sends::Data => (DATA_INPUT_BUFFER_BYTES, DATA_OUTPUT_BUFFER_BYTES),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(USER_AGENT)
            .input_buffer_size(input_bytes)
            .output_buffer_size(output_bytes)
            .max_response_header_size(input_bytes - 1)
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .build();
        Agent::with_parts(config, connector, resolver::CallingThread)
    }
}

/// The agent of a client that asks questions, for servers that the authorities in `ca_file` vouch for (`None`: the
/// built-in ones).
///
/// # Errors
/// As [`Client::agent`].
pub fn agent(ca_file: Option<&Path>) -> Result<Agent, BadTlsFile> {
    Client { ca_file: ca_file.map(Path::to_owned), ..Client::default() }.agent()
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
