//! The whole collector: on this machine, on damaged trees, and on trees with mount points.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::*;
use crate::sink::Collected;

const RICH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/system/rich/input");

fn context() -> Context {
    Context {
        job: Arc::from("test"),
        now_ms: 0,
        deadline: Instant::now() + Duration::from_secs(60),
        cursor: None,
        directory: Arc::from(Path::new("/")),
        environment: Arc::from([]),
    }
}

fn collect(options: &Json) -> (Collected, Option<String>) {
    collect_in(options, &context())
}

fn collect_in(options: &Json, context: &Context) -> (Collected, Option<String>) {
    let system: System = crate::decode::decode(options).expect("good options");
    let sink = Sink::new("host".into(), Vec::new(), context.now_ms);
    let outcome = system.collect(context, &sink);
    let error = outcome.err().map(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        format!("{error}: {}", cause.unwrap_or_default())
    });
    (sink.seal().expect("sealed once"), error)
}

/// `key{label,label}` and the value as text.
fn points(collected: &Collected) -> BTreeMap<String, String> {
    let batch = &collected.batch;
    let points = batch.points().iter().map(|point| {
        let labels = batch.labels(point.attributes).iter();
        let labels: Vec<_> = labels.map(|label| batch.text(label.value)).collect();
        let series = format!("{}{{{}}}", batch.text(point.key), labels.join(","));
        (series, batch.value(point).to_string())
    });
    points.collect()
}

fn number(collected: &Collected, series: &str) -> f64 {
    let points = points(collected);
    let text = points.get(series).unwrap_or_else(|| panic!("no {series} in {points:#?}"));
    text.parse().expect("a number")
}

#[test]
fn this_machine_agrees_with_independent_readings() {
    let options = json!({
        "cpu": { "sample": "200ms", "per_cpu": true },
        "mounts": { "include": ["/"] },
    });
    let before = rustix::system::sysinfo();
    let (collected, error) = collect(&options);
    assert_eq!(error, None);
    assert_eq!(collected.refused, 0);

    let total_bytes = before.totalram as f64 * f64::from(before.mem_unit);
    assert_eq!(number(&collected, "memory_total_bytes{}"), total_bytes);
    let uptime = number(&collected, "uptime_seconds{}");
    let after = rustix::system::sysinfo();
    assert!((before.uptime as f64 - 1.0..after.uptime as f64 + 1.0).contains(&uptime), "{uptime}");
    let usage = number(&collected, "cpu_usage_percent{}");
    assert!((0.0..=100.0).contains(&usage), "{usage}");
    let modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
    let shares = modes.map(|mode| number(&collected, &format!("cpu_time_percent{{{mode}}}")));
    assert!((shares.iter().sum::<f64>() - 100.0).abs() < 1e-6, "{shares:?}");
    assert!(number(&collected, "processes_count{}") >= 1.0);
    assert!(
        points(&collected).keys().any(|series| series.starts_with("network_receive_bytes_total"))
    );

    let df = Command::new("df").args(["-P", "-k", "/"]).output().expect("df is there");
    let df = String::from_utf8(df.stdout).expect("text");
    let size_kib: f64 = df
        .lines()
        .last()
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .expect("a size");
    let points = points(&collected);
    let mut sizes = points.iter().filter(|(series, _)| series.starts_with("disk_total_bytes"));
    let (_, size_bytes) = sizes.next().expect("the root");
    assert_eq!(size_bytes.parse::<f64>().expect("a number") / 1024.0, size_kib);
}

#[test]
fn a_zombie_is_counted() {
    let mut child = Command::new("true").spawn().expect("a child");
    // Waits for its end without reaping it.
    let child_id = rustix::process::Pid::from_child(&child);
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(child_id), options).expect("it ends");
    let (collected, error) =
        collect(&json!({ "groups": ["processes"], "processes": { "states": true } }));
    child.wait().expect("reaped");
    assert_eq!(error, None);
    assert!(number(&collected, "processes_state_count{zombie}") >= 1.0);
    assert!(number(&collected, "processes_count{}") >= 2.0);
}

#[test]
fn there_are_no_percents_when_the_time_is_short_or_they_are_off() {
    let is_percent = |series: &String| series.contains("percent");
    let (collected, error) = collect(&json!({ "groups": ["cpu"], "cpu": { "sample": 0 } }));
    assert_eq!(error, None);
    assert!(!points(&collected).keys().any(is_percent));

    let options = json!({ "groups": ["cpu"], "cpu": { "sample": "61s" } });
    let (collected, error) = collect_in(&options, &context());
    assert_eq!(error, None);
    assert!(!points(&collected).keys().any(is_percent));
    assert!(points(&collected).contains_key("cpu_seconds_total{idle}"));
    assert!(collected.log[0].1.contains("cpu_usage_percent"), "{:?}", collected.log);
}

