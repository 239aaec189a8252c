//! Tools that speak plain HTTP wait by 202 and `Location` (design §7).

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::harness::{Folder, Server, Stand, respond};

const POLICY: &str = "
policy: { id: office, version: '1' }
rules:
  - { id: mail, match: { operation: 'POST /mail/{id}' }, action: STEP_UP, reason: mail leaves, approvers: [olga] }
";

async fn post(stand: &Stand, path: &str, body: &'static str) -> (StatusCode, HeaderMap, Value) {
    let request = Request::post(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", stand.key));
    let (status, headers, body) = stand.send(request.body(Full::new(Bytes::from(body))).unwrap()).await;
    (status, headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_plain_http_tool_answers_202_with_a_location_until_somebody_decided() {
    let server = Server::start(|_| respond(StatusCode::OK, r#"{"sent":true}"#)).await;
    let servers = format!(", office: {{ http: 'http://{}/base', operations: ['POST /mail/{{id}}'] }}", server.address);
    let more = "approve: { legacy_hold_ms: 50 }";
    let stand = Stand::with_servers(POLICY, &servers, more, server, Folder::new()).await;
    let (path, body) = ("/http/office/mail/7?copy=yes", r#"{ "to":"bob" }"#);
    let (status, headers, waits) = post(&stand, path, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{waits}");
    assert_eq!((&headers["location"], &headers["retry-after"]), (&path.parse().unwrap(), &"5".parse().unwrap()));
    let told = &waits["countersign/decision"];
    assert_eq!((&told["decision"], &told["status"]), (&"STEP_UP".into(), &"pending".into()), "{waits}");
    assert!(stand.server.received().is_empty());
    let approve = format!("/v1/approvals/{}/approve", told["approval_id"].as_str().unwrap());
    assert_eq!(stand.admin("POST", &approve, Some(serde_json::json!({}))).await.0, StatusCode::OK);
    assert!(stand.server.received().is_empty(), "a yes runs nothing by itself");
    // Another body is another action.
    let (status, _, other) = post(&stand, path, r#"{ "to":"eve" }"#).await;
    assert_eq!((status, stand.server.received().len()), (StatusCode::ACCEPTED, 0), "{other}");
    let location = headers["location"].to_str().unwrap();
    let (status, _, sent) = post(&stand, location, body).await;
    assert_eq!((status, &sent["sent"]), (StatusCode::OK, &true.into()));
    let arrived = stand.server.received();
    assert_eq!((arrived.len(), &*arrived[0].body), (1, body.as_bytes()));
    let (status, ..) = post(&stand, location, body).await;
    assert_eq!((status, stand.server.received().len()), (StatusCode::ACCEPTED, 1), "once");
    stand.stop().await;
}
