//! Which message of a server belongs to whom.
//!
//! An answer goes to the call with its id. Progress goes to the call with its token, and a subscription's notification
//! to the `subscriptions/listen` it names. What names no call goes to the oldest call in flight whose client takes a
//! stream, else to the session's own stream, else it is kept until that stream opens.
//!
//! INVARIANT: an id stays taken until its answer came, even when nobody waits for it any more. Otherwise a late answer
//! could reach the next call that uses the id, as the answer to an action that it does not belong to.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::forward::message_id::MessageId;
use crate::forward::{Message, read_message};
use crate::model::json::{Limits, scan};
use crate::model::{Era, OutcomeStatus};

/// Messages kept for a client that has not opened its stream yet: what servers say between the handshake and that.
pub(super) const KEPT_MAX: usize = 64;

/// Bytes of the messages that are kept.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// Ids that wait for an answer nobody reads. One more, and the oldest is free again: a server that owes a thousand
/// answers does not bring the first of them now.
const ABANDONED_MAX: usize = 1_024;

/// Cancellations kept for calls that are still being decided. They follow their call by moments.
const CANCELLED_MAX: usize = 64;

/// Messages of one call that its client has not taken yet. Few: they may be large, and a slow client must slow the
/// server.
const MESSAGES_IN_FLIGHT: usize = 16;

/// A message for one call.
#[derive(Debug)]
pub(super) enum Part {
    /// Its answer: nothing follows. With the JSON-RPC error code when it is an error.
    Answer(Bytes, Option<i64>),
    /// Something on the way to it.
    Note(Bytes),
}

/// What is known about a call that wants to begin.
#[derive(Debug)]
pub(super) struct Begin<'a> {
    pub(super) id: &'a MessageId,
    pub(super) progress_token: Option<&'a MessageId>,
    pub(super) era: Era,
    pub(super) accepts_stream: bool,
    /// A `subscriptions/listen`: it stays open and gets what names it, nothing else.
    pub(super) listens: bool,
}

/// Whether a call may begin.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is registered under this number.
    Registered(u64, mpsc::Receiver<Part>),
    /// Its client took it back while it was being decided.
    Cancelled,
    /// Another call with its id or token is in flight and will end.
    Taken,
    /// Its id or token is held by something that may never end.
    Blocked,
    /// The process has ended.
    Closed,
}

/// Where a message goes.
#[derive(Debug)]
pub(super) enum Route {
    /// To a call: its id, its number, its channel.
    Call(MessageId, u64, mpsc::Sender<Part>, Part),
    /// To the session's own stream.
    Stream(mpsc::Sender<Bytes>, Bytes),
    /// A request that nobody can take: its id as written. The server must be told.
    Refuse(Arc<str>),
    /// Nowhere; kept for later, or nobody's.
    Nowhere,
}

#[derive(Debug)]
struct Call {
    number: u64,
    /// `None` when nobody waits any more.
    sender: Option<mpsc::Sender<Part>>,
    progress_token: Option<MessageId>,
    era: Era,
    accepts_stream: bool,
    listens: bool,
    cancelled: Arc<AtomicBool>,
}

/// Calls in flight and the stream for everything else.
#[derive(Debug, Default)]
pub(super) struct Routing {
    calls: HashMap<MessageId, Call>,
    /// Ids of the calls somebody waits for, in the order in which they began.
    order: VecDeque<MessageId>,
    /// Ids of the calls nobody waits for any more.
    abandoned: VecDeque<MessageId>,
    cancelled: VecDeque<MessageId>,
    counter: u64,
    /// Whether there can be a stream at all, and so whether it is worth keeping anything.
    has_stream: bool,
    stream: Option<mpsc::Sender<Bytes>>,
    kept: VecDeque<Bytes>,
    closed: bool,
}

impl Routing {
    /// Nothing in flight. `has_stream`: clients can open a stream of their own (the older era).
    pub(super) fn new(has_stream: bool) -> Self {
        Self { has_stream, ..Self::default() }
    }

