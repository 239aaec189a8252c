//! On ALLOW, bytes in are bytes out; on MODIFY, all but the edited places.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Frame;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::harness::{ALLOW_ALL, Folder, PATIENCE, Server, Stand, decisions, ordinary, outcomes, respond, stateless};

/// Messages that re-serialising proxies change.
const CORPUS: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":1e2,"b":1.0,"c":0.1000,"d":12345678901234567890123}}}"#,
    r#"{"params":{"arguments":{"z":1,"a":{"y":2,"b":3}},"name":"echo","future":[1,2]},"method":"tools/call","id":"x\u00e9","jsonrpc":"2.0"}"#,
    "{ \"jsonrpc\" : \"2.0\" , \"id\" : 2 ,\r\n\t\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{ \"s\":\"\\u0041\\ud83d\\ude00\\/\" } } }",
    r#"{"jsonrpc":"2.0","id":-7,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"progressToken":7,"vendor/x":null}}}"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo"}}"#,
    "{\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"e\":\"é中\u{1f600}\"}}}",
    "\n{\"jsonrpc\":\"2.0\",\"id\":5,\"zz\":{\"b\":[],\"a\":-0.0},\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"\":{\"\\u0000\":1E+2}}}}\n",
];

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"#;

#[tokio::test]
async fn allowed_bytes_arrive_untouched() {
    let stand = Stand::start(ALLOW_ALL).await;
    for message in CORPUS {
        let (status, _, _) = stand.post(message.as_bytes()).await;
        assert_eq!(status, 200, "{message}");
        let arrived = stand.server.calls().pop().expect("the call arrived").body;
        assert_eq!(Sha256::digest(&arrived), Sha256::digest(message.as_bytes()), "{message}");
    }
    let (entries, _folder) = stand.stop().await;
    assert_eq!(outcomes(&entries).len(), CORPUS.len());
}

#[tokio::test]
async fn allowed_bytes_arrive_untouched_in_the_newer_era() {
    let stand = Stand::with(ALLOW_ALL, "", Server::start(stateless).await).await;
    for message in CORPUS.iter().filter(|message| !message.contains("_meta")) {
        let (before, after) = message.split_once("\"name\":").expect("every message names a tool");
        let message = format!("{before}{META}\"name\":{after}");
        let (status, _, answer) = stand.post_modern(&[], message.clone()).await;
        assert_eq!(status, 200, "{message}: {answer:?}");
        let arrived = stand.server.calls().pop().expect("the call arrived");
        assert_eq!(Sha256::digest(&arrived.body), Sha256::digest(message.as_bytes()), "{message}");
        assert_eq!(arrived.headers["mcp-name"], "echo");
    }
    let (entries, _folder) = stand.stop().await;
    assert_eq!(outcomes(&entries).len(), CORPUS.len() - 1);
    assert!(outcomes(&entries).iter().all(|outcome| outcome["outcome"]["status"] == "success"));
}

#[tokio::test]
async fn only_the_action_header_is_added() {
    let stand = Stand::start(ALLOW_ALL).await;
    let message = CORPUS[0];
    stand.post_with(&[("x-custom", "1"), ("cookie", "a=b")], message).await;
    let arrived = stand.server.calls().pop().expect("the call arrived");
    let mut names: Vec<&str> = arrived.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "content-length", "content-type", "countersign-action", "host", "x-custom"]);
    let (entries, _folder) = stand.stop().await;
    let action = arrived.headers["countersign-action"].to_str().unwrap();
    assert!(outcomes(&entries).iter().any(|outcome| outcome["action"]["action_id"] == action));
}

