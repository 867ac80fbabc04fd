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
pub mod page;
pub mod pattern;
pub mod period;
pub mod redact;
pub mod secret;
pub mod sink;
pub mod web;

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

use decode::Problem;
use page::Page;

/// Options into a collector, or everything that is wrong with them.
pub type Decode = fn(&serde_json::Value) -> Result<Box<dyn Collector>, Vec<Problem>>;

/// A collector as the rest of the program knows it.
#[derive(Clone, Copy)]
pub struct Definition {
    /// Its name in YAML, which is also the name of its file.
    pub name: &'static str,
    /// The head of its file.
    pub page: Page,
    /// Decodes its options.
    pub decode: Decode,
    /// The options as they will be used, defaults filled in and secrets redacted.
    pub effective: fn(&serde_json::Value) -> Result<serde_json::Value, Vec<Problem>>,
    /// The JSON Schema of its options.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// Every collector, in the order in which they are listed.
pub static COLLECTORS: &[Definition] = &[
    define::<system::System>("system", page!("system.rs")),
    define::<http::Http>("http", page!("http.rs")),
    define::<exec::Exec>("exec", page!("exec.rs")),
    define::<file::File>("file", page!("file.rs")),
    define::<random::Random>("random", page!("random.rs")),
];

/// The collector of that name.
pub fn find(name: &str) -> Option<&'static Definition> {
    COLLECTORS.iter().find(|definition| definition.name == name)
}

const fn define<T>(name: &'static str, page: Page) -> Definition
where
    T: Collector + Serialize + DeserializeOwned + schemars::JsonSchema + 'static,
{
    Definition {
        name,
        page,
        decode: |options| {
            let collector = decode::decode::<T>(options)?;
            let conflicts = collector.conflicts();
            if conflicts.is_empty() { Ok(Box::new(collector)) } else { Err(conflicts) }
        },
        effective: |options| {
            let collector = decode::decode::<T>(options)?;
            Ok(serde_json::to_value(collector).unwrap_or_default())
        },
        schema: |generator| generator.subschema_for::<T>(),
    }
}
