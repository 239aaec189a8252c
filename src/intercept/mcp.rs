//! One MCP message over HTTP or standard input: checked, and turned into a [`Call`].

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;

use super::inputs::read_input_responses;
use super::{Head, Malformed, frame_kind};
use crate::model::json::{Kind, Limits, View, scan};
use crate::model::{
    Action, ActionId, Arguments, Call, Client, Credentials, Era, FrameKind, Held, NativeName, Outbound, Peer,
    Timestamp, Transport,
};

/// The first version of the stateless era.
pub const MODERN_VERSION: &str = "2026-07-28";

/// Longest name or URI of an operation: they are repeated in every entry.
const OPERATION_BYTES_MAX: usize = 2_048;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// What a message cannot say about itself.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The configured alias of the server it is for.
    pub server: Arc<str>,
    /// The id it will have in the evidence.
    pub action: ActionId,
    /// When its last byte had arrived.
    pub received: Timestamp,
    /// Bounds on the JSON.
    pub limits: Limits,
}

/// A message that is refused, with its JSON-RPC id as written when one could be read.
pub type Refused = (Malformed, Option<Arc<str>>);

/// Reads one message that came over HTTP.
///
/// # Errors
/// [`Refused`]: the message is not strict JSON, not one JSON-RPC message of MCP, or its headers say something else than
/// its body.
pub fn read(head: &Head, body: Bytes, arrival: Arrival) -> Result<Call, Refused> {
    let header_version = head.text("mcp-protocol-version");
    let message = Message::parse(&body, arrival.limits)?;
    let root = message.root();
    let id = message.id.clone();
    let checked = check_headers(head, root, &message.method, message.era(header_version));
    checked.map_err(|problem| (problem, id.clone()))?;
    let client = Client {
        peer: Peer::Address(head.peer),
        transport: Transport::McpHttp,
        era: message.era(header_version),
        protocol_version: message.version().or_else(|| header_version.map(Arc::from)),
        protocol_session: head.text("mcp-session-id").map(Arc::from),
        accepts_stream: head.text("accept").is_some_and(|accept| accept.contains("text/event-stream")),
        ..message.client(&body)
    };
    let outbound = Outbound {
        server: Arc::clone(&arrival.server),
        method: head.method.clone(),
        path: Arc::from(""),
        headers: head.forwarded(),
        body: body.clone(),
    };
    message.into_call(&body, arrival, client, head.credentials(), outbound).map_err(|problem| (problem, id))
}

/// Reads one message that came as a line over standard input.
///
/// # Errors
/// As [`read`]; there are no headers to compare.
pub fn read_line(line: Bytes, arrival: Arrival, peer: Peer, credentials: Credentials) -> Result<Call, Refused> {
    let message = Message::parse(&line, arrival.limits)?;
    let id = message.id.clone();
    let client = Client {
        peer,
        transport: Transport::McpStdio,
        era: message.era(None),
        accepts_stream: true,
        ..message.client(&line)
    };
    let outbound = Outbound {
        server: Arc::clone(&arrival.server),
        method: http::Method::POST,
        path: Arc::from(""),
        headers: HeaderMap::new(),
        body: line.clone(),
    };
    message.into_call(&line, arrival, client, credentials, outbound).map_err(|problem| (problem, id))
}

/// The older era's `GET` (the server's own stream) and `DELETE` (the end of a session), as protocol frames.
#[must_use]
pub(super) fn stream_frame(head: &Head, arrival: Arrival) -> Call {
    let method: Arc<str> = head.method.as_str().into();
    let action = Action {
        id: arrival.action,
        tool: Arc::clone(&arrival.server),
        operation: Arc::clone(&method),
        native: NativeName { server: Arc::clone(&arrival.server), operation: Arc::clone(&method), wrapper: None },
        method,
        arguments: Arguments::none(),
        destination: None,
        received: arrival.received,
        jsonrpc_id: None,
        trace: None,
    };
    let version = head.text("mcp-protocol-version");
    let modern = version.is_some_and(|version| version.len() == 10 && version >= MODERN_VERSION);
    let client = Client {
        peer: Peer::Address(head.peer),
        transport: Transport::McpHttp,
        era: if modern { Era::Modern } else { Era::Legacy },
        protocol_version: version.map(Arc::from),
        name: None,
        version: None,
        protocol_session: head.text("mcp-session-id").map(Arc::from),
        meta: None,
        url_elicitation: false,
        accepts_stream: true,
        progress_token: None,
        held: Held::default(),
    };
    let outbound = Outbound {
        server: arrival.server,
        method: head.method.clone(),
        path: Arc::from(""),
        headers: head.forwarded(),
        body: Bytes::new(),
    };
    Call { action, kind: FrameKind::Protocol, client, credentials: head.credentials(), outbound, inputs: Vec::new() }
}

/// A scanned message: text, places of values, and the members that say what it is.
struct Message<'a> {
    text: &'a str,
    document: crate::model::json::Document,
    id: Option<Arc<str>>,
    /// Empty for a response.
    method: Arc<str>,
}

