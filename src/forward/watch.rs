//! Watches an answer on its way to the client: hashes it, finds out how the call ended, and has that written down
//! before the client sees the end of it. The bytes are passed on as they came, event by event.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};
use http_body_util::BodyExt;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::answer::{Message, ResponseVerdict, is_same_id, read_message};
use super::pending::Pending;
use super::reshape::{last_event, message_event, resized};
use super::streamed::Streamed;
use super::{Catalogue, Completion, Finding, ForwardError, Origin, ServerRequest};
use crate::model::{Clock, Digest, Era, Outcome, OutcomeStatus, ResultSummary, ResultText, Timestamp};
use crate::net::{Body, BodyError, Events, full};

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

/// An answer in one piece: read to its end, looked at, passed on as it came. One that is too large to look at streams.
async fn watch_whole(response: Response<Body>, mut watch: Watch) -> Result<Response<Body>, ForwardError> {
    let (head, mut body) = response.into_parts();
    let status = head.status.as_u16();
    let mut parts: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    loop {
        match tokio::time::timeout(watch.limits.silence_max, body.frame()).await {
            Ok(Some(Ok(frame))) => parts.extend(frame.into_data().ok()),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(watch.broken_off(status, size(bytes), error.to_string()).await),
            Err(_) => return Err(watch.broken_off(status, size(bytes), "it fell silent".into()).await),
        }
        bytes = parts.iter().map(Bytes::len).sum();
        if bytes > watch.limits.inspected_bytes_max {
            return Ok(watch.pass_large(head, parts, body));
        }
    }
    let whole = match parts.as_slice() {
        [one] => one.clone(),
        many => many.concat().into(),
    };
    let mut finding = Finding::new(status);
    finding.result = ResultSummary { bytes: size(bytes), digest: Some(Digest::of(&whole)), notifications: 0 };
    let problem = match read_message(&whole) {
        _ if watch.origin.jsonrpc_id.is_none() => None,
        Some(Message::Response { id, verdict }) if watch.answers(&id, status) => {
            finding.judge(verdict);
            None
        }
        _ => watch.problem(status, whole.is_empty()),
    };
    if let Some(problem) = problem {
        finding.status = OutcomeStatus::ProtocolError;
        finding.error = Some(problem.into());
    }
    let shown = match watch.listing().filter(|_| problem.is_none()) {
        Some((tools, now)) => tools.passes(&whole, now).await,
        None => None,
    };
    finding.text = ResultText::whole(whole.clone());
    watch.complete(finding).await;
    match problem {
        Some(problem) => Err(ForwardError::Answer { server: watch.origin.server.to_string(), status, problem }),
        None => Ok(Response::from_parts(resized(head, shown.as_ref()), full(shown.unwrap_or(whole)))),
    }
}

fn watch_stream(response: Response<Body>, watch: Watch) -> Response<Body> {
    let (head, body) = response.into_parts();
    let (sender, streamed) = Streamed::channel();
    let status = head.status.as_u16();
    tokio::spawn(
        Stream { finding: Finding::new(status), hash: Sha256::new(), sender, client_left: false, watch }.run(body),
    );
    Response::from_parts(head, streamed.boxed_unsync())
}

impl Watch {
    async fn complete(&mut self, finding: Finding) {
        let Some(completion) = self.completion.take() else { return };
        let outcome = self.outcome(&finding);
        if let Some(durable) = completion(outcome, finding.text) {
            durable.await;
        }
    }

    /// What a list of tools is compared with; `None` for any other answer.
    fn listing(&self) -> Option<(Arc<Catalogue>, Timestamp)> {
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

    /// Whether an answer with this id is one to this call. Servers that could not read the id answer with null.
    fn answers(&self, id: &str, status: u16) -> bool {
        let own = self.origin.jsonrpc_id.as_deref();
        own.is_some_and(|own| is_same_id(id, own)) || id == "null" && status >= 400
    }

    /// What is wrong with an answer that is not a JSON-RPC answer to this call; `None` when it is passed on all the
    /// same: clients act on what a server says about their session, version or credentials (4xx).
    fn problem(&self, status: u16, empty: bool) -> Option<&'static str> {
        match status {
            // Whoever followed it would go around this proxy.
            300..=399 => Some("a redirect"),
            400..=499 => None,
            500.. => Some("the server failed"),
            // 202: the answer comes on another stream.
            202 if empty && self.completion.is_none() => None,
            _ => Some("it is not a JSON-RPC answer to this call"),
        }
    }

