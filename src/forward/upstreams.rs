//! All configured servers, isolated from one another, and the one door to them.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use super::{
    AnswerLimits, Asker, Catalogue, Cleared, Completion, ForwardError, HangUp, Pending, PinError, ServerPins,
    ServerRequests, Upstream, Watch, watch,
};
use crate::decide::{CompiledTool, FramePermit, Permit};
use crate::model::{
    Call, Client, Clock, Digest, Enforcement, Identity, Outcome, OutcomeStatus, ResultSummary, ResultText,
    SessionCredential,
};
use crate::net::Body;
use crate::record::Decided;

/// One configured server.
pub struct Server {
    /// How it is reached.
    pub upstream: Arc<dyn Upstream>,
    /// What it says about its tools.
    pub tools: Arc<Catalogue>,
    /// Calls that wait for their answer on another stream.
    pub pending: Arc<Pending>,
    /// Whether decisions about it are carried out.
    pub enforcement: Enforcement,
    /// Whether it speaks MCP, and so can be listed.
    pub speaks_mcp: bool,
}

/// All configured servers.
pub struct Upstreams {
    servers: HashMap<Arc<str>, Server>,
    clock: Arc<dyn Clock>,
    limits: AnswerLimits,
}

/// Who a forwarded frame is for, besides its permit.
#[derive(Clone)]
pub struct Origin {
    /// The configured alias of the server.
    pub server: Arc<str>,
    /// The client.
    pub client: Client,
    /// Who is calling.
    pub identity: Arc<Identity>,
    /// Tells callers apart whose state a server process must not share.
    pub caller: Digest,
    /// The JSON-RPC id as written.
    pub jsonrpc_id: Option<Arc<str>>,
    /// The method.
    pub method: Arc<str>,
    /// The session token that was shown.
    pub session: SessionCredential,
    /// Who decides what the server asks of the client.
    pub requests: Arc<dyn ServerRequests>,
    /// Whether the client still waits.
    pub hang_up: HangUp,
}

impl Upstreams {
    /// The servers of a configuration.
    #[must_use]
    pub fn new(servers: HashMap<Arc<str>, Server>, clock: Arc<dyn Clock>, limits: AnswerLimits) -> Self {
        Self { servers, clock, limits }
    }

    /// One server by its alias.
    #[must_use]
    pub fn server(&self, alias: &str) -> Option<&Server> {
        self.servers.get(alias)
    }

    /// What is known about the tool that an action names. Lists the server first when it has not been listed.
    pub async fn tool(&self, call: &Call, caller: Digest) -> Option<Arc<CompiledTool>> {
        let action = &call.action;
        let server = self.servers.get(&action.native.server)?;
        if !server.speaks_mcp || &*action.method != "tools/call" {
            return None;
        }
        let asker = Asker { client: &call.client, caller };
        server.tools.ensure(server.upstream.as_ref(), self.clock.as_ref(), asker).await;
        server.tools.tool(action.native.called())
    }

    /// What is pinned of a server's tools; `None` when there is no such server.
    ///
    /// # Errors
    /// [`PinError`]: the pins cannot be read.
    pub fn pins(&self, alias: &str) -> Result<Option<ServerPins>, PinError> {
        self.servers.get(alias).map(|server| server.tools.pins()).transpose()
    }

    /// Accepts what tools of a server became, in the name of `actor`; `None` when there is no such server.
    ///
    /// # Errors
    /// [`PinError`]: nothing waits for it, or it could not be kept or recorded.
    pub async fn accept(&self, alias: &str, tool: Option<&str>, actor: &str) -> Result<Option<Vec<String>>, PinError> {
        let Some(server) = self.servers.get(alias) else { return Ok(None) };
        server.tools.accept(tool, actor, self.clock.now()).await.map(Some)
    }

