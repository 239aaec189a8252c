//! Multi round-trip requests (MCP 2026-07-28): what a server asks inside a result and what a client answers inside its
//! next call are actions of their own.

use http::StatusCode;
use serde_json::Value;

use crate::harness::{ALLOW_ALL, Received, Server, Stand, decisions, is_refused, outcomes, respond, stateless};

const QUESTIONS: &str = r#"{"ask":{"method":"elicitation/create","params":{"mode":"form","message":"Your card number?"}},"model":{"method":"sampling/createMessage","params":{"maxTokens":1e2,"messages":[]}}}"#;

/// Asks at the first round and is content with any answer.
fn asking(request: &Received) -> http::Response<countersign::net::Body> {
    let message = request.json();
    if message["method"] != "tools/call" || message["params"].get("inputResponses").is_some() {
        return stateless(request);
    }
    let name = message["params"]["name"].as_str().unwrap_or_default();
    let key = if name == "read" { r"input\u0052equests" } else { "inputRequests" };
    let padding = if name == "pay" { "x".repeat(2 << 20) } else { String::new() };
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":{{"resultType":"input_required","p":"{padding}","{key}":{QUESTIONS},"requestState":"s"}}}}"#,
        message["id"]
    );
    if name != "send" {
        return respond(StatusCode::OK, &answer);
    }
    let mut response = respond(StatusCode::OK, &format!("event: message\ndata: {answer}\n\n"));
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}

fn call(tool: &str, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"r1","method":"tools/call","params":{{"name":"{tool}"{more},"arguments":{{"n":1e2}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
}

const ANSWERS: &str = r#","inputResponses":{"ask":{"action":"accept","content":{"card":"4111"}},"model":{"role":"assistant","content":{"type":"text","text":"hi"},"model":"m"}},"requestState":"s""#;

const NO_SAMPLING: &str = "
policy: { id: rounds, version: '1' }
rules:
  - { id: everything, match: {}, action: ALLOW }
  - { id: no-model, match: { operation: sampling/createMessage }, action: DENY, reason: 'Our model is not for servers' }
";

fn told(entries: &[&Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    entries.iter().map(|entry| (text(&entry["action"]["operation"]), text(&entry["action"]["method"]))).collect()
}

fn pair(operation: &str, method: &str) -> (String, String) {
    (operation.to_owned(), method.to_owned())
}

#[tokio::test]
async fn questions_and_answers_are_recorded_and_pass_untouched() {
    let stand = Stand::with(ALLOW_ALL, "", Server::start(asking).await).await;
    let (status, _, body) = stand.post_modern(&[], call("echo", "")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(String::from_utf8_lossy(&body).contains(QUESTIONS), "the bytes are the server's");
    let retry = call("echo", ANSWERS);
    let (_, _, body) = stand.post_modern(&[], retry.clone()).await;
    assert!(String::from_utf8_lossy(&body).contains("done"));
    let arrived = stand.server.calls();
    assert_eq!((arrived.len(), &*arrived[1].body), (2, retry.as_bytes()));
    let (entries, _folder) = stand.stop().await;
    let expected = [
        pair("echo", "tools/call"),
        pair("elicitation/create", "elicitation/create"),
        pair("sampling/createMessage", "sampling/createMessage"),
        pair("elicitation/create", "input/response"),
        pair("sampling/createMessage", "input/response"),
        pair("echo", "tools/call"),
    ];
    assert_eq!(told(&decisions(&entries)), expected);
    let ends = outcomes(&entries);
    assert_eq!(ends.len(), 6);
    assert!(ends.iter().all(|end| end["action"]["jsonrpc_id"] == "\"r1\""), "joined by the id of the call");
    assert_eq!(ends.iter().filter(|end| end["outcome"]["status"] == "input_required").count(), 1);
    assert_eq!(ends.iter().filter(|end| end["outcome"]["status"] == "success").count(), 5);
}

#[tokio::test]
async fn a_refused_question_reaches_no_client() {
    let stand = Stand::with(NO_SAMPLING, "", Server::start(asking).await).await;
    // As one answer, as an event, behind an escape, behind two megabytes.
    for tool in ["echo", "send", "read", "pay"] {
        let (status, _, body) = stand.post_modern(&[], call(tool, "")).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        let message = body.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&body);
        let answer: Value = serde_json::from_str(message).unwrap_or_else(|error| panic!("{tool}: {error}: {body}"));
        assert!(status == StatusCode::OK && is_refused(&answer), "{tool}: {answer}");
        assert_eq!(answer["result"]["resultType"], "complete");
        assert!(!body.contains("card number") && body.contains("Our model is not for servers"), "{body}");
    }
    let (entries, _folder) = stand.stop().await;
    let asked: Vec<_> = outcomes(&entries).into_iter().filter(|end| end["action"]["method"] == "tools/call").collect();
    assert_eq!(asked.len(), 4);
    for end in asked {
        assert_eq!(end["outcome"]["status"], "input_required");
        assert!(end["outcome"]["error"].as_str().unwrap().contains("was refused"), "{end}");
    }
}

#[tokio::test]
async fn a_refused_answer_reaches_no_server_and_takes_its_call_with_it() {
    let stand = Stand::with(NO_SAMPLING, "", Server::start(asking).await).await;
    let (_, _, body) = stand.post_modern(&[], call("echo", ANSWERS)).await;
    assert!(is_refused(&serde_json::from_slice(&body).unwrap()));
    // A frame that is not decided otherwise is when it brings answers along.
    let listing = call("echo", ANSWERS).replace("tools/call", "tools/list");
    let (_, _, body) = stand.post_modern(&[("mcp-name", "")], listing).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["error"]["code"], 40_301, "{answer}");
    for wrong in [r#","inputResponses":[]"#, r#","inputResponses":{"a":7}"#] {
        let (status, _, _) = stand.post_modern(&[], call("echo", wrong)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    let arrived = stand.server.received();
    assert!(arrived.iter().all(|request| !String::from_utf8_lossy(&request.body).contains("4111")));
    let (entries, _folder) = stand.stop().await;
    let ends = outcomes(&entries);
    assert_eq!(told(&ends), vec![pair("elicitation/create", "input/response"); 2]);
    assert!(ends.iter().all(|end| end["outcome"]["status"] == "cancelled"));
}

#[tokio::test]
async fn questions_and_answers_can_be_changed() {
    let policy = "
policy: { id: rounds, version: '1' }
rules:
  - { id: everything, match: {}, action: ALLOW }
  - { id: short, match: { operation: sampling/createMessage, method: sampling/createMessage }, action: MODIFY, modifications: { cap: { maxTokens: 10 } } }
  - { id: no-cards, match: { operation: elicitation/create, method: input/response }, action: MODIFY, modifications: { redact: [content.card] } }
";
    let stand = Stand::with(policy, "", Server::start(asking).await).await;
    for tool in ["echo", "send"] {
        let (_, _, body) = stand.post_modern(&[], call(tool, "")).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(body.contains(&QUESTIONS.replace("1e2", "10")), "{body}");
    }
    let (_, _, body) = stand.post_modern(&[], call("echo", ANSWERS)).await;
    assert!(String::from_utf8_lossy(&body).contains("done"));
    let expected = call("echo", &ANSWERS.replace("\"4111\"", "\"[REDACTED]\""));
    assert_eq!(String::from_utf8_lossy(&stand.server.calls()[2].body), expected);
    let (entries, _folder) = stand.stop().await;
    assert_eq!(decisions(&entries).iter().filter(|entry| entry["decision"]["result"] == "MODIFY").count(), 3);
}
