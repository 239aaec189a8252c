//! Exactly one of five decisions, and what each does to the effect (AARM ).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use serde_json::{Value, json};

use super::controls::futures_of;
use super::{People, QUICK, is_pending};
use crate::harness::{decisions, is_refused, outcomes};

const FIVE: &str = "
policy: { id: five, version: '1' }
rules:
  - { id: allow, match: { operation: echo }, action: ALLOW }
  - { id: deny, match: { operation: delete }, action: DENY, reason: nothing is deleted }
  - { id: modify, match: { operation: send }, action: MODIFY, modifications: { redact: [card] } }
  - { id: step-up, match: { operation: pay }, action: STEP_UP }
  - { id: defer, match: { operation: read }, action: DEFER }
";

fn arguments_at(people: &People, call: usize) -> Value {
    people.stand.server.calls()[call].json()["params"]["arguments"].clone()
}

#[tokio::test]
async fn a_4_1_each_of_the_five_decisions_does_what_it_says() {
    let people = People::start(FIVE, QUICK).await;
    people.stand.call("echo", json!({ "n": 1 })).await;
    assert_eq!((people.paid(), arguments_at(&people, 0)), (1, json!({ "n": 1 })), "ALLOW executes");
    assert!(is_refused(&people.stand.call("delete", json!({ "n": 1 })).await));
    assert_eq!(people.paid(), 1, "DENY blocks");
    people.stand.call("send", json!({ "card": "4111" })).await;
    assert_eq!((people.paid(), arguments_at(&people, 1)), (2, json!({ "card": "[REDACTED]" })), "MODIFY transforms");
    for (tool, word) in [("pay", "STEP_UP pauses"), ("read", "DEFER suspends")] {
        let before = people.paid();
        for _ in 0..3 {
            assert!(is_pending(&people.stand.call(tool, json!({ "n": 1 })).await), "{word}");
        }
        assert_eq!(people.paid(), before, "{word}: no effect before somebody said yes");
        let id = people.first_waiting().await;
        assert_eq!(people.approve("ann", &id).await.0, StatusCode::OK);
        assert_eq!(people.paid(), before, "{word}: a yes runs nothing by itself");
        people.stand.call(tool, json!({ "n": 1 })).await;
        assert_eq!(people.paid(), before + 1, "{word}: exactly one effect after it");
        assert!(is_pending(&people.stand.call(tool, json!({ "n": 1 })).await), "{word}: and no second");
        assert_eq!(people.paid(), before + 1);
        let id = people.first_waiting().await;
        assert_eq!(people.deny("ann", &id, "once was enough").await.0, StatusCode::OK);
    }
    let (entries, _folder) = people.stand.stop().await;
    let made = decisions(&entries);
    let results: Vec<_> = made.iter().map(|entry| entry["decision"]["result"].as_str().unwrap()).collect();
    let expected = ["ALLOW", "DENY", "MODIFY", "STEP_UP", "ALLOW", "STEP_UP", "DEFER", "ALLOW", "DEFER"];
    assert_eq!(results, expected, "each decision is one of the five");
    assert_eq!(outcomes(&entries).len(), 4, "and each that ran has one end");
}

#[tokio::test]
async fn a_4_2_a_modification_forwards_the_changed_parameters_and_records_both() {
    let people = People::start(FIVE, QUICK).await;
    people.stand.call("send", json!({ "card": "4111", "to": "bob" })).await;
    assert_eq!(arguments_at(&people, 0), json!({ "card": "[REDACTED]", "to": "bob" }));
    let (entries, _folder) = people.stand.stop().await;
    let made = decisions(&entries);
    let action = &made[0]["action"];
    let (asked, forwarded) = (&action["parameters"]["hash"], &action["forwarded_parameters"]["hash"]);
    assert!(asked.is_string() && forwarded.is_string() && asked != forwarded, "{action}");
    assert_eq!((&made[0]["decision"]["result"], &made[0]["decision"]["edits_total"]), (&json!("MODIFY"), &json!(1)));
}

#[tokio::test]
async fn what_is_shown_to_people_is_what_a_modification_leaves() {
    let policy = "
policy: { id: both, version: '1' }
rules:
  - { id: pay, match: { operation: pay }, action: STEP_UP }
  - { id: no-cards, match: { operation: pay }, action: MODIFY, modifications: { cap: { amount: 100 } } }
";
    let people = People::start(policy, QUICK).await;
    let message = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"pay\",\"arguments\":{ \"amount\" : 5000,\"to\":\"\\u0041cme\" }}}";
    people.stand.post(message).await;
    let id = people.first_waiting().await;
    let (_, shown) = people.ask("vera", &format!("/v1/approvals/{id}"), None).await;
    assert_eq!(shown["arguments"], "{ \"amount\" : 100,\"to\":\"\\u0041cme\" }");
    people.approve("ann", &id).await;
    people.stand.post(message).await;
    let arrived = people.stand.server.calls().remove(0).body;
    assert_eq!(people.paid(), 1);
    assert!(String::from_utf8_lossy(&arrived).contains(shown["arguments"].as_str().unwrap()), "byte for byte");
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_6_nothing_risky_runs_early_however_often_it_is_sent() {
    const AT_ONCE: usize = 8;
    let policy = "
policy: { id: risky, version: '1' }
rules: [{ id: gone, match: { operation: delete }, action: DEFER, severity: CRITICAL }]
";
    let people = People::start(policy, "approve: { legacy_hold_ms: 5000 }").await;
    let (answers, over) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let callers = async {
        futures_of(AT_ONCE, async |_| {
            let answer = people.stand.call("delete", json!({ "file": "a" })).await;
            answers.lock().unwrap().push(answer);
        })
        .await;
        over.store(true, Ordering::Relaxed);
    };
    let ((), ()) = tokio::join!(callers, async {
        let id = people.first_waiting().await;
        assert_eq!(people.paid(), 0);
        assert_eq!(people.approve("ann", &id).await.0, StatusCode::OK);
        // Who is not covered by this one yes is asked about anew, and told no.
        while !over.load(Ordering::Relaxed) {
            for id in people.waiting().await {
                people.deny("ann", &id, "once is enough").await;
            }
        }
    });
    let answers = answers.into_inner().unwrap();
    let ran = answers.iter().filter(|answer| answer["result"]["isError"] == false).count();
    assert_eq!((people.paid(), ran, answers.len()), (1, 1, AT_ONCE), "{answers:?}");
    people.stand.stop().await;
}
