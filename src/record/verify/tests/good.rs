//! Logs that are in order, and what the verifier must not claim about them.

use tokio::sync::Semaphore;

use super::*;
use crate::model::Verdict::{Allow, Deny};

#[tokio::test]
async fn a_log_of_two_runs_is_in_order() {
    let mut made = Made::begin();
    made.act_many(200).await;
    let mut made = made.restart().await;
    made.act_many(50).await;
    let checkpoint = made.checkpoint().await;
    let report = verify(&made.dir());
    assert_in_order(&report);
    assert_eq!((report.size, report.tail, report.root), (checkpoint.size, 0, Some(checkpoint.root)));
    assert_eq!(report.origin, &*made.recorder.log().instance().origin);
    assert_eq!(report.kinds["decision"], 250);
    assert_eq!(report.kinds["key"], 2);
    // Nothing from outside was given, so nothing is said about the end of the log.
    assert_eq!(report.log_completeness.standing, Standing::Open);
    assert!(report.log_completeness.sentence.contains("no outside anchor was given"));
    for (name, assertion) in report.assertions() {
        assert!(!assertion.sentence.contains("valid"), "{name}: {}", assertion.sentence);
    }
    assert!(report.payloads.is_empty());
}

#[tokio::test]
async fn what_is_behind_the_checkpoint_is_verified_too() {
    let mut made = Made::begin();
    made.act_many(20).await;
    let size = made.checkpoint().await.size;
    // A slow machine may publish a checkpoint in between: what counts is that nothing is lost or told twice.
    made.act_many(20).await;
    let report = verify(&made.dir());
    assert_in_order(&report);
    assert!(report.size >= size);
    assert_eq!(report.size + report.tail, made.recorder.size());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_being_written_is_in_order_at_every_look() {
    // Segments of about fifty entries, a bundle of 256: files come and go under the verifier.
    let mut made =
        Made::begin_with(&Config { checkpoint_interval_ms: 2, segment_bytes: 256 << 10, ..Config::default() });
    let dir = made.dir();
    // Written during every look, and no more than that: the log stays as long as a slow machine can look through.
    let looking = Arc::new(Semaphore::new(5));
    let begun = Arc::clone(&looking);
    let writing = tokio::spawn(async move {
        while let Ok(look) = begun.acquire().await {
            look.forget();
            made.act_many(50).await;
            made.act_many(50).await;
        }
        made.recorder.log().close().await.unwrap();
        made
    });
    let (mut looks, mut with_tail) = (0, 0);
    while looks < 100 && (looks <= 3 || with_tail == 0) {
        looking.add_permits(1);
        let looked = dir.clone();
        let report = tokio::task::spawn_blocking(move || verify(&looked)).await.unwrap();
        assert_eq!(report.problems, []);
        // Between a decision and its outcome.
        assert!(report.incomplete.len() <= 1, "{:?}", report.incomplete);
        looks += 1;
        with_tail += u32::from(report.tail > 0);
    }
    looking.close();
    let made = writing.await.unwrap();
    let report = verify(&dir);
    assert_in_order(&report);
    assert_eq!(report.size, made.recorder.size());
    assert!(looks > 3 && with_tail > 0, "{looks} looks, {with_tail} of them with a tail");
}

#[tokio::test]
async fn a_log_without_a_checkpoint_is_all_tail() {
    let made = Made::begin();
    made.checkpoint().await;
    let copied = Scratch::new();
    copy(&made.dir(), &copied.path("data"));
    fs::remove_dir_all(copied.path("data/log")).unwrap();
    fs::remove_dir_all(copied.path("data/cp.prev")).unwrap();
    let report = verify(&copied.path("data"));
    assert_in_order(&report);
    assert_eq!((report.size, report.tail), (0, 3));
}

#[tokio::test]
async fn a_copy_without_the_write_ahead_log_is_enough() {
    let mut made = Made::begin();
    made.act_many(90).await;
    made.recorder.log().close().await.unwrap();
    let copied = Scratch::new();
    for name in ["cp.prev", "keys", "log"] {
        copy(&made.dir().join(name), &copied.path("data").join(name));
    }
    for name in ["instance.json", "CLEAN"] {
        fs::copy(made.dir().join(name), copied.path("data").join(name)).unwrap();
    }
    assert_in_order(&verify(&copied.path("data")));
}

#[tokio::test]
async fn permitted_actions_without_outcome_are_incomplete_evidence() {
    let mut made = Made::begin();
    made.act("sess_a", Allow, true).await;
    made.act("sess_a", Allow, false).await;
    made.act("sess_a", Deny, true).await;
    made.checkpoint().await;
    let report = verify(&made.dir());
    assert_eq!(report.problems, []);
    assert_eq!(report.verdict(), Verdict::Incomplete);
    assert_eq!(report.incomplete.iter().map(|open| (open.index, &*open.action_id)).collect::<Vec<_>>(), [(5, "act_1")]);
    assert_eq!(report.session_completeness.standing, Standing::Open);
}

#[tokio::test]
async fn outside_anchors_are_met() {
    let mut made = Made::begin();
    made.act_many(30).await;
    let early = made.checkpoint().await;
    made.act_many(30).await;
    made.checkpoint().await;
    let siem = made.entries().iter().enumerate().map(|(index, entry)| (index as u64, leaf_hash(entry))).collect();
    let options = VerifyOptions {
        root_key: Some(made.recorder.log().signing_key().root.public()),
        remembered: vec![(early.size, early.root)],
        siem: Some(siem),
        keep_payloads: true,
        ..VerifyOptions::default()
    };
    let report = verify_directory(&made.dir(), &options).unwrap();
    assert_in_order(&report);
    assert_eq!(report.log_completeness.standing, Standing::Holds);
    assert!(report.log_completeness.sentence.starts_with("1 checkpoints from outside and"));
    assert!(report.integrity.sentence.contains("pinned"));
    assert_eq!(report.payloads.len() as u64, report.size + report.tail);
}

#[tokio::test]
async fn later_kinds_and_members_are_reported_and_not_rejected() {
    let mut made = Made::begin();
    made.act("sess_a", Deny, true).await;
    let mut entries = made.entries();
    entries[2] = made.resign(&entries[2], r#""kind":"control""#, r#""kind":"omen""#);
    entries[3] = made.resign(&entries[3], r#","v":1}"#, r#","v":1,"x_later":{"a":1}}"#);
    let report = verify(&made.forge(&entries).dir);
    assert_in_order(&report);
    assert_eq!(report.unknown_kinds["omen"], 1);
    assert_eq!(report.unknown_members["/predicate/x_later"], 1);
}

#[test]
fn a_directory_without_a_log_is_an_error() {
    let scratch = Scratch::new();
    let error = verify_directory(&scratch.path("nothing"), &VerifyOptions::default()).err().unwrap();
    assert!(error.to_string().contains("instance.json"), "{error}");
}
