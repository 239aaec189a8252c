//! A scripted server behind the real upstream: real pipes, real processes, no sleeps.

mod life;
mod messages;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{StdioSettings, StdioUpstream};
use crate::forward::{Cleared, ForwardError, Upstream};
use crate::model::{Client, Digest, Era, Outbound, Peer, Transport};
use crate::net::{Body, Events, SystemClock};

fn settings() -> StdioSettings {
    let inherited = ["PATH", "HOME"].iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    StdioSettings {
        server: "scripted".into(),
        command: ["python3", "-u", "-c", include_str!("server.py")].map(str::to_owned).to_vec(),
        environment: inherited.collect(),
        working_directory: None,
        timeout: Duration::from_secs(30),
        concurrency_max: 16,
        processes_max: 4,
        idle: Duration::from_secs(3_600),
        line_bytes_max: 50_000,
    }
}

fn start(settings: StdioSettings) -> StdioUpstream {
    StdioUpstream::new(settings, Arc::new(SystemClock::new()))
}

/// One message of a client.
#[derive(Clone)]
struct Message {
    caller: &'static str,
    era: Era,
    transport: Transport,
    session: Option<String>,
    accepts_stream: bool,
    method: Method,
    body: String,
}

/// A stateless client.
fn modern() -> Message {
    Message {
        caller: "alice",
        era: Era::Modern,
        transport: Transport::McpHttp,
        session: None,
        accepts_stream: true,
        method: Method::POST,
        body: String::new(),
    }
}

/// A client with a session.
fn legacy(session: &str) -> Message {
    Message { era: Era::Legacy, session: Some(session.to_owned()), ..modern() }
}

/// The client on standard input.
fn wrapped() -> Message {
    Message { era: Era::Legacy, transport: Transport::McpStdio, ..modern() }
}

impl Message {
    fn post(mut self, body: impl ToString) -> Self {
        self.body = body.to_string();
        self
    }

    fn tool(self, id: impl Into<Value>, name: &str) -> Self {
        let id: Value = id.into();
        let token = json!({ "progressToken": format!("token {id}") });
        self.post(
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name, "_meta": token } }),
        )
    }

    fn with(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    fn by(mut self, caller: &'static str) -> Self {
        self.caller = caller;
        self
    }

    fn cleared(self) -> Cleared {
        let message: Value = serde_json::from_str(&self.body).unwrap_or_default();
        let text = |value: &Value| (!value.is_null()).then(|| Arc::from(value.to_string()));
        let method = message["method"].as_str().unwrap_or(match self.method {
            Method::POST => "",
            _ => self.method.as_str(),
        });
        Cleared {
            client: Client {
                peer: Peer::Process(1),
                transport: self.transport,
                era: self.era,
                protocol_version: None,
                name: None,
                version: None,
                protocol_session: self.session.map(Arc::from),
                meta: None,
                url_elicitation: false,
                accepts_stream: self.accepts_stream,
                progress_token: text(&message["params"]["_meta"]["progressToken"]),
                held: crate::model::Held::default(),
            },
            action: None,
            jsonrpc_id: text(&message["id"]),
            method: method.into(),
            caller: Digest::of(self.caller.as_bytes()),
            outbound: Outbound {
                server: "scripted".into(),
                method: self.method,
                path: "".into(),
                headers: HeaderMap::new(),
                body: Bytes::from(self.body),
            },
        }
    }

    async fn send(self, upstream: &StdioUpstream) -> Result<Response<Body>, ForwardError> {
        upstream.send(self.cleared()).await
    }

    /// Sends it and reads the whole answer.
    async fn ask(self, upstream: &StdioUpstream) -> Answer {
        let (head, body) = self.send(upstream).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let message = serde_json::from_slice(&body).unwrap_or_default();
        Answer { status: head.status, headers: head.headers, body, message }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    message: Value,
}

impl Answer {
    fn kind(&self) -> &str {
        self.headers.get("content-type").map_or("", |kind| kind.to_str().unwrap())
    }

    /// The messages of an event stream.
    fn events(&self) -> Vec<Value> {
        assert_eq!(self.kind(), "text/event-stream");
        read_events(&mut Events::new(1 << 20), self.body.clone())
    }

    fn pid(&self) -> i64 {
        self.message["result"]["pid"].as_i64().unwrap_or_else(|| panic!("{}", self.message))
    }
}

fn read_events(events: &mut Events, chunk: Bytes) -> Vec<Value> {
    let read = events.push(chunk).unwrap().into_iter().filter_map(|event| event.data);
    read.map(|data| serde_json::from_slice(&data).unwrap()).collect()
}

/// The next messages of a stream that stays open.
async fn next_events(body: &mut Body) -> Vec<Value> {
    let chunk = body.frame().await.unwrap().unwrap().into_data().unwrap();
    read_events(&mut Events::new(1 << 20), chunk)
}

/// Opens a session and returns its id and its process.
async fn open(upstream: &StdioUpstream, caller: &'static str) -> (String, i64) {
    let hello = Message { era: Era::Legacy, accepts_stream: false, ..modern() }.by(caller);
    let hello = hello.post(json!({ "jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {} }));
    let answer = hello.ask(upstream).await;
    assert_eq!(answer.status, StatusCode::OK);
    (answer.headers["mcp-session-id"].to_str().unwrap().to_owned(), answer.pid())
}

/// Whether a process is there, reaped or not.
fn exists(pid: i64) -> bool {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}