    /// Registers a call, unless something stands in its way.
    pub(super) fn begin(&mut self, call: &Begin<'_>, cancelled: &Arc<AtomicBool>) -> Begun {
        if self.closed {
            return Begun::Closed;
        }
        if let Some(place) = self.cancelled.iter().position(|id| id == call.id) {
            self.cancelled.remove(place);
            return Begun::Cancelled;
        }
        let token = call.progress_token;
        let same_token = |other: &Call| token.is_some() && other.progress_token.as_ref() == token;
        let in_the_way = self.calls.iter().find(|(id, other)| *id == call.id || same_token(other));
        if let Some((_, other)) = in_the_way {
            return if other.sender.is_none() || other.listens { Begun::Blocked } else { Begun::Taken };
        }
        self.counter += 1;
        let (sender, receiver) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let call_in_flight = Call {
            number: self.counter,
            sender: Some(sender),
            progress_token: call.progress_token.cloned(),
            era: call.era,
            accepts_stream: call.accepts_stream,
            listens: call.listens,
            cancelled: Arc::clone(cancelled),
        };
        self.calls.insert(call.id.clone(), call_in_flight);
        self.order.push_back(call.id.clone());
        Begun::Registered(self.counter, receiver)
    }

    /// Takes back a call that was never sent.
    pub(super) fn forget(&mut self, id: &MessageId, number: u64) {
        if self.calls.get(id).is_some_and(|call| call.number == number) {
            self.remove(id);
        }
    }

    /// Nobody waits for a call any more; its answer is still expected. False when it came already.
    pub(super) fn abandon(&mut self, id: &MessageId, number: u64) -> bool {
        let Some(call) = self.calls.get_mut(id).filter(|call| call.number == number && call.sender.is_some()) else {
            return false;
        };
        (call.sender, call.progress_token) = (None, None);
        self.order.retain(|other| other != id);
        self.abandoned.push_back(id.clone());
        if self.abandoned.len() > ABANDONED_MAX
            && let Some(oldest) = self.abandoned.pop_front()
        {
            self.calls.remove(&oldest);
        }
        true
    }

    /// A client takes a call back. Its number when it is in flight; else the cancellation is kept for a call that is
    /// still being decided, where ids are used once (within a session of the older era, and over standard input).
    pub(super) fn cancel(&mut self, id: &MessageId) -> Option<u64> {
        if let Some(call) = self.calls.get(id) {
            call.cancelled.store(true, Ordering::Release);
            return Some(call.number);
        }
        if self.has_stream {
            self.cancelled.push_back(id.clone());
            if self.cancelled.len() > CANCELLED_MAX {
                self.cancelled.pop_front();
            }
        }
        None
    }

    /// Whether somebody waits for a call or listens to the stream.
    pub(super) fn is_busy(&self) -> bool {
        !self.order.is_empty() || self.stream.as_ref().is_some_and(|stream| !stream.is_closed())
    }

    /// Whether somebody waits for a call.
    pub(super) fn has_calls(&self) -> bool {
        !self.order.is_empty()
    }

    /// Opens the stream, in place of an older one. What was kept goes first. `None` when the process has ended.
    pub(super) fn open_stream(&mut self) -> Option<mpsc::Receiver<Bytes>> {
        if self.closed {
            return None;
        }
        let (sender, receiver) = mpsc::channel(KEPT_MAX);
        for message in self.kept.drain(..) {
            // There is room: no more is kept than the channel holds.
            let _fits = sender.try_send(message).is_ok();
        }
        self.stream = Some(sender);
        Some(receiver)
    }

    /// Closes the stream of a client that does not read it.
    pub(super) fn close_stream(&mut self) {
        self.stream = None;
    }

    /// The process has ended: whoever waits for a call or listens learns it by the end of its channel.
    pub(super) fn close(&mut self) {
        *self = Self { closed: true, ..Self::default() };
    }

