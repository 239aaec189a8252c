//! Servers over standard input and output, in front of both kinds of clients: `countersign wrap` for those that speak
//! over pipes, and HTTP for the others.

use std::process::Stdio;
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::audit::audit;
use crate::harness::{Folder, Server, Stand, decisions, is_refused, ordinary, outcomes};

/// A server of the older era that asks for the client's roots when a tool is called, and writes its process id down.
const SERVER: &str = r#"
import json, os, sys

def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()

with open(sys.argv[1], "a") as file:
    file.write("%d\n" % os.getpid())
waiting = None
for line in sys.stdin:
    message = json.loads(line)
    id, method = message.get("id"), message.get("method")
    result = None
    if method == "initialize":
        info = {"name": "pipes", "version": "1"}
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in ("ask", "delete", "echo", "die")]}
    elif method == "tools/call" and message["params"]["name"] == "ask":
        waiting = id
        write({"jsonrpc": "2.0", "id": "roots-1", "method": "roots/list"})
    elif method == "tools/call" and message["params"]["name"] == "die":
        os._exit(3)
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": line.strip()}], "isError": False}
    elif method == "notifications/initialized":
        write({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    elif method is None and id == "roots-1":
        id, result = waiting, {"content": [{"type": "text", "text": json.dumps(message["result"])}], "isError": False}
    elif id is not None:
        write({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}})
    if result is not None:
        write({"jsonrpc": "2.0", "id": id, "result": result})
"#;

const POLICY: &str = "
policy: { id: pipes, version: '1' }
rules:
  - { id: no, match: { operation: delete }, action: DENY, reason: 'Nothing is deleted' }
  - { id: yes, match: { operation: echo }, action: ALLOW }
  - { id: ask, match: { operation: ask }, action: ALLOW }
  - { id: die, match: { operation: die }, action: ALLOW }
  - { id: roots, match: { operation: roots/list }, action: ALLOW }
";

/// Longer than anything here takes on a busy machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of `countersign wrap`.
struct Wrapped {
    folder: Folder,
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Wrapped {
    fn start() -> Self {
        let folder = Folder::new();
        std::fs::write(folder.0.join("policy.yaml"), POLICY).unwrap();
        std::fs::write(folder.0.join("countersign.yaml"), "policies: [policy.yaml]\n").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(["wrap", "--name", "pipes", "--enforce", "--config"]).arg(folder.0.join("countersign.yaml"));
        command.arg("--data-dir").arg(folder.0.join("data")).args(["--", "python3", "-u", "-c", SERVER]);
        command.arg(folder.0.join("pids"));
        // Not who calls, whatever it says.
        command.env("USER", "mallory");
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("the binary starts");
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { folder, input: process.stdin.take(), output, process }
    }

    async fn write(&mut self, message: Value) {
        let line = format!("{message}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    async fn read(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await.expect("a line in time");
        serde_json::from_str(&line.unwrap().expect("a line")).unwrap()
    }

    async fn call(&mut self, id: u32, tool: &str) {
        let params = json!({ "name": tool, "arguments": { "n": 1 } });
        self.write(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })).await;
    }

    async fn greet(&mut self) {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": { "roots": {} },
            "clientInfo": { "name": "test", "version": "1" },
        });
        self.write(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })).await;
        assert_eq!(self.read().await["result"]["serverInfo"]["name"], "pipes");
        self.write(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        // What the server says outside of any call.
        assert_eq!(self.read().await["method"], "notifications/tools/list_changed");
    }

    /// Waits for the end and audits the log. Nothing of the server may be left.
    async fn end(mut self) -> (Option<i32>, Vec<Value>) {
        drop(self.input.take());
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap();
        for pid in std::fs::read_to_string(self.folder.0.join("pids")).unwrap().lines() {
            assert!(!std::path::Path::new("/proc").join(pid).exists(), "server process {pid} is left");
        }
        let entries = audit(&self.folder.0.join("data"));
        (status.code(), entries)
    }
}

