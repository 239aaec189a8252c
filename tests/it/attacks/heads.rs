//! Hostile heads: headers that contradict the body or each other, and requests on the edge of HTTP.

use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{ECHO, GUARDED, all_are_refused, case};
use crate::harness::{Folder, Received, Server, Stand, decisions, respond, stateless};

const MISMATCH: (u16, i64) = (400, -32020);
const AMBIGUOUS: (u16, i64) = (400, -32600);
const FORBIDDEN: (u16, i64) = (403, -32600);
const UNSUPPORTED: (u16, i64) = (415, -32600);

const MODERN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let version = ("mcp-protocol-version", "2026-07-28");
    let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "echo"));
    let cases = vec![
        case("another name", &[version, method, ("mcp-name", "read")], MODERN, MISMATCH),
        case("another name, older era", &[("mcp-name", "read")], ECHO, MISMATCH),
        case("the name in other letters", &[version, method, ("mcp-name", "Echo")], MODERN, MISMATCH),
        case("two names in one", &[version, method, ("mcp-name", "echo, delete")], MODERN, MISMATCH),
        case("an encoded other name", &[version, method, ("mcp-name", "=?base64?ZGVsZXRl?=")], MODERN, MISMATCH),
        case("an encoded line end", &[version, method, ("mcp-name", "=?base64?ZWNobw0K?=")], MODERN, MISMATCH),
        case("no base64", &[version, method, ("mcp-name", "=?base64?%%?=")], MODERN, MISMATCH),
        case("no name", &[version, method], MODERN, MISMATCH),
        case("another method", &[version, ("mcp-method", "tools/list"), name], MODERN, MISMATCH),
        case("another method, older era", &[("mcp-method", "ping")], ECHO, MISMATCH),
        case("the method in other letters", &[version, ("mcp-method", "Tools/Call"), name], MODERN, MISMATCH),
        case("no method", &[version, name], MODERN, MISMATCH),
        case("no version beside a modern body", &[method, name], MODERN, MISMATCH),
        case(
            "an older version beside a modern body",
            &[("mcp-protocol-version", "2025-11-25"), method, name],
            MODERN,
            MISMATCH,
        ),
        case("two versions", &[version, version, method, name], MODERN, AMBIGUOUS),
        case(
            "two different versions",
            &[version, ("mcp-protocol-version", "2025-03-26"), method, name],
            MODERN,
            AMBIGUOUS,
        ),
        case("two names", &[version, method, name, ("mcp-name", "delete")], MODERN, AMBIGUOUS),
        case("two methods", &[version, method, ("mcp-method", "ping"), name], MODERN, AMBIGUOUS),
        case("two sessions", &[("mcp-session-id", "a"), ("mcp-session-id", "b")], ECHO, AMBIGUOUS),
    ];
    all_are_refused(Stand::start(GUARDED).await, cases).await;
}

#[tokio::test]
async fn bodies_are_json_in_utf_8_and_nothing_else() {
    let kinds = [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/json; charset=latin1",
        "application/json-seq",
        "application/json, text/plain",
        "application/jsonx",
        "text/plain; application/json",
    ];
    let mut cases: Vec<_> =
        kinds.into_iter().map(|kind| case(kind, &[("content-type", kind)], ECHO, UNSUPPORTED)).collect();
    cases.push(case("none", &[("content-type", "")], ECHO, UNSUPPORTED));
    let json = ("content-type", "application/json");
    cases.push(case("two", &[json, ("content-type", "text/plain")], ECHO, AMBIGUOUS));
    // What is inside would be read by a server that unpacks, and was not read here.
    for coding in ["gzip", "deflate", "br", "zstd", "x-gzip", "identity, gzip"] {
        cases.push(case(coding, &[("content-encoding", coding)], ECHO, UNSUPPORTED));
    }
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0, 0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0];
    cases.push(case("packed without saying so", &[], gzip, (400, -32700)));
    all_are_refused(Stand::start(GUARDED).await, cases).await;
}

