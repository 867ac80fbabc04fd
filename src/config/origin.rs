//! Which configuration is meant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::remote::Remote;

/// Reads a variable of the environment. A value, so that tests pass their own.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where distributions keep it.
pub const SYSTEM_DIRECTORY: &str = "/etc/collector";

/// The files of a directory that are read, in this order.
pub(super) const FILE_NAMES: [&str; 3] = ["pattoo.yaml", "pattoo_agent.yaml", "collector.yaml"];

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// One file.
    File(PathBuf),
    /// A directory with `collector.yaml`, pattoo's files, or both.
    Directory(PathBuf),
    /// One file's text in AWS: `ssm:/name` or `s3://bucket/key`.
    Remote(Remote),
    /// There is none: this machine's metrics, shown and stored.
    Demonstration,
}

impl Origin {
    /// `--config`, else `COLLECTOR_CONFIG`, else `PATTOO_CONFIGDIR`, else `/etc/collector`, else the demonstration.
    pub fn choose(flag: Option<&Path>, environment: Environment<'_>) -> Self {
        let variable =
            |name| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(path) = flag.map(Path::to_owned).or_else(|| variable("COLLECTOR_CONFIG")) {
            if let Some(remote) = Remote::of(&path) {
                return Self::Remote(remote);
            }
            return if path.is_dir() { Self::Directory(path) } else { Self::File(path) };
        }
        if let Some(path) = variable("PATTOO_CONFIGDIR") {
            return Self::Directory(path);
        }
        let system = Path::new(SYSTEM_DIRECTORY);
        if FILE_NAMES.iter().any(|name| is_there(&system.join(name))) {
            return Self::Directory(system.to_owned());
        }
        Self::Demonstration
    }
}

impl Origin {
    /// The same from the root, so that nothing depends on where the program stands.
    pub(super) fn absolute(&self) -> Self {
        // Only an empty path has no absolute form, and reading that tells why it cannot be.
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        match self {
            Self::File(path) => Self::File(absolute(path)),
            Self::Directory(path) => Self::Directory(absolute(path)),
            Self::Remote(_) | Self::Demonstration => self.clone(),
        }
    }
}

/// Whether a file is there. One that may not be looked at is: reading it tells why.
pub(super) fn is_there(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_goes_before_the_variables() {
        let environment = |name: &str| match name {
            "COLLECTOR_CONFIG" => Some("/a.yaml".into()),
            "PATTOO_CONFIGDIR" => Some("/etc/pattoo".into()),
            _ => None,
        };
        let chosen =
            |flag: Option<&str>, environment| Origin::choose(flag.map(Path::new), environment);
        assert_eq!(chosen(Some("/b.yaml"), &environment), Origin::File("/b.yaml".into()));
        assert_eq!(chosen(None, &environment), Origin::File("/a.yaml".into()));
        let pattoo = |name: &str| (name == "PATTOO_CONFIGDIR").then(|| "/etc/pattoo".into());
        assert_eq!(chosen(None, &pattoo), Origin::Directory("/etc/pattoo".into()));
    }
}
