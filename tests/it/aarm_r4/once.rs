//! An action that waited is one action, however often it was decided: for limits, and for what its session knows.

use serde_json::json;

use super::{People, QUICK};
use crate::harness::{Stand, decisions, is_refused};

const BUDGET: &str = "
policy: { id: money, version: '1' }
rules:
  - { id: pay, match: { operation: pay }, action: STEP_UP }
  - id: budget
    match: { operation: pay }
    constraints: { budget: { sum: amount, max: 100, window: 1h } }
    action: DENY
";

/// Pays, with somebody's yes in between.
async fn pay(people: &People, amount: u32) -> serde_json::Value {
    people.stand.call("pay", json!({ "amount": amount })).await;
    let id = people.first_waiting().await;
    people.approve("ann", &id).await;
    people.stand.call("pay", json!({ "amount": amount })).await
}

#[tokio::test]
async fn a_limit_counts_an_approved_action_once() {
    let people = People::start(BUDGET, QUICK).await;
    let paid = pay(&people, 60).await;
    assert_eq!((&paid["result"]["isError"], people.paid()), (&json!(false), 1), "60 of 100: {paid}");
    assert!(is_refused(&people.stand.call("pay", json!({ "amount": 50 })).await), "110 of 100");
    // What waits holds its place, over a restart too, and gives it to itself alone.
    people.stand.call("pay", json!({ "amount": 30 })).await;
    let people = people.again(BUDGET, QUICK).await;
    assert!(is_refused(&people.stand.call("pay", json!({ "amount": 20 })).await), "60 and 30 are taken");
    let id = people.first_waiting().await;
    people.approve("bob", &id).await;
    let paid = people.stand.call("pay", json!({ "amount": 30 })).await;
    assert_eq!((&paid["result"]["isError"], people.paid()), (&json!(false), 2), "{paid}");
    people.stand.stop().await;
}

const CONFIRM: &str = "
policy: { id: confirm, version: '1' }
rules: [{ id: all, match: {}, action: ALLOW }]
re_validation: { interval: 2, method: user_confirmation }
";

/// Two actions, a third that waits and is approved, with a restart behind it or not; then two more.
async fn confirmed(lost: bool) -> Vec<serde_json::Value> {
    let people = People::start(CONFIRM, QUICK).await;
    for n in 0..2 {
        assert!(!is_refused(&people.stand.call("echo", json!({ "n": n })).await));
    }
    assert!(is_refused(&people.stand.call("echo", json!({ "n": 2 })).await), "somebody has to confirm");
    let id = people.first_waiting().await;
    people.approve("ann", &id).await;
    assert!(!is_refused(&people.stand.call("echo", json!({ "n": 2 })).await));
    let stand: Stand = if lost { people.stand.lose_context().await } else { people.stand };
    for n in 3..5 {
        let answer = stand.call("echo", json!({ "n": n })).await;
        assert!(!is_refused(&answer), "a person has just agreed: {answer}");
    }
    assert!(is_refused(&stand.call("echo", json!({ "n": 5 })).await), "two since then");
    let (entries, _folder) = stand.stop().await;
    entries
}

#[tokio::test]
async fn a_session_knows_an_approved_action_as_one_that_a_person_agreed_to() {
    for lost in [false, true] {
        let entries = confirmed(lost).await;
        let made = decisions(&entries);
        let counts: Vec<_> = made.iter().map(|entry| entry["context"]["action_count"].as_u64().unwrap()).collect();
        assert_eq!(counts, [0, 1, 2, 2, 3, 4, 5], "decided twice, and one action");
        let before = made[3]["context"]["prior_actions"].as_array().unwrap();
        assert!(before.iter().all(|prior| prior["action_id"] != made[3]["action"]["action_id"]), "{before:?}");
        let later = &made[4]["context"]["prior_actions"][2];
        assert_eq!((&later["result"], &later["forwarded"]), (&json!("STEP_UP"), &json!(true)));
    }
}
