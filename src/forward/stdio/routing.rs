//! Which message of a server belongs to whom.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::forward::{Message, read_message};
use crate::model::json::{Limits, scan};

/// Messages kept for a client that has no stream open. The oldest go first.
const HELD_MAX: usize = 256;

/// Calls in flight, by JSON-RPC id as written, and the stream for everything else.
#[derive(Default)]
pub(super) struct Routing {
    calls: HashMap<String, Call>,
    /// Ids in the order in which their calls began.
    order: VecDeque<String>,
    stream: Option<mpsc::Sender<Bytes>>,
    held: VecDeque<Bytes>,
}

struct Call {
    sender: mpsc::Sender<(Bytes, bool)>,
    progress_token: Option<String>,
}

/// Where a message goes.
pub(super) enum Destination {
    Call(mpsc::Sender<(Bytes, bool)>, bool),
    Stream(mpsc::Sender<Bytes>),
}

impl Destination {
    /// Hands the message over. A receiver that is gone does not want it any more.
    pub(super) async fn deliver(self, message: Bytes) {
        let _receiver_may_be_gone = match self {
            Self::Call(sender, last) => sender.send((message, last)).await.is_ok(),
            Self::Stream(sender) => sender.send(message).await.is_ok(),
        };
    }
}

impl Routing {
    /// Registers a call; false when its id or its progress token is in use.
    pub(super) fn begin(&mut self, id: &str, token: Option<&str>, sender: mpsc::Sender<(Bytes, bool)>) -> bool {
        let token_in_use = token.is_some() && self.calls.values().any(|call| call.progress_token.as_deref() == token);
        if self.calls.contains_key(id) || token_in_use {
            return false;
        }
        self.calls.insert(id.to_owned(), Call { sender, progress_token: token.map(str::to_owned) });
        self.order.push_back(id.to_owned());
        true
    }

    pub(super) fn end(&mut self, id: &str) {
        self.calls.remove(id);
        self.order.retain(|other| other != id);
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.calls.is_empty() || self.stream.as_ref().is_some_and(|stream| !stream.is_closed())
    }

    /// Opens the stream; what was held goes first, as far as it fits.
    pub(super) fn open_stream(&mut self, sender: mpsc::Sender<Bytes>) {
        while let Some(message) = self.held.pop_front() {
            if sender.try_send(message).is_err() {
                break;
            }
        }
        self.stream = Some(sender);
    }

    /// Finds where a line goes; `None` when it is held or nobody's.
    pub(super) fn route(&mut self, line: Bytes) -> Result<Option<(Destination, Bytes)>, String> {
        let message = read_message(&line).ok_or("a line that is not a JSON-RPC message")?;
        let call = match message {
            Message::Response { id, .. } => {
                // The answer to a call that was given up goes nowhere.
                let found = self.calls.get(&*id).map(|call| (Destination::Call(call.sender.clone(), true), line));
                return Ok(found);
            }
            Message::Notification { .. } => self.addressee(&line).or_else(|| self.oldest()),
            Message::Request { .. } => self.oldest(),
        };
        if let Some(sender) = call {
            return Ok(Some((Destination::Call(sender, false), line)));
        }
        if let Some(stream) = self.stream.as_ref().filter(|stream| !stream.is_closed()) {
            return Ok(Some((Destination::Stream(stream.clone()), line)));
        }
        if self.held.len() >= HELD_MAX {
            self.held.pop_front();
            tracing::warn!("dropped a server's message that no client asked for: nobody listens to its stream");
        }
        self.held.push_back(line);
        Ok(None)
    }

    /// The call that a notification names: by its progress token, or by the id of its subscription.
    fn addressee(&self, line: &[u8]) -> Option<mpsc::Sender<(Bytes, bool)>> {
        let (text, document) = scan(line, Limits::default()).ok()?;
        let params = document.root(text).get("params")?;
        if let Some(token) = params.get("progressToken") {
            let mut calls = self.calls.values();
            return calls
                .find(|call| call.progress_token.as_deref() == Some(token.text()))
                .map(|call| call.sender.clone());
        }
        let subscription = params.get("_meta")?.get("io.modelcontextprotocol/subscriptionId")?;
        self.calls.get(subscription.text()).map(|call| call.sender.clone())
    }

    fn oldest(&self) -> Option<mpsc::Sender<(Bytes, bool)>> {
        self.order.front().and_then(|id| self.calls.get(id)).map(|call| call.sender.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes_to(routing: &mut Routing, line: &'static str) -> &'static str {
        match routing.route(Bytes::from_static(line.as_bytes())).unwrap() {
            Some((Destination::Call(sender, true), _)) => {
                if sender.max_capacity() == 1 {
                    "answer a"
                } else {
                    "answer b"
                }
            }
            Some((Destination::Call(sender, false), _)) => {
                if sender.max_capacity() == 1 {
                    "a"
                } else {
                    "b"
                }
            }
            Some((Destination::Stream(_), _)) => "stream",
            None => "nobody",
        }
    }

    #[test]
    fn every_message_finds_its_call() {
        let mut routing = Routing::default();
        // The channel's capacity tells the calls apart.
        let (a, _a) = mpsc::channel(1);
        let (b, _b) = mpsc::channel(2);
        assert!(routing.begin("1", None, a) && routing.begin("\"x\"", Some("7"), b));
        assert!(!routing.begin("1", None, mpsc::channel(1).0) && !routing.begin("2", Some("7"), mpsc::channel(1).0));
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7}}"#;
        assert_eq!(goes_to(&mut routing, progress), "b");
        assert_eq!(goes_to(&mut routing, r#"{"jsonrpc":"2.0","id":"x","result":{}}"#), "answer b");
        assert_eq!(goes_to(&mut routing, r#"{"jsonrpc":"2.0","id":9,"result":{}}"#), "nobody");
        assert_eq!(goes_to(&mut routing, r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#), "a");
        routing.end("1");
        routing.end("\"x\"");
        let change = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
        assert_eq!(goes_to(&mut routing, change), "nobody");
        let (stream, mut received) = mpsc::channel(4);
        routing.open_stream(stream);
        assert!(received.try_recv().is_ok(), "what was held arrives when the stream opens");
        assert_eq!(goes_to(&mut routing, change), "stream");
        assert!(routing.route(Bytes::from_static(b"garbage")).is_err());
    }
}
