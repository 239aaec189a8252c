//! Who may answer, and what people see.

use http::StatusCode;
use serde_json::{Value, json};

use super::{People, QUICK, STEP_UP, is_pending};

#[tokio::test]
async fn a_4_20_the_approver_sees_everything_and_byte_for_byte_what_will_run() {
    let people = People::start(STEP_UP, QUICK).await;
    people.stand.call("read", json!({ "file": "invoice" })).await;
    let message = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"pay\",\"arguments\":{ \"amount\" : 1e2,\"to\":\"\\u0041cme\" }}}";
    people.stand.post(message).await;
    let id = people.first_waiting().await;
    let (status, shown) = people.ask("vera", &format!("/v1/approvals/{id}"), None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(shown["arguments"], "{ \"amount\" : 1e2,\"to\":\"\\u0041cme\" }");
    for (pointer, expected) in [
        ("/tool", json!("test")),
        ("/operation", json!("pay")),
        ("/source", json!("step_up")),
        ("/risk_level", json!("HIGH")),
        ("/identity/human/value", json!("alice@example.com")),
        ("/identity/agent/id/value", json!("tester")),
        ("/decision/policy/rule_id", json!("pay")),
        ("/reason", json!("money leaves")),
        ("/context/prior_actions/0/operation", json!("read")),
    ] {
        assert_eq!(shown.pointer(pointer), Some(&expected), "{pointer}");
    }
    for pointer in
        ["/context/intent", "/decision/signals/semantic_distance_ppm", "/decision/confidence_ppm", "/context/labels"]
    {
        assert!(shown.pointer(pointer).is_some(), "{pointer} is shown even when nobody knows it");
    }
    assert_eq!(people.approve("ann", &id).await.0, StatusCode::OK);
    people.stand.post(message).await;
    assert_eq!(people.stand.server.calls().last().unwrap().body, message);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_21_only_authenticated_approvers_answer_and_never_for_themselves() {
    let people = People::start(STEP_UP, QUICK).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let id = people.first_waiting().await;
    assert_eq!(people.approve("vera", &id).await.0, StatusCode::FORBIDDEN, "viewers only look");
    assert_eq!(people.approve("alice@example.com", &id).await.0, StatusCode::FORBIDDEN, "the agent acts for alice");
    let named = people.ask("ann", &format!("/v1/approvals/{id}/approve"), Some(json!({ "approver": "bob" }))).await;
    assert!(named.0.is_client_error(), "a body names nobody");
    assert_eq!(people.paid(), 0);
    assert_eq!(people.waiting().await, [id]);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_25_requests_go_to_the_people_and_groups_that_the_rule_names() {
    let policy = STEP_UP.replace("action: STEP_UP", "action: STEP_UP, approvers: [finance-bob]");
    let people = People::start(&policy, QUICK).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let id = people.first_waiting().await;
    assert_eq!(people.approve("ann", &id).await.0, StatusCode::FORBIDDEN);
    assert_eq!(people.deny("ann", &id, "no").await.0, StatusCode::FORBIDDEN);
    assert_eq!(people.approve("bob", &id).await.0, StatusCode::OK);
    people.stand.stop().await;
}

#[tokio::test]
async fn two_people_have_to_say_yes_where_the_risk_is_high() {
    let approve = "approve: { legacy_hold_ms: 50, two_people_from: HIGH }";
    let people = People::start(STEP_UP, approve).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let id = people.first_waiting().await;
    let (status, first) = people.approve("ann", &id).await;
    assert_eq!((status, &first["status"]), (StatusCode::OK, &json!("pending")));
    assert_eq!(people.approve("ann", &id).await.0, StatusCode::FORBIDDEN, "twice the same person is one");
    assert!(is_pending(&people.stand.call("pay", json!({ "amount": 5 })).await));
    let people = people.again(STEP_UP, approve).await;
    assert_eq!(people.approve("ann", &id).await.0, StatusCode::FORBIDDEN, "a restart forgets nobody");
    assert_eq!(people.approve("bob", &id).await.1["status"], "approved");
    people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!(people.paid(), 1);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_24_what_nobody_answers_goes_to_others() {
    let policy = STEP_UP.replace("action: STEP_UP", "action: STEP_UP, approvers: [ann]");
    let people =
        People::start(&policy, "approve: { legacy_hold_ms: 50, escalate_after_s: 1, escalate_to: [finance-bob] }")
            .await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let id = people.first_waiting().await;
    assert_eq!(people.approve("bob", &id).await.0, StatusCode::FORBIDDEN);
    let escalated = async {
        while people.ask("ann", &format!("/v1/approvals/{id}"), None).await.1["escalated_to"] == json!([]) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, escalated).await.unwrap();
    let look = async {
        while people.approve("bob", &id).await.0 != StatusCode::OK {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, look).await.unwrap();
    let (entries, _folder) = people.stand.stop().await;
    assert!(entries.iter().any(|entry| entry["predicate"]["approval"]["status"] == "ESCALATED"));
}

#[tokio::test]
async fn identical_requests_are_answered_together_and_others_are_not() {
    let people = People::start(STEP_UP, QUICK).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    people.stand.call("pay", json!({ "amount": 6 })).await;
    let ids = people.waiting().await;
    let body = |ids: &[String]| Some(json!({ "ids": ids, "decision": "approve" }));
    assert_eq!(people.ask("ann", "/v1/approvals/decide", body(&ids)).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(people.waiting().await.len(), 2);
    let (status, answered) = people.ask("ann", "/v1/approvals/decide", body(&ids[..1])).await;
    assert_eq!((status, &answered[0]["status"]), (StatusCode::OK, &json!("approved")));
    people.stand.stop().await;
}

#[tokio::test]
async fn what_waits_is_bounded_for_each_session() {
    let people = People::start(STEP_UP, "approve: { legacy_hold_ms: 1, pending_per_session_max: 3 }").await;
    let mut last = Value::Null;
    for amount in 0..4 {
        last = people.stand.call("pay", json!({ "amount": amount })).await;
    }
    assert!(last["result"]["isError"] == true && !is_pending(&last), "{last}");
    assert_eq!(people.waiting().await.len(), 3);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_22_a_credential_that_ended_meanwhile_authorises_nothing() {
    let people = People::start(STEP_UP, QUICK).await;
    people.stand.call("pay", json!({ "amount": 5 })).await;
    let id = people.first_waiting().await;
    people.approve("ann", &id).await;
    let message = json!({
        "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "pay", "arguments": { "amount": 5 } },
    });
    let stale = [("authorization", "Bearer csk_ended")];
    let (status, _, _) = people.stand.post_with(&stale, message.to_string()).await;
    assert_eq!((status, people.paid()), (StatusCode::UNAUTHORIZED, 0));
    people.stand.call("pay", json!({ "amount": 5 })).await;
    assert_eq!(people.paid(), 1, "who still has a credential goes on");
    people.stand.stop().await;
}

#[tokio::test]
async fn a_4_24_people_are_told_and_a_failing_notifier_loses_nothing() {
    let told = crate::harness::Server::start(|_| crate::harness::respond(StatusCode::OK, "{}")).await;
    let folder = crate::harness::Folder::new();
    let file = |name: &str, text: &str| {
        let path = folder.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let url = file("url", &format!("http://{}/hook", told.address));
    let (nowhere, secret) = (file("nowhere", "http://127.0.0.1:9/hook"), file("secret", "shared"));
    let approve = format!(
        "approve: {{ legacy_hold_ms: 50, notifiers: [{{ type: slack, url: {{ file: '{url}' }} }}, \
         {{ type: teams, url: {{ file: '{url}' }} }}, \
         {{ type: webhook, url: {{ file: '{url}' }}, secret: {{ file: '{secret}' }} }}, \
         {{ type: slack, name: broken, url: {{ file: '{nowhere}' }} }}] }}"
    );
    let people = People::start(STEP_UP, &approve).await;
    people.stand.call("pay", json!({ "amount": 5, "card": "4111" })).await;
    let all_told = async {
        while told.received().len() < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, all_told).await.unwrap();
    let id = people.first_waiting().await;
    for message in told.received() {
        let text = String::from_utf8(message.body.to_vec()).unwrap();
        assert!(text.contains(&id) && text.contains("test.pay") && !text.contains("4111"), "{text}");
    }
    let signed = told.received().into_iter().find(|message| message.headers.contains_key("x-countersign-signature"));
    assert!(signed.unwrap().headers["x-countersign-signature"].to_str().unwrap().contains(",v1="));
    assert_eq!(people.approve("ann", &id).await.0, StatusCode::OK, "the queue does not need them");
    people.stand.stop().await;
}
