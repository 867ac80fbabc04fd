//! The crontab.

use super::clock::Clock;
use super::{Flaw, Made, Setup, Target, logrotate};

/// The crontab and what rotates the log.
///
/// # Errors
/// [`Flaw`] for a path that cannot stand in it.
pub fn make(setup: &Setup) -> Result<Made, Flaw> {
    let clock = Clock::cron(&setup.intervals);
    let [binary, config] = [quoted(&setup.binary)?, quoted(&setup.config)?];
    let text = format!(
        "# Made by `collector install cron`. A run collects what is due, so this need not be what any job's interval is.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
{} root {binary} --config {config} run
",
        clock.crontab()
    );
    let mut notes = clock.notes;
    for name in &setup.credentials {
        notes.push(format!("the secret {{credential: {name}}} has no value: cron passes none"));
    }
    for name in &setup.variables {
        notes.push(format!("the secret {{env: {name}}} has no value: cron has no such variable"));
    }
    if !(setup.credentials.is_empty() && setup.variables.is_empty()) {
        notes.push("give those secrets as {file: PATH}".to_owned());
    }
    let crontab = Target { path: "/etc/cron.d/collector", text };
    Ok(Made { files: vec![crontab, logrotate(setup)?], notes, next: None })
}

/// A path as a word of the shell, in a line of cron, where `%` is the end of it.
fn quoted(path: &std::path::Path) -> Result<String, Flaw> {
    let text = super::plain(path)?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_./-+:@=,%".contains(c);
    let word = match text.chars().all(is_word) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    };
    Ok(word.replace('%', r"\%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn paths_are_words() {
        let word = |path| quoted(Path::new(path)).unwrap_or_default();
        assert_eq!(word("/opt/a-b_c.d"), "/opt/a-b_c.d");
        assert_eq!(word("/opt/it's 5%"), r"'/opt/it'\''s 5\%'");
        assert!(quoted(Path::new("/opt/a\n* * * * * root rm")).is_err());
    }
}