impl<'a> Message<'a> {
    fn parse(body: &'a [u8], limits: Limits) -> Result<Self, Refused> {
        let (text, document) = scan(body, limits).map_err(|problem| (Malformed::Json(problem), None))?;
        let root = document.root(text);
        match root.kind() {
            Kind::Object => {}
            Kind::Array => return Err((Malformed::Batch, None)),
            _ => return Err((Malformed::Envelope("a message is a JSON object".into()), None)),
        }
        let id = root.get("id").filter(|id| is_id(*id)).map(|id| Arc::from(id.text()));
        let refuse = |text: &str| Err((Malformed::Envelope(text.into()), id.clone()));
        if root.get("jsonrpc").and_then(|version| version.as_str()).as_deref() != Some("2.0") {
            return refuse("`jsonrpc` must be \"2.0\"");
        }
        let is_null = root.get("id").is_some_and(|id| id.kind() == Kind::Null);
        let answers = root.get("result").is_some() || root.get("error").is_some();
        if root.get("id").is_some() && id.is_none() && !(is_null && answers) {
            return refuse("`id` must be a string or an integer");
        }
        let method = match root.get("method") {
            Some(method) if !answers => method.as_str().filter(|name| !name.is_empty()),
            None if answers => Some("".into()),
            _ => None,
        };
        let Some(method) = method else {
            return refuse("a message has either a `method` or a `result` or `error`");
        };
        if root.get("params").is_some_and(|params| params.kind() != Kind::Object) {
            return Err((Malformed::Parameters("`params` must be an object".into()), id));
        }
        let method = Arc::from(&*method);
        Ok(Self { text, document, id, method })
    }

    fn root(&self) -> View<'_> {
        self.document.root(self.text)
    }

    fn meta(&self) -> Option<View<'_>> {
        self.root().get("params")?.get("_meta").filter(|meta| meta.kind() == Kind::Object)
    }

    /// The protocol version that the body itself names: in `_meta`, or in the parameters of `initialize`.
    fn version(&self) -> Option<Arc<str>> {
        let meta = || self.meta()?.get(META_VERSION)?.as_str();
        let initialize = || self.root().get("params")?.get("protocolVersion")?.as_str();
        let version = if &*self.method == "initialize" { initialize() } else { meta() };
        version.map(|version| Arc::from(&*version))
    }

    fn era(&self, header: Option<&str>) -> Era {
        let meta = self.meta().and_then(|meta| meta.get(META_VERSION)).is_some();
        // Dates compare as text.
        let modern_header = header.is_some_and(|version| version.len() == 10 && version >= MODERN_VERSION);
        if meta || modern_header { Era::Modern } else { Era::Legacy }
    }

    fn client(&self, body: &Bytes) -> Client {
        let params = self.root().get("params");
        let meta = self.meta();
        let info = find(meta, params, META_CLIENT, "clientInfo");
        let capabilities = find(meta, params, META_CAPABILITIES, "capabilities");
        let text = |parent: Option<View<'_>>, name: &str| {
            parent.and_then(|parent| parent.get(name)).and_then(|value| value.as_str()).map(|value| Arc::from(&*value))
        };
        Client {
            peer: Peer::Process(0),
            transport: Transport::McpHttp,
            era: Era::Legacy,
            protocol_version: self.version(),
            name: text(info, "name"),
            version: text(info, "version"),
            protocol_session: None,
            meta: meta.map(|meta| body.slice(meta.span())),
            url_elicitation: capabilities.and_then(|all| all.pointer("/elicitation/url")).is_some(),
            accepts_stream: false,
            progress_token: meta.and_then(|meta| meta.get("progressToken")).map(|token| Arc::from(token.text())),
            held: Held::default(),
        }
    }

    fn into_call(
        self,
        body: &Bytes,
        arrival: Arrival,
        client: Client,
        credentials: Credentials,
        outbound: Outbound,
    ) -> Result<Call, Malformed> {
        let params = self.root().get("params");
        let mut inputs = match params.and_then(|params| params.get("inputResponses")) {
            Some(responses) => read_input_responses(responses, body, &arrival, &client, &credentials)?,
            None => Vec::new(),
        };
        for input in &mut inputs {
            input.action.jsonrpc_id.clone_from(&self.id);
        }
        let kind = match frame_kind(&self.method) {
            _ if self.method.is_empty() => FrameKind::Response,
            // What brings data along is more than its method says.
            FrameKind::Protocol if !inputs.is_empty() => FrameKind::Action,
            kind => kind,
        };
        let notification = self.id.is_none() && kind != FrameKind::Response;
        if notification && !self.method.starts_with("notifications/") {
            return Err(Malformed::Envelope(format!("`{}` needs an `id`", shorten(&self.method))));
        }
        let operation = operation(&self.method, params)?;
        let arguments = match (&*self.method, params) {
            (_, None) => Arguments::none(),
            ("tools/call" | "prompts/get", Some(params)) => match params.get("arguments") {
                None => Arguments::none(),
                Some(arguments) => argument_text(arguments, body)?,
            },
            (_, Some(params)) if kind == FrameKind::Action => argument_text(params, body)?,
            _ => Arguments::none(),
        };
        let trace =
            self.meta().and_then(|meta| meta.get("traceparent")).and_then(|value| trace_parent(&value.as_str()?));
        let native =
            NativeName { server: Arc::clone(&arrival.server), operation: Arc::clone(&operation), wrapper: None };
        let action = Action {
            id: arrival.action,
            tool: arrival.server,
            operation,
            native,
            method: Arc::clone(&self.method),
            arguments,
            destination: None,
            received: arrival.received,
            jsonrpc_id: self.id,
            trace,
        };
        Ok(Call { action, kind, client, credentials, outbound, inputs })
    }
}

