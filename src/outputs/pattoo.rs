//! A pattoo server, in its native form: de-duplicated key-value pairs, and a checksum for every series.

mod checksum;
mod encode;
mod equality;
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
