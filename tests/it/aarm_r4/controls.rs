//! The kill switch, break-glass and standing permissions.

use http::StatusCode;
use serde_json::{Value, json};

use super::{People, QUICK, STEP_UP, is_pending};
use crate::harness::{ALLOW_ALL, decisions};

async fn suspend(people: &People, scope: Value) -> (StatusCode, Value) {
    let body = json!({ "scope": scope, "reason": "it misbehaves" });
    people.ask("alice@example.com", "/v1/controls/suspend", Some(body)).await
}

fn reason(answer: &Value) -> &Value {
    &answer["result"]["_meta"]["countersign/decision"]["reason_code"]
}

#[tokio::test]
async fn the_kill_switch_holds_each_scope_and_lets_go_again() {
    let people = People::start(ALLOW_ALL, QUICK).await;
    for scope in [
        json!({ "kind": "agent", "value": "tester" }),
        json!({ "kind": "server", "value": "test" }),
        json!({ "kind": "tool", "value": "pay" }),
        json!({ "kind": "tool", "value": "test.pay" }),
        json!({ "kind": "all" }),
    ] {
        let before = people.paid();
        let (status, made) = suspend(&people, scope.clone()).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        let answer = people.stand.call("pay", json!({ "amount": 5 })).await;
        assert_eq!((reason(&answer), people.paid()), (&json!("suspended"), before), "{scope}: {answer}");
        let path = format!("/v1/controls/{}/resume", made["id"].as_str().unwrap());
        let (status, _) = people.ask("alice@example.com", &path, Some(json!({ "reason": "mended" }))).await;
        assert_eq!(status, StatusCode::OK);
        people.stand.call("pay", json!({ "amount": 5 })).await;
        assert_eq!(people.paid(), before + 1, "{scope}");
    }
    for other in [json!({ "kind": "agent", "value": "else" }), json!({ "kind": "tool", "value": "echo" })] {
        suspend(&people, other).await;
    }
    let before = people.paid();
    people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!(people.paid(), before + 1, "others go on");
    let (entries, _folder) = people.stand.stop().await;
    let events: Vec<_> = entries.iter().filter_map(|entry| entry["predicate"]["control"]["event"].as_str()).collect();
    assert_eq!(events.iter().filter(|event| **event == "suspend").count(), 7);
    assert_eq!(events.iter().filter(|event| **event == "resume").count(), 5);
    let suspended = decisions(&entries).into_iter().filter(|entry| entry["decision"]["reason_code"] == "suspended");
    assert!(
        suspended.clone().count() == 5
            && suspended.into_iter().all(|entry| entry["decision"]["severity"] == "CRITICAL")
    );
}

#[tokio::test]
async fn a_suspension_survives_a_restart() {
    let people = People::start(ALLOW_ALL, QUICK).await;
    suspend(&people, json!({ "kind": "all" })).await;
    let people = people.again(ALLOW_ALL, QUICK).await;
    let answer = people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!((reason(&answer), people.paid()), (&json!("suspended"), 0));
    people.stand.stop().await;
}

#[tokio::test]
async fn the_kill_switch_reaches_held_calls_approvals_and_permissions() {
    let people = People::start(STEP_UP, "approve: { legacy_hold_ms: 20000 }").await;
    let (answer, ()) = tokio::join!(people.stand.call("pay", json!({ "amount": 5 })), async {
        people.first_waiting().await;
        suspend(&people, json!({ "kind": "agent", "value": "tester" })).await;
    });
    assert_eq!(reason(&answer), "suspended", "{answer}");
    let id = people.first_waiting().await;
    people.ask("ann", &format!("/v1/approvals/{id}/grant"), Some(json!({ "minutes": 5 }))).await;
    people.approve("ann", &id).await;
    let answer = people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!((reason(&answer), people.paid()), (&json!("suspended"), 0));
    people.stand.stop().await;
}

