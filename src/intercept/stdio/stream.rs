//! What a server of the older era says that belongs to no call.
//!
//! Over HTTP a client opens a stream for it with `GET`. A client on standard input has it opened for it, once its
//! handshake is answered, by the same frame through the same door: what a server asks there is decided as anywhere.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::Conversation;
use super::answer::{Asked, is_stream};
use crate::intercept::{Mediate, Reply};
use crate::model::{Action, ActionId, Arguments, Call, Client, Clock, FrameKind, NativeName, Outbound};
use crate::net::random_bytes;

/// The frame that opens the stream of the client that sent `initialize`. `None` without random bytes for its id.
pub(super) fn frame(initialize: &Call, clock: &dyn Clock) -> Option<Call> {
    let received = clock.now();
    let (server, method): (_, Arc<str>) = (&initialize.outbound.server, Method::GET.as_str().into());
    let native = NativeName { server: Arc::clone(server), operation: Arc::clone(&method), wrapper: None };
    let action = Action {
        id: ActionId::mint(received, random_bytes().ok()?),
        operation: Arc::clone(&method),
        native,
        method,
        arguments: Arguments::none(),
        destination: None,
        received,
        jsonrpc_id: None,
        trace: None,
        ..initialize.action.clone()
    };
    let outbound = Outbound {
        server: Arc::clone(server),
        method: Method::GET,
        path: Arc::from(""),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    let client = Client { meta: None, progress_token: None, ..initialize.client.clone() };
    let credentials = initialize.credentials.clone();
    Some(Call { action, kind: FrameKind::Protocol, client, credentials, outbound, inputs: Vec::new() })
}

impl<M: Mediate + Clone> Conversation<M> {
    /// Opens the stream and passes its messages on until it ends or the input does.
    pub(super) fn follow(self: &Arc<Self>, frame: Call) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let asked = Asked::by(&frame);
            let Reply::Upstream(response) = this.client.mediate.mediate(frame).await else { return };
            if !response.status().is_success() || !is_stream(&response) {
                return;
            }
            let ended = this.pass_events(response.into_body(), &asked).await;
            if let Err(problem) = ended {
                tracing::warn!(problem, "the server's own stream");
            }
            if !*this.closing.borrow() {
                this.server_gone.send_replace(true);
            }
        });
    }
}
