//! What the dependency tree must never hold, and what `collectors` must not know.

use std::process::Command;

/// What is linked in: what a macro needs while the compiler runs is not.
fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn names(tree: &str) -> Vec<&str> {
    tree.lines().filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn one_tls_stack_one_crypto_provider_and_no_async_runtime() {
    let tree = tree(&["--workspace"]);
    let names = names(&tree);
    for banned in [
        "openssl",
        "openssl-sys",
        "native-tls",
        "aws-lc-rs",
        "aws-lc-sys",
        "tokio",
        "tonic",
        "hyper",
        "async-std",
        "reqwest",
        "serde_yml",
        "serde_yaml",
        "chrono",
        "anyhow",
    ] {
        assert!(!names.contains(&banned), "`{banned}` is in the tree");
    }
    let mut rustls: Vec<&str> = tree.lines().filter(|line| line.starts_with("rustls v")).collect();
    rustls.sort_unstable();
    rustls.dedup_by_key(|line| line.split(' ').nth(1));
    assert_eq!(rustls.len(), 1, "{rustls:?}");
    assert!(names.contains(&"ring"));
}

#[test]
fn the_collectors_depend_on_nothing_of_the_program() {
    let tree = tree(&["--package", "collectors"]);
    let names = names(&tree);
    for foreign in ["collector", "clap", "env_logger", "log4rs", "rusqlite", "yaml_serde"] {
        assert!(!names.contains(&foreign), "`collectors` depends on `{foreign}`");
    }
}
