//! The stand: an instance of the product on loopback, a scripted MCP server behind it, and the audit.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use countersign::config::{App, Plan, parse};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::audit::{audit, nothing_undecided};
pub(crate) use crate::kinds::{decisions, is_refused, outcomes};
pub(crate) use crate::scripted::{Received, Server, ordinary, respond, stateless};

/// How long anything on loopback may take.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// A folder of its own for each test, removed when the test passes.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("countersign-it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }
}

/// The product with a scripted server behind it.
pub(crate) struct Stand {
    pub(crate) folder: Folder,
    pub(crate) server: Server,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) admin: std::net::SocketAddr,
    pub(crate) key: String,
    /// The key of somebody else.
    pub(crate) other_key: String,
    admin_token: String,
    admin_address: std::net::SocketAddr,
    config: countersign::config::Config,
    stop: Option<oneshot::Sender<()>>,
    running: Option<tokio::task::JoinHandle<()>>,
}

/// Allows everything: for tests that are about something else.
pub(crate) const ALLOW_ALL: &str = "
policy: { id: all, version: '1' }
rules:
  - { id: everything, match: {}, action: ALLOW }
";

impl Stand {
    /// Starts with one policy and an ordinary server.
    pub(crate) async fn start(policy: &str) -> Self {
        Self::with(policy, "", Server::start(ordinary).await).await
    }

    /// Starts with more configuration and a server of one's own.
    pub(crate) async fn with(policy: &str, more: &str, server: Server) -> Self {
        Self::resume(policy, more, server, Folder::new()).await
    }

    /// Starts in a folder that may hold a log already.
    pub(crate) async fn resume(policy: &str, more: &str, server: Server, folder: Folder) -> Self {
        Self::with_servers(policy, "", more, server, folder).await
    }

    /// Starts with `servers` beside the scripted one: entries of the flow mapping, each behind a comma.
    pub(crate) async fn with_servers(policy: &str, servers: &str, more: &str, server: Server, folder: Folder) -> Self {
        Self::with_people(policy, servers, "", more, server, folder).await
    }

