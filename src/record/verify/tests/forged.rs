//! What whoever holds the running machine can make: trees and checkpoints signed by the log's own keys, over entries
//! that break a rule of the log (receipts §8, attacks 6 to 9, 16, 19, 20, 22, 23, 28, 29, 32).

use super::*;
use crate::model::Verdict::{Allow, Deny};
use crate::record::keys::SigningKey;

/// Entries 0 to 2 begin the log; 3 and 4, 5 and 6 are actions of `sess_a`, 7 is refused, 8 and 9 are of `sess_b`.
async fn written() -> (Made, Vec<Bytes>) {
    let mut made = Made::begin();
    for (session, verdict) in [("sess_a", Allow), ("sess_a", Allow), ("sess_a", Deny), ("sess_b", Allow)] {
        made.act(session, verdict, true).await;
    }
    let entries = made.entries();
    assert_eq!(entries.len(), 10);
    assert_in_order(&verify(&made.forge(&entries).dir));
    (made, entries)
}

fn payload(entry: &Bytes) -> String {
    String::from_utf8(open_envelope(entry).unwrap().payload).unwrap()
}

#[tokio::test]
async fn an_entry_taken_out_leaves_a_gap_in_its_session() {
    let (made, mut entries) = written().await;
    entries.remove(4);
    assert_faults(&verify(&made.forge(&entries).dir), &[4], "number 2 of session `sess_a`, where 1 is due");
}

#[tokio::test]
async fn entries_in_another_order_do_not_chain() {
    let (made, mut entries) = written().await;
    entries.swap(5, 7);
    let report = verify(&made.forge(&entries).dir);
    assert!(report.problems.iter().any(|problem| problem.index == Some(5)), "{:#?}", report.problems);
    assert_eq!(report.session_completeness.standing, Standing::Fails);
}

#[tokio::test]
async fn an_entry_appended_again_is_a_duplicate() {
    let (made, mut entries) = written().await;
    entries.push(entries[7].clone());
    assert_faults(&verify(&made.forge(&entries).dir), &[10], "a second time");
    let (made, mut entries) = written().await;
    entries.push(entries[2].clone());
    assert_faults(&verify(&made.forge(&entries).dir), &[10], "a second time");
}

#[tokio::test]
async fn an_entry_of_an_earlier_run_does_not_fit_a_later_one() {
    let (made, entries) = written().await;
    let made = made.restart().await;
    let mut all = made.entries();
    all.push(entries[7].clone());
    let last = all.len() as u64 - 1;
    assert_faults(&verify(&made.forge(&all).dir), &[last], "epoch 1, where the key of epoch 2 signs");
}

