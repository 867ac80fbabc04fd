//! `collector install`: what starts it by the clock fits the configuration, and the system takes it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::workspace::{Finished, Workspace};

const SAMPLE: &str = include_str!("../../config/collector.yaml");
const CONFIG: &str = "root/etc/collector/collector.yaml";

/// A system's root in a workspace, with this configuration where it belongs.
fn system(yaml: &str) -> Workspace {
    let workspace = Workspace::empty();
    workspace.write(CONFIG, yaml);
    let readable = fs::Permissions::from_mode(0o644);
    fs::set_permissions(workspace.path(CONFIG), readable).expect("the configuration");
    workspace
}

fn install(workspace: &Workspace, arguments: &[&str]) -> Finished {
    let (config, root) = (workspace.path(CONFIG), workspace.path("root"));
    let (config, root) = (config.display().to_string(), root.display().to_string());
    let mut all = vec!["install", "--config", &config, "--root", &root];
    all.extend(arguments);
    workspace.command(&all).finish()
}

fn read(workspace: &Workspace, path: &str) -> String {
    fs::read_to_string(workspace.path(&format!("root/{path}"))).expect("it is in place")
}

#[test]
fn the_files_of_the_repository_are_those_of_the_sample() {
    let cron = Path::new(env!("CARGO_MANIFEST_DIR")).join("cron");
    let file = |name: &str| fs::read_to_string(cron.join(name)).expect(name);
    let workspace = system(SAMPLE);
    let binary = ["--print", "--binary", "/usr/local/bin/collector"];
    let printed = |by: &str| install(&workspace, &[&[by], &binary[..]].concat()).exit(0).stdout();
    let logrotate = format!("# --- /etc/logrotate.d/collector\n{}\n", file("collector.logrotate"));
    assert_eq!(
        printed("cron"),
        format!("# --- /etc/cron.d/collector\n{}\n{logrotate}", file("collector.crontab"))
    );
    assert_eq!(
        printed("systemd"),
        format!(
            "# --- /etc/systemd/system/collector.service\n{}\n# --- /etc/systemd/system/collector.timer\n{}\n{logrotate}",
            file("collector.service"),
            file("collector.timer")
        )
    );
    assert_eq!(workspace.files("root"), ["etc/collector/collector.yaml"], "nothing is written");
}

#[test]
fn the_interval_is_that_of_the_jobs() {
    let yaml = "polling: {polling_interval: 30}\njobs:\n  - {id: fast, random: {}}\n";
    let workspace = system(yaml);
    let cron = install(&workspace, &["cron", "--print"]).exit(0).prints("\n* * * * * root ");
    cron.says("job `fast` is meant to run every 30s; cron can start it every 1m only");
    let systemd = install(&workspace, &["systemd", "--print"]).exit(0);
    systemd.prints("OnCalendar=*:*:0/30\n").prints("TimeoutStartSec=54\n");
}

#[test]
fn applying_shows_the_difference_and_again_changes_nothing() {
    let workspace = system("jobs:\n  - {id: a, every: 10m, random: {}}\n");
    let first = install(&workspace, &["cron", "--apply"]).exit(0);
    first.prints("--- /dev/null\n+++ /etc/").prints("\n@@ -0,0 +1,").prints("written: ");
    let crontab = read(&workspace, "etc/cron.d/collector");
    let config = "--config /etc/collector/collector.yaml run\n";
    assert!(crontab.starts_with("# Made by") && crontab.ends_with(config), "{crontab}");
    let mode = fs::metadata(workspace.path("root/etc/cron.d/collector")).expect("it").permissions();
    assert_eq!(mode.mode() & 0o777, 0o644);
    let again = install(&workspace, &["cron", "--apply"]).exit(0).stdout();
    assert!(again.lines().all(|line| line.starts_with("unchanged: ")), "{again}");

    workspace.write(CONFIG, "jobs:\n  - {id: a, every: 15m, random: {}}\n");
    let changed = install(&workspace, &["cron", "--apply"]).exit(0);
    changed
        .prints("--- /etc/cron.d/collector\n+++ /etc/cron.d/collector\n@@ -")
        .prints("-*/10 ")
        .prints("+*/15 ");
    assert!(read(&workspace, "etc/cron.d/collector").contains("\n*/15 * * * * root "));
    // Nothing but the files is left behind.
    assert_eq!(workspace.files("root").len(), 3, "{:?}", workspace.files("root"));
}

