//! A client that goes away: the cancellation of its call in the newer era, nothing in the older one. The record is
//! complete in both.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use countersign::model::Era;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::harness::{ALLOW_ALL, Folder, PATIENCE, Server, Stand, ordinary, outcomes, respond};

/// What happened to the one tool call at the slow server.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Arrived,
    Closed,
    Answered,
}

/// A server that says `head` to a tool call and then waits: for the end of the connection, or for the word to answer.
async fn slow(head: &'static str, mut go: mpsc::Receiver<()>) -> (std::net::SocketAddr, mpsc::Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, seen) = mpsc::channel(8);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 64 << 10];
            let length = stream.read(&mut bytes).await.unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if !text.contains("tools/call") {
                let list = r#"{"jsonrpc":"2.0","id":"countersign-tools-1","error":{"code":-32601,"message":"no"}}"#;
                stream.write_all(answer(list).as_bytes()).await.unwrap();
                continue;
            }
            stream.write_all(head.as_bytes()).await.unwrap();
            sender.send(Seen::Arrived).await.unwrap();
            let seen = tokio::select! {
                ended = stream.read(&mut bytes) => {
                    assert_eq!(ended.unwrap_or(0), 0);
                    Seen::Closed
                }
                Some(()) = go.recv() => {
                    let result = json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } }).to_string();
                    stream.write_all(answer(&result).as_bytes()).await.unwrap();
                    Seen::Answered
                }
            };
            sender.send(seen).await.unwrap();
        }
    });
    (address, seen)
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Posts a call to the server `slow` and hangs up when it has arrived.
async fn hang_up(stand: &Stand, era: Era, seen: &mut mpsc::Receiver<Seen>) {
    let meta = match era {
        Era::Modern => r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
        Era::Legacy => "",
    };
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo"{meta}}}}}"#);
    let headers = match era {
        Era::Modern => "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: echo\r\n",
        Era::Legacy => "",
    };
    let request = format!(
        "POST /mcp/slow HTTP/1.1\r\nHost: localhost\r\n{}\r\n{headers}Accept: application/json, text/event-stream\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        stand.authorization(),
        body.len()
    );
    let mut client = TcpStream::connect(stand.address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(next(seen).await, Seen::Arrived);
    drop(client);
}

async fn next(seen: &mut mpsc::Receiver<Seen>) -> Seen {
    tokio::time::timeout(PATIENCE, seen.recv()).await.expect("nothing happens").expect("the server is gone")
}

async fn stand(address: std::net::SocketAddr) -> Stand {
    let slow = format!(", slow: {{ url: 'http://{address}/mcp', timeout_s: 20 }}");
    let more = "policy: { unknown_schema: allow }";
    Stand::with_servers(ALLOW_ALL, &slow, more, Server::start(ordinary).await, Folder::new()).await
}

fn only_end(entries: &[Value]) -> Value {
    let ends = outcomes(entries);
    assert_eq!(ends.len(), 1, "{ends:?}");
    ends[0]["outcome"]["status"].clone()
}

#[tokio::test]
async fn a_hang_up_cancels_in_the_newer_era_before_and_behind_the_head() {
    for head in ["", "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{"] {
        let (_go, waits) = mpsc::channel(1);
        let (address, mut seen) = slow(head, waits).await;
        let stand = stand(address).await;
        hang_up(&stand, Era::Modern, &mut seen).await;
        assert_eq!(next(&mut seen).await, Seen::Closed, "the server learns it");
        let (entries, _folder) = stand.stop().await;
        assert_eq!(only_end(&entries), "cancelled");
    }
}

#[tokio::test]
async fn a_hang_up_is_no_cancellation_in_the_older_era() {
    let (go, waits) = mpsc::channel(1);
    let (address, mut seen) = slow("", waits).await;
    let stand = stand(address).await;
    hang_up(&stand, Era::Legacy, &mut seen).await;
    // The proxy has had every chance to notice: it answers others on new connections.
    for _ in 0..20 {
        stand.call("echo", json!({})).await;
    }
    go.send(()).await.unwrap();
    assert_eq!(next(&mut seen).await, Seen::Answered);
    let (entries, _folder) = stand.stop().await;
    let ends = outcomes(&entries);
    let of_slow: Vec<_> = ends.iter().filter(|end| end["action"]["native"]["server"] == "slow").collect();
    assert_eq!((of_slow.len(), &of_slow[0]["outcome"]["status"]), (1, &json!("success")));
}

/// Whether an entry bundle holds an outcome.
fn has_outcome(bundle: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bundle);
    let payloads = text.split(r#""payload":""#).skip(1).filter_map(|rest| rest.split('"').next());
    payloads.filter_map(|payload| BASE64_STANDARD.decode(payload).ok()).any(|payload| {
        serde_json::from_slice(&payload).is_ok_and(|payload: Value| payload["predicate"]["kind"] == "outcome")
    })
}

#[tokio::test]
async fn a_call_left_without_an_answer_is_given_up_in_time() {
    let server = Server::start(|request| {
        if request.json()["method"] != "tools/call" {
            return ordinary(request);
        }
        // The stream ends without an answer, as the older era allows.
        let mut response = respond(http::StatusCode::OK, "id: 1\ndata:\n\n");
        response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
        response
    });
    let stand = Stand::with(ALLOW_ALL, "forward: { silence_s_max: 1 }", server.await).await;
    stand.call("echo", json!({})).await;
    // Waits until the log says so: the proxy itself has to give it up.
    let log = stand.folder.0.join("data/log");
    let said = async {
        loop {
            let bundles = std::fs::read_dir(log.join("tile/entries")).into_iter().flatten().flatten();
            let partial = bundles.filter_map(|entry| std::fs::read_dir(entry.path()).ok()).flatten().flatten();
            if partial.filter_map(|file| std::fs::read(file.path()).ok()).any(|bytes| has_outcome(&bytes)) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, said).await.expect("it waits for ever");
    let (entries, _folder) = stand.stop().await;
    let ends = outcomes(&entries);
    assert_eq!(ends[0]["outcome"]["status"], "unknown");
    assert!(ends[0]["outcome"]["error"].as_str().unwrap().contains("within 1 s"), "{}", ends[0]);
}
