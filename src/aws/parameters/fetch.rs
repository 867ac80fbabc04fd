//! One request to Parameter Store, and what its answer says about each parameter.

use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::operation::get_parameters::{GetParametersError, GetParametersOutput};
use aws_sdk_ssm::types::Parameter;
use collectors::secret::Secret;

use super::super::account::{Account, Unavailable};
use super::{Error, SECRETS_MANAGER};
use crate::report::{chain, printable};

/// Errors that say nothing about the parameters, by their code or a part of it.
const PASSING: [&str; 5] =
    ["Throttl", "TooManyRequests", "RequestLimitExceeded", "InternalServer", "Unavailable"];

/// The values of these parameters, in their order.
pub(super) fn fetch(names: &[String]) -> Vec<Result<Secret, Error>> {
    let account = match Account::open() {
        Ok(account) => account,
        Err(error) => return vec![Err(Error::Failed(chain(&error))); names.len()],
    };
    let Some(region) = account.region.as_deref() else {
        return vec![Err(Error::Failed(chain(&Unavailable::NoRegion))); names.len()];
    };
    match ask(&account, names) {
        Ok(answer) => names.iter().map(|name| find(name, &answer, region)).collect(),
        // One that we may not read spoils the answer for all of them.
        Err(Error::Refused(_)) if names.len() > 1 => {
            names.iter().flat_map(|name| fetch(std::slice::from_ref(name))).collect()
        }
        Err(error) => vec![Err(error); names.len()],
    }
}

fn ask(account: &Account, names: &[String]) -> Result<GetParametersOutput, Error> {
    let names = Some(names.to_vec());
    let request = account.ssm.get_parameters().with_decryption(true).set_names(names).send();
    account.wait(request).map_err(|error| judge(&error))
}

fn judge(error: &SdkError<GetParametersError>) -> Error {
    let Some(service) = error.as_service_error() else {
        return Error::Failed(printable(&chain(error)).into_owned());
    };
    let code = service.code().unwrap_or("an error without a code");
    let message = service.message().unwrap_or_default();
    let said = printable(format!("{code}: {message}").trim_end_matches(": ")).into_owned();
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    if status >= 500 || PASSING.iter().any(|passing| code.contains(passing)) {
        Error::Failed(said)
    } else {
        Error::Refused(said)
    }
}

fn find(name: &str, answer: &GetParametersOutput, region: &str) -> Result<Secret, Error> {
    let base = base(name);
    let is_it = |given: Option<&str>| given.is_some_and(|given| given == name || given == base);
    // What is passed on from another service may be given under the name that it has there.
    let elsewhere = base.strip_prefix(SECRETS_MANAGER);
    let is_passed_on = |found: &Parameter| {
        found.source_result().is_some() && elsewhere.is_some() && found.name() == elsewhere
    };
    let mut parameters = answer.parameters().iter();
    let found =
        parameters.find(|found| is_it(found.name()) || is_it(found.arn()) || is_passed_on(found));
    match found.and_then(|found| found.value()) {
        Some(value) => Ok(Secret::plain(value)),
        None => Err(Error::Missing { region: region.to_owned() }),
    }
}

/// Whether an answer could give the value of one for the other: they name one parameter, as far as can be told.
pub(super) fn are_of_one(one: &str, other: &str) -> bool {
    path(one) == path(other)
}

/// What an ARN and a name have in common: the parameter, with neither account nor version.
fn path(name: &str) -> &str {
    let base = base(name);
    let is_arn = base.starts_with("arn:");
    let path = base.split_once(":parameter/").filter(|_| is_arn).map_or(base, |(_, path)| path);
    path.trim_start_matches('/')
}

/// A parameter's name without its version or label. An ARN has colons of its own.
fn base(name: &str) -> &str {
    let (head, tail) = match name.find("parameter/").filter(|_| name.starts_with("arn:")) {
        Some(place) => name.split_at(place),
        None => name.split_at(0),
    };
    let tail = tail.split(':').next().unwrap_or_default();
    &name[..head.len() + tail.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_no_part_of_the_name() {
        assert_eq!(base("/a/b:3"), "/a/b");
        assert_eq!(base("plain"), "plain");
        let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/a/b";
        assert_eq!(base(&format!("{arn}:prod")), arn);
        assert_eq!(base(arn), arn);
    }

    #[test]
    fn an_arn_and_a_name_may_be_one_parameter() {
        let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/a";
        for same in ["/a:2", "a", arn, &format!("{arn}:3")] {
            assert!(are_of_one(arn, same) && are_of_one(same, arn), "{same}");
        }
        for other in ["/b", "/x/a", &format!("{arn}/b")] {
            assert!(!are_of_one(arn, other), "{other}");
        }
    }
}
