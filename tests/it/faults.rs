//! Servers that fail in every way: the caller gets a clear error in bounded time, the log says how it ended, nothing
//! else suffers.

use std::sync::Arc;
use std::time::Duration;

use countersign::record::disk::RealDisk;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::harness::{ALLOW_ALL, Folder, Server, ordinary};
use crate::instance::{Answer, Key, Local, SMALL_LOG, call_message, predicates};

/// A fault, named by the tool that has it; how its outcome is told; and what the caller reads.
const FAULTS: &[(&str, &str, &str)] = &[
    ("closes_at_once", "upstream_error", "broke off"),
    ("closes_in_the_head", "upstream_error", "broke off"),
    ("closes_in_the_body", "unknown", "broke off"),
    ("closes_in_the_stream", "unknown", "broke off"),
    ("never_answers", "upstream_error", "did not answer within 1 s"),
    ("silent_stream", "unknown", "broke off"),
    ("garbage", "protocol_error", "what is not an answer"),
    ("garbage_event", "unknown", "broke off"),
    ("empty", "protocol_error", "what is not an answer"),
    ("wrong_id", "protocol_error", "what is not an answer"),
    ("no_http", "upstream_error", "broke off"),
    ("error_500", "protocol_error", "what is not an answer"),
    ("error_503_html", "protocol_error", "what is not an answer"),
    ("redirect_307", "protocol_error", "what is not an answer"),
    ("redirect_302", "protocol_error", "what is not an answer"),
];

/// What the server writes for a tool, before it closes the connection; `None` when it keeps it open.
fn script(tool: &str, id: &Value) -> (String, bool) {
    let good = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [], "isError": false } }).to_string();
    let http = |status: &str, kind: &str, more: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
    };
    let json = "application/json";
    let stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let event = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let note = event("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n");
    match tool {
        "closes_at_once" => (String::new(), true),
        "closes_in_the_head" => ("HTTP/1.1 200 OK\r\ncontent-ty".into(), true),
        "closes_in_the_body" => (http("200 OK", json, "", &good).trim_end_matches('}').to_owned(), true),
        "closes_in_the_stream" => (format!("{stream}{note}"), true),
        "never_answers" => (String::new(), false),
        "silent_stream" => (format!("{stream}{note}"), false),
        "garbage" => (http("200 OK", json, "", "<html>not json"), true),
        "garbage_event" => (format!("{stream}{}", event("data: <html>\n\n")), false),
        "empty" => (http("200 OK", json, "", ""), true),
        "wrong_id" => (http("200 OK", json, "", &good.replace(&format!("\"id\":{id}"), "\"id\":\"other\"")), true),
        "no_http" => ("SSH-2.0-OpenSSH_9.9\r\n\r\n".into(), true),
        "error_500" => (http("500 Internal Server Error", json, "", ""), true),
        "error_503_html" => (http("503 Service Unavailable", "text/html", "", "<h1>later</h1>"), true),
        "redirect_307" => (http("307 Temporary Redirect", json, "location: http://127.0.0.1:9/mcp\r\n", ""), true),
        "redirect_302" => (http("302 Found", json, "location: /elsewhere\r\n", ""), true),
        _ => (http("200 OK", json, "", &good), true),
    }
}

/// Reads one request; `None` when the connection ends before it does.
async fn read_request(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let read = stream.read(&mut part).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .to_lowercase()
            .split_once("content-length: ")
            .map_or(0, |(_, rest)| rest.split("\r\n").next().unwrap().parse().unwrap());
        if body.len() >= length {
            return Some(serde_json::from_str(body).unwrap_or_default());
        }
    }
}

/// A server whose tools are the faults. One request a connection.
async fn faulty_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Some(message) = read_request(&mut stream).await else { return };
                let (answer, close) = match message["method"].as_str() {
                    Some("tools/call") => script(message["params"]["name"].as_str().unwrap(), &message["id"]),
                    Some("tools/list") => (listing(&message["id"]), true),
                    _ => script("", &message["id"]),
                };
                // The proxy may be gone before everything is written.
                drop(stream.write_all(answer.as_bytes()).await);
                if !close {
                    drop(stream.read(&mut [0; 1]).await);
                }
            });
        }
    });
    address
}