#[test]
fn percents_are_of_the_time_since_the_last_run_and_not_of_another_boot() {
    let folder = tempfile::tempdir().expect("a folder");
    let boot = folder.path().join("sys/kernel/random/boot_id");
    std::fs::create_dir_all(boot.parent().expect("a folder")).expect("the folder");
    let write = |boot_id: &str, ticks: [u64; 4]| {
        std::fs::write(&boot, boot_id).expect("the boot id");
        let [user, nice, system, idle] = ticks;
        let stat = format!("cpu {user} {nice} {system} {idle}\n");
        std::fs::write(folder.path().join("stat"), stat).expect("the file");
    };
    let options = json!({
        "groups": ["cpu"], "proc_root": folder.path(), "cpu": { "sample": "10ms" },
    });
    write("one", [1_000, 0, 500, 8_000]);
    // Two samples of a file that does not change: no percents, and something to go on from.
    let (first, error) = collect_in(&options, &context());
    assert_eq!(error, None);
    assert!(!points(&first).contains_key("cpu_usage_percent{}"));
    let next = Context { cursor: first.cursor.map(Arc::new), ..context() };
    write("one", [1_100, 0, 550, 8_050]);
    let (second, _) = collect_in(&options, &next);
    assert_eq!(number(&second, "cpu_usage_percent{}"), 75.0);
    assert_eq!(number(&second, "cpu_time_percent{user}"), 50.0);
    write("two", [2_000, 0, 550, 9_000]);
    let (other_boot, _) = collect_in(&options, &next);
    assert!(!points(&other_boot).contains_key("cpu_usage_percent{}"));
    let foreign = Context { cursor: Some(Arc::new(json!({"cpu": [1]}))), ..context() };
    assert_eq!(collect_in(&options, &foreign).1, None);
}

#[test]
fn a_root_that_is_not_there_is_one_clear_error() {
    let (collected, error) = collect(&json!({ "proc_root": "/no/such/proc" }));
    assert!(collected.batch.is_empty());
    let error = error.expect("a failure");
    assert!(error.starts_with("`/no/such/proc`: No such file"), "{error}");
}

#[test]
fn options_are_refused_at_their_paths() {
    let options = json!({
        "groups": ["cpu", "disc"], "disks": { "exclude": ["sd["] }, "cpu": { "sample": "soon" },
    });
    let problems = crate::decode::decode::<System>(&options).expect_err("three mistakes");
    let mut paths: Vec<_> =
        problems.iter().map(|problem| crate::decode::Path(&problem.path).to_string()).collect();
    paths.sort();
    assert_eq!(paths, ["cpu.sample", "disks.exclude[0]", "groups[1]"]);
    let none: System = crate::decode::decode(&json!({ "groups": [] })).expect("well formed");
    assert_eq!(none.conflicts().len(), 1);
}

/// The frozen host with its root at `root`, all groups but what needs real mount points.
fn frozen(root: &Path, groups: &[&str]) -> Json {
    json!({
        "groups": groups,
        "cpu": { "sample": 0, "per_cpu": true },
        "processes": { "states": true },
        "proc_root": root.join("proc"),
        "sys_root": root.join("sys"),
        "root": root.join("root"),
    })
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("copied");
        }
    }
}

#[test]
fn damage_in_one_file_costs_no_other_group() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_tree(Path::new(RICH), folder.path());
    let groups =
        ["cpu", "memory", "swap", "load", "uptime", "processes", "disk_io", "network", "disk"];
    // Without `/media/my disk` and the others there is nothing that statvfs could be asked.
    for mountpoint in ["srv", "media/my disk"] {
        fs::create_dir_all(folder.path().join("root").join(mountpoint)).expect("a folder");
    }
    let options = frozen(folder.path(), &groups);
    let (whole, error) = collect(&options);
    assert_eq!(error, None);
    let whole = points(&whole);

    for (file, own, must_fail_when_empty) in [
        ("proc/stat", &["cpu_", "boot_", "processes_"][..], true),
        ("proc/meminfo", &["memory_", "swap_"], true),
        ("proc/loadavg", &["load_"], true),
        ("proc/uptime", &["uptime_"], true),
        // Empty on a host without block devices.
        ("proc/diskstats", &["disk_io_"], false),
        ("proc/1/net/dev", &["network_"], true),
        ("proc/1/mountinfo", &["disk_"], true),
        // A process may end at any time.
        ("proc/42/stat", &["processes_state_count"], false),
        ("sys/block/dm-0/dm/name", &["disk_io_"], false),
    ] {
        let path = folder.path().join(file);
        let good = fs::read(&path).expect("the good file");
        for (damage, bytes) in damaged(&good) {
            fs::write(&path, &bytes).expect("written");
            let (collected, error) = collect(&options);
            if let Some(error) = &error {
                assert!(error.contains(file), "{file} {damage}: {error}");
                assert!(!error.contains('\u{0}'), "{file} {damage}: {error:?}");
            }
            if damage == "empty" {
                assert_eq!(error.is_some(), must_fail_when_empty, "{file}: {error:?}");
            }
            if damage == "negative" && must_fail_when_empty && file != "proc/1/mountinfo" {
                assert!(error.is_some(), "{file} {damage}");
            }
            let points = points(&collected);
            for series in whole.keys().filter(|s| !own.iter().any(|own| s.starts_with(own))) {
                assert!(points.contains_key(series), "{file} {damage}: {series} is lost");
            }
        }
        fs::write(&path, &good).expect("written");
    }
}

