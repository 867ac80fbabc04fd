//! `collector data`.

use std::io;

use super::args::{Common, Data};
use crate::config::Environment;
use crate::report::Status;

pub(super) fn data(_: &Data, _: &Common, _: Environment<'_>) -> io::Result<Status> {
    Ok(Status::Success)
}
