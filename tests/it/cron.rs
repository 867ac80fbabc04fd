//! A crontab entry each minute under Debian's cron: a server that is stopped for a while, a run that is killed, a full
//! disk; in the end every datapoint is in the server, and the history says what happened.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::server::{Request, Server, closed_port};
use crate::workspace::Workspace;

/// How long a run takes, so that there is time to kill it.
const RUN_SECONDS: u64 = 4;

/// What is in place on this machine while the test goes on.
struct Machine {
    crontab: PathBuf,
    cron: Child,
    mounted: PathBuf,
}

impl Machine {
    fn new(workspace: &Workspace) -> Self {
        let mounted = workspace.path("daemon");
        fs::create_dir_all(&mounted).expect("the daemon directory");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs"])
            .arg(&mounted)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "this test needs root, to mount");
        let crontab = PathBuf::from(format!("/etc/cron.d/collector_test_{}", std::process::id()));
        let line = format!(
            "* * * * * root {} run --config {} >> {} 2>&1\n",
            env!("CARGO_BIN_EXE_collector"),
            workspace.path("collector.yaml").display(),
            workspace.path("mail").display()
        );
        fs::write(&crontab, line).expect("the crontab");
        let cron =
            Command::new("cron").arg("-f").spawn().expect("cron is installed (package cron)");
        Self { crontab, cron, mounted }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        fs::remove_file(&self.crontab).ok();
        self.cron.kill().ok();
        self.cron.wait().ok();
        Command::new("umount").arg("-l").arg(&self.mounted).status().ok();
    }
}

/// Waits until so many seconds past the next full minute, and gives that minute.
fn next_minute(seconds: u64) -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let minute = now() / 60 + 1;
    while now() < minute * 60 + seconds {
        std::thread::sleep(Duration::from_millis(50));
    }
    minute
}

/// The minute of a body's clock.
fn minute(body: &str) -> u64 {
    let body: serde_json::Value = serde_json::from_str(body).expect("a whole body");
    body["pattoo_agent_timestamp"].as_u64().expect("a timestamp") / 60_000
}

fn process(lock: &Path) -> String {
    let lock = fs::read_to_string(lock).expect("the lock");
    lock.split_whitespace().nth(1).expect("a process").to_owned()
}

#[test]
#[ignore = "takes seven minutes and needs root; tests/run runs it"]
fn under_cron_every_datapoint_arrives_and_the_history_tells() {
    let port = closed_port();
    let workspace = Workspace::new(&format!(
        "polling: {{polling_interval: 60, ip_address: 127.0.0.1, ip_bind_port: {port}}}
jobs:
  - {{id: a, exec: {{command: [sh, -c, 'sleep {RUN_SECONDS}; echo ''{{\"key\": \"k\", \"value\": 1}}''']}}}}
"
    ));
    let machine = Machine::new(&workspace);
    let end_of_run = RUN_SECONDS + 8;
    let mut came: Vec<Request> = Vec::new();

    let server = Server::on_port(port);
    let well = next_minute(end_of_run);
    came.extend(server.stop());
    let down = next_minute(end_of_run);
    let killed = next_minute(RUN_SECONDS / 2);
    let pid = process(&workspace.path("daemon/lock"));
    let kill = Command::new("kill").args(["-9", &pid]).status().expect("kill");
    assert!(kill.success(), "the run of minute {killed} was not there");
    let server = Server::on_port(port);
    let back = next_minute(end_of_run);
    let mut full = Command::new("sh");
    full.args(["-c", "cat /dev/zero > full"]).current_dir(workspace.path("daemon"));
    full.status().expect("the disk is full");
    let full = next_minute(end_of_run);
    fs::remove_file(workspace.path("daemon/full")).expect("room again");
    let last = next_minute(end_of_run);
    came.extend(server.stop());
    let history = workspace.run(&["history", "--format", "json"]).exit(0).stdout();
    let mail = fs::read_to_string(workspace.path("mail")).unwrap_or_default();
    drop(machine);

    let told = format!("history:\n{history}\nmail:\n{mail}");
    let mut bodies: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for request in came {
        bodies.entry(minute(&request.text())).or_default().push(request.text());
    }
    for (minute, bodies) in &bodies {
        assert!(bodies.iter().all(|body| *body == bodies[0]), "minute {minute}\n{told}");
    }
    let arrived: Vec<u64> = bodies.keys().copied().collect();
    assert_eq!(arrived, [well, down, back, full, last], "{told}");
    let after_the_kill = &bodies[&back][0];
    assert!(after_the_kill.contains("collector_job_missed_runs"), "{told}");

    let runs: Vec<(u64, u64)> = history
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line"))
        .map(|run| {
            let number = |name: &str| run[name].as_u64().expect("a number");
            (number("timestamp_ms") / 60_000, number("status"))
        })
        .collect();
    // The killed run left no record, but the next one tells of it; the full disk may have room for a line.
    let runs: Vec<_> = runs.into_iter().filter(|run| *run != (full, 0)).collect();
    let expected = [(well, 0), (down, 4), (back, 0), (last, 0)];
    assert_eq!(runs, expected, "{told}");
    assert!(history.contains("1 run missed since the last one"), "{told}");
    assert!(mail.contains("1 run missed since the last one"), "{told}");
    assert!(mail.contains("No space left"), "{told}");
}