#[tokio::test]
async fn a_modification_changes_its_places_and_no_others() {
    let policy = "
policy: { id: p, version: '1' }
rules:
  - id: r
    match: { operation: echo }
    action: MODIFY
    modifications: { cap: { limit: 100 }, redact: ['**.password'], set: { region: eu } }
";
    let stand = Stand::start(policy).await;
    let before = "{ \"id\":1 ,\"method\":\"tools/call\",\"x\":1e2,\"params\":{\"name\":\"echo\",\"arguments\":{ \"limit\" : 5000 ,\"n\":12345678901234567890123,\"region\":\"us\\u0041\", \"in\":{\"password\":\"\\u0068unter2\", \"z\":1.0} } },\"jsonrpc\":\"2.0\"}";
    let after = before.replace("5000", "100").replace("\"us\\u0041\"", "\"eu\"").replace("\\u0068unter2", "[REDACTED]");
    let (status, _, _) = stand.post(before).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(stand.server.calls()[0].body, after);
    let (entries, folder) = stand.stop().await;
    let decision = decisions(&entries)[0];
    assert_eq!((&decision["decision"]["result"], &decision["decision"]["edits_total"]), (&json!("MODIFY"), &json!(3)));
    assert_ne!(decision["action"]["parameters"]["hash"], decision["action"]["forwarded_parameters"]["hash"]);
    assert!(!holds(&folder.0, b"unter2"));
}

/// Whether any file below holds the bytes.
pub(crate) fn holds(folder: &std::path::Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        std::fs::read(&path).unwrap().windows(needle.len()).any(|part| part == needle)
    })
}

/// An answer that is sent piece by piece, when the test says so.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = countersign::net::BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let (sender, receiver) = mpsc::channel(4);
    let receiver = std::sync::Mutex::new(Some(receiver));
    let server = Server::start(move |request| {
        if request.json()["method"] != "tools/call" {
            return ordinary(request);
        }
        let mut response = Response::new(Pieces(receiver.lock().unwrap().take().unwrap()).boxed_unsync());
        response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        response
    });
    let stand = Stand::with(ALLOW_ALL, "", server.await).await;
    let request = Request::post("/mcp/test").header("host", "localhost").header("content-type", "application/json");
    let request = request.header("authorization", stand.authorization().trim_start_matches("Authorization: "));
    let request = request.header("accept", "application/json, text/event-stream");
    let mut answer = stand.open(request.body(Full::new(CORPUS[4].into())).unwrap()).await.into_body();
    let progress = ": hello\r\n\r\nid: 7\nretry: 10\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n";
    let result = "data: {\"jsonrpc\":\"2.0\",\"id\":3,\ndata: \"result\":{\"content\":[]}}\n\n";
    // Each piece is read by the client before the server sends the next.
    for piece in [progress, result] {
        let (first, second) = piece.split_at(piece.len() / 2);
        for part in [first, second] {
            sender.send(Bytes::from_static(part.as_bytes())).await.unwrap();
        }
        let mut seen = Vec::new();
        while seen.len() < piece.len() {
            let frame = tokio::time::timeout(PATIENCE, answer.frame()).await.expect("the event passes at once");
            seen.extend_from_slice(&frame.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(String::from_utf8_lossy(&seen), piece);
    }
    drop(sender);
    assert!(answer.frame().await.is_none());
    let (entries, _folder) = stand.stop().await;
    let outcome = &outcomes(&entries)[0]["outcome"];
    assert_eq!((&outcome["status"], &outcome["notifications"]), (&json!("success"), &json!(1)));
}

/// Writes every line that it gets into a file, and answers.
const ECHO_SERVER: &str = r#"
import json, sys
log = open(sys.argv[1], "ab")
for line in sys.stdin.buffer:
    log.write(line)
    log.flush()
    message = json.loads(line)
    if "id" not in message:
        continue
    method = message["method"]
    result = {}
    if method == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
    elif method == "tools/list":
        if "_meta" in message.get("params", {}):
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
            continue
        result = {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "done"}]}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

