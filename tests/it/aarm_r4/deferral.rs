//! DEFER suspends until more is known (AARM ).

use http::StatusCode;
use serde_json::{Value, json};

use super::{People, is_pending};
use crate::harness::{Server, decisions, ordinary};

/// Payments depend on whether it is the time for them; deletions wait for a person.
const DEFER: &str = "
policy: { id: later, version: '1' }
rules:
  - { id: open, match: { operation: pay, facts: { open: true } }, action: ALLOW }
  - { id: shut, match: { operation: pay, facts: { open: false } }, action: DENY }
  - { id: unsure, match: { operation: delete }, action: DEFER, reason: nobody knows whose it is }
  - { id: rest, match: { operation: [echo, read, send] }, action: ALLOW }
";

fn calendar(from: &str, to: &str) -> String {
    format!(
        "approve: {{ legacy_hold_ms: 50, deferral: {{ resolvers: [{{ type: calendar, fact: open, windows: [{{ from: '{from}', to: '{to}' }}] }}] }} }}"
    )
}

/// The entries of one kind, as predicates.
fn of_kind<'a>(entries: &'a [Value], kind: &str) -> Vec<&'a Value> {
    entries.iter().map(|entry| &entry["predicate"]).filter(|predicate| predicate["kind"] == kind).collect()
}

fn reason(answer: &Value) -> &Value {
    &answer["result"]["_meta"]["countersign/decision"]["reason_code"]
}

#[tokio::test]
async fn a_4_4_a_deferred_action_runs_when_a_resolver_says_what_was_not_known() {
    let people = People::start(DEFER, &calendar("00:00", "24:00")).await;
    let done = people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!((&done["result"]["isError"], people.paid()), (&json!(false), 1), "{done}");
    let (entries, _folder) = people.stand.stop().await;
    let made = decisions(&entries);
    let results: Vec<_> = made.iter().map(|entry| entry["decision"]["result"].as_str().unwrap()).collect();
    assert_eq!(results, ["DEFER", "ALLOW"]);
    assert_eq!(made[1]["decision"]["supersedes"], made[0]["receipt_id"]);
}

