//! InfluxDB 1: the database and its retention policy, as the options want them.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::super::http::{Answer, Error};
use super::options::{Database, Kept};
use super::{Receipt, retry};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// Creates what is missing, and alters a policy that differs. `ask` sends a statement.
pub(super) fn create(
    database: &Database,
    ask: impl Fn(&str) -> Result<Answer, Error>,
) -> Result<(), Receipt> {
    let name = quoted(&database.name);
    let run = |statement: String| -> Result<Option<String>, Receipt> {
        let answer = ask(&statement).map_err(|error| error.receipt())?;
        match answer.status {
            200 => refusal_in(&answer).map_err(|why| retry(format!("`{statement}`: {why}"))),
            401 | 403 => Err(retry(format!(
                "`{statement}`: {}; `database.create: false` suits a user who may only write",
                answer.describe()
            ))),
            // Whatever it is, it is not about a body.
            _ => Err(Receipt::Retry {
                reason: format!("`{statement}`: {}", answer.describe()),
                after: answer.retry_after,
            }),
        }
    };
    let must = |statement: String| match run(statement.clone())? {
        None => Ok(()),
        Some(error) => Err(retry(format!("`{statement}`: InfluxDB says: {error}"))),
    };
    must(format!("CREATE DATABASE {name}"))?;
    let (Some(kept), Some(policy)) = (database.duration, database.policy()) else { return Ok(()) };
    let (policy, replication) = (quoted(&policy), database.replication);
    let rest = format!("{policy} ON {name} DURATION {} REPLICATION {replication}", duration(kept));
    match run(format!("CREATE RETENTION POLICY {rest} DEFAULT"))? {
        Some(error) if error.contains("already exists") || error.contains("conflicts") => {
            // Without it, a policy that gets shorter than its shards is refused.
            let shards = shard_hours(kept);
            must(format!("ALTER RETENTION POLICY {rest} SHARD DURATION {shards}h DEFAULT"))
        }
        Some(error) => {
            Err(retry(format!("`CREATE RETENTION POLICY {rest}`: InfluxDB says: {error}")))
        }
        None => Ok(()),
    }
}

/// The statement as a form.
pub(super) fn form(statement: &str) -> Vec<u8> {
    format!("q={}", utf8_percent_encode(statement, NON_ALPHANUMERIC)).into_bytes()
}

fn quoted(identifier: &str) -> String {
    let escaped = identifier.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn duration(kept: Kept) -> String {
    match kept {
        Kept::ForEver => "INF".into(),
        Kept::For(period) => format!("{}s", period.get().as_secs()),
    }
}

/// How much time InfluxDB puts into one shard by itself.
fn shard_hours(kept: Kept) -> u64 {
    match kept {
        Kept::For(period) if period.get() < Duration::from_secs(2 * DAY) => 1,
        Kept::For(period) if period.get() <= Duration::from_secs(180 * DAY) => 24,
        _ => 7 * 24,
    }
}

/// What a statement came to, of which the status says nothing.
fn refusal_in(answer: &Answer) -> Result<Option<String>, String> {
    #[derive(Deserialize)]
    struct Results {
        results: Vec<Outcome>,
    }
    #[derive(Deserialize)]
    struct Outcome {
        error: Option<String>,
    }
    match serde_json::from_str::<Results>(&answer.text) {
        Ok(Results { results }) if !results.is_empty() => {
            Ok(results.into_iter().find_map(|result| result.error))
        }
        _ => Err(format!("{}, which is no answer of InfluxDB 1", answer.describe())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_whatever_is_in_them() {
        assert_eq!(quoted("my-db"), "\"my-db\"");
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
        assert_eq!(form("a b\"+"), b"q=a%20b%22%2B");
    }
}
