//! STEP_UP blocks until a person decides.

use http::StatusCode;
use serde_json::json;

use super::{People, QUICK, STEP_UP, is_pending};
use crate::harness::{decisions, is_refused, outcomes};

#[tokio::test]
async fn a_4_3_nothing_runs_before_the_approval_and_once_after() {
    let people = People::start(STEP_UP, QUICK).await;
    let first = people.stand.call("pay", json!({ "amount": 5 })).await;
    assert!(is_pending(&first) && first["result"]["isError"] == true, "{first}");
    let id = first["result"]["_meta"]["countersign/decision"]["approval_id"].as_str().unwrap().to_owned();
    assert_eq!((people.paid(), people.waiting().await), (0, vec![id.clone()]));
    assert!(is_pending(&people.stand.call("pay", json!({ "amount": 5 })).await), "it waits on");
    assert_eq!(people.waiting().await.len(), 1, "the same call is the same request");
    let (status, answer) = people.approve("ann", &id).await;
    assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("approved")), "{answer}");
    assert_eq!(people.paid(), 0, "an approval runs nothing by itself");
    let done = people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!((&done["result"]["isError"], people.paid()), (&json!(false), 1), "{done}");
    assert!(is_pending(&people.stand.call("pay", json!({ "amount": 5 })).await), "an approval is used once");
    assert_eq!(people.paid(), 1);
    let (entries, _folder) = people.stand.stop().await;
    let made = decisions(&entries);
    let results: Vec<_> = made.iter().map(|entry| entry["decision"]["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["STEP_UP", "ALLOW", "STEP_UP"]);
    assert_eq!(made[1]["decision"]["supersedes"], made[0]["receipt_id"]);
    assert_eq!((&made[1]["approval"]["approver"], &made[1]["approval"]["request_id"]), (&json!("ann"), &json!(id)));
    assert_eq!(outcomes(&entries).len(), 1);
    let kinds: Vec<_> = entries.iter().filter(|entry| entry["predicate"]["kind"] == "approval").collect();
    let said: Vec<_> = kinds.iter().map(|entry| entry["predicate"]["approval"]["status"].as_str().unwrap()).collect();
    assert_eq!(said, ["PENDING", "APPROVED", "PENDING"]);
    assert_eq!(kinds[1]["predicate"]["approval"]["approver_verification"], "api_key");
}

#[tokio::test]
async fn a_5_6_a_receipt_says_who_approved_what_and_when() {
    let people = People::start(STEP_UP, QUICK).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let id = people.waiting().await.remove(0);
    people.approve("ann", &id).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let (entries, _folder) = people.stand.stop().await;
    let made = decisions(&entries);
    let (asked, done) = (&made[0], &made[1]["approval"]);
    assert_eq!((&done["approver"], &done["status"]), (&json!("ann"), &json!("APPROVED")));
    assert_eq!(done["approver_verification"], "api_key");
    // RFC 3339 in UTC: the order of the texts is the order of the times.
    let times = [&asked["time"]["wall"], &done["requested"], &done["decided"], &made[1]["time"]["wall"]];
    let times = times.map(|time| time.as_str().unwrap());
    assert!(times[1] <= times[2] && times[0] <= times[2] && times[2] <= times[3], "{times:?}");
}

#[tokio::test]
async fn a_4_3_a_held_call_runs_when_the_approval_comes() {
    let people = People::start(STEP_UP, "approve: { legacy_hold_ms: 20000 }").await;
    let (answer, ()) = tokio::join!(people.stand.call("pay", json!({ "amount": 5 })), async {
        let id = people.first_waiting().await;
        assert_eq!(people.paid(), 0);
        assert_eq!(people.approve("bob", &id).await.0, StatusCode::OK);
    });
    assert_eq!((&answer["result"]["isError"], people.paid()), (&json!(false), 1), "{answer}");
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_3_of_two_identical_calls_that_are_held_one_runs() {
    let people = People::start(STEP_UP, "approve: { legacy_hold_ms: 20000 }").await;
    let call = || people.stand.call("pay", json!({ "amount": 5 }));
    let (one, other, ()) = tokio::join!(call(), call(), async {
        let id = people.first_waiting().await;
        assert_eq!(people.approve("bob", &id).await.0, StatusCode::OK);
    });
    let ran = [&one, &other].into_iter().filter(|answer| answer["result"]["isError"] == false);
    assert_eq!((ran.count(), people.paid()), (1, 1), "{one} {other}");
    let left = if one["result"]["isError"] == true { &one } else { &other };
    assert_eq!(left["result"]["_meta"]["countersign/decision"]["reason_code"], "approval_stale");
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_25_a_denial_has_a_reason_and_mints_nothing() {
    let people = People::start(STEP_UP, QUICK).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let id = people.first_waiting().await;
    assert_eq!(people.deny("ann", &id, " ").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(people.deny("ann", &id, "not this week").await.0, StatusCode::OK);
    assert_eq!(people.approve("bob", &id).await.0, StatusCode::CONFLICT);
    let told = people.stand.call("pay", json!({ "amount": 5 })).await;
    let text = told["result"]["content"][0]["text"].as_str().unwrap();
    assert!(is_refused(&told) && text.contains("ann denied it: not this week"), "{text}");
    assert_eq!((people.paid(), people.waiting().await.len()), (0, 0));
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_3_silence_is_a_no_and_late_answers_mint_nothing() {
    let people = People::start(STEP_UP, "approve: { timeout_s: 1, legacy_hold_ms: 10000 }").await;
    let told = people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!(told["result"]["_meta"]["countersign/decision"]["reason_code"], "approval_timeout", "{told}");
    let (_, all) = people.ask("vera", "/v1/approvals?status=all", None).await;
    for item in all["items"].as_array().unwrap() {
        let late = people.approve("ann", item["id"].as_str().unwrap()).await;
        assert_eq!(late.0, StatusCode::CONFLICT);
    }
    assert_eq!(people.paid(), 0);
    let (entries, _folder) = people.stand.stop().await;
    let timeouts = entries.iter().filter(|entry| entry["predicate"]["approval"]["status"] == "TIMEOUT");
    assert_eq!(timeouts.count(), 1);
}

#[test]
fn a_4_3_a_configuration_that_allows_on_timeout_does_not_load() {
    let path = std::path::Path::new("countersign.yaml");
    for key in ["timeout_action: ALLOW", "timeout_s: 0", "mrtr_hold_ms: 60000"] {
        let text = format!("servers: {{ a: {{ url: 'http://127.0.0.1:1/mcp' }} }}\napprove: {{ {key} }}");
        let plan = countersign::config::parse(&text, path)
            .and_then(|config| countersign::config::Plan::check(config, std::path::Path::new("/tmp")));
        assert!(plan.is_err(), "{key}");
    }
}
