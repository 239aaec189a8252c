//! What an agent asked for.

use std::sync::Arc;

use bytes::Bytes;

use super::{ActionId, Timestamp};

/// One intercepted action in normal form (AARM: the same request gives the same action, id and time aside).
#[derive(Clone, Debug)]
pub struct Action {
    /// Minted by the interceptor; also sent upstream as `Countersign-Action`.
    pub id: ActionId,
    /// The tool: the configured alias of the server, unless the `names:` table maps it.
    pub tool: Arc<str>,
    /// The operation: for MCP the name of the tool, prompt or resource; for HTTP the method and the matched path
    /// template; for other methods the method itself. The `names:` table may map it.
    pub operation: Arc<str>,
    /// The names before mapping, and before a wrapper tool was resolved (AARM ).
    pub native: NativeName,
    /// The protocol method: `tools/call`, `resources/read`, or the HTTP method.
    pub method: Arc<str>,
    /// The parameters.
    pub arguments: Arguments,
    /// Where the effect goes, when it can be told: the host of a URL argument, the domain of a recipient.
    pub destination: Option<Destination>,
    /// When the last byte of the request had arrived.
    pub received: Timestamp,
    /// The JSON-RPC id as it is written; `None` for notifications and for plain HTTP.
    pub jsonrpc_id: Option<Arc<str>>,
    /// W3C trace id and parent span id, when the client sent them: 32 and 16 hexadecimal digits.
    pub trace: Option<(Arc<str>, Arc<str>)>,
}

/// The names an action came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeName {
    /// The configured alias of the server.
    pub server: Arc<str>,
    /// The operation as the protocol names it.
    pub operation: Arc<str>,
    /// The wrapper tool an inner tool was found in.
    pub wrapper: Option<Arc<str>>,
}

/// The parameters of an action: the text that came and its value.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// The JSON text exactly as the client wrote it; `{}` when there was none.
    pub text: Bytes,
    /// Where `text` stands in the body of the request: `None` when it does not stand there as one piece (plain HTTP).
    pub offset: Option<usize>,
    /// The same, parsed: what rules and schemas look at. Shared, never changed.
    pub value: Arc<serde_json::Value>,
}

impl Arguments {
    /// No parameters.
    #[must_use]
    pub fn none() -> Self {
        let value = Arc::new(serde_json::Value::Object(serde_json::Map::new()));
        Self { text: Bytes::from_static(b"{}"), offset: None, value }
    }
}

/// Where the effect of an action goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A host or domain outside the configured internal domains.
    External(Arc<str>),
    /// A host or domain inside them.
    Internal(Arc<str>),
}

impl Destination {
    /// `external` or `internal`, as AARM's decision event writes it.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::External(_) => "external",
            Self::Internal(_) => "internal",
        }
    }

    /// The host or domain.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::External(name) | Self::Internal(name) => name,
        }
    }
}
