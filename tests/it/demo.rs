//! `countersign demo`, as a user runs it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::Folder;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign")).arg("demo").arg("--yes").args(arguments).output().unwrap()
}

/// Runs a command that the demo prints for pasting.
fn paste(command: &str) -> Output {
    Command::new("sh").arg("-c").arg(command).output().unwrap()
}

#[test]
fn the_demo_keeps_what_it_promises_and_openssl_agrees() {
    let folder = Folder::new();
    let kept = folder.0.join("a kept log");
    let output = demo(&["--json", "--data-dir", kept.to_str().unwrap()]);
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert!(output.status.success(), "{:#}", document["expectations"]);
    assert_eq!(document["ok"], true);
    assert_eq!(document["effects"]["without"]["harmful"], 3);
    assert_eq!(document["effects"]["with"]["harmful"], 0);

    // The log that was kept verifies again, and the command that is printed for pasting holds.
    let entries = crate::audit::audit(&kept.join("data"));
    assert_eq!(crate::harness::decisions(&entries).len(), 9);
    assert_eq!((&document["waited"]["answer"], &document["waited"]["payments"]), (&"approved".into(), &1.into()));
    let command = document["openssl"]["command"].as_str().unwrap();
    let checked = paste(command);
    assert!(checked.status.success(), "{command}: {}", String::from_utf8_lossy(&checked.stderr));
    let signed = kept.join("check/entry.pae");
    let mut bytes = std::fs::read(&signed).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&signed, bytes).unwrap();
    assert!(!paste(command).status.success(), "openssl accepts an altered entry");

    // A directory that holds something is left alone.
    assert_eq!(demo(&["--data-dir", kept.to_str().unwrap()]).status.code(), Some(2));
}

#[test]
fn the_story_fits_a_screen_and_leaves_only_the_check() {
    let output = demo(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().count() <= 40, "{} lines:\n{text}", text.lines().count());
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 100).collect();
    assert!(long.is_empty(), "{long:#?}");
    assert!(!text.contains('\u{1b}'), "colour without a terminal");
    for word in
        ["ALLOW", "DENY", "MODIFY", "STEP_UP", "DEFER", "HARM", "3 harmful effects → 0; the task itself finished"]
    {
        assert!(text.contains(word), "`{word}` is missing:\n{text}");
    }
    let left = text.lines().last().and_then(|line| line.rsplit_once(" in ")).map(|(_, path)| path).unwrap();
    let left = std::path::Path::new(left);
    assert!(left.join("entry.sig").exists() && !left.join("../data").exists(), "{}", left.display());
    std::fs::remove_dir_all(left.parent().unwrap()).unwrap();
}