    /// Finds where a line goes.
    ///
    /// # Errors
    /// A sentence, when it is not a message of the protocol.
    pub(super) fn route(&mut self, line: Bytes) -> Result<Route, &'static str> {
        match read_message(&line).ok_or("wrote a line that is not a JSON-RPC message")? {
            Message::Response { id, verdict } => {
                let error = (verdict.status == OutcomeStatus::ProtocolError).then_some(verdict.error_code.unwrap_or(0));
                // The answer to a call that was given up goes nowhere, but its id is free from here on.
                let Some(id) = MessageId::read(&id) else { return Ok(Route::Nowhere) };
                let answered = self.remove(&id).and_then(|call| Some((call.number, call.sender?)));
                let to = |(number, sender)| Route::Call(id, number, sender, Part::Answer(line, error));
                Ok(answered.map_or(Route::Nowhere, to))
            }
            Message::Notification { .. } => Ok(self.route_notification(line)),
            // Only the older era lets a server ask a client for something.
            Message::Request { id, .. } => Ok(match self.oldest(|call| call.era == Era::Legacy) {
                Some(call) => call.takes(line),
                None => self.elsewhere(line).unwrap_or(Route::Refuse(id)),
            }),
        }
    }

    fn route_notification(&mut self, line: Bytes) -> Route {
        let to = match addressee(&line) {
            Addressee::Unnamed => self.oldest(|_| true),
            Addressee::Subscription(id) => {
                let named = id.as_ref().and_then(|id| Taker::of(id, self.calls.get(id)?));
                return named.map_or(Route::Nowhere, |call| call.takes(line));
            }
            Addressee::Token(token) => {
                let named = |call: &Call| call.progress_token.is_some() && call.progress_token == token;
                match self.calls.iter().find(|(_, call)| named(call)) {
                    Some((_, call)) if !call.accepts_stream => return Route::Nowhere,
                    Some((id, call)) => Taker::of(id, call),
                    // A task reports progress after the call that began it was answered (MCP 2025-11-25): that is for
                    // the stream, never for another call.
                    None => None,
                }
            }
        };
        match to {
            Some(call) => call.takes(line),
            None => self.elsewhere(line).unwrap_or(Route::Nowhere),
        }
    }

    /// The oldest call whose client takes a stream of whatever belongs to no call.
    fn oldest(&self, fits: impl Fn(&Call) -> bool) -> Option<Taker> {
        let mut calls = self.order.iter().filter_map(|id| Some((id, self.calls.get(id)?)));
        let (id, call) = calls.find(|(_, call)| call.accepts_stream && !call.listens && fits(call))?;
        Taker::of(id, call)
    }

    /// The session's stream; until it opens, the message is kept. `None` when it cannot be kept.
    fn elsewhere(&mut self, line: Bytes) -> Option<Route> {
        if let Some(stream) = self.stream.as_ref().filter(|stream| !stream.is_closed()) {
            return Some(Route::Stream(stream.clone(), line));
        }
        let bytes = self.kept.iter().map(Bytes::len).sum::<usize>().saturating_add(line.len());
        if !self.has_stream || self.kept.len() >= KEPT_MAX || bytes > KEPT_BYTES_MAX {
            return None;
        }
        self.kept.push_back(line);
        Some(Route::Nowhere)
    }

    fn remove(&mut self, id: &MessageId) -> Option<Call> {
        let call = self.calls.remove(id)?;
        self.order.retain(|other| other != id);
        self.abandoned.retain(|other| other != id);
        Some(call)
    }
}

/// A call that a message can go to.
struct Taker {
    id: MessageId,
    number: u64,
    sender: mpsc::Sender<Part>,
}

impl Taker {
    fn of(id: &MessageId, call: &Call) -> Option<Self> {
        Some(Self { id: id.clone(), number: call.number, sender: call.sender.clone()? })
    }

    fn takes(self, line: Bytes) -> Route {
        Route::Call(self.id, self.number, self.sender, Part::Note(line))
    }
}

/// Whom a notification names.
enum Addressee {
    Subscription(Option<MessageId>),
    Token(Option<MessageId>),
    Unnamed,
}

fn addressee(line: &[u8]) -> Addressee {
    let Ok((text, document)) = scan(line, Limits::default()) else { return Addressee::Unnamed };
    let Some(params) = document.root(text).get("params") else { return Addressee::Unnamed };
    if let Some(token) = params.get("progressToken") {
        return Addressee::Token(MessageId::read(token.text()));
    }
    match params.get("_meta").and_then(|meta| meta.get("io.modelcontextprotocol/subscriptionId")) {
        Some(id) => Addressee::Subscription(MessageId::read(id.text())),
        None => Addressee::Unnamed,
    }
}
