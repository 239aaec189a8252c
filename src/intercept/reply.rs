//! The one place where an error becomes something on a wire.
//!
//! A policy's refusal of a tool call is an ordinary result with `isError: true`: it is the only form that every client
//! and framework passes on to the model and that ends no session. JSON-RPC errors are for everything that is not a tool
//! call and for what cannot be understood; 401 is for credentials alone. Nothing is ever added to the JSON-RPC
//! envelope: strict clients reject messages with members they do not know.

use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use crate::model::json::{JsonError, write_string};
use crate::model::{Call, Era, Pending, Refusal, RefusalKind, Transport};
use crate::net::{Body, full};

/// A request that is refused before it is a call. Each variant is one answer on the wire.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Malformed {
    /// A JSON-RPC batch: removed from MCP in 2025-06-18, and a way to hide a call from a mediator.
    #[error("batches are part of MCP 2025-03-26 alone, over HTTP; send one message a request")]
    Batch,
    /// Not a JSON-RPC message that MCP knows.
    #[error("{0}")]
    Envelope(String),
    /// `Host` or `Origin` names somebody that may not call.
    #[error("`{0}` is not one that may call this proxy; the operator can allow it under `intercept`")]
    Forbidden(&'static str),
    /// A header that is missing, doubled or unreadable.
    #[error("{0}")]
    Header(String),
    /// A header says something else than the body (MCP 2026-07-28, `HeaderMismatch`).
    #[error("{0}")]
    HeaderMismatch(String),
    /// Not strict JSON.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// An HTTP method that this path does not have.
    #[error("this path takes {0}")]
    MethodNotAllowed(&'static str),
    /// A path that leads nowhere.
    #[error("{0}")]
    NotFound(String),
    /// Parameters that MCP does not allow here.
    #[error("{0}")]
    Parameters(String),
    /// The body did not arrive in time.
    #[error("the request body did not arrive within {0} s")]
    Slow(u64),
    /// The body is larger than the limit.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// A form that this proxy does not read.
    #[error("{0} is not accepted")]
    Unsupported(&'static str),
}

impl Malformed {
    /// HTTP status and JSON-RPC error code.
    const fn codes(&self) -> (StatusCode, i64) {
        match self {
            Self::Batch | Self::Envelope(_) | Self::Header(_) => (StatusCode::BAD_REQUEST, -32600),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, -32600),
            Self::HeaderMismatch(_) => (StatusCode::BAD_REQUEST, -32020),
            Self::Json(_) => (StatusCode::BAD_REQUEST, -32700),
            Self::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, -32600),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, -32600),
            Self::Parameters(_) => (StatusCode::BAD_REQUEST, -32602),
            Self::Slow(_) => (StatusCode::REQUEST_TIMEOUT, -32600),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, -32600),
            Self::Unsupported(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, -32600),
        }
    }
}

/// JSON-RPC error code of a decision against a message that is not a tool call.
pub const REFUSED: i64 = 40_301;

/// Application error codes lie outside the range that JSON-RPC reserves: the HTTP status and two digits.
mod code {
    pub(super) const PENDING: i64 = 20_201;
    pub(super) const UNAUTHENTICATED: i64 = 40_101;
    pub(super) const OVERLOADED: i64 = 42_901;
    pub(super) const INTERNAL: i64 = 50_001;
    pub(super) const UPSTREAM: i64 = 50_201;
    pub(super) const LOG: i64 = 50_301;
    pub(super) const UPSTREAM_TIMEOUT: i64 = 50_401;
}