#[tokio::test]
async fn only_administrators_use_controls() {
    let people = People::start(ALLOW_ALL, QUICK).await;
    for who in ["vera", "ann"] {
        let body = json!({ "scope": { "kind": "all" }, "reason": "no" });
        assert_eq!(people.ask(who, "/v1/controls/suspend", Some(body)).await.0, StatusCode::FORBIDDEN);
    }
    people.stand.call("pay", json!({})).await;
    assert_eq!(people.paid(), 1);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_standing_permission_covers_its_value_and_its_session_and_ends() {
    let people = People::start(STEP_UP, QUICK).await;
    let pay = async |amount: u32, to: &str| people.stand.call("pay", json!({ "amount": amount, "to": to })).await;
    pay(5, "acme").await;
    let id = people.first_waiting().await;
    let path = format!("/v1/approvals/{id}/grant");
    let (status, made) =
        people.ask("ann", &path, Some(json!({ "minutes": 5, "pointer": "/to", "this_session": true }))).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    for amount in [6, 7] {
        assert_eq!(pay(amount, "acme").await["result"]["isError"], false);
    }
    assert!(is_pending(&pay(6, "mallory").await), "another value is asked about");
    assert_eq!(people.paid(), 2);
    let (_, listed) = people.ask("vera", "/v1/grants", None).await;
    assert_eq!((&listed["items"][0]["uses"], &listed["items"][0]["pointer"]), (&json!(2), &json!("/to")));
    let grant = made["id"].as_str().unwrap().to_owned();
    let (status, _) =
        people.ask("bob", &format!("/v1/grants/{grant}/revoke"), Some(json!({ "reason": "enough" }))).await;
    assert_eq!(status, StatusCode::OK);
    assert!(is_pending(&pay(8, "acme").await));
    assert_eq!(people.paid(), 2);
    let (entries, _folder) = people.stand.stop().await;
    let events: Vec<_> = entries.iter().filter_map(|entry| entry["predicate"]["grant"]["event"].as_str()).collect();
    assert_eq!(events, ["given", "ended"]);
    let granted = decisions(&entries).into_iter().filter(|entry| entry["decision"]["grant_id"] == json!(grant));
    assert_eq!(granted.count(), 2);
}

#[tokio::test]
async fn break_glass_takes_two_people_and_opens_nothing_that_is_forbidden() {
    let policy = "
policy: { id: shut, version: '1' }
rules:
  - { id: never, match: { operation: delete }, action: DENY, classification: forbidden }
  - { id: pay, match: { operation: pay }, action: DENY }
";
    let people = People::start(policy, QUICK).await;
    let body =
        json!({ "scope": { "kind": "server", "value": "test" }, "reason": "outage", "ticket": "INC-1", "minutes": 10 });
    let (status, made) = people.ask("alice@example.com", "/v1/controls/break-glass", Some(body)).await;
    assert_eq!((status, &made["state"]), (StatusCode::OK, &json!("awaits_second_person")), "{made}");
    people.stand.call("pay", json!({})).await;
    assert_eq!(people.paid(), 0, "one person opens nothing");
    let confirm = format!("/v1/controls/{}/confirm", made["id"].as_str().unwrap());
    assert_eq!(people.ask("alice@example.com", &confirm, Some(json!({}))).await.0, StatusCode::FORBIDDEN);
    assert_eq!(people.ask("ann", &confirm, Some(json!({}))).await.0, StatusCode::FORBIDDEN);
    assert_eq!(people.ask("root", &confirm, Some(json!({}))).await.0, StatusCode::OK);
    people.stand.call("pay", json!({})).await;
    people.stand.call("delete", json!({})).await;
    assert_eq!(people.paid(), 1, "what is forbidden stays so");
    let too_long = json!({ "scope": { "kind": "all" }, "reason": "x", "ticket": "y", "minutes": 61 });
    let (status, _) = people.ask("root", "/v1/controls/break-glass", Some(too_long)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (entries, _folder) = people.stand.stop().await;
    let opened =
        decisions(&entries).into_iter().find(|entry| entry["decision"]["break_glass_id"] == made["id"]).unwrap();
    assert_eq!((&opened["decision"]["result"], &opened["decision"]["severity"]), (&json!("ALLOW"), &json!("CRITICAL")));
}

#[tokio::test]
async fn break_glass_that_waits_for_its_second_person_survives_a_restart() {
    let policy = "
policy: { id: shut, version: '1' }
rules: [{ id: pay, match: { operation: pay }, action: DENY }]
";
    let people = People::start(policy, QUICK).await;
    let body = json!({ "scope": { "kind": "all" }, "reason": "outage", "ticket": "INC-1", "minutes": 10 });
    let (_, made) = people.ask("alice@example.com", "/v1/controls/break-glass", Some(body)).await;
    let people = people.again(policy, QUICK).await;
    let (_, listed) = people.ask("vera", "/v1/controls", None).await;
    assert_eq!(
        (&listed["items"][0]["id"], &listed["items"][0]["state"]),
        (&made["id"], &json!("awaits_second_person"))
    );
    people.stand.call("pay", json!({})).await;
    assert_eq!(people.paid(), 0, "it opens nothing yet");
    let confirm = format!("/v1/controls/{}/confirm", made["id"].as_str().unwrap());
    assert_eq!(people.ask("alice@example.com", &confirm, Some(json!({}))).await.0, StatusCode::FORBIDDEN);
    assert_eq!(people.ask("root", &confirm, Some(json!({}))).await.0, StatusCode::OK);
    let people = people.again(policy, QUICK).await;
    let (_, listed) = people.ask("vera", "/v1/controls", None).await;
    assert_eq!((&listed["total"], &listed["items"][0]["state"]), (&json!(1), &json!("active")), "{listed}");
    people.stand.call("pay", json!({})).await;
    assert_eq!(people.paid(), 1);
    let (entries, _folder) = people.stand.stop().await;
    let controls: Vec<_> = entries.iter().map(|entry| &entry["predicate"]["control"]).collect();
    let of = |event: &str| *controls.iter().find(|control| control["event"] == event).unwrap();
    let (asked, opened) = (of("break_glass_asked"), of("break_glass"));
    assert_eq!(
        (&asked["actor"], &asked["ticket"], &asked["approvers"]),
        (&json!("alice@example.com"), &json!("INC-1"), &json!([]))
    );
    assert_eq!((&opened["approvers"], &opened["control_id"]), (&json!(["root"]), &asked["control_id"]));
}

#[tokio::test]
async fn under_load_nothing_follows_a_suspension_but_what_was_on_its_way() {
    const CALLERS: usize = 8;
    let people = People::start(ALLOW_ALL, QUICK).await;
    let over = std::sync::atomic::AtomicBool::new(false);
    let callers = futures_of(CALLERS, async |_| {
        while !over.load(std::sync::atomic::Ordering::Relaxed) {
            people.stand.call("pay", json!({ "amount": 5 })).await;
        }
    });
    let ((), at_once) = tokio::join!(callers, async {
        while people.paid() < 50 {
            tokio::task::yield_now().await;
        }
        let (status, _) = suspend(&people, json!({ "kind": "agent", "value": "tester" })).await;
        let at_once = people.paid();
        assert_eq!(status, StatusCode::OK);
        for _ in 0..50 {
            people.stand.call("pay", json!({ "amount": 5 })).await;
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        at_once
    });
    assert!(people.paid() <= at_once + CALLERS, "{} after {at_once}", people.paid());
    people.stand.stop().await;
}

/// Runs `number` of them side by side, on this task.
pub(super) async fn futures_of<F: Future<Output = ()>>(number: usize, each: impl Fn(usize) -> F) {
    let mut all: Vec<_> = (0..number).map(|at| Box::pin(each(at))).collect();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}
