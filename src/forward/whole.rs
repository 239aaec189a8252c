//! An answer in one piece: read to its end, looked at, passed on as it came.

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use sha2::{Digest as _, Sha256};

use super::answer::{Message, read_message};
use super::message_id::MessageId;
use super::reshape::resized;
use super::watch::{Watch, size};
use super::{Finding, ForwardError, inputs};
use crate::model::{Digest, Era, OutcomeStatus, Transport};
use crate::net::{Body, Streamed, full};

/// Watches an answer in one piece. One that is too large to be held streams, where its client acts on nothing in it.
pub(super) async fn watch_whole(response: Response<Body>, mut watch: Watch) -> Result<Response<Body>, ForwardError> {
    let (head, mut body) = response.into_parts();
    let status = head.status.as_u16();
    let mut parts: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(watch.limits.silence_max, body.frame()) => next,
            () = watch.origin.hang_up.happened() => return Err(watch.cancelled(status, size(bytes)).await),
        };
        match next {
            Ok(Some(Ok(frame))) => parts.extend(frame.into_data().ok()),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(watch.broken_off(status, size(bytes), error.to_string()).await),
            Err(_) => return Err(watch.broken_off(status, size(bytes), "it fell silent".into()).await),
        }
        bytes = parts.iter().map(Bytes::len).sum();
        if bytes > watch.whole_bytes_max() {
            if watch.may_ask() {
                return Err(watch.broken_off(status, size(bytes), "it is too large to be looked at".into()).await);
            }
            return Ok(watch.pass_large(head, parts, body));
        }
    }
    let mut whole = match parts.as_slice() {
        [one] => one.clone(),
        many => many.concat().into(),
    };
    let mut finding = Finding::new(status);
    finding.result.bytes = size(bytes);
    let (problem, asks) = match read_message(&whole) {
        _ if watch.origin.jsonrpc_id.is_none() => (None, Vec::new()),
        Some(Message::Response { id, verdict }) if watch.answers(&id, status) => (None, finding.judge(verdict)),
        _ => (watch.problem(status, whole.is_empty()), Vec::new()),
    };
    if let Some(problem) = problem {
        finding.status = OutcomeStatus::ProtocolError;
        finding.error = Some(problem.into());
    }
    match inputs::decide(&whole, asks, &watch.origin).await {
        Ok(passed) => whole = passed,
        Err(refusal) => {
            finding.refuse(&refusal);
            watch.complete(finding).await;
            return Err(ForwardError::Question { server: watch.origin.server.to_string(), refusal });
        }
    }
    let shown = match watch.listing().filter(|_| problem.is_none()) {
        Some((tools, now)) => tools.passes(&whole, now).await,
        None => None,
    };
    finding.passed(&whole);
    watch.complete(finding).await;
    match problem {
        Some(problem) => Err(ForwardError::Answer { server: watch.origin.server.to_string(), status, problem }),
        None => {
            let whole = shown.unwrap_or(whole);
            Ok(Response::from_parts(resized(head, Some(&whole)), full(whole)))
        }
    }
}

impl Watch {
    /// Whether its client acts on what a server asks inside an answer: such an answer is never passed on unseen.
    fn may_ask(&self) -> bool {
        self.origin.client.era == Era::Modern && self.origin.client.transport != Transport::Http
    }

    /// Bytes of an answer in one piece that are held.
    fn whole_bytes_max(&self) -> usize {
        if self.may_ask() { self.limits.event_bytes_max } else { self.limits.inspected_bytes_max }
    }

    /// Whether an answer with this id is one to this call. Servers that could not read the id answer with null.
    fn answers(&self, id: &str, status: u16) -> bool {
        let own = self.origin.jsonrpc_id.as_deref();
        own.is_some_and(|own| MessageId::is_same(id, own)) || id == "null" && status >= 400
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
        finding.result.bytes = bytes;
        self.complete(finding).await;
        ForwardError::Exchange { server: self.origin.server.to_string(), source: error.into() }
    }

    /// The client went away, and in its era that cancels the call. The server learns it by the end of its connection.
    async fn cancelled(mut self, status: u16, bytes: u64) -> ForwardError {
        let mut finding = Finding::new(status);
        finding.status = OutcomeStatus::Cancelled;
        finding.result.bytes = bytes;
        self.complete(finding).await;
        ForwardError::Cancelled { server: self.origin.server.to_string() }
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
