//! The service and the timer.

use std::path::Path;

use super::clock::Clock;
use super::{Flaw, Made, Setup, Target, logrotate, plain};

/// Where variables for `{env: NAME}` are kept.
const ENVIRONMENT: &str = "/etc/collector/environment";

/// What shows how secrets come in, where the configuration has none yet.
const NO_CREDENTIALS: &str =
    "# With this line the service reads a secret {credential: NAME} from /etc/credstore/NAME, which is root's alone.
#LoadCredential=NAME
";

/// The service, its timer, and what rotates the log.
///
/// # Errors
/// [`Flaw`] for a path that cannot stand in a unit.
pub fn make(setup: &Setup) -> Result<Made, Flaw> {
    let clock = Clock::systemd(&setup.intervals);
    let mut notes = clock.notes.clone();
    let service = service(setup, &mut notes)?;
    let timer = format!(
        "# Made by `collector install systemd`. A run collects what is due, so this need not be what any job's interval is.
[Unit]
Description=Start collector by the clock

[Timer]
OnCalendar={}
# Later than by a tenth of its interval a job would miss its turn.
AccuracySec=1s
# What was missed while the machine was off is made up for by one run.
Persistent=true

[Install]
WantedBy=timers.target
",
        clock.on_calendar()
    );
    Ok(Made {
        files: vec![
            Target { path: "/etc/systemd/system/collector.service", text: service },
            Target { path: "/etc/systemd/system/collector.timer", text: timer },
            logrotate(setup)?,
        ],
        notes,
        next: Some("systemctl daemon-reload && systemctl enable --now collector.timer"),
    })
}

fn service(setup: &Setup, notes: &mut Vec<String>) -> Result<String, Flaw> {
    let mut places = String::new();
    let mut writable = Vec::new();
    match setup.state.strip_prefix("/var/lib") {
        Ok(below) => places.push_str(&format!("StateDirectory={}\n", quoted(below)?)),
        Err(_) => writable.push(("the daemon directory".to_owned(), setup.state.clone())),
    }
    if let Some(logs) = &setup.logs {
        match logs.strip_prefix("/var/log") {
            Ok(below) => places.push_str(&format!("LogsDirectory={}\n", quoted(below)?)),
            Err(_) => writable.push(("the log directory".to_owned(), logs.clone())),
        }
    }
    for (output, path) in &setup.written {
        let known = [Some(&setup.state), setup.logs.as_ref()];
        if !known.into_iter().flatten().any(|folder| path.starts_with(folder)) {
            let folder = path.parent().unwrap_or(Path::new("/"));
            writable.push((format!("output `{output}`"), folder.to_owned()));
        }
    }
    for (what, folder) in &writable {
        places.push_str(&format!("ReadWritePaths=-{}\n", quoted(folder)?));
        notes.push(format!(
            "{what} is in `{}`: the service's user, which exists only while it runs, must be able to write there; below \
             `{}` it is",
            folder.display(),
            setup.state.display()
        ));
    }
    let mut secrets = String::new();
    if setup.credentials.is_empty() {
        secrets.push_str(NO_CREDENTIALS);
    }
    for name in &setup.credentials {
        secrets.push_str(&format!("LoadCredential={name}\n"));
        notes.push(format!(
            "the secret {{credential: {name}}} is read from `/etc/credstore/{name}`"
        ));
    }
    if !setup.variables.is_empty() {
        secrets.push_str(&format!("EnvironmentFile=-{ENVIRONMENT}\n"));
        let names = setup.variables.iter().cloned().collect::<Vec<_>>().join(", ");
        notes.push(format!("variables of secrets are read from `{ENVIRONMENT}`: {names}"));
    }
    for path in &setup.secret_files {
        notes.push(format!(
            "the secret {{file: {path}}} must be readable for the service's user; {{credential: NAME}} is read by systemd"
        ));
    }
    Ok(format!(
        "# Made by `collector install systemd`.
[Unit]
Description=One run of collector
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={binary} --config {config} run
# 4: what waits is sent by the next run; 6: another run is going. Neither needs anybody. 3 (a job failed) and 5 (data is
# lost or set aside) do, and make the unit fail.
SuccessExitStatus=4 6
# The run ends itself before; this is for a process that is stuck.
TimeoutStartSec={start}
# A run that is stopped delivers what there is. Only it is told: it ends its children itself.
TimeoutStopSec={stop}
KillMode=mixed

{places}{secrets}
# A user that exists only while it runs. It reads all of the system that others may read, and writes to its own folders.
DynamicUser=yes
UMask=0077
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
",
        binary = quoted(&setup.binary)?,
        config = quoted(&setup.config)?,
        start = setup.start_timeout.as_secs(),
        stop = setup.stop_timeout.as_secs(),
    ))
}

/// A path as a word of a unit.
fn quoted(path: &Path) -> Result<String, Flaw> {
    let text = plain(path)?.replace('%', "%%").replace('$', "$$");
    let is_word = |c: char| c.is_alphanumeric() || "_./-+:@=,%$".contains(c);
    Ok(match text.chars().all(is_word) {
        true => text,
        false => format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words() {
        let word = |path| quoted(Path::new(path)).unwrap_or_default();
        assert_eq!(word("/opt/a-b_c.d"), "/opt/a-b_c.d");
        assert_eq!(word("/opt/5% of $x"), r#""/opt/5%% of $$x""#);
        assert_eq!(word(r#"/opt/"q\"#), r#""/opt/\"q\\""#);
    }
}