/// The answer to a request that is not a call. `id` is the JSON-RPC id as written, when one was read.
#[must_use]
pub fn malformed(problem: &Malformed, id: Option<&str>) -> Response<Body> {
    let (status, code) = problem.codes();
    let mut response = json(status, error_line(id, code, &problem.to_string()));
    if let Malformed::MethodNotAllowed(allowed) = problem
        && let Ok(value) = HeaderValue::from_str(allowed)
    {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// What an answer's form depends on.
#[derive(Clone, Debug)]
pub struct AnswerForm {
    id: Option<Arc<str>>,
    method: Arc<str>,
    server: Arc<str>,
    era: Era,
    transport: Transport,
}

impl AnswerForm {
    /// The form of the answer to `call`.
    #[must_use]
    pub fn of(call: &Call) -> Self {
        let (action, client) = (&call.action, &call.client);
        let (id, method) = (action.jsonrpc_id.clone(), Arc::clone(&action.method));
        let server = Arc::clone(&action.native.server);
        Self { id, method, server, era: client.era, transport: client.transport }
    }
}

/// The answer to a call that ends here.
#[must_use]
pub fn refusal(refusal: &Refusal, form: &AnswerForm) -> Response<Body> {
    let (status, code) = codes(refusal);
    if form.transport == Transport::Http {
        let mut response = problem(status, refusal);
        if let RefusalKind::Pending(pending) = &refusal.kind {
            // The same request again is how an agent learns what came of it.
            let location = HeaderValue::from_str(&format!("/http/{}{}", form.server, pending.path));
            response.headers_mut().extend(location.ok().map(|location| (header::LOCATION, location)));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        return response;
    }
    if status == StatusCode::UNAUTHORIZED {
        let mut response = json(status, error_line(form.id.as_deref(), code, &refusal.outside));
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let Some(id) = form.id.as_deref() else {
        // A notification has no answer: accepted and gone, as the transport asks.
        return empty(StatusCode::ACCEPTED);
    };
    json(StatusCode::OK, refusal_line(refusal, &form.method, id, form.era))
}

/// The message that says so, without a line feed: for a tool call a result, for everything else a JSON-RPC error.
#[must_use]
pub fn refusal_line(refusal: &Refusal, method: &str, id: &str, era: Era) -> String {
    if let RefusalKind::Pending(pending) = &refusal.kind
        && let Some(state) = &pending.state
    {
        return another_round(id, refusal, pending, state);
    }
    match method {
        "tools/call" => tool_error(id, refusal, era),
        _ => error_line(Some(id), codes(refusal).1, &explain(refusal)),
    }
}

/// HTTP status and JSON-RPC error code.
const fn codes(refusal: &Refusal) -> (StatusCode, i64) {
    match &refusal.kind {
        RefusalKind::Decided { .. } => (StatusCode::FORBIDDEN, REFUSED),
        RefusalKind::Pending(_) => (StatusCode::ACCEPTED, code::PENDING),
        RefusalKind::Unauthenticated { .. } => (StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED),
        RefusalKind::LogUnavailable => (StatusCode::SERVICE_UNAVAILABLE, code::LOG),
        RefusalKind::Overloaded => (StatusCode::TOO_MANY_REQUESTS, code::OVERLOADED),
        RefusalKind::UpstreamUnavailable { .. } => (StatusCode::BAD_GATEWAY, code::UPSTREAM),
        RefusalKind::UpstreamTimeout { .. } => (StatusCode::GATEWAY_TIMEOUT, code::UPSTREAM_TIMEOUT),
        RefusalKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL),
    }
}

/// One JSON-RPC error message, without a line feed. The id is copied as it was written.
#[must_use]
pub fn error_line(id: Option<&str>, code: i64, message: &str) -> String {
    let mut line =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"error\":{{\"code\":{code},\"message\":", id.unwrap_or("null"));
    write_string(&mut line, message);
    line.push_str("}}");
    line
}

fn tool_error(id: &str, refusal: &Refusal, era: Era) -> String {
    let mut line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{");
    if era == Era::Modern {
        line.push_str("\"resultType\":\"complete\",");
    }
    line.push_str("\"content\":[{\"type\":\"text\",\"text\":");
    write_string(&mut line, &explain(refusal));
    line.push_str("}],\"isError\":true,\"_meta\":{\"countersign/decision\":");
    line.push_str(&details(refusal));
    line.push_str("}}}");
    line
}

/// A round of MCP 2026-07-28: the client comes back with the state, after its user saw the page when it can show one.
/// What the user answers there is a notice and no approval.
fn another_round(id: &str, refusal: &Refusal, pending: &Pending, state: &str) -> String {
    let mut line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"resultType\":\"input_required\",");
    if let Some(url) = pending.url.as_ref().filter(|_| pending.ask_to_open) {
        line.push_str("\"inputRequests\":{\"countersign/approval\":{\"method\":\"elicitation/create\",\"params\":{");
        line.push_str("\"mode\":\"url\",\"elicitationId\":");
        write_string(&mut line, pending.id.as_str());
        line.push_str(",\"url\":");
        write_string(&mut line, url);
        line.push_str(",\"message\":");
        write_string(&mut line, &refusal.outside);
        line.push_str("}}},");
    }
    line.push_str("\"requestState\":");
    write_string(&mut line, state);
    line.push_str(",\"_meta\":{\"countersign/decision\":");
    line.push_str(&details(refusal));
    line.push_str("}}}");
    line
}

/// The sentence that the model reads: what, by which policy, why, where it is recorded, and not to try again.
fn explain(refusal: &Refusal) -> String {
    let mut text = refusal.outside.to_string();
    match &refusal.kind {
        RefusalKind::Decided { policy, receipt, .. } => {
            let _written = write!(text, " (policy {}, receipt {receipt}). Do not retry unchanged.", policy.policy_id);
        }
        RefusalKind::Pending(pending) => {
            let _written = write!(
                text,
                " Approval pending, id {}. Call again later with exactly the same arguments to learn the answer.",
                pending.id
            );
        }
        _ => {}
    }
    text
}

/// What a program reads, as a JSON object.
fn details(refusal: &Refusal) -> String {
    let mut out = String::from("{");
    let mut member = |name: &str, value: &str| {
        if out.len() > 1 {
            out.push(',');
        }
        write_string(&mut out, name);
        out.push(':');
        write_string(&mut out, value);
    };
    if let Some(action) = &refusal.action {
        member("action_id", action.as_str());
    }
    match &refusal.kind {
        RefusalKind::Decided { verdict, policy, reason_code, receipt } => {
            member("decision", verdict.as_str());
            member("policy_id", &policy.policy_id);
            if let Some(rule) = &policy.rule_id {
                member("rule_id", rule);
            }
            member("reason_code", reason_code.as_str());
            member("receipt_id", receipt.as_str());
        }
        RefusalKind::Pending(pending) => {
            member("decision", pending.verdict.as_str());
            member("status", "pending");
            member("approval_id", pending.id.as_str());
            member("policy_id", &pending.policy.policy_id);
            member("reason_code", pending.reason_code.as_str());
            member("receipt_id", pending.receipt.as_str());
        }
        RefusalKind::LogUnavailable => member("reason_code", "log_unavailable"),
        RefusalKind::Overloaded => member("reason_code", "overloaded"),
        RefusalKind::Unauthenticated { .. } => member("reason_code", "unauthenticated"),
        RefusalKind::UpstreamTimeout { .. } => member("reason_code", "upstream_timeout"),
        RefusalKind::UpstreamUnavailable { .. } => member("reason_code", "upstream_unavailable"),
        RefusalKind::Internal => member("reason_code", "internal"),
    }
    out.push('}');
    out
}

/// RFC 9457, for tools that speak plain HTTP.
fn problem(status: StatusCode, refusal: &Refusal) -> Response<Body> {
    let title = if status == StatusCode::ACCEPTED { "Waits for a person" } else { "Refused by Countersign" };
    let mut body = format!("{{\"type\":\"about:blank\",\"title\":\"{title}\",\"status\":{},", status.as_u16());
    body.push_str("\"detail\":");
    write_string(&mut body, &explain(refusal));
    body.push_str(",\"countersign/decision\":");
    body.push_str(&details(refusal));
    body.push('}');
    let mut response = json(status, body);
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(crate::net::empty());
    *response.status_mut() = status;
    response
}
