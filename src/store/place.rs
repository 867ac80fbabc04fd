//! Where what lasts is kept: a folder, or below a prefix of a bucket.

use std::fmt;
use std::path::PathBuf;
#[cfg(feature = "lambda")]
use std::sync::Arc;
use std::time::Instant;

use super::{Error, Store};
use crate::config::{Config, Environment, sections};
use crate::shard::Shard;

/// Where what lasts is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket in S3, and which shard's part of it.
    Bucket(sections::S3, Option<Shard>),
}

impl Place {
    /// Where this configuration keeps it, if there is such a place. In a bucket each shard has a part of its own.
    pub fn of(config: &Config, environment: Environment<'_>, shard: Option<Shard>) -> Option<Self> {
        let s3 = config.store.as_ref().map(|store| store.s3.clone());
        let shard = shard.filter(|shard| shard.count() > 1);
        s3.map(|s3| Self::Bucket(s3, shard))
            .or_else(|| crate::run::configured_directory(config, environment).map(Self::Folder))
    }

    /// What is there, as it is. Nothing is asked before it is needed, nor after `ends_by`.
    pub fn look(&self, environment: Environment<'_>, ends_by: Option<Instant>) -> Store {
        match self {
            Self::Folder(folder) => Store::at(folder),
            Self::Bucket(s3, shard) => in_bucket(s3, *shard, environment, ends_by),
        }
    }

    /// What is there, to be written to; the folder is made where it is missing. Whether a bucket can be written to shows
    /// when its lock is taken.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open(
        &self,
        environment: Environment<'_>,
        ends_by: Option<Instant>,
    ) -> Result<Store, Error> {
        match self {
            Self::Folder(folder) => Store::open(folder),
            Self::Bucket(..) => Ok(self.look(environment, ends_by)),
        }
    }

    /// What it is called.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Folder(_) => "daemon directory",
            Self::Bucket(..) => "store",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket(s3, None) => write!(f, "{s3}"),
            Self::Bucket(s3, Some(shard)) => write!(f, "{s3}/{}", folder_of(*shard)),
        }
    }
}

#[cfg(feature = "lambda")]
fn in_bucket(
    s3: &sections::S3,
    shard: Option<Shard>,
    environment: Environment<'_>,
    ends_by: Option<Instant>,
) -> Store {
    let bucket = super::bucket::Bucket::new(s3, environment, ends_by);
    let home = bucket.root().to_owned();
    let root = shard.map_or_else(|| home.clone(), |shard| home.join(folder_of(shard)));
    Store { shelf: Arc::new(bucket), root, home }
}

/// A build without AWS refuses such a configuration, so nobody comes here; what is below this is no folder.
#[cfg(not(feature = "lambda"))]
fn in_bucket(_: &sections::S3, _: Option<Shard>, _: Environment<'_>, _: Option<Instant>) -> Store {
    Store::at(std::path::Path::new("/dev/null"))
}

/// The part of a bucket that is a shard's.
fn folder_of(shard: Shard) -> String {
    format!("shards/{}-of-{}", shard.number(), shard.count())
}
