//! What lies in a folder of a bucket.
//!
//! Keys come percent-encoded, on request: so there is nothing in this XML that would need a parser.

use std::time::SystemTime;

use percent_encoding::percent_decode_str;

use super::{Bucket, Error, Request};

/// A page of a thousand keys is smaller, in bytes.
const PAGE_CAP_BYTES: u64 = 4 << 20;
/// No more pages are asked for: a million objects.
const PAGES_MAX: u32 = 1_000;

/// What lies in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    /// The objects, by their keys.
    pub items: Vec<Item>,
    /// The folders below it, by their keys, which end in `/`.
    pub folders: Vec<String>,
}

/// An object as a listing tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its key.
    pub key: String,
    /// Its length.
    pub bytes: u64,
    /// When it was last written.
    pub made: Option<SystemTime>,
}

impl Bucket {
    /// What lies directly in a folder, whose key ends in `/`. What was found before an error is given too.
    pub fn list(&self, folder: &str) -> (Listing, Option<Error>) {
        let mut listing = Listing::default();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("delimiter", "/"), ("encoding-type", "url"), ("list-type", "2")];
            // In the order in which they are signed.
            query.splice(0..0, token.as_deref().map(|token| ("continuation-token", token)));
            query.push(("prefix", folder));
            let page =
                Request { query: &query, cap_bytes: PAGE_CAP_BYTES, ..Request::of("GET", "") };
            let page = self
                .ask(&page)
                .and_then(|answer| String::from_utf8(answer.bytes).map_err(|_| Error::NoListing));
            let text = match page {
                Ok(text) => text,
                Err(error) => return (listing, Some(error)),
            };
            match listing.take(&text) {
                Some(Next::Token(next)) => token = Some(next),
                Some(Next::End) => return (listing, None),
                None => return (listing, Some(Error::NoListing)),
            }
        }
        (listing, Some(Error::TooLarge(PAGE_CAP_BYTES * u64::from(PAGES_MAX))))
    }
}

enum Next {
    Token(String),
    End,
}

impl Listing {
    /// Takes in a page; `None` when it is none.
    fn take(&mut self, page: &str) -> Option<Next> {
        for object in elements(page, "Contents") {
            self.items.push(Item {
                key: decoded(element(object, "Key")?)?,
                bytes: element(object, "Size")?.parse().ok()?,
                made: element(object, "LastModified").and_then(time),
            });
        }
        for folder in elements(page, "CommonPrefixes") {
            self.folders.push(decoded(element(folder, "Prefix")?)?);
        }
        match element(page, "IsTruncated")? {
            "true" => Some(Next::Token(unescaped(element(page, "NextContinuationToken")?))),
            _ => Some(Next::End),
        }
    }
}

fn time(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    elements(text, name).next()
}

fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (content, after) = behind.split_once(&close)?;
        rest = after;
        Some(content)
    })
}

/// S3 writes a space as `+`, and a plus as `%2B`.
fn decoded(key: &str) -> Option<String> {
    let key = key.replace('+', " ");
    Some(percent_decode_str(&key).decode_utf8().ok()?.into_owned())
}

/// A token is opaque, and only it may need this.
fn unescaped(text: &str) -> String {
    let characters =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    characters.iter().fold(text.to_owned(), |text, (name, plain)| text.replace(name, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_and_one_that_is_cut_is_none() {
        let page = "<ListBucketResult><Prefix>p/</Prefix><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>a&amp;b</NextContinuationToken>\
            <Contents><Key>p/a+b%2Fc%2B.body</Key><LastModified>2026-01-31T12:00:00.000Z</LastModified>\
            <Size>12</Size></Contents><CommonPrefixes><Prefix>p/q/</Prefix></CommonPrefixes></ListBucketResult>";
        let mut listing = Listing::default();
        assert!(matches!(listing.take(page), Some(Next::Token(token)) if token == "a&b"));
        assert_eq!(listing.folders, ["p/q/"]);
        assert_eq!((listing.items[0].key.as_str(), listing.items[0].bytes), ("p/a b/c+.body", 12));
        assert!(listing.items[0].made.is_some());
        assert!(Listing::default().take("<html>").is_none());
        assert!(Listing::default().take("<Contents><Key>a</Key></Contents>").is_none());
    }
}
