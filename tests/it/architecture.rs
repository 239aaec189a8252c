//! The house rules that a machine can check.

use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from its left.
const ORDER: &[&str] = &[
    "model",
    "net",
    "metrics",
    "record",
    "intercept",
    "identify",
    "context",
    "decide",
    "approve",
    "forward",
    "export",
    "observe",
    "mediate",
    // Parts of `mediate`, which is a file.
    "mediation",
    "console",
    "config",
    "cli",
    "main",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn modules_import_only_from_their_left() {
    let mut wrong = Vec::new();
    for path in sources(&root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).unwrap();
        let stage = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some(place) = ORDER.iter().position(|name| *name == stage) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let module: String = part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                let other = ORDER.iter().position(|name| *name == module);
                if other.is_some_and(|other| other > place) {
                    wrong.push(format!("{}:{} imports {module}", inside.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            if text.lines().count() > 400 {
                wrong.push(format!("{}: {} lines", path.display(), text.lines().count()));
            }
            if !text.starts_with("//!") {
                wrong.push(format!("{}: does not begin with what it is", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_test_file_is_listed() {
    let listed = fs::read_to_string(root().join("tests/it/main.rs")).unwrap();
    for path in sources(&root().join("tests/it")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let nested = path.parent().unwrap() != root().join("tests/it");
        assert!(nested || name == "main" || listed.contains(&format!("mod {name};")), "{name} is not listed");
    }
}

#[test]
fn banned_crates_stay_out() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for banned in ["aws-sdk-s3", "aws-config", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"")), "{banned}");
    }
    // OpenSSL serves Kafka's client, which knows no other provider, and nothing else: and only where Kafka was asked for.
    let users = |name: &str| -> Vec<&str> {
        let packages = lock.split("[[package]]\n").skip(1);
        let using = packages.filter(|package| package.contains(&format!("\n \"{name}\",")));
        using.filter_map(|package| package.strip_prefix("name = \"")?.split('"').next()).collect()
    };
    assert_eq!(
        (users("openssl-sys"), users("rdkafka-sys"), users("rdkafka")),
        (vec!["rdkafka-sys"], vec!["rdkafka"], vec!["countersign"])
    );
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.lines().any(|line| line.starts_with("rdkafka = ") && line.contains("optional = true")));
    assert!(manifest.contains("\ndefault = []\n"));
    // One TLS provider: `ring` may be locked for another platform's sake, but nothing we build may use it.
    let packages = lock.matches("[[package]]").count();
    assert!(packages <= 420, "{packages} packages in Cargo.lock: a dependency must earn its place");
}
