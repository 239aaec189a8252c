//! JSON-RPC batches: several messages in one request, in MCP 2025-03-26 alone.
//!
//! That version says that a receiver must take them, so each message is read, mediated and forwarded by itself, one
//! after the other, and the answers are gathered. A batch never travels as one: what is not one message cannot be one
//! decision. In every other version it is refused.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::mpsc::Sender;

use super::{AnswerForm, Malformed, Mediate, Reply, refusal};
use crate::model::json::{Kind, Limits, scan};
use crate::model::{Call, FrameKind};
use crate::net::{Body, BodyError, Events, Streamed, collect, empty, full};

/// Most messages of a batch.
const MESSAGES_MAX: usize = 64;

/// Largest answer to one message of a batch, bytes: the largest event of a stream.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The version that has batches. It has no header for its name: a request without one is of this version.
const VERSION: &str = "2025-03-26";

/// Whether a body is to be read as a batch.
pub(super) fn is_batch(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// The messages of a batch, each as its own bytes.
///
/// # Errors
/// [`Malformed`]: it is not one that may be taken.
pub(super) fn split(body: &Bytes, version: Option<&str>, limits: Limits) -> Result<Vec<Bytes>, Malformed> {
    if version.is_some_and(|version| version != VERSION) {
        return Err(Malformed::Batch);
    }
    let (text, document) = scan(body, limits)?;
    let messages: Vec<_> = document.root(text).children().collect();
    if messages.is_empty() || messages.len() > MESSAGES_MAX {
        return Err(Malformed::Envelope(format!("a batch has 1 to {MESSAGES_MAX} messages")));
    }
    if messages.iter().any(|message| message.kind() != Kind::Object) {
        return Err(Malformed::Envelope("a message is a JSON object".into()));
    }
    Ok(messages.into_iter().map(|message| body.slice(message.span())).collect())
}

/// Mediates the calls of a batch and gathers their answers: as a stream, so that what servers ask in between can be
/// answered, unless the client takes none.
///
/// # Errors
/// [`Malformed`]: `initialize` does not stand in a batch.
pub(super) async fn answer<M: Mediate + Clone>(mediate: &M, calls: Vec<Call>) -> Result<Response<Body>, Malformed> {
    if calls.iter().any(|call| &*call.action.method == "initialize") {
        return Err(Malformed::Envelope("`initialize` does not stand in a batch".into()));
    }
    let asks = |call: &Call| call.action.jsonrpc_id.is_some() && call.kind != FrameKind::Response;
    let (asked, streams) = (calls.iter().any(asks), calls.iter().all(|call| call.client.accepts_stream));
    if asked && streams {
        let (sender, body) = Streamed::channel();
        let mediate = mediate.clone();
        tokio::spawn(async move {
            for call in calls {
                pass(&mediate, call, &sender).await;
            }
        });
        return Ok(event_stream(body.boxed_unsync()));
    }
    let mut answers = Vec::new();
    for call in calls {
        let wants = asks(&call);
        let reply = mediate_one(mediate, call).await;
        if let Some(answer) = whole(reply).await.filter(|_| wants) {
            answers.push(answer);
        }
    }
    if answers.is_empty() {
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::ACCEPTED;
        return Ok(response);
    }
    let all = [&b"["[..], &answers.join(&b','), b"]"].concat();
    Ok(respond("application/json", full(all)))
}

async fn mediate_one<M: Mediate>(mediate: &M, call: Call) -> Response<Body> {
    let form = AnswerForm::of(&call);
    match mediate.mediate(call).await {
        Reply::Refused(ends) => refusal(&ends, &form),
        Reply::Upstream(response) => *response,
    }
}

/// Mediates one call and passes its answer on.
async fn pass<M: Mediate>(mediate: &M, call: Call, sender: &Sender<Result<Bytes, BodyError>>) {
    let wanted = call.action.jsonrpc_id.is_some();
    pass_on(mediate_one(mediate, call).await, wanted, sender).await;
}

/// Passes the messages of one answer on, an event each; `wanted` says whether the message was a request.
pub(super) async fn pass_on(response: Response<Body>, wanted: bool, sender: &Sender<Result<Bytes, BodyError>>) {
    if is_stream(&response) {
        let mut body = response.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(bytes) = frame.into_data() else { continue };
            // A client that hangs up cancels nothing in this era; what comes is read for the record.
            let _client_may_be_gone = sender.send(Ok(bytes)).await;
        }
    } else if let Some(message) = whole(response).await.filter(|_| wanted) {
        let _client_may_be_gone = sender.send(Ok(event(&message))).await;
    }
}

/// A message as an event. Line ends inside a JSON text can only be white space between tokens.
pub(super) fn event(message: &[u8]) -> Bytes {
    let line: Vec<u8> = message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    [b"event: message\ndata: ", line.as_slice(), b"\n\n"].concat().into()
}

/// An answer of events.
pub(super) fn event_stream(body: Body) -> Response<Body> {
    respond("text/event-stream", body)
}

/// The one message that answers a call: what there is, or the last of a stream.
async fn whole(response: Response<Body>) -> Option<Bytes> {
    let streams = is_stream(&response);
    let body = collect(response.into_body(), ANSWER_BYTES_MAX).await.ok()?;
    if !streams {
        return Some(body).filter(|body| !body.is_empty());
    }
    let mut events = Events::new(ANSWER_BYTES_MAX);
    events.push(body).ok()?.into_iter().filter_map(|event| event.data).rfind(|data| !data.is_empty())
}

fn is_stream(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

fn respond(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
