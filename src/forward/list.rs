//! Asks a server for the list of its tools, in the server's era, on a client's session where a server has sessions.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::listing::{Listed, read_page};
use super::tools::Asker;
use super::{Cleared, ForwardError, Upstream};
use crate::model::json::{Limits, scan};
use crate::model::{Client, Digest, Era, Outbound, Peer, Transport};
use crate::net::{Events, collect};

/// Pages of one list that are read; a server with more is listed as far as this.
const PAGES_MAX: usize = 64;

/// Bytes of one page.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// All tools of a server.
///
/// # Errors
/// [`ForwardError`]: it gave no list.
pub(super) async fn list(
    server: &Arc<str>,
    upstream: &dyn Upstream,
    asker: Asker<'_>,
) -> Result<Vec<Listed>, ForwardError> {
    if upstream.has_sessions() {
        // A process of its own would run what nobody called, and could list other tools.
        return pages(server, upstream, &Speaker::of(asker)).await;
    }
    match pages(server, upstream, &Speaker::own(Era::Modern, None)).await {
        Ok(tools) => Ok(tools),
        Err(error) => {
            tracing::debug!(%server, %error, "not a server of the stateless era");
            list_legacy(server, upstream).await
        }
    }
}

async fn list_legacy(server: &Arc<str>, upstream: &dyn Upstream) -> Result<Vec<Listed>, ForwardError> {
    let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client_info() });
    let speaker = Speaker::own(Era::Legacy, None);
    let request = speaker.frame(server, "initialize", Some("\"countersign-initialize\""), &hello);
    let (headers, _) = ask(server, upstream, request).await?;
    let session = headers.get("mcp-session-id").cloned();
    let speaker = Speaker::own(Era::Legacy, session.as_ref());
    let ready = speaker.frame(server, "notifications/initialized", None, &json!({}));
    let listed = match upstream.send(ready).await {
        Ok(_) => pages(server, upstream, &speaker).await,
        Err(error) => Err(error),
    };
    if session.is_some() {
        let mut end = speaker.frame(server, "DELETE", None, &Value::Null);
        end.outbound.method = Method::DELETE;
        end.outbound.body = Bytes::new();
        if let Err(error) = upstream.send(end).await {
            tracing::debug!(%server, %error, "end the session used for listing");
        }
    }
    listed
}

async fn pages(server: &Arc<str>, upstream: &dyn Upstream, speaker: &Speaker) -> Result<Vec<Listed>, ForwardError> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for _page in 0..PAGES_MAX {
        let mut params = serde_json::Map::new();
        if speaker.client.era == Era::Modern {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": crate::intercept::MODERN_VERSION,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": client_info(),
            });
            params.insert("_meta".into(), meta);
        }
        if let Some(cursor) = cursor {
            params.insert("cursor".into(), cursor.into());
        }
        let request = speaker.frame(server, "tools/list", Some("\"countersign-list\""), &Value::Object(params));
        let (_, result) = ask(server, upstream, request).await?;
        all.extend(read_page(&result));
        cursor = result.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

fn client_info() -> Value {
    json!({ "name": "countersign", "version": env!("CARGO_PKG_VERSION") })
}

/// In whose name a frame of ours is sent.
struct Speaker {
    client: Client,
    caller: Digest,
}

impl Speaker {
    /// In that of a client: on its session.
    fn of(asker: Asker<'_>) -> Self {
        let client = Client { accepts_stream: true, progress_token: None, ..asker.client.clone() };
        Self { client, caller: asker.caller }
    }

    /// In our own.
    fn own(era: Era, session: Option<&HeaderValue>) -> Self {
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
            held: crate::model::Held::default(),
        };
        Self { client, caller: Digest::of(b"countersign listing") }
    }

    /// A protocol frame.
    fn frame(&self, server: &Arc<str>, method: &str, id: Option<&str>, params: &Value) -> Cleared {
        let id_member = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
        let body = format!("{{\"jsonrpc\":\"2.0\",{id_member}\"method\":\"{method}\",\"params\":{params}}}");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if self.client.era == Era::Modern {
            headers.insert("mcp-protocol-version", HeaderValue::from_static(crate::intercept::MODERN_VERSION));
            headers.extend(HeaderValue::from_str(method).map(|value| (HeaderName::from_static("mcp-method"), value)));
        } else if method != "initialize" {
            headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
        }
        let session = self.client.protocol_session.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(session)) = session {
            headers.insert("mcp-session-id", session);
        }
        let outbound =
            Outbound { server: Arc::clone(server), method: Method::POST, path: "".into(), headers, body: body.into() };
        Cleared {
            outbound,
            client: self.client.clone(),
            action: None,
            jsonrpc_id: id.map(Arc::from),
            method: method.into(),
            caller: self.caller,
        }
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