#[tokio::test]
async fn a_4_6_a_deferred_action_does_not_run_when_the_resolver_says_no() {
    let people = People::start(DEFER, &calendar("00:00", "00:00")).await;
    let answer = people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!((&answer["result"]["isError"], people.paid()), (&json!(true), 0), "{answer}");
    assert!(!is_pending(&answer));
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_7_a_deferral_that_nothing_settles_is_refused() {
    let approve = "approve: { legacy_hold_ms: 50, deferral: { escalate: false } }";
    let people = People::start(DEFER, approve).await;
    for tool in ["pay", "delete"] {
        let answer = people.stand.call(tool, json!({ "id": 1 })).await;
        assert!(answer["result"]["isError"] == true && !is_pending(&answer), "{answer}");
    }
    assert_eq!(people.paid(), 0);
    let (entries, _folder) = people.stand.stop().await;
    let timeouts = of_kind(&entries, "deferral").into_iter().filter(|entry| entry["deferral"]["result"] == "TIMEOUT");
    assert_eq!(timeouts.count(), 2);
}

#[tokio::test]
async fn a_4_11_a_deferral_and_its_resolution_are_two_linked_receipts() {
    let people = People::start(DEFER, &calendar("00:00", "24:00")).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let (entries, _folder) = people.stand.stop().await;
    let suspended = of_kind(&entries, "deferral")[0];
    let followed = decisions(&entries)[1];
    assert_eq!(
        (&suspended["deferral"]["result"], &suspended["deferral"]["trigger"]),
        (&Value::Null, &json!("unpopulated_context"))
    );
    assert_eq!(followed["deferral"]["deferral_id"], suspended["deferral"]["deferral_id"]);
    assert_eq!(
        (&followed["deferral"]["method"], &followed["deferral"]["result"]),
        (&json!("calendar"), &json!("ALLOW"))
    );
    assert_eq!(followed["action"]["action_id"], suspended["action"]["action_id"]);
}

#[tokio::test]
async fn a_5_7_a_receipt_says_why_it_was_deferred_and_how_and_when_that_ended() {
    let people = People::start(DEFER, &calendar("00:00", "24:00")).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let (entries, _folder) = people.stand.stop().await;
    let made = decisions(&entries);
    let (suspended, followed) = (made[0], &made[1]["deferral"]);
    assert_eq!(suspended["decision"]["result"], "DEFER");
    assert_eq!((&followed["method"], &followed["trigger"]), (&json!("calendar"), &json!("unpopulated_context")));
    assert_eq!(followed["reason"], suspended["decision"]["reason"]);
    let waited_for = of_kind(&entries, "deferral")[0];
    assert!(waited_for["deferral"]["expires"].as_str() > waited_for["deferral"]["deferred"].as_str(), "{waited_for}");
    let times = [&followed["deferred"], &followed["resolved"], &made[1]["time"]["wall"]];
    let times = times.map(|time| time.as_str().unwrap());
    assert!(times.is_sorted(), "{times:?}");
}

#[tokio::test]
async fn a_4_12_identity_and_parameters_are_those_of_the_first_decision() {
    let people = People::start(DEFER, &calendar("00:00", "24:00")).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let (entries, _folder) = people.stand.stop().await;
    let made = decisions(&entries);
    assert_eq!(made[0]["identity"]["human"], made[1]["identity"]["human"]);
    assert_eq!(made[0]["action"]["parameters"]["text"], made[1]["action"]["parameters"]["text"]);
}

#[tokio::test]
async fn a_4_23_what_no_resolver_knows_goes_to_people_and_looks_different() {
    let people = People::start(DEFER, "approve: { legacy_hold_ms: 50 }").await;
    assert!(is_pending(&people.stand.call("delete", json!({ "id": 1 })).await));
    let id = people.first_waiting().await;
    let (_, shown) = people.ask("vera", &format!("/v1/approvals/{id}"), None).await;
    assert_eq!(shown["source"], "defer_escalation");
    assert_eq!(people.paid(), 0);
    assert_eq!(people.approve("ann", &id).await.0, StatusCode::OK);
    people.stand.call("delete", json!({ "id": 1 })).await;
    assert_eq!(people.paid(), 1);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_4_the_user_confirms_where_that_is_enough() {
    let approve = "approve: { legacy_hold_ms: 50, deferral: { requester_may_confirm: true } }";
    let people = People::start(DEFER, approve).await;
    people.stand.call("delete", json!({ "id": 1 })).await;
    let id = people.first_waiting().await;
    assert_eq!(people.approve("alice@example.com", &id).await.0, StatusCode::OK);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_8_what_depends_on_a_deferred_action_waits_in_its_place() {
    let people = People::start(DEFER, "approve: { legacy_hold_ms: 400 }").await;
    assert!(is_pending(&people.stand.call("delete", json!({ "file": "a" })).await));
    let early = people.stand.call("send", json!({ "file": "a", "body": "x" })).await;
    assert!(early["result"]["isError"] == true, "{early}");
    assert_eq!(people.paid(), 0);
    let id = people.first_waiting().await;
    assert_eq!(people.deny("ann", &id, "keep it").await.0, StatusCode::OK);
    let later = people.stand.call("send", json!({ "file": "a", "body": "x" })).await;
    assert_eq!((&later["result"]["isError"], people.paid()), (&json!(false), 1), "{later}");
    let (entries, _folder) = people.stand.stop().await;
    let first = decisions(&entries).into_iter().find(|entry| entry["action"]["operation"] == "send").unwrap();
    assert_eq!(first["decision"]["reason_code"], "depends_on_deferred");
    let waits = of_kind(&entries, "deferral").into_iter().find(|entry| entry["action"]["operation"] == "send").unwrap();
    assert_eq!(waits["deferral"]["waits_for"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_4_8_an_action_that_names_a_deferred_one_waits_for_it() {
    let people = People::start(DEFER, "approve: { legacy_hold_ms: 50 }").await;
    let suspended = people.stand.call("delete", json!({ "file": "a" })).await;
    let told = &suspended["result"]["_meta"]["countersign/decision"]["action_id"];
    let note = format!("the result of {}", told.as_str().unwrap());
    let early = people.stand.call("send", json!({ "body": note })).await;
    assert!(early["result"]["isError"] == true && !is_pending(&early), "{early}");
    assert_eq!(people.paid(), 0);
    let id = people.first_waiting().await;
    people.deny("ann", &id, "keep it").await;
    people.stand.call("send", json!({ "body": note })).await;
    assert_eq!(people.paid(), 1);
    people.stand.stop().await;
}

/// Whether an action of this operation was suspended because it depends on another.
async fn until_it_depends(people: &People, operation: &str) {
    let depends = |item: &Value| item["kind"] == "deferral" && item["operation"] == operation;
    let look = async {
        while !people.ask("vera", "/v1/actions?from=0", None).await.1["items"].as_array().unwrap().iter().any(depends) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, look).await.expect("it depends");
}

#[tokio::test]
async fn a_4_5_operations_on_one_resource_keep_their_order() {
    let people = People::start(DEFER, "approve: { legacy_hold_ms: 20000 }").await;
    people.stand.call("send", json!({ "file": "a", "n": 1 })).await;
    let ((), deleted, third) = tokio::join!(
        async {
            let id = people.first_waiting().await;
            until_it_depends(&people, "send").await;
            assert_eq!(people.paid(), 1, "the write before, and nothing after it");
            people.approve("ann", &id).await;
        },
        people.stand.call("delete", json!({ "file": "a" })),
        async {
            people.first_waiting().await;
            people.stand.call("send", json!({ "file": "a", "n": 2 })).await
        }
    );
    assert_eq!((&deleted["result"]["isError"], &third["result"]["isError"]), (&json!(false), &json!(false)));
    let arrived = people.stand.server.calls();
    let order: Vec<_> = arrived.iter().map(|call| call.json()["params"]["name"].clone()).collect();
    assert_eq!(order, ["send", "delete", "send"]);
    assert_eq!(arrived[2].json()["params"]["arguments"]["n"], 2);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_5_what_was_approved_keeps_its_place_until_it_has_run() {
    let people = People::start(DEFER, "approve: { legacy_hold_ms: 50 }").await;
    people.stand.call("delete", json!({ "file": "a" })).await;
    let id = people.first_waiting().await;
    people.approve("ann", &id).await;
    // The agent has not come back for it yet.
    assert!(people.stand.call("send", json!({ "file": "a" })).await["result"]["isError"] == true);
    assert_eq!(people.paid(), 0);
    people.stand.call("delete", json!({ "file": "a" })).await;
    people.stand.call("send", json!({ "file": "a" })).await;
    let order: Vec<_> = people.stand.server.calls().iter().map(|call| call.json()["params"]["name"].clone()).collect();
    assert_eq!(order, ["delete", "send"]);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_9_what_is_independent_proceeds() {
    let people = People::start(DEFER, "approve: { legacy_hold_ms: 20000 }").await;
    let (answer, ()) = tokio::join!(people.stand.call("delete", json!({ "file": "a" })), async {
        let id = people.first_waiting().await;
        let other = people.stand.call("send", json!({ "file": "b" })).await;
        assert_eq!((&other["result"]["isError"], people.paid()), (&json!(false), 1), "{other}");
        people.deny("ann", &id, "no").await;
    });
    assert_eq!(reason(&answer), "approval_denied");
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_10_waiting_on_one_another_is_bounded() {
    let approve = "approve: { legacy_hold_ms: 1, deferral: { pending_per_session_max: 2 } }";
    let people = People::start(DEFER, approve).await;
    for file in ["a", "b"] {
        assert!(is_pending(&people.stand.call("delete", json!({ "file": file })).await));
    }
    let third = people.stand.call("delete", json!({ "file": "c" })).await;
    assert!(third["result"]["isError"] == true && !is_pending(&third), "{third}");
    assert_eq!((people.paid(), people.waiting().await.len()), (0, 2));
    people.stand.stop().await;
    let shallow = "approve: { legacy_hold_ms: 1, deferral: { depth_max: 1 } }";
    let people = People::start(DEFER, shallow).await;
    people.stand.call("delete", json!({ "file": "a" })).await;
    let deep = people.stand.call("send", json!({ "file": "a" })).await;
    let text = deep["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("wait on one another"), "{text}");
    assert_eq!(people.paid(), 0);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_13_deferrals_are_counted() {
    let people = People::start(DEFER, &calendar("00:00", "24:00")).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let request = http::Request::get("/metrics").header("host", "localhost");
    let request = request.body(http_body_util::Full::new(bytes::Bytes::new())).unwrap();
    let (_, _, body) = people.stand.send_to(people.stand.admin, request).await;
    let text = String::from_utf8(body.to_vec()).unwrap();
    for name in [
        "countersign_deferrals_total",
        "countersign_deferrals_expired_total",
        "countersign_deferrals_escalated_total",
        "countersign_resolved_calendar_total",
        "countersign_deferral_median_seconds",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}");
    }
    let value = |name: &str| text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().to_owned();
    assert_ne!(value("countersign_resolved_calendar_total"), "countersign_resolved_calendar_total 0");
    people.stand.stop().await;
}

#[tokio::test]
async fn a_lookup_says_what_an_inventory_does_not() {
    let lookup = Server::start(|_| crate::harness::respond(StatusCode::OK, "{\"state\":{\"open\":true}}")).await;
    let approve = format!(
        "approve: {{ legacy_hold_ms: 50, deferral: {{ resolvers: [{{ type: http, fact: open, url: 'http://{}/c/{{/ticket}}', pointer: /state/open }}] }} }}",
        lookup.address
    );
    let people = People::with(DEFER, &approve, Server::start(ordinary).await, crate::harness::Folder::new()).await;
    let done = people.stand.call("pay", json!({ "ticket": "CHG/1" })).await;
    assert_eq!((&done["result"]["isError"], people.paid()), (&json!(false), 1), "{done}");
    assert_eq!(lookup.received().len(), 1);
    people.stand.stop().await;
}
