//! Receipts as their users have them: the commands on a real log, the golden log, and other people's verifiers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use countersign::record::checkpoint::parse_verifier_key;
use countersign::record::tiles::{decode_bundle, decode_tile};
use countersign::record::verify::{Standing, Verdict};
use countersign::record::{VerifyOptions, verify_directory};
use serde_json::{Value, json};
use signed_note::{Note, StandardVerifier, VerifierList};

use crate::harness::{Folder, Stand};

/// Two sessions' worth of policy: sending is forbidden, everything else allowed.
const POLICY: &str = "
policy: { id: all, version: '1' }
rules:
  - { id: no-mail, match: { operation: send }, action: DENY, reason: 'No mail' }
  - { id: everything, match: {}, action: ALLOW }
";

fn countersign(arguments: &[&str], data: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.arg("receipts").args(arguments).arg("--data-dir").arg(data).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[track_caller]
fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

/// A log of three calls, one of them refused, and its data directory.
async fn written() -> (Folder, PathBuf) {
    let stand = Stand::start(POLICY).await;
    stand.call("echo", json!({ "text": "one" })).await;
    stand.call("send", json!({ "to": "x@example.com" })).await;
    stand.call("read", json!({ "path": "/tmp" })).await;
    let (_, folder) = stand.stop().await;
    let data = folder.0.join("data");
    (folder, data)
}

#[tokio::test]
async fn receipts_are_listed_shown_and_followed_through_their_session() {
    let (_folder, data) = written().await;
    let list = json_of(&countersign(&["list", "--json"], &data));
    assert_eq!((list["total"].as_u64(), list["receipts"].as_array().unwrap().len()), (Some(3), 3));
    let of = |place: usize, member: &str| list["receipts"][place][member].as_str().unwrap_or_default().to_owned();
    assert_eq!([of(0, "operation"), of(1, "operation"), of(2, "operation")], ["read", "send", "echo"], "newest first");
    assert_eq!([of(0, "ended"), of(1, "ended"), of(1, "result")], ["success", "", "DENY"]);
    for (filter, count) in [
        (&["--decision", "deny"][..], 1),
        (&["--tool", "test.send"], 1),
        (&["--agent", "tester", "--human", "alice@example.com"], 3),
        (&["--since", "1h", "--until", "2999-01-01"], 3),
        (&["--until", "1h"], 0),
        (&["--kind", "outcome"], 2),
        (&["--limit", "2", "--rebuild"], 2),
    ] {
        let found = json_of(&countersign(&[&["list", "--json"], filter].concat(), &data));
        assert_eq!(found["receipts"].as_array().unwrap().len(), count, "{filter:?}");
    }
    let lines = text(&countersign(&["list"], &data));
    assert!(lines.contains("DENY") && lines.contains("test.send") && lines.contains(&of(1, "receipt_id")), "{lines}");

    let shown = countersign(&["show", &of(2, "receipt_id"), "--json"], &data);
    assert_eq!(code(&shown), 0);
    let receipt = json_of(&shown);
    assert_eq!(receipt["action"]["operation"], "echo");
    assert_eq!(receipt["identity"]["human"]["value"], "alice@example.com");
    assert_eq!(receipt["decision"]["result"], "ALLOW");
    assert_eq!(receipt["execution"]["success"], true);
    assert!(receipt["execution"]["output_hash"].is_string());
    let entries = receipt["proof"]["entries"].as_array().unwrap();
    assert_eq!(entries.iter().map(|entry| &entry["kind"]).collect::<Vec<_>>(), ["decision", "outcome"]);
    assert!(entries.iter().all(|entry| entry["signature"] == "holds" && entry["inclusion"].is_array()));
    let by_outcome = entries[1]["receipt_id"].as_str().unwrap();
    let same = json_of(&countersign(&["show", by_outcome, "--json"], &data));
    assert_eq!(same, receipt, "any receipt of an action shows the action");
    let other = text(&countersign(&["show", "0"], &data));
    assert!(other.contains("genesis") && other.contains("holds"), "{other}");
    assert_eq!(code(&countersign(&["show", "rct_nobody"], &data)), 1);

    let session = countersign(&["session", &of(2, "session"), "--json"], &data);
    assert_eq!((code(&session), json_of(&session)["gaps"].as_array().map(Vec::len)), (0, Some(0)));
    assert_eq!(code(&countersign(&["session", "sess_nobody"], &data)), 1);
}

#[tokio::test]
async fn verifying_says_what_holds_and_what_nobody_can_say() {
    let (_folder, data) = written().await;
    let good = countersign(&["verify"], &data);
    assert_eq!(code(&good), 0, "{}", text(&good));
    assert!(text(&good).contains("not protected against truncation: no outside anchor was given"), "{}", text(&good));
    assert!(!text(&good).contains("valid"), "{}", text(&good));
    let checkpoint = data.join("log/checkpoint");
    let root = data.join("keys/root.vkey");
    let anchored =
        ["verify", "--json", "--checkpoint", checkpoint.to_str().unwrap(), "--root-key", root.to_str().unwrap()];
    let anchored = json_of(&countersign(&anchored, &data));
    assert_eq!(anchored["verdict"], "in_order");
    assert_eq!(anchored["log_completeness"]["standing"], "holds");
    let vkey = fs::read_to_string(data.join("keys/log.vkey")).unwrap();
    let wrong = countersign(&["verify", "--root-key", vkey.trim_end()], &data);
    assert_eq!(code(&wrong), 1, "{}", text(&wrong));
    assert!(text(&wrong).contains("the pinned one is"), "{}", text(&wrong));
    let siem = data.with_file_name("siem.jsonl");
    let list = json_of(&countersign(&["list", "--kind", "all", "--json"], &data));
    let lines: Vec<String> = list["receipts"].as_array().unwrap().iter().map(Value::to_string).collect();
    fs::write(&siem, lines.join("\n")).unwrap();
    assert_eq!(code(&countersign(&["verify", "--siem", siem.to_str().unwrap()], &data)), 0);
    let lost = lines[0].replacen(r#""index":"#, r#""index":9"#, 1);
    fs::write(&siem, lost).unwrap();
    let missing = countersign(&["verify", "--siem", siem.to_str().unwrap()], &data);
    assert_eq!(code(&missing), 1);
    assert!(text(&missing).contains("is missing"), "{}", text(&missing));
    assert_eq!(code(&countersign(&["verify"], Path::new("/nowhere"))), 2);
    assert_eq!(code(&countersign(&["verify", "--root-key", "nonsense"], &data)), 2);
}

#[tokio::test]
async fn evidence_is_verified_by_openssl_and_by_us_and_spoiled_evidence_by_neither() {
    let (folder, data) = written().await;
    let list = json_of(&countersign(&["list", "--json"], &data));
    let (receipt, session) = (&list["receipts"][1]["receipt_id"], &list["receipts"][1]["session"]);
    let out = folder.0.join("proof");
    let prove = ["prove", receipt.as_str().unwrap(), "--out", out.to_str().unwrap(), "--json"];
    let manifest = json_of(&countersign(&prove, &data));
    assert_eq!(manifest["entries"].as_array().unwrap().len(), 3, "genesis, key, the refusal");
    let session_out = folder.0.join("session");
    let export = ["export", "--session", session.as_str().unwrap(), "--out", session_out.to_str().unwrap()];
    assert_eq!(code(&countersign(&export, &data)), 0);
    for out in [&out, &session_out] {
        let script = Command::new("sh").arg("VERIFY.txt").current_dir(out).output().unwrap();
        assert!(script.status.success(), "{}", text(&script));
        assert_eq!(code(&countersign(&["verify"], out)), 0);
    }
    assert_eq!(code(&countersign(&prove, &data)), 2, "nothing is overwritten");
    let index = manifest["entries"][2]["index"].to_string();
    let entry = out.join(format!("entries/{index}.json"));
    fs::write(&entry, fs::read_to_string(&entry).unwrap().replacen('A', "B", 1)).unwrap();
    let spoiled = countersign(&["verify"], &out);
    assert_eq!(code(&spoiled), 1);
    assert!(text(&spoiled).contains(&format!("entry {index}")), "{}", text(&spoiled));
    assert!(!Command::new("sh").arg("VERIFY.txt").current_dir(&out).output().unwrap().status.success());
}

#[tokio::test]
async fn everything_works_while_the_instance_runs() {
    let stand = Stand::start(POLICY).await;
    let data = stand.folder.0.join("data");
    for number in 0..5 {
        stand.call("echo", json!({ "number": number })).await;
        // Just made: most likely no checkpoint covers it yet.
        let list = json_of(&countersign(&["list", "--json"], &data));
        assert_eq!(list["total"].as_u64(), Some(number + 1));
        let verified = countersign(&["verify", "--json"], &data);
        // The outcome is on its way for a moment after the answer: then evidence is incomplete, never at fault.
        assert!([0, 3].contains(&code(&verified)), "{}", text(&verified));
        assert_eq!(json_of(&verified)["problems_total"], 0);
    }
    let list = json_of(&countersign(&["list", "--json"], &data));
    let newest = list["receipts"][0]["receipt_id"].as_str().unwrap();
    let out = stand.folder.0.join("proof");
    loop {
        let proven = countersign(&["prove", newest, "--out", out.to_str().unwrap()], &data);
        match code(&proven) {
            0 => break,
            3 => tokio::task::yield_now().await,
            _ => panic!("{}", text(&proven)),
        }
    }
    stand.stop().await;
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/log-v1")
}

/// The root key of the golden log, from somewhere else than the log.
const GOLDEN_ROOT: &str =
    "localhost/01a3185c-5000-7f02-9730-d1a78453ab5c/root+391ed1d7+AYGNAmseNrv45jNhiIjzD2tVhvFbKwbtVVxbTgEJ8s94";

#[test]
fn the_golden_log_of_version_1_verifies() {
    let (_, root) = parse_verifier_key(GOLDEN_ROOT).unwrap();
    let options = VerifyOptions { root_key: Some(root), keep_payloads: true, ..VerifyOptions::default() };
    let report = verify_directory(&golden(), &options).unwrap();
    assert_eq!(report.problems, []);
    assert_eq!((report.verdict(), report.integrity.standing), (Verdict::InOrder, Standing::Holds));
    assert_eq!((report.size, report.tail), (22, 0));
    let kinds: BTreeMap<&str, u64> = report.kinds.iter().map(|(kind, count)| (&**kind, *count)).collect();
    let expected = [
        ("control", 4),
        ("decision", 5),
        ("export_checkpoint", 1),
        ("export_gap", 1),
        ("gap", 1),
        ("genesis", 1),
        ("grant", 1),
        ("key", 2),
        ("outcome", 3),
        ("policy", 1),
        ("recovery", 1),
        ("tool_pin", 1),
    ];
    assert_eq!(kinds, BTreeMap::from(expected));
    // What this version does not know of it, it must at least report; version 1 knows it all.
    assert_eq!((report.unknown_kinds.len(), report.unknown_members.len()), (0, 0));
}

#[test]
fn other_readers_accept_the_golden_log() {
    let read = |name: &str| fs::read(golden().join(name)).unwrap();
    let vkey = String::from_utf8(read("keys/log.vkey")).unwrap();
    let note = Note::from_bytes(&read("log/checkpoint")).unwrap();
    let verifier = StandardVerifier::new(vkey.trim_end()).unwrap();
    let (known, _) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!(known.len(), 1);
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    let entries = decode_bundle(&read("log/tile/entries/000.p/22").into()).unwrap();
    let leaves = decode_tile(&read("log/tile/0/000.p/22")).unwrap();
    let theirs: Vec<_> = entries.iter().map(|entry| tlog_tiles::record_hash(entry)).collect();
    assert_eq!(
        theirs.iter().map(|hash| hash.0).collect::<Vec<_>>(),
        leaves.iter().map(|leaf| leaf.0).collect::<Vec<_>>()
    );
    assert_eq!((checkpoint.size(), &tree(&theirs)), (22, checkpoint.hash()));
}

/// RFC 6962, with their hash of a node.
fn tree(leaves: &[tlog_tiles::Hash]) -> tlog_tiles::Hash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            tlog_tiles::node_hash(tree(left), tree(right))
        }
    }
}

#[test]
fn a_changed_golden_log_does_not_verify() {
    let folder = Folder::new();
    let copied = folder.0.join("data");
    let status = Command::new("cp").arg("-r").args([golden(), copied.clone()]).status().unwrap();
    assert!(status.success());
    let bundle = copied.join("log/tile/entries/000.p/22");
    let mut bytes = fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let report = verify_directory(&copied, &VerifyOptions::default()).unwrap();
    assert_eq!(report.verdict(), Verdict::Fault);
    assert!(report.problems.iter().any(|problem| problem.index.is_some()), "{:?}", report.problems);
}