/// Ways in which a file may be broken.
fn damaged(good: &[u8]) -> Vec<(String, Vec<u8>)> {
    let text = String::from_utf8_lossy(good);
    let first_digits = |by: &str| {
        let mut out = String::new();
        for word in text.split_inclusive([' ', '\n', ':']) {
            let number = word.trim_end_matches([' ', '\n', ':']);
            let is_number =
                !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            if is_number {
                out.push_str(by);
                out.push_str(&word[number.len()..]);
            } else {
                out.push_str(word);
            }
        }
        out.into_bytes()
    };
    let mut ways = vec![
        ("empty".to_owned(), Vec::new()),
        ("blank".to_owned(), b" \n\n\t".to_vec()),
        ("binary".to_owned(), (0..=255).cycle().take(5_000).collect()),
        ("not UTF-8".to_owned(), [b"\xff\xfe", good].concat()),
        ("negative".to_owned(), first_digits("-5")),
        ("huge".to_owned(), first_digits("18446744073709551615")),
        ("too huge".to_owned(), first_digits("99999999999999999999999999999999999999")),
        ("not a number".to_owned(), first_digits("NaN")),
        ("twice".to_owned(), [good, good].concat()),
        ("one long line".to_owned(), vec![b'9'; 1_000_000]),
    ];
    let cuts = (1..good.len()).step_by((good.len() / 30).max(1));
    ways.extend(cuts.map(|cut| (format!("cut at {cut}"), good[..cut].to_vec())));
    ways
}

#[test]
fn file_systems_are_told_once_and_by_their_names() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_tree(Path::new(RICH), folder.path());
    for mountpoint in ["srv/export", "media/my disk", "mnt/nas", "snap/core/1"] {
        fs::create_dir_all(folder.path().join("root").join(mountpoint)).expect("a folder");
    }
    let options = frozen(folder.path(), &["disk"]);
    let (collected, error) = collect(&options);
    assert_eq!(error, None);
    let series: Vec<_> = points(&collected).into_keys().collect();
    let totals: Vec<_> = series.iter().filter(|s| s.starts_with("disk_total_bytes")).collect();
    assert_eq!(
        totals,
        [
            "disk_total_bytes{/dev/mapper/vg0-home,/srv,xfs}",
            "disk_total_bytes{/dev/nvme0n1p1,/media/my disk,vfat}",
            "disk_total_bytes{/dev/sda1,/,ext4}",
        ]
    );
    let used = number(&collected, "disk_used_bytes{/dev/sda1,/,ext4}");
    let free = number(&collected, "disk_free_bytes{/dev/sda1,/,ext4}");
    assert_eq!(used + free, number(&collected, "disk_total_bytes{/dev/sda1,/,ext4}"));
    let percent = number(&collected, "disk_used_percent{/dev/sda1,/,ext4}");
    assert!((0.0..=100.0).contains(&percent), "{percent}");

    let mut chosen = options.clone();
    chosen["mounts"] = json!({ "include": ["/m*"], "exclude_types": ["vfat"] });
    let (collected, error) = collect(&chosen);
    assert_eq!(error, None);
    let series: Vec<_> = points(&collected).into_keys().collect();
    assert!(
        series.iter().all(|series| series.contains("nas:/volume1,/mnt/nas,nfs4")),
        "{series:?}"
    );
    assert!(!series.is_empty());
}

#[test]
fn a_mount_point_that_cannot_be_asked_does_not_lose_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    copy_tree(Path::new(RICH), folder.path());
    fs::create_dir_all(folder.path().join("root/srv")).expect("a folder");
    let (collected, error) = collect(&frozen(folder.path(), &["disk"]));
    let error = error.expect("`/media/my disk` is not there");
    assert!(error.contains("root/media/my disk`: "), "{error}");
    assert!(points(&collected).contains_key("disk_total_bytes{/dev/sda1,/,ext4}"));
}

#[test]
fn a_containers_overlay_is_told_and_its_single_files_are_not() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/system/container/input");
    let (collected, error) = collect(&frozen(&case, &["disk"]));
    assert_eq!(error, None);
    let points = points(&collected);
    assert!(points.contains_key("disk_total_bytes{overlay,/,overlay}"), "{points:#?}");
    assert!(points.keys().all(|series| !series.contains("hosts")), "{points:#?}");
}

#[test]
fn a_sealed_sink_ends_the_work() {
    let system = System::default();
    let sink = Sink::new("host".into(), Vec::new(), 0);
    sink.seal();
    assert!(matches!(system.collect(&context(), &sink), Err(Error::Sealed(_))));
}
