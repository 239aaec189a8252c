//! What a server says about its tools, listed by us at first contact and whenever it says that the list changed.
//!
//! A schema that was never seen is unknown, not valid: whoever decides is told so.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{Cleared, ForwardError, Upstream};
use crate::decide::CompiledTool;
use crate::model::json::{Limits, scan};
use crate::model::{Client, Clock, Digest, Era, Outbound, Peer, Timestamp, ToolDefinition, ToolHints, Transport};
use crate::net::{Events, collect};

/// Pages of one list that are read; a server with more is listed as far as this.
const PAGES_MAX: usize = 64;

/// Bytes of one page.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Time for one listing, all pages together. A first call waits for it.
const LISTING_MAX: Duration = Duration::from_secs(5);

/// Time between two attempts at a server that could not be listed.
const RETRY_AFTER_US: u64 = 5_000_000;

/// Tools of one server by name.
pub type Tools = HashMap<Arc<str>, Arc<CompiledTool>>;

/// The tools of one server.
#[derive(Default)]
pub struct Catalogue {
    tools: ArcSwapOption<Tools>,
    /// When listing was last tried; held while it is tried, so that a hundred first calls list once.
    tried: Mutex<Option<Timestamp>>,
}

impl Catalogue {
    /// One tool; `None` when the server did not list it or could not be listed.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<Arc<CompiledTool>> {
        self.tools.load().as_ref()?.get(name).cloned()
    }

    /// Whether the server was listed.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.tools.load().is_some()
    }

    /// Forgets the list, so that the next call lists again.
    pub fn forget(&self) {
        self.tools.store(None);
    }

    /// Lists the server's tools unless they are known, or an attempt has just failed.
    pub async fn ensure(&self, server: &Arc<str>, upstream: &dyn Upstream, clock: &dyn Clock) {
        if !self.is_known() {
            self.attempt(server, upstream, clock).await;
        }
    }

    async fn attempt(&self, server: &Arc<str>, upstream: &dyn Upstream, clock: &dyn Clock) {
        let mut tried = self.tried.lock().await;
        let now = clock.now();
        let recently = tried.is_some_and(|last| now.micros_since(last) < RETRY_AFTER_US);
        if self.is_known() || recently {
            return;
        }
        *tried = Some(now);
        match tokio::time::timeout(LISTING_MAX, list(server, upstream)).await {
            Ok(Ok(tools)) => {
                tracing::debug!(%server, tools = tools.len(), "listed");
                self.tools.store(Some(Arc::new(tools)));
            }
            Ok(Err(error)) => tracing::warn!(%server, %error, "could not list the tools: schemas are unknown"),
            Err(_) => tracing::warn!(%server, "listing the tools took too long: schemas are unknown"),
        }
    }
}

async fn list(server: &Arc<str>, upstream: &dyn Upstream) -> Result<Tools, ForwardError> {
    match list_modern(server, upstream).await {
        Ok(tools) => Ok(tools),
        Err(error) => {
            tracing::debug!(%server, %error, "not a server of the stateless era");
            list_legacy(server, upstream).await
        }
    }
}

async fn list_modern(server: &Arc<str>, upstream: &dyn Upstream) -> Result<Tools, ForwardError> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": crate::intercept::MODERN_VERSION,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": client_info(),
    });
    let mut all = Tools::new();
    let mut cursor: Option<String> = None;
    for _page in 0..PAGES_MAX {
        let mut params = json!({ "_meta": meta });
        if let (Some(params), Some(cursor)) = (params.as_object_mut(), &cursor) {
            params.insert("cursor".into(), cursor.as_str().into());
        }
        let request = frame(server, Era::Modern, "tools/list", Some("\"countersign-list\""), &params, None);
        let (_, result) = ask(server, upstream, request).await?;
        cursor = take_page(&result, &mut all);
        if cursor.is_none() {
            return Ok(all);
        }
    }
    Ok(all)
}

async fn list_legacy(server: &Arc<str>, upstream: &dyn Upstream) -> Result<Tools, ForwardError> {
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client_info() });
    let request = frame(server, Era::Legacy, "initialize", Some("\"countersign-initialize\""), &hello, None);
    let (headers, _) = ask(server, upstream, request).await?;
    let session = headers.get("mcp-session-id").cloned();
    let listed = list_session(server, upstream, session.as_ref()).await;
    if let Some(session) = session {
        let mut end = frame(server, Era::Legacy, "DELETE", None, &Value::Null, Some(&session));
        end.outbound.method = Method::DELETE;
        end.outbound.body = Bytes::new();
        if let Err(error) = upstream.send(end).await {
            tracing::debug!(%server, %error, "end the session used for listing");
        }
    }
    listed
}

