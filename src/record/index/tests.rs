//! The index against the log it is derived from.

use rusqlite::Connection;

use super::*;
use crate::model::Timestamp;
use crate::model::Verdict::{Allow, Deny};
use crate::record::verify::tests::{Made, copy};

const QUIET: &dyn Fn(u64, u64) = &|_, _| {};

async fn written() -> Made {
    let mut made = Made::begin();
    made.act_many(12).await;
    made.checkpoint().await;
    made
}

fn open(made: &Made) -> (Archive, Index) {
    let mut archive = Archive::open(&made.dir()).unwrap();
    let index = Index::open(&mut archive, QUIET).unwrap();
    (archive, index)
}

fn file(made: &Made) -> Connection {
    Connection::open(made.dir().join("index.sqlite")).unwrap()
}

fn refused() -> Filter {
    Filter { kind: Some("decision".to_owned()), result: Some("DENY".to_owned()), ..Filter::default() }
}

fn places(hits: &[Hit]) -> Vec<u64> {
    hits.iter().map(|hit| hit.row.index).collect()
}

#[tokio::test]
async fn finds_by_every_part_of_a_filter() {
    let mut made = written().await;
    // Behind the checkpoint, most likely.
    made.act("sess_z", Deny, true).await;
    let (mut archive, mut index) = open(&made);
    let total = made.recorder.size();
    let all = index.list(&mut archive, &Filter::default(), 1_000).unwrap();
    assert_eq!((all.0.len() as u64, all.1), (total, total));
    assert_eq!(places(&all.0), (0..total).rev().collect::<Vec<_>>(), "newest first");
    let (hits, count) = index.list(&mut archive, &refused(), 2).unwrap();
    assert_eq!((hits.len(), count), (2, 4));
    assert_eq!(hits[0].row.session.as_deref(), Some("sess_z"));
    for (hit, proven) in all.0.iter().map(|hit| (hit, hit.row.index < archive.size())) {
        assert_eq!(hit.found.proof.is_some(), proven);
    }
    let first = &hits[1].row;
    let middle = first.time;
    let by = |filter: Filter| index_list(&made, &Filter { kind: Some("decision".to_owned()), ..filter });
    assert_eq!(by(Filter { agent: first.agent.clone(), ..Filter::default() }), 13);
    assert_eq!(by(Filter { agent: Some("nobody".to_owned()), ..Filter::default() }), 0);
    assert_eq!(by(Filter { human: first.human.clone(), ..Filter::default() }), 13);
    assert_eq!(by(Filter { tenant: first.tenant.clone(), ..Filter::default() }), 13);
    assert_eq!(by(Filter { tool: Some("database".to_owned()), ..Filter::default() }), 13);
    assert_eq!(by(Filter { tool: Some("database.query".to_owned()), ..Filter::default() }), 13);
    assert_eq!(by(Filter { tool: Some("database.drop".to_owned()), ..Filter::default() }), 0);
    let (early, late) = (
        by(Filter { until: Some(middle), ..Filter::default() }),
        by(Filter { since: Some(middle), ..Filter::default() }),
    );
    assert_eq!((early + late, late), (13, 2));
    assert_eq!(by(Filter { since: Some(Timestamp::from_secs(4_000_000_000)), ..Filter::default() }), 0);
}

#[tokio::test]
async fn who_looks_while_others_write_is_told_how_far_behind_the_index_is() {
    let mut made = written().await;
    drop(open(&made));
    let indexed = Archive::open_committed(&made.dir()).unwrap().size();
    made.act_many(12).await;
    made.checkpoint().await;
    // Somebody writes the index and does not end.
    let writer = file(&made);
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut archive = Archive::open_committed(&made.dir()).unwrap();
    let mut index = Index::open_as_it_is(&mut archive).unwrap();
    assert_eq!(index.behind(), archive.size() - indexed);
    let all = index.list(&mut archive, &Filter::default(), 1_000).unwrap();
    assert_eq!(all.1, indexed, "what it holds is there");
    assert!(all.0.iter().all(|hit| hit.found.proof.is_some()), "proven against the checkpoint of now");
    drop(index);
    writer.execute_batch("ROLLBACK").unwrap();
    let mut index = Index::open_as_it_is(&mut archive).unwrap();
    assert_eq!((index.behind(), index.list(&mut archive, &Filter::default(), 1_000).unwrap().1), (0, archive.size()));
}

fn index_list(made: &Made, filter: &Filter) -> u64 {
    let (mut archive, mut index) = open(made);
    index.list(&mut archive, filter, 1_000).unwrap().1
}

