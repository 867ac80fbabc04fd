//! AWS, as far as a run needs it: Parameter Store for secrets, S3 for a configuration and for what lasts, signatures for
//! outputs whose server asks for them.
//!
//! With [`crate::lambda`] the only async code of the program; nothing of it starts before a reference asks for it. Every
//! request is bounded in time. The SDK finds region and credentials by its own rules, in its own variables
//! (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, …), files and roles.

mod account;
pub mod bucket;
pub mod objects;
pub mod parameters;
pub mod signature;

pub use account::Unavailable;
