//! References to secrets → values.
//!
//! A reference that cannot be resolved fails the job or output that has it, and nothing else.

#[cfg(feature = "lambda")]
use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

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
    /// AWS does not give it.
    #[cfg(feature = "lambda")]
    #[error("secret {0}")]
    Aws(Reference, #[source] crate::aws::parameters::Error),
    /// This build has no access to AWS.
    #[cfg(not(feature = "lambda"))]
    #[error("secret {0}: this build has no access to AWS; the feature `lambda` gives it")]
    NoAws(Reference),
}

/// Gives every secret its value. What comes from afar is waited for until `deadline`.
///
/// # Errors
/// The first reference that has none.
pub fn resolve(
    secrets: &[&Secret],
    environment: Environment<'_>,
    directory: &Path,
    deadline: Instant,
) -> Result<(), Error> {
    for secret in secrets {
        if let Some(reference) = secret.reference() {
            match fetch(reference, environment, directory, deadline) {
                Err(Error::NoVariable(_)) if secret.is_optional() => secret.resolve(""),
                value => secret.resolve(value?),
            }
        }
    }
    Ok(())
}

/// Begins to fetch what these secrets need from afar and is not known, or as old as `ttl`. Does not wait.
#[cfg(feature = "lambda")]
pub fn announce<'a>(secrets: impl Iterator<Item = &'a Secret>, ttl: Duration) {
    let names: Vec<String> =
        secrets.filter_map(|secret| parameter(secret.reference()?)).map(Cow::into_owned).collect();
    if !names.is_empty() {
        crate::aws::parameters::of_account().want(names, ttl);
    }
}

/// Nothing comes from afar.
#[cfg(not(feature = "lambda"))]
pub fn announce<'a>(_: impl Iterator<Item = &'a Secret>, _: Duration) {}

/// What is odd about the values that were given since this was asked for last.
pub fn take_warnings() -> Vec<String> {
    #[cfg(feature = "lambda")]
    return crate::aws::parameters::take_warnings();
    #[cfg(not(feature = "lambda"))]
    Vec::new()
}

/// The parameter that a reference means; `None`: it means none.
#[cfg(feature = "lambda")]
fn parameter(reference: &Reference) -> Option<Cow<'_, str>> {
    match reference {
        Reference::Ssm(name) => Some(name.into()),
        // Parameter Store passes them on.
        Reference::SecretsManager(name) => {
            Some(format!("{}{name}", crate::aws::parameters::SECRETS_MANAGER).into())
        }
        Reference::Env(_) | Reference::File(_) | Reference::Credential(_) => None,
    }
}

/// The variables that these secrets need. Reading them is quick, unlike files, so that the rest of
/// [`resolve`] can be done elsewhere and later.
pub fn variables(secrets: &[&Secret], environment: Environment<'_>) -> HashMap<String, OsString> {
    let names = secrets.iter().filter_map(|secret| match secret.reference()? {
        Reference::Env(name) => Some(name.as_str()),
        Reference::Credential(_) => Some(CREDENTIALS_DIRECTORY),
        Reference::File(_) | Reference::Ssm(_) | Reference::SecretsManager(_) => None,
    });
    names.filter_map(|name| Some((name.to_owned(), environment(name)?))).collect()
}

fn fetch(
    reference: &Reference,
    environment: Environment<'_>,
    directory: &Path,
    deadline: Instant,
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
        Reference::Ssm(_) | Reference::SecretsManager(_) => from_aws(reference, deadline),
    }
}

#[cfg(feature = "lambda")]
fn from_aws(reference: &Reference, deadline: Instant) -> Result<String, Error> {
    let name = parameter(reference).unwrap_or_default();
    let value = crate::aws::parameters::of_account().get(&name, deadline);
    let value = value.map_err(|error| Error::Aws(reference.clone(), error))?;
    Ok(value.expose().unwrap_or_default().to_owned())
}

#[cfg(not(feature = "lambda"))]
fn from_aws(reference: &Reference, _: Instant) -> Result<String, Error> {
    Err(Error::NoAws(reference.clone()))
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
        resolve(&[&secret], &|_| None, folder.path(), Instant::now())?;
        assert_eq!(secret.expose()?, " s3cret ");
        Ok(())
    }

    #[test]
    fn what_need_not_be_there_is_empty() -> Result<(), Error> {
        let secret = Secret::optional(Reference::Env("HTTPS_PROXY".into()));
        resolve(&[&secret], &|_| None, Path::new("."), Instant::now())?;
        assert_eq!(secret.expose(), Ok(""));
        Ok(())
    }

    #[test]
    fn a_reference_without_a_value_is_named() {
        let secret = Secret::by_reference(Reference::Env("API_KEY".into()));
        let error =
            resolve(&[&secret], &|_| None, Path::new("."), Instant::now()).expect_err("not set");
        assert_eq!(
            error.to_string(),
            "secret {env: API_KEY}: the environment has no such variable"
        );
        let outside = Secret::by_reference(Reference::Credential("../x".into()));
        let directory = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| "/run".into());
        assert!(matches!(
            resolve(&[&outside], &directory, Path::new("."), Instant::now()),
            Err(Error::NoCredentialName(_))
        ));
    }
}
