//! Makes the golden log in `tests/it/golden/log-v1`: one entry of every kind that this version writes, in two runs, the
//! first of which died with an action under way. Every later version must verify it (`tests/it/receipts.rs`).
//!
//! It is made once for a version of the format, with
//! `cargo test --lib makes_the_golden_log -- --ignored`, and never changed: a format that cannot read it has lost
//! somebody's evidence. Times are fixed; keys and ids are random, and the private keys are thrown away.

use super::*;
use crate::model::Verdict::{Allow, Deny, Modify};
use crate::record::entry::{
    ControlBlock, DestinationCount, ExportCheckpointBlock, ExportGapBlock, GapBlock, GrantBlock, LoadedPolicy,
    PinnedTool,
};

/// Where it goes.
fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden/log-v1")
}

#[tokio::test]
#[ignore = "makes a file that is checked in; only for a new version of the format"]
async fn makes_the_golden_log() {
    let mut made = Made::begin();
    for fact in facts() {
        made.clock.advance_micros(1_000);
        made.recorder.control(fact).await.unwrap();
    }
    made.act("sess_a", Allow, true).await;
    made.act("sess_a", Deny, true).await;
    made.act("sess_b", Modify, true).await;
    made.checkpoint().await;
    made.act("sess_b", Allow, false).await;
    // The process dies: what is durable is all there is.
    let copied = Scratch::new();
    copy(&made.dir(), &copied.path("data"));
    let clock = Arc::clone(&made.clock);
    clock.advance_micros(1_000_000);
    let recorder = start(&copied.path("data"), &clock);
    let mut made = Made { scratch: copied, recorder, clock, next_action: 100 };
    made.act("sess_b", Allow, true).await;
    made.recorder.control(ControlFact::stop()).await.unwrap();
    made.recorder.log().close().await.unwrap();
    assert_in_order(&verify(&made.dir()));
    assert!(!place().exists(), "there is one already");
    for name in ["keys", "cp.prev"] {
        copy(&made.dir().join(name), &place().join(name));
    }
    fs::copy(made.dir().join("instance.json"), place().join("instance.json")).unwrap();
    // Without the files of earlier sizes.
    write_tree(
        &place(),
        &made.recorder.log().instance().origin,
        &made.entries(),
        &made.recorder.log().signing_key().log,
    );
    assert_in_order(&verify(&place()));
}

fn facts() -> Vec<ControlFact> {
    let (hash, at) = (Digest::of(b"set"), Timestamp::from_secs(1_800_000_000));
    let policy = LoadedPolicy { hash, policy_id: "mail".into(), rules: 3, shadow_rules: 1, version: "2".into() };
    let tool = PinnedTool { change: "first_seen".into(), digest: Some(hash), name: "query".into(), previous: None };
    let count =
        DestinationCount { dead: 0, delivered: 5, destination: "siem".into(), filtered: 1, skipped: 0, through: 4 };
    let mut facts = vec![
        ControlFact::policies_loaded(hash, [policy]),
        ControlFact::control(ControlBlock {
            event: "suspend".into(),
            reason: Some("drill".into()),
            ..ControlBlock::default()
        }),
        ControlFact::grant(GrantBlock {
            approver: Some("bob@company.example".into()),
            event: "given".into(),
            expires: Some(at),
            grant_id: "grant-1".into(),
            operation: Some("query".into()),
            pointer: None,
            reason: None,
            scope: None,
            tool: Some("database".into()),
            uses: 0,
            uses_max: Some(3),
            value_hash: None,
        }),
        ControlFact::gap(GapBlock { cause: "disk_full".into(), count: None, from: Some(at), to: None }),
        ControlFact::export_gap(ExportGapBlock {
            actor: None,
            cause: "operator".into(),
            count: Some(2),
            destination: "siem".into(),
            from: 2,
            to: 3,
        }),
        ControlFact::export_checkpoint(ExportCheckpointBlock { destinations: vec![count], root: Some(hash), size: 5 }),
    ];
    facts.extend(ControlFact::tools_pinned("db", Some("1.0.0"), &[tool], None));
    facts
}