fn listing(id: &Value) -> String {
    let tools: Vec<Value> =
        FAULTS.iter().map(|(name, ..)| json!({ "name": name, "inputSchema": { "type": "object" } })).collect();
    let body = json!({ "jsonrpc": "2.0", "id": id, "result": {
        "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private",
    } });
    let body = body.to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The form that every client passes on to its model, and that ends no session.
fn assert_tool_error(answer: &Answer, text: &str) {
    let message = answer.json();
    assert!(answer.complete, "the answer breaks off: {answer:?}");
    assert_eq!((answer.status, &message["id"]), (StatusCode::OK, &json!(41)), "{text}: {answer:?}");
    assert_eq!(message["result"]["isError"], true, "{message}");
    let said = message["result"]["content"][0]["text"].as_str().unwrap();
    assert!(said.contains(text), "expected `{text}`: {said}");
    assert!(!answer.headers.contains_key("location"), "a redirect leads around the proxy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_server_gives_a_clear_error() {
    let (folder, key, healthy, faulty) =
        (Folder::new(), Key::new(), Server::start(ordinary).await, faulty_server().await);
    let refusing = TcpSocket::new_v4().unwrap();
    // Bound and not listening: connections are refused for as long as it lives.
    refusing.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    std::fs::write(folder.0.join("policy.yaml"), ALLOW_ALL).unwrap();
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\ndata_dir: data\npolicies: [policy.yaml]\n{}\
         record: {SMALL_LOG}\npolicy: {{ unknown_schema: allow }}\nforward: {{ silence_s_max: 1 }}\nservers:\n  \
         good: {{ url: 'http://{}/mcp' }}\n  faulty: {{ url: 'http://{faulty}/mcp', timeout_s: 1 }}\n  \
         dead: {{ url: 'http://{}/mcp', timeout_s: 1 }}\n",
        key.identity(),
        healthy.address,
        refusing.local_addr().unwrap(),
    );
    let app = Local::start(&folder.0, &config, &key, Arc::new(RealDisk)).await.unwrap();
    let door = app.door.clone();
    let call = |server: &'static str, tool: &'static str| {
        let door = door.clone();
        tokio::spawn(async move {
            let message = call_message(41, tool, &json!({ "tool": tool }));
            let path = format!("/mcp/{server}");
            let answer = door.post(&path, &[], &message);
            let answer = tokio::time::timeout(Duration::from_secs(20), answer).await;
            answer.unwrap_or_else(|_| panic!("{tool} hangs")).unwrap_or_else(|| panic!("{tool}: no answer"))
        })
    };
    // All at once, with calls of a good server between them.
    let failing: Vec<_> = FAULTS.iter().map(|(tool, ..)| (call("faulty", tool), call("good", "echo"))).collect();
    for ((failed, good), (tool, _, text)) in failing.into_iter().zip(FAULTS) {
        let failed = failed.await.unwrap();
        println!("{tool}: {}", failed.json());
        assert_tool_error(&failed, text);
        assert_eq!(good.await.unwrap().json()["result"]["isError"], false, "another server suffered from {tool}");
    }
    assert_tool_error(&call("dead", "echo").await.unwrap(), "could not be reached");
    app.stop().await.expect("it ends in order");
    let entries = predicates(&folder.0.join("data")).await;
    let status = |tool: &str, server: &str| {
        let found = entries.iter().find(|entry| {
            entry["kind"] == "outcome" && entry["action"]["operation"] == tool && entry["action"]["tool"] == server
        });
        found.unwrap_or_else(|| panic!("no outcome of {tool}"))["outcome"]["status"].clone()
    };
    for (tool, expected, _) in FAULTS {
        assert_eq!(status(tool, "faulty"), *expected, "{tool}");
    }
    assert_eq!(status("echo", "dead"), "upstream_error");
    assert_eq!(status("echo", "good"), "success");
}
