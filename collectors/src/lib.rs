//! The sources of `collector`.
//!
//! This crate holds the datapoint model, the [`Collector`] trait, and one file per collector. It knows no wire
//! format of any output, no configuration path, no environment and no logger: a collector is given its
//! options, a [`Context`] and a [`Sink`], and pushes datapoints.
//!
//! Adding a collector is one new file, a `mod` line and a line in [`COLLECTORS`], all below.

pub mod batch;
pub mod bounded;
pub mod collector;
pub mod datapoint;
pub mod decode;
pub mod definition;
pub mod page;
pub mod pattern;
pub mod period;
pub mod redact;
pub mod secret;
pub mod sink;
pub mod web;

mod content;
mod mapping;
mod protocol;

mod exec;
mod file;
mod http;
mod random;
mod system;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use collector::{Collector, Context, Error};
pub use exec::end_children;
pub use sink::Sink;

use definition::{Definition, decode_whole};
use page::Page;

/// Every collector, in the order in which they are listed.
pub static COLLECTORS: &[Definition<dyn Collector>] = &[
    define::<system::System>("system", page!("system.rs")),
    define::<http::Http>("http", page!("http.rs")),
    define::<exec::Exec>("exec", page!("exec.rs")),
    define::<file::File>("file", page!("file.rs")),
    define::<random::Random>("random", page!("random.rs")),
];

/// The collector of that name.
pub fn find(name: &str) -> Option<&'static Definition<dyn Collector>> {
    COLLECTORS.iter().find(|definition| definition.name == name)
}

const fn define<T>(name: &'static str, page: Page) -> Definition<dyn Collector>
where
    T: Collector + Serialize + DeserializeOwned + schemars::JsonSchema + 'static,
{
    Definition::new::<T>(name, page, |options| Ok(Box::new(decode_whole(options, T::conflicts)?)))
}
