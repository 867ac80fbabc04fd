//! Where bodies go: one file per output.

pub mod pattoo;
