//! Progress while a call of the older era is held, where its client asked for it.

use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use super::{People, STEP_UP, is_pending};

fn message(meta: &Value) -> String {
    let params = json!({ "name": "pay", "arguments": { "amount": 5 }, "_meta": meta });
    json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
}

fn events(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(body);
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// Calls, approves as soon as two notifications came, and returns all events.
async fn approved_after_two(people: &People, token: &Value) -> Vec<Value> {
    let request = Request::post("/mcp/test")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("authorization", format!("Bearer {}", people.stand.key));
    let body = message(&json!({ "progressToken": token }));
    let response = people.stand.open(request.body(Full::new(body.into())).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let (mut body, mut bytes, mut approved) = (response.into_body(), Vec::new(), false);
    let before = people.paid();
    while let Some(frame) = body.frame().await {
        bytes.extend(frame.unwrap().into_data().unwrap_or_default());
        if !approved && events(&bytes).len() == 2 {
            assert_eq!(people.paid(), before);
            let id = people.first_waiting().await;
            assert_eq!(people.approve("ann", &id).await.0, StatusCode::OK);
            approved = true;
        }
    }
    events(&bytes)
}

#[tokio::test]
async fn a_held_call_tells_its_progress_and_then_answers() {
    let people = People::start(STEP_UP, "approve: { legacy_hold_ms: 20000 }").await;
    for (at, token) in [json!("tok \"1\""), json!(7)].iter().enumerate() {
        let mut told = approved_after_two(&people, token).await;
        let last = told.pop().unwrap();
        assert_eq!((&last["id"], &last["result"]["isError"]), (&json!(1), &json!(false)), "{last}");
        assert!(told.len() >= 2, "{told:?}");
        let mut progress = -1.0;
        for one in &told {
            assert_eq!((&one["method"], &one["params"]["progressToken"]), (&json!("notifications/progress"), token));
            let next = one["params"]["progress"].as_f64().unwrap();
            assert!(next > progress, "it increases: {told:?}");
            progress = next;
        }
        assert_eq!(people.paid(), at + 1);
    }
    people.stand.stop().await;
}

#[tokio::test]
async fn who_asked_for_no_progress_or_takes_no_stream_gets_one_answer() {
    let people = People::start(STEP_UP, "approve: { legacy_hold_ms: 1500 }").await;
    for (accept, meta) in
        [("application/json, text/event-stream", json!({})), ("application/json", json!({ "progressToken": 1 }))]
    {
        let (status, headers, body) = people.stand.post_with(&[("accept", accept)], message(&meta)).await;
        assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"application/json".parse().unwrap()));
        assert!(is_pending(&serde_json::from_slice(&body).unwrap()));
    }
    assert_eq!(people.paid(), 0);
    people.stand.stop().await;
}

#[tokio::test]
async fn a_call_that_is_not_held_is_answered_as_before() {
    let people = People::start(crate::harness::ALLOW_ALL, "").await;
    let (status, headers, body) = people.stand.post(message(&json!({ "progressToken": 1 }))).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"application/json".parse().unwrap()));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["result"]["isError"], false);
    people.stand.stop().await;
}
