//! One run at a time in each daemon directory.

use std::thread;
use std::time::{Duration, Instant};

use crate::workspace::Workspace;

const SLOW: &str = r#"
agent: {run_metrics: false}
outputs:
  - file: {path: out.jsonl}
jobs:
  - id: slow
    exec:
      command: [sh, -c, 'sleep 2; echo "{\"key\":\"slow\",\"value\":1}"']
      format: jsonl
"#;

fn lines(workspace: &Workspace) -> usize {
    let text = std::fs::read_to_string(workspace.path("out.jsonl")).unwrap_or_default();
    text.lines().count()
}

/// Until the slow run has the lock and has said so.
fn await_holder(workspace: &Workspace) {
    let end = Instant::now() + Duration::from_secs(20);
    while std::fs::read(workspace.path("daemon/lock")).unwrap_or_default().is_empty() {
        assert!(Instant::now() < end, "nobody took the lock");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_run_gives_way_or_waits() {
    let workspace = Workspace::new(SLOW);
    thread::scope(|scope| {
        let first = scope.spawn(|| workspace.run(&["run", "--once"]).exit(0));
        await_holder(&workspace);
        let second = workspace.run(&["run", "--once"]).exit(6).says("another run holds");
        let stderr = second.stderr();
        assert!(stderr.contains("process ") && stderr.contains(" since 20"), "{stderr}");
        assert_eq!(stderr.lines().count(), 2, "and a hint: {stderr}");
        // It takes no lock, and needs none.
        workspace.run(&["run", "--once", "--dry-run"]).exit(0);
        workspace.run(&["run", "--once", "--wait", "60s"]).exit(0).silent();
        first.join().expect("the first run");
    });
    assert_eq!(lines(&workspace), 2);
}
