//! A pattoo server, in its native form: de-duplicated key-value pairs, and a checksum for every series.
//!
//! The body is, byte for byte, what the official agent library (PattooShared 0.0.120) posts. `polling.ip_address`
//! in the configuration is enough to have this output; it need not be listed.
//!
//! What would break a pattoo server is refused datapoint by datapoint, named and counted: values that are not
//! finite or of magnitude 1e30 and above, and keys, labels and targets that are longer than its database holds. A
//! series goes out once a run: pattoo takes the first, and what is left out is counted.
//!
//! Success is status 200 and nothing else. The server drops a datapoint that is older than the last one it
//! has of the same series, so bodies that wait are sent oldest first.
//!
//! ```yaml
//! outputs:
//!   - pattoo:
//!       ip_address: pattoo.example.org
//!       ip_bind_port: 20201
//! ```

use std::io::{self, Write};
use std::time::Instant;

use collectors::decode::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::{self, Http, Post, Question};
use super::{Body, Destination, Output, Part, Receipt, Surroundings};
use crate::payload::{Encoded, Payload};

mod checksum;
mod encode;
mod equality;
mod halve;
mod in_order;
mod json;
mod label_sets;
mod limits;
mod numbering;
mod pairs;
mod texts;
mod writing;

pub use encode::{Settings, encode, encode_with};
pub use limits::{Limits, TEXT_BYTES_MAX, VALUE_LIMIT};

/// The port on which a pattoo server listens for agents.
pub const DEFAULT_PORT: u16 = 20_201;

/// The options of `pattoo`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Pattoo {
    /// The server's name or address.
    pub ip_address: String,
    /// The server's port.
    #[serde(default = "default_port")]
    pub ip_bind_port: u16,
    /// What is refused: what breaks a `server`, or only what the official `library` leaves out itself.
    #[serde(default)]
    pub limits: Limits,
}

fn default_port() -> u16 {
    DEFAULT_PORT
}

impl Pattoo {
    fn url(&self, surroundings: &Surroundings) -> String {
        let host = self.ip_address.trim();
        let host = match host.parse::<std::net::Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host.to_owned(),
        };
        let Self { ip_bind_port: port, .. } = self;
        format!("http://{host}:{port}/pattoo/api/v1/agent/receive/{}", surroundings.agent.id)
    }
}

/// A server's name or address, and nothing around it.
///
/// # Errors
/// What is wrong with it.
pub fn check_address(address: &str) -> Result<(), String> {
    let address = address.trim();
    if address.is_empty() {
        return Err("the server's address is empty".to_owned());
    }
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if address.parse::<std::net::IpAddr>().is_ok() || address.chars().all(is_plain) {
        return Ok(());
    }
    Err(format!("`{address}` is no name or address: without scheme, port and path"))
}

fn request(plain: Post<'_>) -> Post<'_> {
    Post { headers: vec![("Content-Type", "application/json")], ..plain }
}

impl Output for Pattoo {
    fn conflicts(&self) -> Vec<Problem> {
        let address = check_address(&self.ip_address).err();
        let address = address.map(|message| Problem::at(&["ip_address"], message));
        let port = (self.ip_bind_port == 0)
            .then(|| Problem::at(&["ip_bind_port"], "no server listens on port 0"));
        address.into_iter().chain(port).collect()
    }

    fn encode(&self, payload: &Payload, to: &mut dyn Write) -> io::Result<Encoded> {
        let settings = Settings::for_datapoints(payload.len());
        encode_with(payload, Settings { limits: self.limits, ..settings }, to)
    }

    fn destination(&self, surroundings: &Surroundings) -> Destination {
        let (http, body) = (Http::default(), Body::empty());
        request(Post::new(&http, surroundings, "", &body)).destination(self.url(surroundings))
    }

    fn deliver(&self, body: &Body, surroundings: &Surroundings, deadline: Instant) -> Receipt {
        let url = self.url(surroundings);
        let http = Http::default();
        match http::post(&request(Post::new(&http, surroundings, &url, body)), deadline) {
            Err(error) => error.receipt(),
            Ok(answer) => match answer.status {
                200 => Receipt::Accepted,
                // Somebody else's server in its place: pattoo's says 200 and nothing else.
                201..300 => Receipt::Retry { reason: answer.describe(), after: None },
                _ => answer.receipt(),
            },
        }
    }

    fn halve(&self, body: &[u8]) -> Option<[Part; 2]> {
        halve::halve(body)
    }

    fn subject(&self, body: &[u8]) -> Option<String> {
        halve::subject(body)
    }

    fn names_agent(&self) -> bool {
        true
    }

    fn check(&self, surroundings: &Surroundings, deadline: Instant) -> Result<String, String> {
        let url = self.url(surroundings);
        let answer =
            Question { http: &Http::default(), surroundings, url: &url, auth: None }.get(deadline);
        match answer.map_err(|error| crate::report::chain(&error))?.status {
            // It takes nothing but POST there.
            405 => Ok(format!("`{url}` is a pattoo server's")),
            status => Err(format!("`{url}` is no pattoo server's: status {status}, expected 405")),
        }
    }
}