    /// Forwards a permitted action whose decision is durable. `then` is told how it ended, at most once, before the
    /// client sees the end: it has to put the outcome on its way to the log.
    ///
    /// # Errors
    /// [`ForwardError`]: the server gave no answer; the outcome has been recorded.
    pub async fn forward(
        &self,
        permit: Permit,
        decided: Decided,
        origin: Origin,
        then: impl FnOnce(Decided, Outcome, ResultText) + Send + 'static,
    ) -> Result<Response<Body>, ForwardError> {
        let action = decided.action().clone();
        let completion: Completion = Box::new(move |outcome, text| {
            then(decided, outcome, text);
            None
        });
        let outbound = permit.into_outbound();
        let cleared = Cleared {
            client: origin.client.clone(),
            action: Some(action),
            jsonrpc_id: origin.jsonrpc_id.clone(),
            method: Arc::clone(&origin.method),
            caller: origin.caller,
            outbound,
        };
        self.send(cleared, origin, Some(completion)).await
    }

    /// Passes a protocol frame on.
    ///
    /// # Errors
    /// [`ForwardError`]: the server gave no answer.
    pub async fn pass(&self, permit: FramePermit, origin: Origin) -> Result<Response<Body>, ForwardError> {
        let cleared = Cleared {
            outbound: permit.into_call().outbound,
            client: origin.client.clone(),
            action: None,
            jsonrpc_id: origin.jsonrpc_id.clone(),
            method: Arc::clone(&origin.method),
            caller: origin.caller,
        };
        self.send(cleared, origin, None).await
    }

    /// Answers a server's question in the client's place, when it was refused.
    ///
    /// # Errors
    /// [`ForwardError`]: the server could not be told.
    pub async fn answer(&self, message: Bytes, origin: &Origin) -> Result<(), ForwardError> {
        let unknown = || ForwardError::Unknown(origin.server.to_string());
        let server = self.servers.get(&origin.server).ok_or_else(unknown)?;
        server.upstream.send(Cleared::response(message, origin)).await.map(drop)
    }

    /// The largest answer that is looked at.
    #[must_use]
    pub const fn inspected_bytes_max(&self) -> usize {
        self.limits.inspected_bytes_max
    }

    /// Ends what runs for all servers. When it returns, no process of theirs is left.
    pub async fn close(&self) {
        let mut closing = tokio::task::JoinSet::new();
        for server in self.servers.values() {
            server.pending.give_up();
            let upstream = Arc::clone(&server.upstream);
            closing.spawn(async move { upstream.close().await });
        }
        closing.join_all().await;
    }

    async fn send(
        &self,
        cleared: Cleared,
        origin: Origin,
        completion: Option<Completion>,
    ) -> Result<Response<Body>, ForwardError> {
        let alias = Arc::clone(&origin.server);
        let started = self.clock.now();
        let unreachable = |address: &str, error: &ForwardError| Outcome {
            status: match error {
                ForwardError::Answer { .. } => OutcomeStatus::ProtocolError,
                ForwardError::Cancelled { .. } => OutcomeStatus::Cancelled,
                _ => OutcomeStatus::UpstreamError,
            },
            started,
            completed: self.clock.now(),
            upstream: address.into(),
            http_status: match error {
                ForwardError::Answer { status, .. } => Some(*status),
                _ => None,
            },
            error_code: None,
            error: Some(error.to_string().into()),
            result: ResultSummary::default(),
            server_version: None,
        };
        let Some(server) = self.servers.get(&alias) else {
            let error = ForwardError::Unknown(alias.to_string());
            if let Some(completion) = completion {
                let _durable_later = completion(unreachable(&alias, &error), ResultText::nothing());
            }
            return Err(error);
        };
        // Before the head of the answer too: what is dropped here ends the exchange with the server.
        let sent = tokio::select! {
            biased;
            () = origin.hang_up.happened() => Err(ForwardError::Cancelled { server: alias.to_string() }),
            sent = server.upstream.send(cleared) => sent,
        };
        match sent {
            Ok(response) => {
                let watching = Watch {
                    origin,
                    started,
                    upstream: server.upstream.address().into(),
                    completion,
                    pending: Arc::clone(&server.pending),
                    tools: Arc::clone(&server.tools),
                    clock: Arc::clone(&self.clock),
                    limits: self.limits,
                };
                watch(response, watching).await
            }
            Err(error) => {
                if let Some(completion) = completion {
                    let _durable_later =
                        completion(unreachable(server.upstream.address(), &error), ResultText::nothing());
                }
                Err(error)
            }
        }
    }
}