#[tokio::test]
async fn over_standard_input_line_ends_become_spaces() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("server.py"), ECHO_SERVER).unwrap();
    let (script, lines) = (folder.0.join("server.py"), folder.0.join("lines"));
    let servers =
        format!(", local: {{ command: [python3, '{}', '{}'], timeout_s: 20 }}", script.display(), lines.display());
    let stand = Stand::with_servers(ALLOW_ALL, &servers, "", Server::start(ordinary).await, folder).await;
    let key = stand.authorization();
    let send = async |session: &str, message: &'static str| {
        let request =
            Request::post("/mcp/local").header("host", "localhost").header("content-type", "application/json");
        let request = request.header("authorization", key.trim_start_matches("Authorization: "));
        let request = request.header("accept", "application/json, text/event-stream").header("mcp-session-id", session);
        stand.send(request.body(Full::new(message.into())).unwrap()).await
    };
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
    let (status, headers, _) = send("none", hello).await;
    assert_eq!(status, StatusCode::OK);
    for message in CORPUS {
        let (status, _, answer) = send(headers["mcp-session-id"].to_str().unwrap(), message).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert!(status == StatusCode::OK && text.contains("done"), "{message}: {status} {text}");
    }
    let seen = std::fs::read_to_string(&lines).unwrap();
    let calls: Vec<&str> = seen.lines().filter(|line| line.contains("tools/call")).collect();
    let expected: Vec<String> = CORPUS.iter().map(|message| message.replace(['\r', '\n'], " ")).collect();
    assert_eq!(calls, expected);
    let (entries, _folder) = stand.stop().await;
    assert_eq!((decisions(&entries).len(), outcomes(&entries).len()), (CORPUS.len(), CORPUS.len()));
}

#[tokio::test]
async fn plain_http_tools_are_mediated_and_not_rewritten() {
    let server = Server::start(|_| respond(StatusCode::OK, r#"{ "ok":1.0 }"#)).await;
    let policy = "
policy: { id: p, version: '1' }
rules:
  - { id: send, match: { tool: office, operation: 'POST /users/{id}/mail', parameters: { to: { ends_with: '@corp.example' }, id: '7' } }, action: ALLOW }
  - { id: read, match: { tool: office, method: GET }, action: ALLOW }
";
    let servers = format!(
        ", office: {{ http: 'http://{}/base', operations: ['POST /users/{{id}}/mail', 'GET /users/{{id}}'] }}",
        server.address
    );
    let stand = Stand::with_servers(policy, &servers, "", server, Folder::new()).await;
    let key = stand.authorization();
    let send = async |method: &str, path: &str, body: &'static str| {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request.header("authorization", key.trim_start_matches("Authorization: "));
        let request = request.header("content-type", "application/json");
        stand.send(request.body(Full::new(body.into())).unwrap()).await
    };
    let body = r#"{ "to":"a@corp.example", "n":1e2 }"#;
    let (status, _, answer) = send("POST", "/http/office/users/7/mail?cc=x%20y", body).await;
    assert_eq!((status, &answer[..]), (StatusCode::OK, br#"{ "ok":1.0 }"#.as_slice()));
    let (status, headers, answer) = send("POST", "/http/office/users/7/mail", r#"{"to":"eve@evil.test"}"#).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(
        (status, &headers["content-type"]),
        (StatusCode::FORBIDDEN, &"application/problem+json".parse().unwrap())
    );
    assert_eq!(answer["countersign/decision"]["decision"], "DENY");
    for (path, body) in [
        ("/http/office/users/../admin", "{}"),
        ("/http/office/users/7/mail?to=b@corp.example", body),
        ("/http/office/users/7/mail", r#"{"to":"a","to":"b"}"#),
    ] {
        assert_eq!(send("POST", path, body).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(send("GET", "/http/office/users/8", "").await.0, StatusCode::OK);
    let received = stand.server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].body, body);
    let (entries, _folder) = stand.stop().await;
    let decided: Vec<_> = decisions(&entries).iter().map(|one| one["action"]["operation"].clone()).collect();
    assert_eq!(decided, ["POST /users/{id}/mail", "POST /users/{id}/mail", "GET /users/{id}"]);
    assert!(received.iter().zip(outcomes(&entries)).all(|(request, outcome)| {
        request.headers["countersign-action"] == outcome["action"]["action_id"].as_str().unwrap()
    }));
}
