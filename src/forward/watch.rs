//! Watches an answer on its way to the client: hashes it, finds out how the call ended, and has that written down
//! before the client sees the end of it. The bytes are passed on as they came, event by event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};
use http_body_util::BodyExt;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::answer::{Message, ResponseVerdict, read_message};
use super::message_id::MessageId;
use super::pending::Pending;
use super::reshape::{last_event, message_event};
use super::whole::watch_whole;
use super::{Catalogue, Completion, Finding, ForwardError, Origin, Question, inputs};
use crate::intercept::refusal_line;
use crate::model::json::{Limits, scan};
use crate::model::{Clock, Digest, Era, Outcome, OutcomeStatus, Timestamp};
use crate::net::{Body, BodyError, Event, Events, Streamed};

/// Limits on an answer.
#[derive(Clone, Copy, Debug)]
pub struct AnswerLimits {
    /// Largest answer that is held whole to be looked at; a larger one streams and is hashed only.
    pub inspected_bytes_max: usize,
    /// Largest event of a stream. A larger one ends the stream with an error.
    pub event_bytes_max: usize,
    /// Longest silence of a stream.
    pub silence_max: Duration,
}

impl Default for AnswerLimits {
    /// 1 MiB, the largest event that the Python SDK reads; 16 MiB; 10 minutes, longer than any tool that still runs.
    fn default() -> Self {
        Self { inspected_bytes_max: 1 << 20, event_bytes_max: 16 << 20, silence_max: Duration::from_secs(600) }
    }
}

/// What watching one answer needs.
pub struct Watch {
    /// Who the answer is for.
    pub origin: Origin,
    /// When forwarding began.
    pub started: Timestamp,
    /// Host and port of the server.
    pub upstream: Arc<str>,
    /// What is told how it ended; `None` for protocol frames.
    pub completion: Option<Completion>,
    /// Calls whose answer comes on another stream.
    pub pending: Arc<Pending>,
    /// What the server says about its tools: forgotten when it says that this changed.
    pub tools: Arc<Catalogue>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Limits.
    pub limits: AnswerLimits,
}

/// Passes `response` on and watches it.
///
/// # Errors
/// [`ForwardError`]: it is no answer to this call, or broke off before anything of it was passed on. The outcome has
/// been told.
pub async fn watch(response: Response<Body>, watch: Watch) -> Result<Response<Body>, ForwardError> {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("text/event-stream") {
        Ok(watch_stream(response, watch))
    } else {
        watch_whole(response, watch).await
    }
}

fn watch_stream(response: Response<Body>, watch: Watch) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    // An event may be changed or left out.
    head.headers.remove(header::CONTENT_LENGTH);
    let (sender, streamed) = Streamed::channel();
    let status = head.status.as_u16();
    tokio::spawn(
        Stream { finding: Finding::new(status), hash: Sha256::new(), sender, client_left: false, watch }.run(body),
    );
    Response::from_parts(head, streamed.boxed_unsync())
}

impl Watch {
    pub(super) async fn complete(&mut self, finding: Finding) {
        let Some(completion) = self.completion.take() else { return };
        let outcome = self.outcome(&finding);
        if let Some(durable) = completion(outcome, finding.text) {
            durable.await;
        }
    }

    /// What a list of tools is compared with; `None` for any other answer.
    pub(super) fn listing(&self) -> Option<(Arc<Catalogue>, Timestamp)> {
        (&*self.origin.method == "tools/list").then(|| (Arc::clone(&self.tools), self.clock.now()))
    }

    fn outcome(&self, finding: &Finding) -> Outcome {
        Outcome {
            status: finding.status,
            started: self.started,
            completed: self.clock.now(),
            upstream: Arc::clone(&self.upstream),
            http_status: Some(finding.http_status),
            error_code: finding.error_code,
            error: finding.error.clone(),
            result: finding.result.clone(),
            server_version: None,
        }
    }
}

/// One event stream on its way.
struct Stream {
    watch: Watch,
    finding: Finding,
    hash: Sha256,
    sender: mpsc::Sender<Result<Bytes, BodyError>>,
    client_left: bool,
}

/// Why a stream ends early.
enum End {
    /// The client went away, and in its era that cancels the call.
    Cancelled,
    /// The server sent what cannot be passed on, or broke off.
    Broken(String),
}

impl Stream {
    async fn run(mut self, body: Body) {
        let ended = self.pump(body).await;
        self.finding.result.digest = Some(Digest(std::mem::take(&mut self.hash).finalize().into()));
        match ended {
            Ok(()) if self.watch.origin.client.era == Era::Legacy && self.watch.completion.is_some() => {
                self.leave_pending()
            }
            Ok(()) => {
                self.finding.status = OutcomeStatus::Unknown;
                self.finding.error = Some("the stream ended without an answer".into());
                self.watch.complete(self.finding).await;
            }
            Err(End::Cancelled) => {
                self.finding.status = OutcomeStatus::Cancelled;
                self.watch.complete(self.finding).await;
            }
            Err(End::Broken(error)) => {
                self.finding.status = OutcomeStatus::Unknown;
                self.finding.error = Some(format!("the stream broke off: {error}").into());
                let open = self.watch.completion.is_some();
                self.watch.complete(self.finding).await;
                // Who still waits for the answer is told; a stream that answered just ends as the server's did.
                let last = if open { last_event(&self.watch.origin, &error) } else { None };
                let _client_may_be_gone = self.sender.send(last.ok_or_else(|| error.into())).await;
            }
        }
    }

