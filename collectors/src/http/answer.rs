//! What came back.

use ureq::http::{HeaderMap, header};

use super::failure::Failure;
use super::link;
use crate::mapping::{self, Json, Pick};
use crate::redact::Redact;
use crate::web::Url;

/// How much of an answer is shown in an error.
const CHARACTERS_SHOWN: usize = 200;

/// An answer, read to its end; one that was not expected only for its beginning.
pub(super) struct Answer {
    /// Where it came from, redirects followed.
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Result<Json, mapping::Error> {
        mapping::parse_json(&self.body)
    }

    /// How the answer begins, on one line, without the secrets that were sent: some services repeat them.
    pub(super) fn beginning(&self, redact: &Redact) -> String {
        let text = String::from_utf8_lossy(&self.body).replace(['\r', '\n'], " ");
        redact.text(&text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The next page as its `Link` header has it.
    pub(super) fn next_in_headers(&self) -> Option<String> {
        let links = self.headers.get_all(header::LINK).iter();
        links.filter_map(|value| value.to_str().ok()).find_map(link::next).map(str::to_owned)
    }
}

/// The next page as the document has it: nothing, `null`, `false` or an empty text is the last page.
pub(super) fn next_in(document: &Json, pick: &Pick) -> Result<Option<String>, Failure> {
    match mapping::find_json(document, pick) {
        None | Some(Json::Bool(false)) => Ok(None),
        Some(Json::String(url)) if url.trim().is_empty() => Ok(None),
        Some(Json::String(url)) => Ok(Some(url.clone())),
        Some(other) => Err(Failure::NoPage(mapping::kind(other))),
    }
}

/// The first characters of a text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
