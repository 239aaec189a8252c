//! The commands that the manual gives to whoever has only openssl and jq, run as they stand there.

use std::process::Command;

use super::*;
use crate::model::Verdict::Allow;

/// The block of commands that follows this sentence in the manual.
fn recipe(sentence: &str) -> String {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manual/log_format.md")).unwrap();
    let (_, after) = manual.split_once(sentence).expect("the manual has this sentence");
    let (_, block) = after.split_once("```text\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

fn runs(commands: &str, directory: &Path) -> (bool, String) {
    let output = Command::new("bash").args(["-e", "-c", commands]).current_dir(directory).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn the_manual_verifies_a_checkpoint_and_a_receipt() {
    let mut made = Made::begin();
    made.act("sess_a", Allow, true).await;
    made.checkpoint().await;
    let scratch = Scratch::new();
    let at = |name: &str| scratch.path(name);
    let directory = at("");
    let keys = made.dir().join("keys");
    fs::copy(made.dir().join("log/checkpoint"), at("checkpoint")).unwrap();
    fs::copy(keys.join("log.pem"), at("log.pub.pem")).unwrap();
    let checkpoint = recipe("A checkpoint, with `openssl`");
    let (done, said) = runs(&checkpoint, &directory);
    assert!(done && said.contains("Signature Verified Successfully"), "{said}");

    // The receipt's key comes out of the `key` entry, as the manual says, and is the one that the directory publishes.
    let entries = made.entries();
    fs::write(at("entry.json"), &entries[1]).unwrap();
    fs::copy(keys.join("root.pem"), at("receipt.pub.pem")).unwrap();
    let receipt = recipe("One receipt, with `jq` as well");
    let (done, said) = runs(&receipt, &directory);
    assert!(done && said.contains("Signature Verified Successfully"), "{said}");
    let (done, said) = runs(&recipe("A PEM file from the 32 bytes"), &directory);
    assert!(done, "{said}");
    assert_eq!(fs::read(at("receipt.pub.pem")).unwrap(), fs::read(keys.join("1.pem")).unwrap());

    let decision = entries.iter().rev().nth(1).unwrap();
    fs::write(at("entry.json"), decision).unwrap();
    let (done, said) = runs(&receipt, &directory);
    assert!(
        done && said.contains("Signature Verified Successfully") && said.contains(r#""result": "ALLOW""#),
        "{said}"
    );
    let (done, said) = runs(&recipe("The leaf hash of an entry"), &directory);
    assert!(done && said.starts_with(&leaf_hash(decision).to_hex()), "{said}");

    // And they refuse what was altered.
    let altered = made.resign(decision, r#""result":"ALLOW""#, r#""result":"DENY""#);
    let signature =
        |entry: &Bytes| serde_json::from_slice::<serde_json::Value>(entry).unwrap()["signatures"].to_string();
    let swapped = String::from_utf8(altered.to_vec()).unwrap().replace(&signature(&altered), &signature(decision));
    fs::write(at("entry.json"), swapped).unwrap();
    assert!(!runs(&receipt, &directory).0);
    let note = fs::read_to_string(at("checkpoint")).unwrap().replacen('\n', "x\n", 1);
    fs::remove_file(at("checkpoint")).unwrap();
    fs::write(at("checkpoint"), note).unwrap();
    assert!(!runs(&checkpoint, &directory).0);
}
