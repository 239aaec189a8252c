//! Evidence: what is written, its own checks, and those of tools that we did not write.

use std::path::PathBuf;
use std::process::{Command, Output};

use super::*;
use crate::model::Verdict::{Allow, Deny};
use crate::net::scratch::Scratch;
use crate::record::verify::tests::Made;

/// Two runs, so that two keys are needed; evidence of the third session.
async fn written() -> (Made, Scratch, PathBuf, Manifest) {
    let mut made = Made::begin();
    made.act_many(9).await;
    let mut made = made.restart().await;
    for (session, verdict) in [("sess_c", Allow), ("sess_a", Allow), ("sess_c", Deny)] {
        made.act(session, verdict, true).await;
    }
    made.checkpoint().await;
    let scratch = Scratch::new();
    let out = scratch.path("evidence");
    let mut archive = Archive::open(&made.dir()).unwrap();
    let mut index = crate::record::index::Index::open(&mut archive, &|_, _| {}).unwrap();
    let wanted = crate::record::index::Wanted::Session("sess_c".to_owned());
    let places: Vec<u64> = index.of(&mut archive, &wanted).unwrap().iter().map(|hit| hit.row.index).collect();
    let manifest = write_evidence(&mut archive, "session `sess_c`", &places, &out).unwrap();
    (made, scratch, out, manifest)
}

fn run_text(directory: &Path) -> Output {
    Command::new("sh").arg("VERIFY.txt").current_dir(directory).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn openssl_and_jq_verify_what_was_written() {
    let (made, _scratch, out, manifest) = written().await;
    assert_eq!(manifest.entries.iter().filter(|item| !item.wanted).count(), 3, "genesis and two keys");
    assert!(manifest.entries.iter().filter(|item| item.wanted).count() > 6);
    let output = run_text(&out);
    assert!(output.status.success(), "{}", said(&output));
    let lines = said(&output);
    assert_eq!(lines.matches("ok  entry").count(), manifest.entries.len(), "{lines}");
    let root = made.recorder.log().signing_key().root.public();
    assert_eq!(verify_evidence(&out, Some(&root)).unwrap().problems, Vec::<String>::new());
    assert_eq!(verify_evidence(&out, None).unwrap().manifest, manifest);
}

#[tokio::test]
async fn every_altered_file_is_noticed_by_both() {
    let (_made, _scratch, out, manifest) = written().await;
    let item = manifest.entries.iter().find(|item| item.kind == "outcome").unwrap().index;
    let key = manifest.entries.iter().rfind(|item| item.kind == "key").unwrap().index;
    for name in [
        "checkpoint".to_owned(),
        "keys/root.pem".to_owned(),
        "keys/log.pem".to_owned(),
        "keys/epoch-2.pem".to_owned(),
        format!("entries/{item}.json"),
        format!("entries/{item}.tlog-proof"),
        format!("entries/{key}.json"),
        "entries/0.json".to_owned(),
    ] {
        let good = fs::read(out.join(&name)).unwrap();
        let manifest_text = fs::read_to_string(out.join(MANIFEST)).unwrap();
        let mut bad = good.clone();
        let at = bad.len() / 2;
        bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
        fs::write(out.join(&name), &bad).unwrap();
        // Whoever alters a file alters its hash in the manifest too.
        let listed = manifest_text.replace(&Digest::of(&good).to_hex(), &Digest::of(&bad).to_hex());
        assert_ne!(listed, manifest_text);
        for manifest in [&manifest_text, &listed] {
            fs::write(out.join(MANIFEST), manifest).unwrap();
            let output = run_text(&out);
            assert!(!output.status.success(), "{name}: {}", said(&output));
            assert_ne!(verify_evidence(&out, None).unwrap().problems, Vec::<String>::new(), "{name}");
        }
        fs::write(out.join(&name), &good).unwrap();
        fs::write(out.join(MANIFEST), manifest_text).unwrap();
    }
    assert!(run_text(&out).status.success());
}

#[tokio::test]
async fn evidence_of_another_root_key_is_noticed() {
    let (_made, _scratch, out, _) = written().await;
    let (other, ..) = written().await;
    let root = other.recorder.log().signing_key().root.public();
    let evidence = verify_evidence(&out, Some(&root)).unwrap();
    assert!(evidence.problems.iter().any(|problem| problem.contains("root key")), "{:?}", evidence.problems);
}

#[tokio::test]
async fn proofs_are_those_of_c2sp() {
    let (_made, _scratch, out, manifest) = written().await;
    let note = fs::read_to_string(out.join("checkpoint")).unwrap();
    for item in &manifest.entries {
        let text = fs::read_to_string(out.join(format!("entries/{}.tlog-proof", item.index))).unwrap();
        assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {}\n", item.index)));
        let (index, path, checkpoint) = decode_proof(&text).unwrap();
        assert_eq!((index, checkpoint), (item.index, &*note));
        let theirs: Vec<_> = path.iter().map(|hash| tlog_tiles::Hash(hash.0)).collect();
        let entry = fs::read(out.join(format!("entries/{}.json", item.index))).unwrap();
        let (root, leaf) = (tlog_tiles::Hash(manifest.root.0), tlog_tiles::record_hash(&entry));
        tlog_tiles::check_record(&theirs, manifest.size, root, item.index, leaf).unwrap();
    }
    for broken in ["", "c2sp.org/tlog-proof@v1\nindex x\n\nnote", "c2sp.org/tlog-proof@v1\nindex 1\n????\n\nnote"] {
        assert_eq!(decode_proof(broken), None, "{broken}");
    }
    assert_eq!(decode_proof("c2sp.org/tlog-proof@v1\nextra QQ==\nindex 1\n\nnote"), Some((1, vec![], "note")));
}

#[tokio::test]
async fn nothing_is_overwritten_and_nothing_is_proven_too_early() {
    let (made, _scratch, out, _) = written().await;
    let mut archive = Archive::open(&made.dir()).unwrap();
    assert!(matches!(write_evidence(&mut archive, "again", &[1], &out), Err(RecordError::Evidence { .. })));
    let end = archive.end();
    let early = write_evidence(&mut archive, "early", &[end], &out.with_file_name("early"));
    assert!(matches!(early, Err(RecordError::Uncommitted { index }) if index == end));
}
