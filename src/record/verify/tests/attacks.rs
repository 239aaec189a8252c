//! What somebody can do to the files without any key (receipts §8, attacks 1 to 8, 10, 11, 13, 14, 16).

use super::*;

/// A log of more than one bundle, closed, and a copy to spoil.
async fn written() -> (Made, Scratch) {
    let mut made = Made::begin();
    made.act_many(60).await;
    made.checkpoint().await;
    made.act_many(110).await;
    made.recorder.log().close().await.unwrap();
    let copied = Scratch::new();
    copy(&made.dir(), &copied.path("data"));
    (made, copied)
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    // What is published is read-only.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_an_entry_names_the_entry() {
    let (made, copied) = written().await;
    let bundle = copied.path("data/log/tile/entries/000");
    let before: usize = made.entries()[..100].iter().map(|entry| entry.len() + 2).sum();
    rewrite(&bundle, |bytes| bytes[before + 2 + 40] ^= 1);
    assert_faults(&verify(&copied.path("data")), &[100], "");
}

#[tokio::test]
async fn a_flipped_bit_in_a_tile_names_the_tile() {
    let (_, copied) = written().await;
    for (name, at) in [("0/000", 32 * 7), ("1/000.p/1", 3)] {
        let dir = Scratch::new();
        copy(&copied.path("data"), &dir.path("data"));
        rewrite(&dir.path("data/log/tile").join(name), |bytes| bytes[at] ^= 1);
        let report = verify(&dir.path("data"));
        assert_eq!(report.problems.len(), 1, "{:#?}", report.problems);
        assert!(report.problems[0].file.as_ref().unwrap().ends_with(name), "{:#?}", report.problems);
    }
}

#[tokio::test]
async fn missing_files_are_named() {
    for name in ["log/tile/entries/000", "log/tile/0/000", "log/checkpoint", "instance.json"] {
        let (_, copied) = written().await;
        let path = copied.path("data").join(name);
        fs::remove_file(&path).unwrap();
        let report = verify(&copied.path("data"));
        assert!(report.problems.iter().any(|problem| problem.file.as_ref() == Some(&path)), "{:#?}", report.problems);
        // Without the first bundle nothing certifies the key of the others, and that is told once.
        let told = if name.ends_with("entries/000") { 2 } else { 1 };
        assert_eq!(report.problems.len(), told, "{:#?}", report.problems);
    }
}

#[tokio::test]
async fn an_entry_removed_moved_or_doubled_in_a_bundle_is_noticed() {
    let (made, copied) = written().await;
    let entries = made.entries();
    let spoil = |change: &dyn Fn(&mut Vec<Bytes>)| {
        let dir = Scratch::new();
        copy(&copied.path("data"), &dir.path("data"));
        let mut bundle = entries[..256].to_vec();
        change(&mut bundle);
        let path = dir.path("data/log/tile/entries/000");
        rewrite(&path, |bytes| *bytes = encode_bundle(&bundle));
        verify(&dir.path("data"))
    };
    let removed = spoil(&|bundle| drop(bundle.remove(20)));
    assert!(
        removed.problems.iter().any(|problem| problem.what.contains("does not hold 256")),
        "{:#?}",
        removed.problems
    );
    let moved = spoil(&|bundle| bundle.swap(20, 30));
    assert!(moved.problems.iter().any(|problem| problem.index == Some(20)), "{:#?}", moved.problems);
    assert!(moved.problems.iter().any(|problem| problem.index == Some(30)), "{:#?}", moved.problems);
    let doubled = spoil(&|bundle| bundle[20] = bundle[19].clone());
    assert!(doubled.problems.iter().any(|problem| problem.index == Some(20)), "{:#?}", doubled.problems);
}

