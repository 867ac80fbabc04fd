//! Any text as a URL: what is shown of it never has its query or its user.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let shown = collectors::web::redact_url(text);
    let after_scheme = shown.split_once("://").map_or(shown.as_str(), |(_, rest)| rest);
    let authority = after_scheme.split('/').next().unwrap_or_default();
    assert!(!authority.contains('@') && !shown.contains('?'), "{text:?} is shown as {shown:?}");
});
