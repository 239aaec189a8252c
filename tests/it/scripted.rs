//! A scripted MCP server behind the product: it remembers everything that reached it.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// One request as the scripted server received it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

type Script = dyn Fn(&Received) -> Response<countersign::net::Body> + Send + Sync;

/// A scripted MCP server that remembers everything it received.
pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    pub(crate) async fn start(
        script: impl Fn(&Received) -> Response<countersign::net::Body> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (log, script): (_, Arc<Script>) = (Arc::clone(&received), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        let request = Received { method: parts.method, headers: parts.headers, body };
                        log.lock().unwrap().push(request.clone());
                        Ok::<_, std::convert::Infallible>(script(&request))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, received }
    }

    /// Everything that was received but our own listing of tools.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The tool calls that arrived.
    pub(crate) fn calls(&self) -> Vec<Received> {
        self.received().into_iter().filter(|request| request.json()["method"] == "tools/call").collect()
    }
}

/// Answers as a server of the stateless era with the same tools.
pub(crate) fn stateless(request: &Received) -> Response<countersign::net::Body> {
    let message = request.json();
    let id = message["id"].clone();
    let tools = ["echo", "send", "delete", "pay", "read"]
        .map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }));
    let result = match message["method"].as_str() {
        Some("tools/list") => json!({ "resultType": "complete", "tools": tools, "ttlMs": 0, "cacheScope": "private" }),
        Some("tools/call") => json!({
            "resultType": "complete", "content": [{ "type": "text", "text": "done" }], "isError": false,
        }),
        _ => json!({ "resultType": "complete" }),
    };
    respond(StatusCode::OK, &json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
}

/// Answers as an ordinary MCP server of the older era with a handful of tools, `echo` among them.
pub(crate) fn ordinary(request: &Received) -> Response<countersign::net::Body> {
    let message = request.json();
    let id = message["id"].clone();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "scripted", "version": "1" },
        }),
        Some("tools/list") => {
            let tools = ["echo", "send", "delete", "pay", "read"]
                .map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }));
            json!({ "tools": tools })
        }
        Some("tools/call") => json!({
            "content": [{ "type": "text", "text": message["params"]["arguments"].to_string() }], "isError": false,
        }),
        Some(_) if !id.is_null() => json!({}),
        _ => return respond(StatusCode::ACCEPTED, ""),
    };
    if message["method"] == "tools/list" && request.headers.contains_key("mcp-method") {
        // Not a server of the stateless era.
        let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "no" } });
        return respond(StatusCode::BAD_REQUEST, &error.to_string());
    }
    respond(StatusCode::OK, &json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string())
}

pub(crate) fn respond(status: StatusCode, body: &str) -> Response<countersign::net::Body> {
    let mut response = Response::new(countersign::net::full(body.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}