#[tokio::test]
async fn a_checkpoint_set_back_is_noticed_where_anything_remembers() {
    let (made, copied) = written().await;
    let dir = copied.path("data");
    let sizes = Files::new(&dir).numbers(&dir.join("cp.prev")).unwrap();
    let newest = *sizes.last().unwrap();
    let early = sizes[sizes.len() - 2];
    let note = fs::read(dir.join(format!("cp.prev/{early}"))).unwrap();
    rewrite(&dir.join("log/checkpoint"), |bytes| *bytes = note);
    fs::remove_dir_all(dir.join("wal")).unwrap();
    let kept = verify(&dir);
    assert!(kept.problems.iter().any(|problem| problem.what.contains("only")), "{:#?}", kept.problems);
    // The attacker is thorough; only what lies elsewhere still shows it.
    fs::remove_file(dir.join(format!("cp.prev/{newest}"))).unwrap();
    fs::remove_file(dir.join("CLEAN")).unwrap();
    let partial = dir.join(format!("log/tile/entries/000.p/{early}"));
    fs::create_dir_all(partial.parent().unwrap()).unwrap();
    fs::write(&partial, encode_bundle(&made.entries()[..usize::try_from(early).unwrap()])).unwrap();
    let alone = verify(&dir);
    assert_in_order(&alone);
    assert!(alone.log_completeness.sentence.contains("not protected against truncation"));
    let head = made.checkpoint_file();
    let remembered = VerifyOptions { remembered: vec![head], ..VerifyOptions::default() };
    assert_faults(&verify_directory(&dir, &remembered).unwrap(), &[], "only");
    let last = made.entries().len() as u64 - 1;
    let siem = vec![(last, leaf_hash(made.entries().last().unwrap()))];
    let exported = VerifyOptions { siem: Some(siem), ..VerifyOptions::default() };
    assert_faults(&verify_directory(&dir, &exported).unwrap(), &[last], "is missing");
}

impl Made {
    fn checkpoint_file(&self) -> (u64, Digest) {
        let log = self.recorder.log();
        let note = fs::read(self.dir().join("log/checkpoint")).unwrap();
        let checkpoint = Checkpoint::open(&note, &log.instance().origin, &log.signing_key().log.public()).unwrap();
        (checkpoint.size, checkpoint.root)
    }
}

#[tokio::test]
async fn a_fork_is_noticed_by_whoever_remembers_another_tree() {
    let (made, _) = written().await;
    let mut entries = made.entries();
    // The same log, but for one refusal whose reason reads otherwise.
    let refused = entries.iter().rposition(|entry| {
        String::from_utf8(open_envelope(entry).unwrap().payload).unwrap().contains(r#""result":"DENY""#)
    });
    let (size, root) = made.checkpoint_file();
    entries.truncate(refused.unwrap() + 1);
    let last = entries.pop().unwrap();
    entries.push(made.resign(&last, "are allowed", "are welcome"));
    let fork = made.forge(&entries);
    assert_in_order(&verify(&fork.dir));
    let early = (entries.len() as u64, root_of(&made.entries()[..entries.len()]));
    for known in [early, (size, root)] {
        let options = VerifyOptions { remembered: vec![known], ..VerifyOptions::default() };
        let report = verify_directory(&fork.dir, &options).unwrap();
        assert_eq!(report.verdict(), Verdict::Fault);
        assert_eq!(report.log_completeness.standing, Standing::Fails);
    }
    let exported = vec![(entries.len() as u64 - 1, leaf_hash(&last))];
    let options = VerifyOptions { siem: Some(exported), ..VerifyOptions::default() };
    let report = verify_directory(&fork.dir, &options).unwrap();
    assert_faults(&report, &[entries.len() as u64 - 1], "another entry than the one that was exported");
}

#[tokio::test]
async fn another_root_key_than_the_pinned_one_is_noticed() {
    let (made, _) = written().await;
    let (other, _) = written().await;
    let root_key = Some(made.recorder.log().signing_key().root.public());
    let report = verify_directory(&other.dir(), &VerifyOptions { root_key, ..VerifyOptions::default() }).unwrap();
    assert_faults(&report, &[0], "the pinned one is");
}

#[tokio::test]
async fn a_damaged_middle_of_the_write_ahead_log_is_no_torn_end() {
    let mut made = Made::begin();
    made.checkpoint().await;
    made.act_many(40).await;
    let copied = Scratch::new();
    copy(&made.dir(), &copied.path("data"));
    let size = verify(&copied.path("data")).size;
    let entries = made.entries();
    let wal = copied.path("data/wal");
    let segment = fs::read_dir(&wal).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.file_name().unwrap() != "spare.seg").max().unwrap();
    let victim = &entries[usize::try_from(size).unwrap() + 3];
    rewrite(&segment, |bytes| {
        let at = bytes.windows(victim.len()).position(|window| window == &victim[..]).unwrap();
        bytes[at + 10] ^= 1;
    });
    assert_faults(&verify(&copied.path("data")), &[], "with later ones behind it");
    // A torn end is what a crash leaves: it is no fault.
    let torn = Scratch::new();
    copy(&made.dir(), &torn.path("data"));
    let last = entries.last().unwrap();
    rewrite(&torn.path("data/wal").join(segment.file_name().unwrap()), |bytes| {
        let at = bytes.windows(last.len()).position(|window| window == &last[..]).unwrap();
        bytes[at + 10..].fill(0);
    });
    let report = verify(&torn.path("data"));
    assert_eq!(report.problems, []);
    assert_eq!(report.size + report.tail, entries.len() as u64 - 1);
}