fn find<'a>(meta: Option<View<'a>>, params: Option<View<'a>>, modern: &str, legacy: &str) -> Option<View<'a>> {
    meta.and_then(|meta| meta.get(modern)).or_else(|| params.and_then(|params| params.get(legacy)))
}

/// JSON-RPC ids of MCP: strings and integers, never null or fractions.
fn is_id(id: View<'_>) -> bool {
    match id.kind() {
        Kind::String => id.text().len() <= 1_024,
        Kind::Number => id.text().len() <= 32 && !id.text().contains(['.', 'e', 'E']),
        _ => false,
    }
}

/// What the action does, by the protocol's own name for it (design §14.1).
fn operation(method: &Arc<str>, params: Option<View<'_>>) -> Result<Arc<str>, Malformed> {
    let member = match &**method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" | "resources/subscribe" => "uri",
        _ => return Ok(Arc::clone(method)),
    };
    let name = params.and_then(|params| params.get(member)).and_then(|value| value.as_str());
    match name {
        Some(name) if !name.is_empty() && name.len() <= OPERATION_BYTES_MAX => Ok(Arc::from(&*name)),
        // Whether the server knows the method at all is its own to say.
        None if &**method != "tools/call" => Ok(Arc::clone(method)),
        _ => Err(Malformed::Parameters(format!(
            "`params.{member}` must be a string of 1 to {OPERATION_BYTES_MAX} bytes"
        ))),
    }
}

pub(super) fn argument_text(arguments: View<'_>, body: &Bytes) -> Result<Arguments, Malformed> {
    if arguments.kind() != Kind::Object {
        return Err(Malformed::Parameters("`params.arguments` must be an object".into()));
    }
    let span = arguments.span();
    let value = serde_json::from_str(arguments.text())
        .map_err(|_| Malformed::Parameters("a number in the parameters is out of range".into()))?;
    Ok(Arguments { offset: Some(span.start), text: body.slice(span), value: Arc::new(value) })
}

/// Trace id and parent span id of a W3C `traceparent`, version 00.
fn trace_parent(text: &str) -> Option<(Arc<str>, Arc<str>)> {
    let mut parts = text.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (version == "00" && hex(trace, 32) && hex(span, 16)).then(|| (Arc::from(trace), Arc::from(span)))
}

/// The headers that repeat the body must repeat it exactly (MCP 2026-07-28, standard headers): whoever routes or
/// decides by the header must see what the server will see in the body.
fn check_headers(head: &Head, root: View<'_>, method: &str, era: Era) -> Result<(), Malformed> {
    let mismatch = |text: String| Err(Malformed::HeaderMismatch(text));
    let params = root.get("params");
    let meta = params.and_then(|params| params.get("_meta")).and_then(|meta| meta.get(META_VERSION));
    if let Some(version) = meta.and_then(|version| version.as_str()) {
        match head.text("mcp-protocol-version") {
            Some(header) if header == version => {}
            Some(_) => return mismatch("`MCP-Protocol-Version` differs from the version in the body".into()),
            None => return mismatch("`MCP-Protocol-Version` is missing".into()),
        }
    }
    if method.is_empty() {
        return Ok(());
    }
    let required = era == Era::Modern;
    match head.headers.get("mcp-method").map(|value| value.as_bytes()) {
        Some(header) if header == method.as_bytes() => {}
        Some(_) => return mismatch("`Mcp-Method` differs from the method in the body".into()),
        None if required => return mismatch("`Mcp-Method` is missing".into()),
        None => {}
    }
    let named = match method {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        "tasks/get" | "tasks/update" | "tasks/cancel" => "taskId",
        _ => return Ok(()),
    };
    let name = params.and_then(|params| params.get(named)).and_then(|name| name.as_str()).unwrap_or_default();
    match head.headers.get("mcp-name") {
        Some(header) if header.to_str().ok().and_then(decode_header).as_deref() == Some(&*name) => Ok(()),
        Some(_) => mismatch(format!("`Mcp-Name` differs from `params.{named}` in the body")),
        None if required => mismatch("`Mcp-Name` is missing".into()),
        None => Ok(()),
    }
}

/// The value of an MCP header: as it stands, or behind the sentinel `=?base64?...?=`.
fn decode_header(text: &str) -> Option<String> {
    match text.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
        Some(encoded) => String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}
