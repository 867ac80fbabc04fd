//! A configuration that is kept in AWS: a parameter, or an object in a bucket.

use std::fmt;
use std::path::Path;
#[cfg(feature = "lambda")]
use std::time::Duration;
use std::time::Instant;

/// How long it is used before it is fetched again, where one process sees several runs.
#[cfg(feature = "lambda")]
const TTL: Duration = Duration::from_secs(300);
/// How long it may take to fetch it.
#[cfg(feature = "lambda")]
const FETCH: Duration = Duration::from_secs(20);

/// Where a configuration is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// `ssm:/name`, a parameter of Parameter Store.
    Parameter(String),
    /// `s3://bucket/key`, an object in S3.
    Object {
        /// The bucket's name.
        bucket: String,
        /// The object's key.
        key: String,
    },
}

impl Remote {
    /// What is no path but names one of these.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let text = path.to_str()?;
        if let Some(name) = text.strip_prefix("ssm:") {
            return Some(Self::Parameter(name.to_owned()));
        }
        let (bucket, key) = match text.strip_prefix("s3://")?.split_once('/') {
            Some((bucket, key)) => (bucket, key),
            None => (text.strip_prefix("s3://")?, ""),
        };
        Some(Self::Object { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// Its text, or why it cannot be had.
    #[cfg(not(feature = "lambda"))]
    pub(super) fn fetch(&self, _: Option<Instant>) -> Result<String, String> {
        Err("this build has no access to AWS; the feature `lambda` gives it".to_owned())
    }

    /// Its text, or why it cannot be had by `ends_by`.
    #[cfg(feature = "lambda")]
    pub(super) fn fetch(&self, ends_by: Option<Instant>) -> Result<String, String> {
        use crate::report::chain;

        let longest = Instant::now() + FETCH;
        let ends_by = ends_by.map_or(longest, |end| end.min(longest));
        match self {
            Self::Parameter(name) if name.is_empty() => Err("expected `ssm:/name`".to_owned()),
            Self::Parameter(name) => {
                let parameters = crate::aws::parameters::of_account();
                parameters.want([name.clone()], TTL);
                let text = parameters.get(name, ends_by);
                let text = text.map_err(|error| chain(&error))?;
                Ok(text.expose().unwrap_or_default().to_owned())
            }
            Self::Object { bucket, key } if bucket.is_empty() || key.is_empty() => {
                Err("expected `s3://bucket/key`".to_owned())
            }
            Self::Object { bucket, key } => {
                let text = crate::aws::objects::text(bucket, key, TTL, ends_by);
                text.map_err(|error| chain(&error))
            }
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => write!(f, "ssm:{name}"),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_aws_is_told_from_a_path() {
        let of = |text: &str| Remote::of(Path::new(text));
        assert_eq!(of("ssm:/a/b"), Some(Remote::Parameter("/a/b".into())));
        let object = Remote::Object { bucket: "b".into(), key: "c/d.yaml".into() };
        assert_eq!(of("s3://b/c/d.yaml"), Some(object.clone()));
        assert_eq!(object.to_string(), "s3://b/c/d.yaml");
        assert_eq!(of("/etc/collector.yaml"), None);
        assert_eq!(of("./ssm:x"), None);
        let incomplete = of("s3://b").expect("it is meant as one");
        assert!(incomplete.fetch(None).is_err());
    }
}
