//! References to secrets → values.
//!
//! A reference that cannot be resolved fails the job or output that has it, and nothing else.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;

use collectors::secret::{Reference, Secret};

use crate::config::Environment;

/// A secret is refused beyond this, in bytes.
const SECRET_CAP_BYTES: u64 = 64 * 1024;
/// Where systemd says that credentials are.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Why a reference has no value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The variable is not set, or empty.
    #[error("secret {0}: the environment has no such variable")]
    NoVariable(Reference),
    /// The program was not started with systemd credentials.
    #[error(
        "secret {0}: `$CREDENTIALS_DIRECTORY` is not set; systemd sets it for `LoadCredential=`"
    )]
    NoCredentials(Reference),
    /// A credential's name leads out of its folder.
    #[error("secret {0}: a credential's name has no `/`")]
    NoCredentialName(Reference),
    /// The file cannot be read.
    #[error("secret {0}")]
    Unreadable(Reference, #[source] std::io::Error),
    /// The value is not text.
    #[error("secret {0}: the value is not UTF-8")]
    NotText(Reference),
    /// The value is too long to be a secret.
    #[error("secret {0}: more than {SECRET_CAP_BYTES} bytes")]
    TooLong(Reference),
    /// This build has no access to Parameter Store.
    #[error("secret {0}: this build has no access to AWS SSM")]
    NoSsm(Reference),
}

/// Gives every secret its value.
///
/// # Errors
/// The first reference that has none.
pub fn resolve(
    secrets: &[&Secret],
    environment: Environment<'_>,
    directory: &Path,
) -> Result<(), Error> {
    for secret in secrets {
        if let Some(reference) = secret.reference() {
            match fetch(reference, environment, directory) {
                Err(Error::NoVariable(_)) if secret.is_optional() => secret.resolve(""),
                value => secret.resolve(value?),
            }
        }
    }
    Ok(())
}

/// The variables that these secrets need. Reading them is quick, unlike files, so that the rest of
/// [`resolve`] can be done elsewhere and later.
pub fn variables(secrets: &[&Secret], environment: Environment<'_>) -> HashMap<String, OsString> {
    let names = secrets.iter().filter_map(|secret| match secret.reference()? {
        Reference::Env(name) => Some(name.as_str()),
        Reference::Credential(_) => Some(CREDENTIALS_DIRECTORY),
        Reference::File(_) | Reference::Ssm(_) => None,
    });
    names.filter_map(|name| Some((name.to_owned(), environment(name)?))).collect()
}

fn fetch(
    reference: &Reference,
    environment: Environment<'_>,
    directory: &Path,
) -> Result<String, Error> {
    match reference {
        Reference::Env(name) => environment(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Error::NoVariable(reference.clone()))
            .and_then(|value| {
                OsString::into_string(value).map_err(|_| Error::NotText(reference.clone()))
            }),
        Reference::File(path) => read(reference, &directory.join(path)),
        Reference::Credential(name) if name.contains('/') => {
            Err(Error::NoCredentialName(reference.clone()))
        }
        Reference::Credential(name) => {
            let folder = environment(CREDENTIALS_DIRECTORY)
                .ok_or_else(|| Error::NoCredentials(reference.clone()))?;
            read(reference, &Path::new(&folder).join(name))
        }
        Reference::Ssm(_) => Err(Error::NoSsm(reference.clone())),
    }
}

fn read(reference: &Reference, path: &Path) -> Result<String, Error> {
    let unreadable = |error| Error::Unreadable(reference.clone(), error);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(SECRET_CAP_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SECRET_CAP_BYTES {
        return Err(Error::TooLong(reference.clone()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| Error::NotText(reference.clone()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_loses_its_last_newline_and_nothing_else() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("key"), " s3cret \n")?;
        let secret = Secret::by_reference(Reference::File("key".into()));
        resolve(&[&secret], &|_| None, folder.path())?;
        assert_eq!(secret.expose()?, " s3cret ");
        Ok(())
    }

    #[test]
    fn what_need_not_be_there_is_empty() -> Result<(), Error> {
        let secret = Secret::optional(Reference::Env("HTTPS_PROXY".into()));
        resolve(&[&secret], &|_| None, Path::new("."))?;
        assert_eq!(secret.expose(), Ok(""));
        Ok(())
    }

    #[test]
    fn a_reference_without_a_value_is_named() {
        let secret = Secret::by_reference(Reference::Env("API_KEY".into()));
        let error = resolve(&[&secret], &|_| None, Path::new(".")).expect_err("not set");
        assert_eq!(
            error.to_string(),
            "secret {env: API_KEY}: the environment has no such variable"
        );
        let outside = Secret::by_reference(Reference::Credential("../x".into()));
        let directory = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| "/run".into());
        assert!(matches!(
            resolve(&[&outside], &directory, Path::new(".")),
            Err(Error::NoCredentialName(_))
        ));
    }
}
