//! What the dependency tree must never hold, and what `collectors` must not know.

use std::collections::BTreeSet;
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

/// The versions of a crate.
fn versions<'a>(tree: &'a str, name: &str) -> BTreeSet<&'a str> {
    let lines = tree.lines().filter_map(|line| line.split_once(' '));
    let rest = lines.filter(|(known, _)| *known == name).map(|(_, rest)| rest);
    rest.filter_map(|rest| rest.split(' ').next()).collect()
}

fn names(tree: &str) -> Vec<&str> {
    tree.lines().filter_map(|line| line.split(' ').next()).collect()
}

/// Nowhere in the tree, whatever is built.
const BANNED: [&str; 12] = [
    "openssl",
    "openssl-sys",
    "native-tls",
    "aws-lc-rs",
    "aws-lc-sys",
    "async-std",
    "reqwest",
    "tonic",
    "serde_yml",
    "serde_yaml",
    "chrono",
    "anyhow",
];

#[test]
fn one_tls_stack_and_one_crypto_provider() {
    let tree = tree(&["--workspace"]);
    let names = names(&tree);
    for banned in BANNED {
        assert!(!names.contains(&banned), "`{banned}` is in the tree");
    }
    // The SDK's old stack would come as a second one.
    for once in ["rustls", "ring", "hyper", "http", "h2", "tokio"] {
        assert_eq!(versions(&tree, once).len(), 1, "{once}: {:?}", versions(&tree, once));
    }
    assert!(names.contains(&"aws-sdk-ssm"), "the feature `lambda` is on by default");
}

#[test]
fn without_the_feature_lambda_there_is_no_async_runtime_and_nothing_of_aws() {
    let tree = tree(&["--workspace", "--no-default-features"]);
    let names = names(&tree);
    // `futures-util` is there: `opentelemetry-proto` depends on its SDK, of which nothing is called.
    for banned in BANNED.iter().chain(&["tokio", "hyper", "tower"]) {
        assert!(!names.contains(banned), "`{banned}` is in the tree");
    }
    let aws = names.iter().find(|name| name.starts_with("aws-") || name.starts_with("lambda"));
    assert_eq!(aws, None);
    for once in ["rustls", "ring"] {
        assert_eq!(versions(&tree, once).len(), 1, "{once}: {:?}", versions(&tree, once));
    }
}

#[test]
fn the_collectors_depend_on_nothing_of_the_program() {
    let tree = tree(&["--package", "collectors"]);
    let names = names(&tree);
    for foreign in ["collector", "clap", "env_logger", "log4rs", "rusqlite", "yaml_serde"] {
        assert!(!names.contains(&foreign), "`collectors` depends on `{foreign}`");
    }
}
