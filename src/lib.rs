//! One run: read the configuration, collect every due job once, make one payload, deliver it, exit.
//!
//! ```text
//! YAML → config → plan → runner → payload → delivery → report → exit
//!           secrets ┘                           ↑ ↓ spool
//! ```
//!
//! The modules stand below in the order in which data flows. `plan`, `payload`, `report` and every `encode` do no
//! I/O and read no clock; the sources are in the crate `collectors`.

#[cfg(feature = "lambda")]
pub mod aws;
pub mod cli;
pub mod config;
pub mod install;
pub mod secrets;

pub mod schedule;
pub mod state;

pub mod plan;
pub mod shard;

pub mod host;
pub mod runner;

pub mod rates;
pub mod starts;

pub mod payload;

pub mod outputs;

pub mod delivery;
pub mod store;

pub mod heartbeat;
mod logs;
pub mod report;
pub mod run;

#[cfg(feature = "lambda")]
pub mod lambda;
