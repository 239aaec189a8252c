//! One request as it was intercepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::{Action, SessionId};

/// One intercepted request: what was asked, who says they ask, and the bytes to forward.
#[derive(Clone, Debug)]
pub struct Call {
    /// The action in normal form. For protocol frames and responses too: they go through the same door.
    pub action: Action,
    /// Whether the frame asks for an effect or belongs to the protocol.
    pub kind: FrameKind,
    /// The program that sent it.
    pub client: Client,
    /// What it showed to say who it is.
    pub credentials: Credentials,
    /// What is forwarded when it is permitted.
    pub outbound: Outbound,
    /// The client's answers to what its server asked, which travel inside this call (MCP 2026-07-28,
    /// `inputResponses`): actions of their own, decided before it.
    pub inputs: Vec<Self>,
}

impl Call {
    /// Takes `body` in place of what came: the `before` bytes at `at` became `after` bytes.
    pub fn replace_body(&mut self, body: Bytes, at: usize, before: usize, after: usize) {
        let inside = self.inputs.iter_mut().map(|input| &mut input.action.arguments);
        for arguments in std::iter::once(&mut self.action.arguments).chain(inside) {
            arguments.moved(&body, at, before, after);
        }
        self.outbound.body = body;
    }
}

/// What a frame is to the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Asks for an effect or carries intent or data: decided and recorded. Every method that is not known to be
    /// something else is one.
    Action,
    /// A frame of the protocol itself, from a fixed list: counted, not recorded (design §14.8).
    Protocol,
    /// A client's answer to a request that the server sent.
    Response,
}

/// The program at the other end.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where it is.
    pub peer: Peer,
    /// How it speaks.
    pub transport: Transport,
    /// Which protocol family.
    pub era: Era,
    /// The protocol version it named.
    pub protocol_version: Option<Arc<str>>,
    /// `clientInfo`, name and version: self-reported, never evidence.
    pub name: Option<Arc<str>>,
    /// Version of the client program, self-reported.
    pub version: Option<Arc<str>>,
    /// `Mcp-Session-Id` of the older era.
    pub protocol_session: Option<Arc<str>>,
    /// Members of `_meta` that can correlate or carry intent, as raw JSON text.
    pub meta: Option<Bytes>,
    /// Whether it declared that it can show a URL to a person.
    pub url_elicitation: bool,
    /// Whether it accepts an event stream as the answer.
    pub accepts_stream: bool,
    /// The progress token of the call as written, if it asked for progress.
    pub progress_token: Option<Arc<str>>,
    /// Whether the call is held, for whoever tells the client.
    pub held: Held,
}

/// Whether a call waits for somebody at this moment. Clones say the same. By default nobody looks.
#[derive(Clone, Debug, Default)]
pub struct Held(Option<Arc<AtomicBool>>);

impl Held {
    /// One that somebody looks at.
    #[must_use]
    pub fn watched() -> Self {
        Self(Some(Arc::default()))
    }

    /// Says that the call begins or ceases to wait.
    pub fn set(&self, held: bool) {
        if let Some(flag) = &self.0 {
            flag.store(held, Ordering::Relaxed);
        }
    }

    /// Whether it waits now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// Where a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A socket address.
    Address(SocketAddr),
    /// Standard input and output, with the process id.
    Process(u32),
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A plain HTTP tool interface.
    Http,
    /// MCP over Streamable HTTP.
    McpHttp,
    /// MCP over standard input and output.
    McpStdio,
}

impl Transport {
    /// The word that entries and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::McpHttp => "mcp_http",
            Self::McpStdio => "mcp_stdio",
        }
    }
}

/// The two families of MCP versions, which differ in sessions, streams and cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// 2025-03-26 to 2025-11-25: `initialize`, sessions, server-to-client requests; a disconnect is not a cancellation.
    Legacy,
    /// 2026-07-28: stateless; closing the stream is the cancellation.
    Modern,
}

/// What a caller showed. Values stay in memory and are never logged: see the `Debug` of each consumer.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The value of `Authorization`, if there was exactly one.
    pub authorization: Option<Arc<str>>,
    /// Whether `Authorization` stood there more than once, which is refused.
    pub ambiguous: bool,
    /// The verified client certificate in DER.
    pub certificate: Option<Arc<[u8]>>,
    /// The operating-system user of a stdio client.
    pub operating_system_user: Option<Arc<str>>,
    /// `X-User-Id` and its kin, heeded only from a trusted proxy.
    pub proxy_headers: ProxyHeaders,
    /// What says which session the call belongs to.
    pub session: SessionCredential,
}

/// A session token on its way from what was shown to what it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionCredential {
    /// There is none.
    #[default]
    None,
    /// The value of `Countersign-Session`, not looked at yet.
    Shown(Arc<str>),
    /// A token of this instance for this caller.
    Verified(Arc<SessionToken>),
}

impl SessionCredential {
    /// What the token says, once it was verified.
    #[must_use]
    pub fn verified(&self) -> Option<&SessionToken> {
        match self {
            Self::Verified(token) => Some(token),
            Self::None | Self::Shown(_) => None,
        }
    }
}

/// What a session token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionToken {
    /// The session.
    pub session: SessionId,
    /// What the user wants, in the user's words.
    pub intent: Option<Arc<str>>,
    /// The class of that, when whoever asked for the token named one.
    pub class: Option<Arc<str>>,
    /// When it was signed, microseconds: a newer one for the same session is one more turn.
    pub issued_us: u64,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = if self.authorization.is_some() { "Authorization (hidden)" } else { "no Authorization" };
        f.write_str(shown)
    }
}

/// Identity headers of AARM's gateway page. Worth nothing unless the peer is a trusted proxy (resolution G-10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeaders {
    /// `X-User-Id`
    pub human: Option<Arc<str>>,
    /// `X-Service-Id`
    pub service: Option<Arc<str>>,
    /// `X-Agent-Id`
    pub agent: Option<Arc<str>>,
    /// `X-Session-Id`
    pub session: Option<Arc<str>>,
    /// `X-User-Role`
    pub role: Option<Arc<str>>,
    /// `X-Delegation-Chain`: `a->b->c`
    pub delegation: Option<Arc<str>>,
    /// Whether one of them stood there more than once: a proxy that appends lets its client speak first.
    pub ambiguous: bool,
}

/// What is sent upstream when the call is permitted: the client's own bytes.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The configured alias of the server.
    pub server: Arc<str>,
    /// The HTTP method; `POST` for everything that came over standard input.
    pub method: Method,
    /// Path and query below the server's base, for plain HTTP tools; empty for MCP.
    pub path: Arc<str>,
    /// End-to-end headers, without credentials.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}