    /// The answer broke off before anything of it was passed on.
    async fn broken_off(mut self, status: u16, bytes: u64, error: String) -> ForwardError {
        let mut finding = Finding::new(status);
        finding.status = OutcomeStatus::Unknown;
        finding.error = Some(format!("the answer broke off: {error}").into());
        // Nothing of it was passed on.
        finding.result.bytes = bytes;
        self.complete(finding).await;
        ForwardError::Exchange { server: self.origin.server.to_string(), source: error.into() }
    }

    /// Too large to be held: streams, is hashed, and is judged by its HTTP status alone.
    fn pass_large(mut self, head: http::response::Parts, parts: Vec<Bytes>, mut body: Body) -> Response<Body> {
        let mut finding = Finding::new(head.status.as_u16());
        finding.text.whole = false;
        let silence_max = self.limits.silence_max;
        let (sender, streamed) = Streamed::channel();
        tokio::spawn(async move {
            let mut hash = Sha256::new();
            let mut waiting = parts.into_iter();
            let mut last: Option<Bytes> = None;
            let failure = loop {
                let next = match waiting.next() {
                    Some(part) => Some(part),
                    None => match tokio::time::timeout(silence_max, body.frame()).await {
                        Ok(Some(Ok(frame))) => frame.into_data().ok(),
                        Ok(None) => break None,
                        Ok(Some(Err(error))) => break Some(error.to_string()),
                        Err(_) => break Some("the answer fell silent".to_owned()),
                    },
                };
                let Some(part) = next else { continue };
                hash.update(&part);
                finding.result.bytes += size(part.len());
                // The last part is held until the outcome is written.
                if let Some(ready) = last.replace(part) {
                    let _client_may_be_gone = sender.send(Ok(ready)).await;
                }
            };
            finding.result.digest = Some(Digest(hash.finalize().into()));
            if let Some(error) = &failure {
                finding.status = OutcomeStatus::Unknown;
                finding.error = Some(format!("the answer broke off: {error}").into());
            }
            self.complete(finding).await;
            if let Some(part) = last {
                let _client_may_be_gone = sender.send(Ok(part)).await;
            }
            if let Some(error) = failure {
                let _client_may_be_gone = sender.send(Err(error.into())).await;
            }
        });
        Response::from_parts(head, streamed.boxed_unsync())
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
            for event in events.push(chunk).map_err(|error| End::Broken(error.to_string()))? {
                if self.look_at(event.data.as_ref()).await? {
                    let shown = match (&event.data, self.watch.listing()) {
                        (Some(data), Some((tools, now))) => tools.passes(data, now).await,
                        _ => None,
                    };
                    self.send(shown.map_or(event.raw, |shown| message_event(&shown))).await?;
                }
            }
        }
        match events.finish() {
            Some(rest) => self.send(rest).await,
            None => Ok(()),
        }
    }

    /// Looks at one event; false when it must not be passed on.
    async fn look_at(&mut self, data: Option<&Bytes>) -> Result<bool, End> {
        let Some(data) = data.filter(|data| !data.is_empty()) else { return Ok(true) };
        match read_message(data) {
            None => Err(End::Broken("an event that is not a JSON-RPC message".into())),
            Some(Message::Notification { method }) => {
                if &*method == "notifications/tools/list_changed" {
                    self.watch.tools.forget();
                }
                self.finding.result.notifications = self.finding.result.notifications.saturating_add(1);
                Ok(true)
            }
            Some(Message::Request { method, id }) => {
                let request = ServerRequest { method, id, message: data.clone() };
                Ok(self.watch.origin.requests.decide(request, &self.watch.origin).await)
            }
            Some(Message::Response { id, verdict }) => {
                self.answered(&id, verdict, data).await;
                Ok(true)
            }
        }
    }

    /// COMMIT POINT for the outcome: enqueued before the event that tells the client leaves.
    async fn answered(&mut self, id: &str, verdict: ResponseVerdict, data: &Bytes) {
        if self.watch.origin.jsonrpc_id.as_deref().is_some_and(|own| is_same_id(id, own)) {
            let mut finding = self.finding.clone();
            finding.judge(verdict);
            finding.result.digest = Some(Digest::of(data));
            finding.text = ResultText::whole(data.clone());
            self.watch.complete(finding).await;
        } else if let Some(mut other) =
            self.watch.pending.take(self.watch.origin.client.protocol_session.as_deref(), id)
        {
            let mut finding = other.finding;
            finding.judge(verdict);
            finding.result.digest = Some(Digest::of(data));
            finding.text = ResultText::whole(data.clone());
            other.watch.complete(finding).await;
        }
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

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
