//! Legacy sessions in which the stream of one tool ends early (SEP-1699).
//!
//! The stream of `test_reconnection` carries the priming event (an id, a retry interval, no data) and then ends,
//! while the call goes on. The client must come back with `Last-Event-ID` to fetch the result. Everything else is the
//! session manager of the library.

use std::time::Duration;

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError, SessionConfig,
};
use rmcp::transport::streamable_http_server::session::{ServerSseMessage, SessionId, SessionManager};
use tokio_stream::{Stream, StreamExt};

/// The session manager of the library, with one stream cut short.
pub(crate) struct DisconnectingSessions(LocalSessionManager);

impl DisconnectingSessions {
    /// `retry` is the reconnection interval that priming events carry.
    pub(crate) fn new(retry: Duration) -> Self {
        let mut config = SessionConfig::default();
        config.sse_retry = Some(retry);
        let mut sessions = LocalSessionManager::default();
        sessions.session_config = config;
        Self(sessions)
    }
}

impl SessionManager for DisconnectingSessions {
    type Error = LocalSessionManagerError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.0.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.0.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.0.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.0.close_session(id).await
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let events = if ends_early(&message) { 1 } else { usize::MAX };
        Ok(self.0.create_stream(id, message).await?.take(events))
    }

    async fn accept_message(&self, id: &SessionId, message: ClientJsonRpcMessage) -> Result<(), Self::Error> {
        self.0.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.resume(id, last_event_id).await
    }
}

fn ends_early(message: &ClientJsonRpcMessage) -> bool {
    let JsonRpcMessage::Request(request) = message else {
        return false;
    };
    matches!(&request.request, ClientRequest::CallToolRequest(call) if call.params.name == "test_reconnection")
}