#[tokio::test]
async fn an_entry_moved_into_another_session_or_log_is_noticed() {
    let (made, entries) = written().await;
    let mut moved = entries.clone();
    moved[7] = made.resign(&entries[7], r#""id":"sess_a""#, r#""id":"sess_b""#);
    assert_faults(&verify(&made.forge(&moved).dir), &[7], "of session `sess_b` in a chain of session `sess_a`");
    let mut elsewhere = entries.clone();
    elsewhere[7] = made.resign(&entries[7], r#""origin":"localhost/"#, r#""origin":"elsewhere/"#);
    assert_faults(&verify(&made.forge(&elsewhere).dir), &[7], "written for the log `elsewhere/");
}

#[tokio::test]
async fn an_entry_signed_by_a_key_that_the_root_did_not_certify_is_noticed() {
    let (made, mut entries) = written().await;
    let stranger = SigningKey::generate().unwrap();
    entries[7] = seal(payload(&entries[7]).as_bytes(), &[&stranger]).bytes;
    assert_faults(&verify(&made.forge(&entries).dir), &[7], "no valid signature of key");
}

#[tokio::test]
async fn a_key_that_another_root_certifies_signs_nothing() {
    let (made, mut entries) = written().await;
    let keys = made.recorder.log().signing_key();
    entries[1] = seal(payload(&entries[1]).as_bytes(), &[&keys.receipt]).bytes;
    let report = verify(&made.forge(&entries).dir);
    assert!(report.problems.iter().any(|problem| problem.index == Some(1) && problem.what.contains("root key")));
    assert_eq!(report.integrity.standing, Standing::Fails);
}

#[tokio::test]
async fn more_signatures_than_one_are_refused() {
    let (made, mut entries) = written().await;
    let keys = made.recorder.log().signing_key();
    entries[7] = seal(payload(&entries[7]).as_bytes(), &[&keys.receipt, &keys.root]).bytes;
    assert_faults(&verify(&made.forge(&entries).dir), &[7], "exactly one signature");
}

#[tokio::test]
async fn a_clock_that_went_back_is_noticed() {
    let (made, mut entries) = written().await;
    let time = payload(&entries[9]);
    let wall = time.split(r#""wall":""#).nth(1).and_then(|rest| rest.get(..27)).unwrap().to_owned();
    let earlier = Timestamp::from_micros(Timestamp::parse(&wall).unwrap().as_micros() - 6_000_000).to_string();
    entries[9] = made.resign(&entries[9], &format!(r#""wall":"{wall}""#), &format!(r#""wall":"{earlier}""#));
    assert_faults(&verify(&made.forge(&entries).dir), &[9], "the clock went back by 6 s");
}

#[tokio::test]
async fn an_outcome_without_its_decision_is_noticed() {
    let (made, mut entries) = written().await;
    // The session begins with the outcome, as if the decision had never been written.
    entries[9] = made.resign(&entries[9], r#""seq":1"#, r#""seq":0"#);
    let leaf = format!(r#""prev":"{}""#, leaf_hash(&entries[8]));
    entries[9] = made.resign(&entries[9], &leaf, r#""prev":null"#);
    entries.remove(8);
    assert_faults(&verify(&made.forge(&entries).dir), &[8], "without a decision that permitted it");
}

#[tokio::test]
async fn an_outcome_that_tells_another_story_is_noticed() {
    let (made, mut entries) = written().await;
    entries[9] = made.resign(&entries[9], r#""operation":"query","parameters""#, r#""operation":"count","parameters""#);
    assert_faults(&verify(&made.forge(&entries).dir), &[9], "another action than was decided in entry 8");
    let (made, mut entries) = written().await;
    let (own, other) = (leaf_hash(&entries[8]), leaf_hash(&entries[3]));
    entries[9] = made.resign(&entries[9], &format!(r#""ref":"{own}""#), &format!(r#""ref":"{other}""#));
    assert_faults(&verify(&made.forge(&entries).dir), &[9], "names another decision than entry 8");
}

#[tokio::test]
async fn nothing_comes_after_the_end() {
    let (made, mut entries) = written().await;
    entries[2] = made.resign(&entries[2], r#""kind":"control""#, r#""kind":"close""#);
    let report = verify(&made.forge(&entries).dir);
    assert_faults(&report, &[3, 4, 5, 6, 7, 8, 9], "comes after entry 2, which closed the log");
}

#[tokio::test]
async fn payloads_and_envelopes_have_one_form() {
    let receipt =
        |made: &Made, payload: &str| seal(payload.as_bytes(), &[&made.recorder.log().signing_key().receipt]).bytes;
    let (made, entries) = written().await;
    let plain = payload(&entries[7]);
    for (changed, what) in [
        (plain.replacen("{\"_type\"", "{ \"_type\"", 1), "not canonical"),
        (plain.replacen(r#""v":1}"#, r#""v":1,"v":1}"#, 1), "not canonical"),
        (plain.replacen(r#""v":1}"#, r#""v":2}"#, 1), "version 2 of the format"),
        (format!(r#"{},"zzz":1}}"#, plain.strip_suffix('}').unwrap()), "unknown field"),
        (plain.replacen(r#"receipt/v1"#, r#"receipt/v2"#, 1), "not a type of this format"),
        (plain.replacen(r#""name":"act_"#, r#""name":"act_x"#, 1), "subject"),
    ] {
        assert_ne!(changed, plain);
        let mut entries = entries.clone();
        entries[7] = receipt(&made, &changed);
        assert_faults(&verify(&made.forge(&entries).dir), &[7], what);
    }
    let mut spaced = entries.clone();
    spaced[7] = Bytes::from([&entries[7][..], b"\n"].concat());
    assert_faults(&verify(&made.forge(&spaced).dir), &[7], "not an envelope");
}