#[tokio::test]
async fn strange_hosts_and_origins_may_not_call() {
    let stand = Stand::start(GUARDED).await;
    stand.post(ECHO).await;
    for origin in
        ["http://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1@evil.example", "file://", ""]
    {
        let request = Request::post("/mcp/test").header("host", "localhost").header("origin", origin);
        let request = request.header("content-type", "application/json").body(Full::new(ECHO.into())).unwrap();
        assert_eq!(stand.send(request).await.0, StatusCode::FORBIDDEN, "{origin}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:80", "localhost@evil.example"] {
        let request = Request::post("/mcp/test").header("host", host).header("content-type", "application/json");
        let (status, _, _) = stand.send(request.body(Full::new(ECHO.into())).unwrap()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{host}");
    }
    assert_eq!(stand.server.calls().len(), 1);
    let evil = case("with credentials", &[("origin", "http://evil.example")], ECHO, FORBIDDEN);
    all_are_refused(stand_again(stand).await, vec![evil]).await;
}

/// A fresh stand: the other one is audited first.
async fn stand_again(stand: Stand) -> Stand {
    stand.stop().await;
    Stand::start(GUARDED).await
}

#[tokio::test]
async fn requests_on_the_edge_of_http_are_refused() {
    let stand = Stand::start(GUARDED).await;
    stand.post(ECHO).await;
    let head = format!(
        "POST /mcp/test HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nConnection: close\r\n{}\r\n",
        stand.authorization()
    );
    let length = format!("Content-Length: {}\r\n", ECHO.len());
    let chunked = format!("{:x}\r\n{ECHO}\r\n0\r\n\r\n", ECHO.len());
    let smuggled = format!("0\r\n\r\n{head}{length}\r\n{ECHO}");
    let cases = [
        (
            "a call behind the chunks",
            format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"),
        ),
        ("chunks that contradict the length", format!("{head}{length}Transfer-Encoding: chunked\r\n\r\n{ECHO}")),
        ("two lengths", format!("{head}{length}Content-Length: 5\r\n\r\n{ECHO}")),
        ("a length with a sign", format!("{head}Content-Length: +{}\r\n\r\n{ECHO}", ECHO.len())),
        ("unknown transfer coding", format!("{head}Transfer-Encoding: gzip\r\n\r\n{ECHO}")),
        ("chunked twice", format!("{head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n{chunked}")),
        ("a folded line", format!("{head}Mcp-Param-A: x\r\n Mcp-Name: delete\r\n{length}\r\n{ECHO}")),
        ("a bare carriage return", format!("{head}Mcp-Param-A: x\rMcp-Name: delete\r\n{length}\r\n{ECHO}")),
        ("a zero byte", format!("{head}Mcp-Param-A: x\0y\r\n{length}\r\n{ECHO}")),
        ("a line end that brings a header", format!("{head}Mcp-Param-A: x\r\nMcp-Name: delete\r\n{length}\r\n{ECHO}")),
        ("a space before the colon", format!("{head}Mcp-Name : delete\r\n{length}\r\n{ECHO}")),
        ("two hosts", format!("{head}Host: evil.example\r\n{length}\r\n{ECHO}")),
        ("no host", format!("{}{length}\r\n{ECHO}", head.replace("Host: localhost\r\n", ""))),
        ("HTTP/2 without asking", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ];
    for (name, bytes) in cases {
        let answer = stand.raw(bytes.as_bytes()).await;
        assert!(!answer.contains(" 200 ") && !answer.contains("\"result\""), "{name}: {answer}");
        let expected = ["", "HTTP/1.1 4", "HTTP/1.1 5"];
        assert!(expected.iter().any(|start| answer.starts_with(start)), "{name}: {answer}");
        assert_eq!(stand.server.calls().len(), 1, "{name}");
    }
    // The same head without a trick is an ordinary call, with a length and in chunks.
    for honest in [format!("{head}{length}\r\n{ECHO}"), format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunked}")] {
        let answer = stand.raw(honest.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // With both, the chunks count (RFC 9112 §6.1) and the length does not travel: what was read is what is sent on.
    let both = format!("{head}Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
    assert!(stand.raw(both.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    let last = stand.server.calls().pop().unwrap();
    assert_eq!((&last.body[..], last.headers.contains_key("transfer-encoding")), (ECHO.as_bytes(), false));
    assert_eq!(last.headers["content-length"], ECHO.len().to_string());
    let (entries, _folder) = stand.stop().await;
    assert_eq!(decisions(&entries).len(), 4);
}

#[tokio::test]
async fn other_http_methods_carry_no_call() {
    let stand = Stand::start(GUARDED).await;
    let call = |method: Method, path: &str| {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("authorization", stand.authorization().trim_start_matches("Authorization: "));
        request.header("content-type", "application/json").body(Full::new(ECHO.into())).unwrap()
    };
    for method in [Method::PUT, Method::PATCH, Method::OPTIONS, Method::from_bytes(b"POST\x2dX").unwrap()] {
        assert_eq!(stand.send(call(method.clone(), "/mcp/test")).await.0, StatusCode::METHOD_NOT_ALLOWED, "{method}");
    }
    for path in
        ["/mcp/", "/mcp/other", "/mcp/test/../other", "/mcp//test", "/MCP/test", "/http/test/x", "/", "/mcp/test%00"]
    {
        assert_eq!(stand.send(call(Method::POST, path)).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    // The stream and the end of a session travel, without the body that came along.
    for method in [Method::GET, Method::DELETE] {
        stand.send(call(method, "/mcp/test")).await;
    }
    let received = stand.server.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|request| request.body.is_empty()));
    let (entries, _folder) = stand.stop().await;
    assert!(decisions(&entries).is_empty());
}

/// A server whose tool mirrors an argument in a header.
fn mirroring(request: &Received) -> http::Response<countersign::net::Body> {
    let message = request.json();
    if message["method"] == "tools/list" {
        let schema =
            json!({ "type": "object", "properties": { "region": { "type": "string", "x-mcp-header": "Region" } } });
        let tools = json!([{ "name": "echo", "inputSchema": schema }]);
        let result = json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" });
        return respond(
            StatusCode::OK,
            &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string(),
        );
    }
    stateless(request)
}

#[tokio::test]
async fn a_changed_argument_cannot_bring_a_header_along() {
    let policy = r#"
policy: { id: p, version: '1' }
rules:
  - { id: r, match: { operation: echo }, action: MODIFY, modifications: { set: { region: "eu\r\nMcp-Name: delete" } } }
"#;
    let stand = Stand::with_servers(policy, "", "", Server::start(mirroring).await, Folder::new()).await;
    let mut message: Value = serde_json::from_str(MODERN).unwrap();
    message["params"]["arguments"] = json!({ "region": "us" });
    let (status, _, _) = stand.post_modern(&[("mcp-param-region", "us")], message.to_string()).await;
    assert_eq!(status, StatusCode::OK);
    let call = stand.server.calls().pop().unwrap();
    assert_eq!(call.headers.get_all("mcp-name").iter().count(), 1);
    assert_eq!(call.headers["mcp-name"], "echo");
    assert_eq!(call.headers["mcp-param-region"], "=?base64?ZXUNCk1jcC1OYW1lOiBkZWxldGU=?=");
    assert_eq!(call.json()["params"]["arguments"]["region"], "eu\r\nMcp-Name: delete");
    stand.stop().await;
}
