//! stub
use std::path::Path;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct BadRoots;
/// x
pub fn agent(_: Option<&Path>) -> Result<ureq::Agent, BadRoots> {
    Ok(ureq::Agent::new_with_config(
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build(),
    ))
}
/// x
pub fn redact_url(u: &str) -> String {
    u.to_owned()
}
