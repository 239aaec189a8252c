//! The demo's MCP client: version 2026-07-28 over HTTP/1.1, one JSON-RPC request a POST.
//!
//! It reads answers as they come from any server: one JSON object or an event stream. It must never know whether it
//! talks to a server or to the proxy; only its URL and its credential differ.

use std::time::Duration;

use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::Failure;
use super::protocol::{
    BODY_BYTES_MAX, HEADER_METHOD, HEADER_NAME, HEADER_VERSION, META_CAPABILITIES, META_CLIENT, META_VERSION, MODERN,
};

/// How long one answer may take. Everything is on this machine and in memory.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// What a tool answered.
#[derive(Clone, Debug)]
pub(super) struct ToolResult {
    /// What the model reads.
    pub(super) text: String,
    /// The tool, or somebody before it, says that it was not done.
    pub(super) is_error: bool,
    /// The decision, when the proxy refused: `_meta["countersign/decision"]`.
    pub(super) decision: Option<Value>,
}

/// A client of one server.
#[derive(Debug)]
pub(super) struct McpClient {
    http: Client<HttpConnector, Full<Bytes>>,
    url: Uri,
    credential: Option<String>,
    requests: u64,
}

impl McpClient {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Failure::Client`] when `url` is not a URL.
    pub(super) fn new(url: &str, credential: Option<&str>) -> Result<Self, Failure> {
        let parsed = url.parse().map_err(|_| Failure::Client { url: url.to_owned(), problem: "not a URL".into() })?;
        let credential = credential.map(|key| format!("Bearer {key}"));
        Ok(Self { http: Client::builder(TokioExecutor::new()).build_http(), url: parsed, credential, requests: 0 })
    }

    /// Asks which versions the server speaks; it must speak this client's.
    pub(super) async fn discover(&mut self) -> Result<(), Failure> {
        let result = self.request("server/discover", json!({})).await?;
        let versions = result.get("supportedVersions").and_then(Value::as_array);
        let speaks = versions.is_some_and(|all| all.iter().any(|version| version == MODERN));
        if speaks { Ok(()) } else { Err(self.failure(format!("does not speak {MODERN}"))) }
    }

    /// The names of the server's tools.
    pub(super) async fn list_tools(&mut self) -> Result<Vec<String>, Failure> {
        let result = self.request("tools/list", json!({})).await?;
        let tools = result.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let name = |tool: &Value| tool.get("name").and_then(Value::as_str).map(str::to_owned);
        Ok(tools.iter().filter_map(name).collect())
    }

    /// Calls a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> Result<ToolResult, Failure> {
        let result = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        let content = result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let texts: Vec<&str> = content.iter().filter_map(|item| item.get("text").and_then(Value::as_str)).collect();
        Ok(ToolResult {
            text: texts.join("\n"),
            is_error: result.get("isError").and_then(Value::as_bool).unwrap_or(false),
            decision: result.get("_meta").and_then(|meta| meta.get("countersign/decision")).cloned(),
        })
    }

    /// One request and the `result` of its answer.
    async fn request(&mut self, method: &str, mut parameters: Value) -> Result<Value, Failure> {
        self.requests += 1;
        let name = parameters.get("name").and_then(Value::as_str).map(str::to_owned);
        if let Value::Object(members) = &mut parameters {
            let client = json!({"name": "countersign-demo-agent", "version": env!("CARGO_PKG_VERSION")});
            let meta = json!({META_VERSION: MODERN, META_CAPABILITIES: {}, META_CLIENT: client});
            members.insert("_meta".to_owned(), meta);
        }
        let body = json!({"jsonrpc": "2.0", "id": self.requests, "method": method, "params": parameters}).to_string();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header(HEADER_VERSION, MODERN)
            .header(HEADER_METHOD, method);
        if let Some(name) = name {
            request = request.header(HEADER_NAME, name);
        }
        if let Some(credential) = &self.credential {
            request = request.header(header::AUTHORIZATION, credential);
        }
        let request = request.body(Full::from(body)).map_err(|error| self.failure(error))?;
        let answer = tokio::time::timeout(ANSWER_WAIT, self.exchange(request)).await;
        let message = answer.map_err(|_| self.failure(format!("no answer in {} s", ANSWER_WAIT.as_secs())))??;
        match message.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(self.failure(format!("{method} failed: {}", message.get("error").unwrap_or(&Value::Null)))),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Value, Failure> {
        let response = self.http.request(request).await.map_err(|error| self.failure(error))?;
        let status = response.status();
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_stream = kind.starts_with("text/event-stream");
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
        let body = body.map_err(|error| self.failure(error))?.to_bytes();
        let message = if is_stream { last_event(&body, self.requests) } else { serde_json::from_slice(&body).ok() };
        message.ok_or_else(|| self.failure(format!("answered {status} with something that is not JSON-RPC")))
    }

    fn failure(&self, problem: impl std::fmt::Display) -> Failure {
        Failure::Client { url: self.url.to_string(), problem: problem.to_string() }
    }
}

/// Asks the admin API with a person's token: a POST when there is a body.
///
/// # Errors
/// [`Failure::Client`]: it does not answer with success and JSON.
pub(super) async fn admin(url: &str, token: &str, body: Option<Value>) -> Result<Value, Failure> {
    let failed = |problem: String| Failure::Client { url: url.to_owned(), problem };
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let request = Request::builder()
        .method(method)
        .uri(url)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json");
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = request.body(Full::from(body)).map_err(|error| failed(error.to_string()))?;
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = tokio::time::timeout(ANSWER_WAIT, client.request(request)).await;
    let answer = answer.map_err(|_| failed("no answer".into()))?.map_err(|error| failed(error.to_string()))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
    if !status.is_success() {
        return Err(failed(format!("answered {status}: {}", String::from_utf8_lossy(&body))));
    }
    serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
}

/// Whether a GET of `url` is answered with success.
pub(super) async fn is_ok(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    client.get(url).await.is_ok_and(|response| response.status().is_success())
}

/// The message of an event stream that answers request `id`.
fn last_event(stream: &[u8], id: u64) -> Option<Value> {
    let text = std::str::from_utf8(stream).ok()?;
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut messages = data.filter_map(|data| serde_json::from_str::<Value>(data.trim_start()).ok());
    messages.rfind(|message| message.get("id").and_then(Value::as_u64) == Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_found_among_the_events() {
        let stream = b": keep-alive\n\nevent: message\ndata: {\"method\":\"notifications/progress\"}\n\n\
            id: 4\ndata: {\"id\":3,\"result\":{\"a\":1}}\n\ndata: {\"id\":9}\n\n";
        assert_eq!(last_event(stream, 3), Some(json!({"id": 3, "result": {"a": 1}})));
        assert_eq!(last_event(stream, 4), None);
    }
}