#[tokio::test]
async fn wrap_mediates_a_stdio_client_in_both_directions() {
    let mut client = Wrapped::start();
    client.greet().await;
    client.call(1, "echo").await;
    let echoed = client.read().await;
    let seen: Value = serde_json::from_str(echoed["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!((&seen["id"], &seen["params"]["arguments"]["n"]), (&json!(1), &json!(1)));
    client.call(2, "delete").await;
    let refused = client.read().await;
    assert!(refused["id"] == 2 && is_refused(&refused), "{refused}");
    client.call(3, "ask").await;
    assert_eq!(client.read().await, json!({ "jsonrpc": "2.0", "id": "roots-1", "method": "roots/list" }));
    client.write(json!({ "jsonrpc": "2.0", "id": "roots-1", "result": { "roots": [] } })).await;
    let asked = client.read().await;
    assert_eq!((&asked["id"], &asked["result"]["content"][0]["text"]), (&json!(3), &json!("{\"roots\": []}")));
    client.write(json!("not a message")).await;
    assert_eq!(client.read().await["error"]["code"], -32600);
    let (code, entries) = client.end().await;
    assert_eq!(code, Some(0));
    let told: Vec<_> = decisions(&entries).iter().map(|entry| entry["decision"]["result"].clone()).collect();
    assert_eq!(told, ["ALLOW", "DENY", "ALLOW", "ALLOW"], "the server's question is the fourth");
    assert_eq!(outcomes(&entries).len(), 3);
    for entry in decisions(&entries) {
        // Said once, at the handshake.
        assert_eq!(entry["action"]["client"]["name"], "test");
        assert_eq!(entry["action"]["client"]["protocol_version"], "2025-11-25");
    }
    let users = decisions(&entries).iter().filter(|entry| entry["identity"].to_string().contains("mallory")).count();
    assert_eq!(users, 0, "the environment does not say who calls");
}

#[tokio::test]
async fn wrap_ends_with_its_server_and_tells_every_call() {
    let mut client = Wrapped::start();
    client.greet().await;
    client.call(1, "die").await;
    let answer = client.read().await;
    assert!(answer["id"] == 1 && answer["result"]["isError"] == true, "{answer}");
    // The input stays open: it is the server's end that ends it.
    let status = tokio::time::timeout(PATIENCE, client.process.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(1));
    let (_, entries) = client.end().await;
    assert_eq!(outcomes(&entries)[0]["outcome"]["status"], "upstream_error");
}

#[tokio::test]
async fn wrap_closes_its_log_when_it_is_told_to_stop() {
    let mut client = Wrapped::start();
    client.greet().await;
    client.call(1, "echo").await;
    client.read().await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(client.process.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let (code, entries) = client.end().await;
    assert_eq!(code, Some(0));
    assert_eq!(outcomes(&entries).len(), 1);
}

#[tokio::test]
async fn http_clients_reach_a_stdio_server_session_by_session() {
    let folder = Folder::new();
    let script = serde_json::to_string(SERVER).unwrap();
    let pids = folder.0.join("pids");
    let servers = format!(", pipes: {{ command: [python3, -u, -c, {script}, '{}'], timeout_s: 30 }}", pids.display());
    let stand = Stand::with_servers(POLICY, &servers, "", Server::start(ordinary).await, folder).await;
    let authorization = stand.authorization().replace("Authorization: ", "");
    let send = async |method: &str, session: Option<&str>, body: Value| {
        let mut request = Request::builder().method(method).uri("/mcp/pipes").header("host", "localhost");
        request = request.header("content-type", "application/json").header("authorization", &authorization);
        request = request.header("accept", "application/json, text/event-stream");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        stand.send(request.body(Full::new(body.into())).unwrap()).await
    };
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo", "arguments": {} } });
    let (status, headers, _) = send("POST", None, hello).await;
    assert_eq!(status, StatusCode::OK);
    let session = headers["mcp-session-id"].to_str().unwrap().to_owned();
    let (status, _, body) = send("POST", Some(&session), call.clone()).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["id"]), (StatusCode::OK, &json!(1)));
    assert_eq!(send("POST", None, call.clone()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(send("DELETE", Some(&session), Value::Null).await.0, StatusCode::OK);
    let (status, _, body) = send("POST", Some(&session), call).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &answer["id"]), (StatusCode::NOT_FOUND, &json!(1)), "the client begins another session");
    let (entries, _folder) = stand.stop().await;
    for pid in std::fs::read_to_string(&pids).unwrap().lines() {
        assert!(!std::path::Path::new("/proc").join(pid).exists(), "server process {pid} is left");
    }
    assert_eq!(decisions(&entries).len(), 3);
}