async fn list_session(
    server: &Arc<str>,
    upstream: &dyn Upstream,
    session: Option<&HeaderValue>,
) -> Result<Tools, ForwardError> {
    let ready = frame(server, Era::Legacy, "notifications/initialized", None, &json!({}), session);
    upstream.send(ready).await?;
    let mut all = Tools::new();
    let mut cursor: Option<String> = None;
    for _page in 0..PAGES_MAX {
        let params = cursor.as_ref().map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        let request = frame(server, Era::Legacy, "tools/list", Some("\"countersign-list\""), &params, session);
        let (_, result) = ask(server, upstream, request).await?;
        cursor = take_page(&result, &mut all);
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

fn client_info() -> Value {
    json!({ "name": "countersign", "version": env!("CARGO_PKG_VERSION") })
}

/// A protocol frame of our own.
fn frame(
    server: &Arc<str>,
    era: Era,
    method: &str,
    id: Option<&str>,
    params: &Value,
    session: Option<&HeaderValue>,
) -> Cleared {
    let id_member = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
    let body = format!("{{\"jsonrpc\":\"2.0\",{id_member}\"method\":\"{method}\",\"params\":{params}}}");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if era == Era::Modern {
        headers.insert("mcp-protocol-version", HeaderValue::from_static(crate::intercept::MODERN_VERSION));
        headers.extend(HeaderValue::from_str(method).map(|value| (http::HeaderName::from_static("mcp-method"), value)));
    } else if method != "initialize" {
        headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
    }
    if let Some(session) = session {
        headers.insert("mcp-session-id", session.clone());
    }
    let client = Client {
        peer: Peer::Process(std::process::id()),
        transport: Transport::McpHttp,
        era,
        protocol_version: None,
        name: Some("countersign".into()),
        version: None,
        protocol_session: session.and_then(|session| session.to_str().ok()).map(Arc::from),
        meta: None,
        url_elicitation: false,
        accepts_stream: true,
        progress_token: None,
    };
    let outbound =
        Outbound { server: Arc::clone(server), method: Method::POST, path: "".into(), headers, body: body.into() };
    Cleared {
        outbound,
        client,
        action: None,
        jsonrpc_id: id.map(Arc::from),
        method: method.into(),
        caller: Digest::of(b"countersign listing"),
    }
}

/// Sends a frame and returns the answer's headers and its `result`.
async fn ask(server: &Arc<str>, upstream: &dyn Upstream, request: Cleared) -> Result<(HeaderMap, Value), ForwardError> {
    let broken = |text: String| ForwardError::Exchange { server: server.to_string(), source: text.into() };
    let response = upstream.send(request).await?;
    let status = response.status();
    let (head, body) = response.into_parts();
    let is_stream =
        head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let message = if is_stream {
        first_response(body).await.map_err(broken)?
    } else {
        collect(body, PAGE_BYTES_MAX).await.map_err(|error| broken(error.to_string()))?
    };
    if !status.is_success() {
        return Err(broken(format!("HTTP status {status}")));
    }
    scan(&message, Limits::default()).map_err(|error| broken(error.to_string()))?;
    let mut answer: Value = serde_json::from_slice(&message).map_err(|error| broken(error.to_string()))?;
    match answer.get_mut("result").map(Value::take) {
        Some(result) => Ok((head.headers, result)),
        None => Err(broken(format!("an error: {}", answer.get("error").unwrap_or(&Value::Null)))),
    }
}

/// The first message of a stream that is an answer.
async fn first_response(mut body: crate::net::Body) -> Result<Bytes, String> {
    let mut events = Events::new(PAGE_BYTES_MAX);
    while let Some(frame) = body.frame().await {
        let chunk = frame.map_err(|error| error.to_string())?.into_data().unwrap_or_default();
        for event in events.push(chunk).map_err(|error| error.to_string())? {
            let Some(data) = event.data else { continue };
            if matches!(super::read_message(&data), Some(super::Message::Response { .. })) {
                return Ok(data);
            }
        }
    }
    Err("the stream ended without an answer".into())
}

/// Adds one page's tools and returns the cursor of the next.
fn take_page(result: &Value, all: &mut Tools) -> Option<String> {
    for tool in result.get("tools").and_then(Value::as_array).into_iter().flatten() {
        if let Some(definition) = read_definition(tool) {
            all.insert(Arc::clone(&definition.name), Arc::new(CompiledTool::new(definition)));
        }
    }
    result.get("nextCursor").and_then(Value::as_str).map(str::to_owned)
}

fn read_definition(tool: &Value) -> Option<ToolDefinition> {
    let name = tool.get("name")?.as_str()?;
    let hint = |name: &str, default: bool| {
        tool.get("annotations").and_then(|hints| hints.get(name)).and_then(Value::as_bool).unwrap_or(default)
    };
    let careful = ToolHints::default();
    let input_schema = tool.get("inputSchema").cloned().unwrap_or(Value::Bool(true));
    Some(ToolDefinition {
        name: name.into(),
        digest: Digest::of(tool.to_string().as_bytes()),
        mirrored: mirrored(&input_schema),
        input_schema,
        hints: ToolHints {
            read_only: hint("readOnlyHint", careful.read_only),
            destructive: hint("destructiveHint", careful.destructive),
            idempotent: hint("idempotentHint", careful.idempotent),
            open_world: hint("openWorldHint", careful.open_world),
        },
    })
}

/// Arguments that the tool mirrors in headers (`x-mcp-header`, MCP 2026-07-28): reachable through `properties` alone.
fn mirrored(schema: &Value) -> Vec<(String, String)> {
    fn walk(schema: &Value, pointer: &str, depth: usize, found: &mut Vec<(String, String)>) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|_| depth < 16) else {
            return;
        };
        for (name, property) in properties {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str) {
                found.push((pointer.clone(), header.to_owned()));
            }
            walk(property, &pointer, depth + 1, found);
        }
    }
    let mut found = Vec::new();
    walk(schema, "", 0, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_server_says_about_a_tool() {
        let tool = json!({
            "name": "t",
            "inputSchema": { "properties": { "a": { "properties": { "b": { "x-mcp-header": "B" } } } } },
            "annotations": { "readOnlyHint": true },
        });
        let definition = read_definition(&tool).unwrap();
        assert!(definition.hints.read_only && definition.hints.destructive);
        assert_eq!(definition.mirrored, [("/a/b".to_owned(), "B".to_owned())]);
        assert!(read_definition(&json!({ "description": "no name" })).is_none());
    }
}
