//! JSON-RPC batches of MCP 2025-03-26: every message is an action of its own, in both directions.

use http::StatusCode;
use serde_json::{Value, json};

use crate::attacks::GUARDED;
use crate::harness::{ALLOW_ALL, Server, Stand, decisions, is_refused, ordinary, outcomes, respond};

fn call(id: u64, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0", "id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"n":1e{id}}}}}}}"#
    )
}

#[tokio::test]
async fn each_message_of_a_batch_is_decided_and_forwarded_by_itself() {
    let stand = Stand::start(GUARDED).await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let batch = format!("[{} , {},{note},{}]", call(1, "echo"), call(2, "delete"), call(3, "read"));
    let (status, headers, body) = stand.post(batch.clone()).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"text/event-stream".parse().unwrap()));
    let text = String::from_utf8_lossy(&body).into_owned();
    let answers: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.iter().map(|answer| answer["id"].clone()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(answers.iter().map(is_refused).collect::<Vec<_>>(), [false, true, false]);
    // A client that takes no stream gets a batch of answers, and one that asks nothing is told that it was heard.
    let (_, headers, body) = stand.post_with(&[("accept", "application/json")], batch).await;
    assert_eq!(headers["content-type"], "application/json");
    let gathered: Vec<Value> = serde_json::from_slice(&body).unwrap();
    let told = |answers: &[Value]| answers.iter().map(|one| (one["id"].clone(), is_refused(one))).collect::<Vec<_>>();
    assert_eq!(told(&gathered), told(&answers));
    let (status, _, body) = stand.post(format!("[{note},{note}]")).await;
    assert!(status == StatusCode::ACCEPTED && body.is_empty());
    let arrived: Vec<String> =
        stand.server.calls().iter().map(|call| String::from_utf8_lossy(&call.body).into_owned()).collect();
    assert_eq!(arrived, [call(1, "echo"), call(3, "read"), call(1, "echo"), call(3, "read")], "bytes as they came");
    let (entries, _folder) = stand.stop().await;
    assert_eq!((decisions(&entries).len(), outcomes(&entries).len()), (6, 4));
}

#[tokio::test]
async fn a_batch_with_a_bad_message_does_nothing() {
    let stand = Stand::start(ALLOW_ALL).await;
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#;
    let many = vec![call(1, "echo"); 65].join(",");
    for bad in ["7", "[]", hello, twice, &many, "{\"jsonrpc\":\"2.0\",\"id\":1}"] {
        let (status, _, _) = stand.post(format!("[{},{bad}]", call(1, "echo"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    assert!(stand.server.calls().is_empty());
    let (entries, _folder) = stand.stop().await;
    assert!(decisions(&entries).is_empty());
}

#[tokio::test]
async fn what_a_server_sends_as_a_batch_is_looked_at_one_by_one() {
    let server = Server::start(|request| {
        if request.json()["method"] != "tools/call" {
            return ordinary(request);
        }
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": 1 } });
        let question = json!({ "jsonrpc": "2.0", "id": 5, "method": "sampling/createMessage", "params": {} });
        let result = json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } });
        let mut response = respond(StatusCode::OK, &format!("id: 7\ndata: {}\n\n", json!([note, question, result])));
        response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        response
    });
    let stand = Stand::with(GUARDED, "", server.await).await;
    let (_, _, body) = stand.post(call(1, "echo")).await;
    let text = String::from_utf8_lossy(&body).into_owned();
    assert_eq!(text.matches("id: 7\n").count(), 2, "{text}");
    assert!(
        text.contains("notifications/message") && text.contains("\"result\"") && !text.contains("sampling"),
        "{text}"
    );
    let told = stand.server.received().into_iter().any(|request| request.json()["error"]["code"] == 40_301);
    assert!(told, "the server hears that its question was refused");
    let (entries, _folder) = stand.stop().await;
    assert_eq!(decisions(&entries).len(), 2);
    assert_eq!(outcomes(&entries)[0]["outcome"]["status"], "success");
}
