//! `store`: where what lasts is kept, when that is no folder.

use std::fmt;

use collectors::decode::Problem;
use collectors::web::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `store`: where the agent's id, the state, the spool and the history are kept, in place of the daemon directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Store {
    /// In a bucket of S3, where no disk lasts. Needs AWS credentials, in the SDK's own variables, files and roles.
    pub s3: S3,
}

/// A prefix of a bucket. Every configuration needs one of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What the keys of all its objects begin with, and a `/` follows.
    #[serde(default = "S3::default_prefix")]
    pub prefix: String,
    /// The bucket's region. Default: the SDK's own (`AWS_REGION`).
    #[serde(default)]
    pub region: Option<String>,
    /// Where S3 is, when it is not AWS's. Default: the SDK's own (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`).
    #[serde(default)]
    pub endpoint: Option<String>,
}

impl Store {
    /// What cannot be, at paths from the configuration's root.
    pub(crate) fn conflicts(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut tell = |name: &str, message: String| {
            problems.push(Problem::at(&["store", "s3", name], message));
        };
        let S3 { bucket, prefix, region, endpoint } = &self.s3;
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(is_plain) {
            let expected = "3 to 63 lower-case letters, digits, dots and hyphens";
            tell("bucket", format!("`{bucket}` is no bucket's name: expected {expected}"));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.=".contains(c);
        if !prefix.split('/').all(|part| !part.is_empty() && part.chars().all(is_plain)) {
            let expected = "letters, digits and any of -_.= between single slashes";
            tell("prefix", format!("`{prefix}` is no prefix: expected {expected}"));
        }
        if region.as_ref().is_some_and(|region| region.trim().is_empty()) {
            tell("region", "the region is empty".to_owned());
        }
        if let Some(Err(error)) = endpoint.as_deref().map(Url::parse) {
            tell("endpoint", error.to_string());
        }
        #[cfg(not(feature = "lambda"))]
        problems.push(
            Problem::at(&["store"], "this build has no access to AWS")
                .hint("the Cargo feature `lambda` gives it"),
        );
        problems
    }
}

impl S3 {
    fn default_prefix() -> String {
        "collector".to_owned()
    }
}

impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bucket: &str, prefix: &str, endpoint: Option<&str>) -> Vec<String> {
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        let endpoint = endpoint.map(str::to_owned);
        let store = Store { s3: S3 { bucket, prefix, region: None, endpoint } };
        store.conflicts().into_iter().map(|problem| problem.path.len().to_string()).collect()
    }

    #[cfg(feature = "lambda")]
    #[test]
    fn what_cannot_be_a_bucket_or_a_prefix_is_told() {
        assert_eq!(told("a-b.c", "x/y_1", Some("http://127.0.0.1:9000")), [""; 0]);
        assert_eq!(told("A", "/x", Some("nowhere")).len(), 3);
        for prefix in ["", "a//b", "a/", "ä"] {
            assert_eq!(told("bucket", prefix, None).len(), 1, "{prefix}");
        }
    }

    #[cfg(not(feature = "lambda"))]
    #[test]
    fn a_build_without_aws_says_so() {
        assert_eq!(told("bucket", "x", None), ["1"]);
    }
}
