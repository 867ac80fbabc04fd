//! The run.

pub mod outputs;
pub mod payload;