    async fn pump(&mut self, mut body: Body) -> Result<(), End> {
        let mut events = Events::new(self.watch.limits.event_bytes_max);
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = self.sender.closed(), if !self.client_left => {
                    self.client_left()?;
                    continue;
                }
                () = tokio::time::sleep(self.watch.limits.silence_max), if self.watch.completion.is_some() => {
                    return Err(End::Broken("the stream fell silent".into()));
                }
            };
            let chunk = match frame {
                None => break,
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Err(End::Broken(error.to_string())),
            };
            self.hash.update(&chunk);
            self.finding.result.bytes += size(chunk.len());
            let events = events.push(chunk).map_err(|error| End::Broken(error.to_string()))?;
            for event in events.into_iter().flat_map(unpack) {
                let raw = event.raw.clone();
                let data = event.data.clone().zip(self.watch.listing());
                if let Some(passed) = self.look_at(event).await? {
                    // What was changed already is no list that the server sent.
                    let shown = match data.filter(|_| passed == raw) {
                        Some((data, (tools, now))) => tools.passes(&data, now).await,
                        None => None,
                    };
                    self.send(shown.map_or(passed, |shown| message_event(&shown))).await?;
                }
            }
        }
        match events.finish() {
            Some(rest) => self.send(rest).await,
            None => Ok(()),
        }
    }

    /// Looks at one event. Returns it as it is passed on; `None` when it must not be.
    async fn look_at(&mut self, event: Event) -> Result<Option<Bytes>, End> {
        let Some(data) = event.data.as_ref().filter(|data| !data.is_empty()) else { return Ok(Some(event.raw)) };
        let origin = &self.watch.origin;
        let passed = match read_message(data) {
            None => return Err(End::Broken("an event that is not a JSON-RPC message".into())),
            Some(Message::Notification { method, inputs }) => {
                if &*method == "notifications/tools/list_changed" {
                    self.watch.tools.forget();
                }
                self.finding.result.notifications = self.finding.result.notifications.saturating_add(1);
                note(&mut self.finding, &self.watch, data);
                inputs::decide(data, inputs, origin).await
            }
            Some(Message::Request { id, .. }) => {
                origin.requests.decide(Question::Message { id, message: data.clone() }, origin).await
            }
            Some(Message::Response { id, verdict }) => {
                return Ok(Some(self.answered(&id, verdict, &event, data).await));
            }
        };
        Ok(passed.ok().map(|passed| if passed == *data { event.raw.clone() } else { event.with_data(&passed) }))
    }

    /// COMMIT POINT for the outcome: enqueued before the event that tells the client leaves. Returns that event.
    async fn answered(&mut self, id: &str, verdict: ResponseVerdict, event: &Event, data: &Bytes) -> Bytes {
        let is_own = self.watch.origin.jsonrpc_id.as_deref().is_some_and(|own| MessageId::is_same(id, own));
        let session = self.watch.origin.client.protocol_session.as_deref();
        // The older era may answer another call here, whose own stream ended before.
        let mut left = if is_own { None } else { self.watch.pending.take(session, id) };
        let (mut finding, origin) = match &left {
            Some(left) => (left.finding.clone(), &left.watch.origin),
            None => (self.finding.clone(), &self.watch.origin),
        };
        let asks = finding.judge(verdict);
        let passed = match inputs::decide(data, asks, origin).await {
            Ok(passed) => {
                finding.passed(&passed);
                if passed == *data { event.raw.clone() } else { event.with_data(&passed) }
            }
            Err(refusal) => {
                finding.refuse(&refusal);
                event.with_data(refusal_line(&refusal, &origin.method, id, origin.client.era).as_bytes())
            }
        };
        match &mut left {
            Some(left) => left.watch.complete(finding).await,
            None if is_own => self.watch.complete(finding).await,
            None => {}
        }
        passed
    }

    /// The older era lets a server end a stream and answer later on another one (MCP 2025-11-25, polling).
    fn leave_pending(self) {
        let pending = Arc::clone(&self.watch.pending);
        pending.leave(self.watch, self.finding);
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), End> {
        if !self.client_left && self.sender.send(Ok(bytes)).await.is_err() {
            self.client_left()?;
        }
        Ok(())
    }

    /// A client that goes away cancels its call in the newer era. In the older one it does not, and the rest of the
    /// stream is read for the evidence.
    fn client_left(&mut self) -> Result<(), End> {
        self.client_left = true;
        let waits = self.watch.completion.is_some();
        if self.watch.origin.client.era == Era::Legacy && waits { Ok(()) } else { Err(End::Cancelled) }
    }
}

/// Keeps what passes on the way to an answer, until it is looked at with the answer. As much as of an answer itself.
fn note(finding: &mut Finding, watch: &Watch, data: &Bytes) {
    if watch.completion.is_none() {
        return;
    }
    let held: usize = finding.text.notes.iter().map(Bytes::len).sum();
    if held + data.len() <= watch.limits.inspected_bytes_max {
        finding.text.notes.push(data.clone());
    } else {
        finding.text.whole = false;
    }
}

/// The messages of a batch, an event each: servers of 2025-03-26 may send several at once, and each is looked at by
/// itself. Anything else is one message.
fn unpack(event: Event) -> Vec<Event> {
    let is_array = |data: &Bytes| data.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let Some(data) = event.data.clone().filter(is_array) else { return vec![event] };
    let Ok((text, document)) = scan(&data, Limits::default()) else { return vec![event] };
    let messages = document.root(text).children().map(|message| data.slice(message.span()));
    messages.map(|message| event.carrying(message)).collect()
}

pub(super) fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
