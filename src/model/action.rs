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
    pub wrapper: Option<Arc<Wrapper>>,
}

/// A tool that runs another tool, as it was called (AARM ).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper {
    /// Its name: what the server is asked for.
    pub name: Arc<str>,
    /// Its arguments as a whole.
    pub arguments: Arc<serde_json::Value>,
    /// JSON pointer to the inner tool's arguments in them; empty when the inner tool has all of them.
    pub inner: Arc<str>,
}

impl Wrapper {
    /// Its arguments with others for the inner tool.
    #[must_use]
    pub fn with_inner(&self, inner: &serde_json::Value) -> serde_json::Value {
        let mut whole = self.arguments.as_ref().clone();
        if let Some(place) = whole.pointer_mut(&self.inner) {
            *place = inner.clone();
        }
        whole
    }
}

impl NativeName {
    /// The operation that the server is asked for: the wrapper, where there is one.
    #[must_use]
    pub fn called(&self) -> &str {
        self.wrapper.as_ref().map_or(&self.operation, |wrapper| &wrapper.name)
    }
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

impl Action {
    /// The arguments that the server will get as a whole: those of the wrapper, where there is one.
    #[must_use]
    pub fn whole_arguments(&self) -> &serde_json::Value {
        self.native.wrapper.as_ref().map_or(&self.arguments.value, |wrapper| &wrapper.arguments)
    }

    /// The same with other arguments for the action.
    #[must_use]
    pub fn whole_with<'v>(&self, value: &'v serde_json::Value) -> std::borrow::Cow<'v, serde_json::Value> {
        use std::borrow::Cow;
        self.native.wrapper.as_ref().map_or(Cow::Borrowed(value), |wrapper| Cow::Owned(wrapper.with_inner(value)))
    }
}

impl Arguments {
    /// No parameters.
    #[must_use]
    pub fn none() -> Self {
        let value = Arc::new(serde_json::Value::Object(serde_json::Map::new()));
        Self { text: Bytes::from_static(b"{}"), offset: None, value }
    }

    /// Follows a change of the body that they stand in: the `before` bytes at `at` became `after` bytes.
    pub(super) fn moved(&mut self, body: &Bytes, at: usize, before: usize, after: usize) {
        let Some(offset) = self.offset else { return };
        let resized = |length: usize| (length + after).saturating_sub(before);
        if offset > at {
            self.offset = Some(resized(offset));
        } else if at < offset + self.text.len() {
            let end = offset + resized(self.text.len());
            self.text = if end <= body.len() { body.slice(offset..end) } else { Bytes::new() };
            self.value = Arc::new(serde_json::from_slice(&self.text).unwrap_or_default());
        }
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
