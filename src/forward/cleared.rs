//! The proof that a frame may leave.

use std::sync::Arc;

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