    /// Starts with `people` under `admin:`: entries of the flow mapping, each behind a comma.
    pub(crate) async fn with_people(
        policy: &str,
        servers: &str,
        people: &str,
        more: &str,
        server: Server,
        folder: Folder,
    ) -> Self {
        std::fs::write(folder.0.join("policy.yaml"), policy).unwrap();
        let (key, hash) = countersign::identify::mint().unwrap();
        let (admin_token, admin_hash) = countersign::console::mint().unwrap();
        let (other_key, other_hash) = countersign::identify::mint().unwrap();
        // A bundle stands in the place of the files.
        let policies = if more.contains("policy_bundle:") { "" } else { "policies: [policy.yaml]" };
        let config = format!(
            "listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, tokens: [{{ name: olga, role: admin, hash: '{admin_hash}' }}{people}] }}
data_dir: data
servers: {{ test: {{ url: 'http://{}/mcp', timeout_s: 5 }}{servers} }}
{policies}
identity:
  api_keys:
    - {{ name: test, hash: '{hash}', human: alice@example.com, service: tests, agent: tester, role: engineer, scope: [tools] }}
    - {{ name: other, hash: '{other_hash}', human: mallory@example.com, service: tests, agent: other }}
{more}",
            server.address
        );
        let config = parse(&config, &folder.0.join("countersign.yaml")).unwrap();
        let app = App::build(Plan::check(config.clone(), &folder.0).unwrap(), None).await.unwrap();
        let (address, admin) = (app.address(), app.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            app.run(async { stopped.await.unwrap_or_default() }).await.unwrap();
        });
        Self {
            folder,
            server,
            address,
            admin,
            key: key.expose().to_owned(),
            other_key: other_key.expose().to_owned(),
            admin_token: admin_token.expose().to_owned(),
            admin_address: admin,
            config,
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// Posts one message of the older era and returns status, headers and body.
    pub(crate) async fn post(&self, body: impl Into<Bytes>) -> (StatusCode, HeaderMap, Bytes) {
        self.post_with(&[], body).await
    }

    pub(crate) async fn post_with(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let mut request = Request::post("/mcp/test").header("host", "localhost");
        let given = |name: &str| headers.iter().any(|(other, _)| *other == name);
        for (name, value) in [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("authorization", &format!("Bearer {}", self.key)),
        ] {
            if !given(name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, Bytes) {
        let (parts, body) = self.open(request).await.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        (parts.status, parts.headers, body)
    }

    /// Posts one message of the stateless era, with the headers that belong to it unless others are given.
    pub(crate) async fn post_modern(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let body = body.into();
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut all = headers.to_vec();
        for (name, value) in [
            ("mcp-protocol-version", Some("2026-07-28")),
            ("mcp-method", message["method"].as_str()),
            ("mcp-name", message["params"]["name"].as_str()),
        ] {
            if let Some(value) = value.filter(|_| !headers.iter().any(|(other, _)| *other == name)) {
                all.push((name, value));
            }
        }
        self.post_with(&all, body).await
    }

    /// Posts one message of the older era to another server and returns the answer.
    pub(crate) async fn post_to(&self, path: &str, body: impl Into<Bytes>) -> Value {
        let request = Request::post(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {}", self.key));
        let (_, _, body) = self.send(request.body(Full::new(body.into())).unwrap()).await;
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }

    /// Writes bytes to a connection of its own and returns all that comes back until it is closed.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // Closed with unread bytes a connection may be reset: what came before counts.
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "the connection stayed open after: {}", String::from_utf8_lossy(&answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The header line that says who calls, for [`Self::raw`].
    pub(crate) fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.key)
    }

    /// Sends a request to another of the product's addresses.
    pub(crate) async fn send_to(
        &self,
        address: std::net::SocketAddr,
        request: Request<Full<Bytes>>,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let (parts, body) = open(address, request).await.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        (parts.status, parts.headers, body)
    }

    /// Sends a request and returns the answer while its body may still be on its way.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        open(self.address, request).await
    }

    /// Calls a tool in the older era and returns the answer.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let message = json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": tool, "arguments": arguments },
        });
        let (_, _, body) = self.post(message.to_string()).await;
        serde_json::from_slice(&body).unwrap_or(Value::Null)
    }

    /// Stops without an audit, for who goes on in the same folder.
    pub(crate) async fn leave(mut self) -> (Server, Folder) {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().await.unwrap();
        let Self { server, folder, .. } = self;
        (server, folder)
    }

    /// Asks the admin API, as an administrator.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.admin_token));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let stream = TcpStream::connect(self.admin_address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let answer = sender.send_request(request.body(Full::<Bytes>::new(body.into())).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        (parts.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Says that a session of the older era is over.
    pub(crate) async fn delete_session(&self, session: &str) -> StatusCode {
        let request = Request::delete("/mcp/test")
            .header("host", "localhost")
            .header("mcp-session-id", session)
            .header("mcp-protocol-version", "2025-11-25")
            .header("authorization", format!("Bearer {}", self.key));
        self.send(request.body(Full::default()).unwrap()).await.0
    }

    /// Stops, loses what was kept of sessions, and starts again.
    pub(crate) async fn lose_context(mut self) -> Self {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().await.unwrap();
        std::fs::remove_dir_all(self.folder.0.join("data/context")).unwrap();
        self.begin().await
    }

    /// Stops and starts again: same folder, same configuration, same server.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|_| ()).await
    }

    /// As [`Self::restart`]; `change` is done to the data directory while nothing runs.
    pub(crate) async fn restart_after(mut self, change: impl FnOnce(&Path)) -> Self {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().await.unwrap();
        change(&self.folder.0.join("data"));
        self.begin().await
    }

    async fn begin(mut self) -> Self {
        let app = App::build(Plan::check(self.config.clone(), &self.folder.0).unwrap(), None).await.unwrap();
        (self.address, self.admin_address) = (app.address(), app.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        self.running = Some(tokio::spawn(async move {
            app.run(async { stopped.await.unwrap_or_default() }).await.unwrap();
        }));
        self.stop = Some(stop);
        self
    }

    /// Stops, and audits the whole log. Returns the payloads of its entries.
    pub(crate) async fn stop(mut self) -> (Vec<Value>, Folder) {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().await.unwrap();
        let folder = std::mem::replace(&mut self.folder, Folder::new());
        let entries = audit(&folder.0.join("data"));
        nothing_undecided(&self.server.received(), &entries);
        (entries, folder)
    }
}

async fn open(address: std::net::SocketAddr, request: Request<Full<Bytes>>) -> Response<Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender.send_request(request).await.unwrap()
}