#[test]
fn secrets_come_to_the_service_and_what_is_missing_is_told() {
    let yaml = "
main: {log_directory: /var/log/metrics, daemon_directory: /srv/collector}
heartbeat: {url: {credential: ping}}
outputs: [{file: {path: /data/out.jsonl}}]
jobs:
  - {id: a, http: {url: 'http://h/', auth: {bearer: {env: TOKEN}}, mapping: {values: {v: /v}}}}
  - {id: off, enabled: false, http: {url: 'http://h/', auth: {bearer: {credential: unused}}, mapping: {values: {v: /v}}}}
";
    let workspace = system(yaml);
    let systemd = install(&workspace, &["systemd", "--print"]).exit(0);
    let systemd = systemd
        .prints("\nLoadCredential=ping\n")
        .prints("\nEnvironmentFile=-/etc/collector/environment\n")
        .prints("\nLogsDirectory=metrics\n")
        .prints("\nReadWritePaths=-/srv/collector\n")
        .prints("\nReadWritePaths=-/data\n")
        .prints("\n\"/var/log/metrics/*.log\" {\n")
        .says("/etc/credstore/ping")
        .says("TOKEN");
    let without = ["unused", "#LoadCredential"];
    assert!(without.iter().all(|text| !systemd.stdout().contains(text)), "{}", systemd.stdout());
    let cron = install(&workspace, &["cron", "--print"]).exit(0);
    cron.says("{credential: ping} has no value").says("{env: TOKEN} has no value");
}

#[test]
fn a_configuration_that_the_service_cannot_read_is_told() {
    let workspace = system("jobs: [{id: a, random: {}}]\n");
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(workspace.path(CONFIG), private).expect("the configuration");
    install(&workspace, &["systemd", "--print"]).exit(0).says("`chmod o+r` mends that");
}

#[test]
fn without_a_configuration_there_is_nothing_to_install() {
    if Path::new("/etc/collector").exists() {
        panic!("/etc/collector exists: this test is about a machine without a configuration");
    }
    let workspace = Workspace::empty();
    let told = workspace.command(&["install", "cron", "--print"]).finish().exit(2);
    told.says("no configuration").says("collector init");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let workspace = system(SAMPLE);
    install(&workspace, &["systemd", "--apply"]).exit(0).says("systemctl daemon-reload");
    let units = workspace.path("root/etc/systemd/system");
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--generators=no"])
        .arg(units.join("collector.timer"))
        .arg(units.join("collector.service"))
        .output()
        .expect("`systemd-analyze`, of Debian's package `systemd`");
    let told = String::from_utf8_lossy(&verified.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("collector")).collect();
    assert!(verified.status.success() && ours.is_empty(), "{told}");
}

#[test]
fn the_log_of_runs_is_rotated_and_goes_on() {
    let workspace = Workspace::empty();
    let logs = workspace.path("logs");
    let yaml = format!(
        "main: {{log_directory: {}, daemon_directory: {}}}\nagent: {{run_metrics: false}}
outputs: [{{file: {{path: out.jsonl}}}}]\njobs: [{{id: a, random: {{}}}}]\n",
        logs.display(),
        workspace.path("daemon").display()
    );
    workspace.write(CONFIG, &yaml);
    workspace.write("collector.yaml", &yaml);
    install(&workspace, &["cron", "--apply"]).exit(0);
    let rules = workspace.path("root/etc/logrotate.d/collector");
    let rotate = || {
        let logrotate = Command::new("logrotate")
            .args(["--force", "--state"])
            .arg(workspace.path("logrotate.state"))
            .arg(&rules)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .expect("`logrotate`, of Debian's package of that name");
        let told = String::from_utf8_lossy(&logrotate.stderr).into_owned();
        assert!(logrotate.status.success() && told.is_empty(), "{told}");
    };
    // Where nothing was logged yet there is nothing to rotate.
    rotate();
    workspace.run(&["run", "--once"]).exit(0).silent();
    rotate();
    assert_eq!(workspace.files("logs"), ["collector.log.1.gz"]);
    workspace.run(&["run", "--once"]).exit(0).silent();
    assert_eq!(workspace.files("logs"), ["collector.log", "collector.log.1.gz"]);
    let log = fs::metadata(logs.join("collector.log")).expect("the log");
    assert_eq!(log.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(logs.join("collector.log")).expect("text").lines().count(), 1);
}