#[tokio::test]
async fn finds_actions_receipts_sessions_and_how_they_ended() {
    let made = written().await;
    let (mut archive, mut index) = open(&made);
    let action = index.of(&mut archive, &Wanted::Action("act_0".to_owned())).unwrap();
    assert_eq!(action.iter().map(|hit| &*hit.row.kind).collect::<Vec<_>>(), ["decision", "outcome"]);
    let receipt = index.of(&mut archive, &Wanted::Receipt(action[1].row.receipt_id.clone())).unwrap();
    assert_eq!(places(&receipt), [action[1].row.index]);
    let ending = index.ending(&mut archive, "act_0").unwrap().unwrap();
    assert_eq!(ending.row.status.as_deref(), Some("success"));
    assert!(index.ending(&mut archive, "act_3").unwrap().is_none(), "a refusal has no ending");
    let session = index.of(&mut archive, &Wanted::Session("sess_a".to_owned())).unwrap();
    assert_eq!(session.iter().map(|hit| hit.row.seq.unwrap()).collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
    assert!(index.of(&mut archive, &Wanted::Index(9_999)).unwrap().is_empty());
}

#[tokio::test]
async fn a_changed_answer_is_not_believed() {
    let made = written().await;
    let before = {
        let (mut archive, mut index) = open(&made);
        places(&index.list(&mut archive, &refused(), 100).unwrap().0)
    };
    for attack in [
        "UPDATE entries SET result = 'DENY' WHERE idx = 3",
        "UPDATE entries SET leaf = zeroblob(32)",
        "UPDATE entries SET leaf = zeroblob(32), result = 'DENY' WHERE idx = 3",
        "DELETE FROM entries WHERE idx = 9",
        "DELETE FROM entries",
        "DROP TABLE entries",
        "UPDATE log SET origin = 'elsewhere'",
        "PRAGMA user_version = 7",
    ] {
        drop(open(&made));
        file(&made).execute_batch(attack).unwrap();
        let (mut archive, mut index) = open(&made);
        assert_eq!(places(&index.list(&mut archive, &refused(), 100).unwrap().0), before, "{attack}");
    }
    std::fs::write(made.dir().join("index.sqlite"), "not a database at all, but long enough to look at").unwrap();
    let (mut archive, mut index) = open(&made);
    assert!(index.is_rebuilt());
    assert_eq!(places(&index.list(&mut archive, &refused(), 100).unwrap().0), before);
}

#[tokio::test]
async fn a_row_that_hides_an_entry_comes_back_when_the_index_is_made_again() {
    let made = written().await;
    drop(open(&made));
    file(&made).execute_batch("UPDATE entries SET result = 'ALLOW' WHERE result = 'DENY'").unwrap();
    let (mut archive, mut index) = open(&made);
    // No answer is wrong, but answers are missing: that is why proofs never come from here.
    assert_eq!(index.list(&mut archive, &refused(), 100).unwrap().1, 0);
    let mut index = Index::rebuild(&mut archive, QUIET).unwrap();
    assert_eq!(index.list(&mut archive, &refused(), 100).unwrap().1, 3);
}

#[tokio::test]
async fn an_entry_that_the_checkpoint_does_not_commit_to_is_not_shown() {
    let made = written().await;
    let copied = crate::net::scratch::Scratch::new();
    copy(&made.dir(), &copied.path("data"));
    let size = Archive::open(&made.dir()).unwrap().size();
    let bundle = copied.path(&format!("data/log/tile/entries/000.p/{size}"));
    let mut bytes = std::fs::read(&bundle).unwrap();
    let last = bytes.len() - 30;
    bytes[last] = if bytes[last] == b'A' { b'B' } else { b'A' };
    std::fs::remove_file(&bundle).unwrap();
    std::fs::write(&bundle, bytes).unwrap();
    let mut archive = Archive::open(&copied.path("data")).unwrap();
    assert!(archive.find(size - 1).is_err());
    assert!(archive.find(size - 2).unwrap().is_some());
}

#[tokio::test]
async fn follows_a_running_log_and_ends_with_all_of_it() {
    let mut made = Made::begin();
    let follower = Follower::start(made.recorder.log(), &made.dir()).unwrap();
    made.act_many(6).await;
    made.act("sess_a", Allow, true).await;
    let end = made.recorder.size();
    made.recorder.log().close().await.unwrap();
    follower.stop().await;
    let count = file(&made).query_row("SELECT count(*) FROM entries", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), i64::try_from(end).unwrap());
}
