//! Boards: made from a template, compared with it, and mended.
//!
//! A board that is there under its name is compared widget by widget. What the template has and the board has not is
//! added; a widget that differs is replaced; what the template does not know is somebody else's, and stays.

mod api;
mod apply;
mod dump;
mod layout;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use collectors::bounded;
use collectors::web::NotAUrl;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::http;

pub(super) use api::Api;
pub use apply::Applied;
pub(super) use apply::apply;
pub(super) use dump::dump;
pub use layout::Layout;

/// A template is refused beyond this, in bytes.
const TEMPLATE_CAP_BYTES: u64 = 4 * 1024 * 1024;

/// A board that the output sees to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Board {
    /// The board's name.
    pub name: String,
    /// What the tags of its flows begin with, so that boards of one template have flows of their own.
    #[serde(default)]
    pub prefix: String,
    /// The template: a JSON file as `collector board dump` prints it. A relative path starts at the configuration's folder.
    pub template: PathBuf,
}

/// Why a board is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template cannot be read.
    #[error("the template `{0}`")]
    Template(String, #[source] bounded::Error),
    /// The template is none.
    #[error("the template `{0}` is none")]
    NotATemplate(String, #[source] serde_json::Error),
    /// A name cannot stand in a URL.
    #[error(transparent)]
    Url(#[from] NotAUrl),
    /// There is no answer.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// Telemetry refuses.
    #[error("`{request}`: {said}")]
    Refused {
        /// Method and path.
        request: String,
        /// The status and the first words of the answer.
        said: String,
        /// How long it asked to be left alone.
        after: Option<Duration>,
    },
    /// Telemetry says something else than what was asked for.
    #[error("`{request}`: {said}, which is not what was asked for")]
    Unreadable {
        /// Method and path.
        request: String,
        /// The status and the first words of the answer.
        said: String,
    },
    /// There is no such board.
    #[error("there is no board `{0}`")]
    Absent(String),
    /// The flow is there, and is of another kind.
    #[error(
        "the flow `{tag}` is a `{found}`, and the template wants a `{wanted}`: delete the flow, or change `prefix`"
    )]
    OtherVariant {
        /// The flow's tag.
        tag: String,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// It went wrong, and what had been made could not be taken back.
    #[error("what was made before is still there: {left}")]
    LeftBehind {
        /// The paths of what is still there.
        left: String,
        /// What went wrong.
        source: Box<Error>,
    },
}

impl Error {
    /// How long Telemetry asked to be left alone.
    pub(super) fn after(&self) -> Option<Duration> {
        match self {
            Self::Refused { after, .. } => *after,
            Self::LeftBehind { source, .. } => source.after(),
            _ => None,
        }
    }
}

impl Board {
    /// Reads the template.
    ///
    /// # Errors
    /// [`Error::Template`], [`Error::NotATemplate`].
    pub(super) fn layout(&self, directory: &Path) -> Result<Layout, Error> {
        let path = directory.join(&self.template);
        let name = || path.display().to_string();
        let opened = File::open(&path).map_err(bounded::Error::Io);
        let text = opened
            .and_then(|file| bounded::read(file, TEMPLATE_CAP_BYTES, "no template is larger"))
            .map_err(|error| Error::Template(name(), error))?;
        serde_json::from_slice(&text).map_err(|error| Error::NotATemplate(name(), error))
    }
}
