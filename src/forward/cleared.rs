//! The proof that a frame may leave.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::Origin;
use crate::model::{ActionId, Client, Digest, Outbound};

/// A frame that may leave for its server: decided and durable, or a protocol frame from the fixed list.
///
/// Only this stage can make one.
#[derive(Debug)]
pub struct Cleared {
    pub(super) outbound: Outbound,
    pub(super) client: Client,
    /// The action, as the header `Countersign-Action` tells the server. `None` for protocol frames.
    pub(super) action: Option<ActionId>,
    /// The JSON-RPC id as it is written; `None` for notifications, responses and plain HTTP.
    pub(super) jsonrpc_id: Option<Arc<str>>,
    /// The JSON-RPC method; empty for responses.
    pub(super) method: Arc<str>,
    /// Tells callers apart whose state a server process must not share.
    pub(super) caller: Digest,
}

impl Cleared {
    /// A JSON-RPC response in a client's place, in its session.
    pub(super) fn response(message: Bytes, origin: &Origin) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let mut copy = |name: &'static str, value: Option<&Arc<str>>| {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                headers.insert(name, value);
            }
        };
        copy("mcp-session-id", origin.client.protocol_session.as_ref());
        copy("mcp-protocol-version", origin.client.protocol_version.as_ref());
        let (server, path) = (Arc::clone(&origin.server), Arc::from(""));
        Self {
            outbound: Outbound { server, method: Method::POST, path, headers, body: message },
            client: origin.client.clone(),
            action: None,
            jsonrpc_id: None,
            method: Arc::from(""),
            caller: origin.caller,
        }
    }

    /// What is sent.
    #[must_use]
    pub const fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Who sent it.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The action's id; `None` for protocol frames.
    #[must_use]
    pub const fn action(&self) -> Option<&ActionId> {
        self.action.as_ref()
    }

    /// The JSON-RPC id as it is written.
    #[must_use]
    pub fn jsonrpc_id(&self) -> Option<&str> {
        self.jsonrpc_id.as_deref()
    }

    /// The JSON-RPC method; empty for responses.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Tells callers apart whose state a server process must not share.
    #[must_use]
    pub const fn caller(&self) -> Digest {
        self.caller
    }
}
