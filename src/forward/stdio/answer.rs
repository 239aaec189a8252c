//! What a server process says, as HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::call::{CallInFlight, Turned};
use super::routing::Part;
use crate::intercept::error_line;
use crate::model::Era;
use crate::net::{Body, Streamed, empty, full};

/// Silence of a stream after which a comment is sent: without it, a client that vanished would hold its process for
/// ever.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// A comment of an event stream; readers skip it.
const COMMENT: &[u8] = b": still here\n\n";

/// JSON-RPC code of a session that is not there, as the official servers give it.
const NO_SESSION: i64 = -32_001;

/// The HTTP status of an answer. The newer era gives some errors one of their own (MCP 2026-07-28, Streamable HTTP);
/// in the older one an answer is 200.
pub(super) const fn status_of(era: Era, error: Option<i64>) -> StatusCode {
    match (era, error) {
        (Era::Modern, Some(-32_601)) => StatusCode::NOT_FOUND,
        (Era::Modern, Some(-32_022..=-32_020)) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// An answer in one piece: exactly the server's bytes.
pub(super) fn whole(line: Bytes, status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(line));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// No answer but a status.
pub(super) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}

/// The session is not there (404: the client begins another), or none was named (400).
pub(super) fn no_session(status: StatusCode, id: Option<&str>) -> Response<Body> {
    let text = if status == StatusCode::NOT_FOUND { "this session has ended" } else { "`Mcp-Session-Id` is missing" };
    whole(error_line(id, NO_SESSION, text).into(), status)
}

/// A method that MCP of this era does not have.
pub(super) fn only_post() -> Response<Body> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The messages of one call from `first` on, up to its answer. `room` is given back at the end.
pub(super) fn call_stream(mut call: CallInFlight, first: Bytes, room: OwnedSemaphorePermit) -> Response<Body> {
    let (sender, body) = Streamed::channel();
    tokio::spawn(async move {
        let _room = room;
        let mut next = Ok(Part::Note(first));
        loop {
            let (message, last) = match next {
                Ok(Part::Note(message)) => (message, false),
                Ok(Part::Answer(message, _)) => (message, true),
                Err(turned) => {
                    let _client_may_be_gone = sender.send(Err(sentence(&turned).into())).await;
                    return;
                }
            };
            // The call is given up when its client is gone: see `CallInFlight`.
            if sender.send(Ok(event(&message))).await.is_err() || last {
                return;
            }
            next = tokio::select! {
                next = call.next() => next,
                () = sender.closed() => return,
            };
        }
    });
    event_stream(body.boxed_unsync())
}

/// What belongs to no call, until the process ends or the client goes away.
pub(super) fn session_stream(mut messages: mpsc::Receiver<Bytes>) -> Response<Body> {
    let (sender, body) = Streamed::channel();
    tokio::spawn(async move {
        loop {
            let next = tokio::select! {
                message = messages.recv() => message.map(|message| event(&message)),
                () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(COMMENT)),
                () = sender.closed() => None,
            };
            let Some(bytes) = next else { return };
            if sender.send(Ok(bytes)).await.is_err() {
                return;
            }
        }
    });
    event_stream(body.boxed_unsync())
}

/// A message as it can stand on one line. Line ends inside a strict JSON text can only be white space between tokens:
/// as spaces they change nothing.
pub(super) fn one_line(message: &Bytes) -> Bytes {
    if !message.iter().any(|byte| is_line_end(*byte)) {
        return message.clone();
    }
    message.iter().map(|byte| if is_line_end(*byte) { b' ' } else { *byte }).collect::<Vec<u8>>().into()
}

/// Why a call did not go on, for the log.
pub(super) fn sentence(turned: &Turned) -> String {
    match turned {
        Turned::Blocked => "its id is in use for an unlimited time".into(),
        Turned::Cancelled => "the client took it back".into(),
        Turned::Ended(fault) => fault.clone(),
        Turned::Unread => "its client does not read".into(),
    }
}

const fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn event(message: &Bytes) -> Bytes {
    [b"event: message\ndata: ", &*one_line(message), b"\n\n"].concat().into()
}

fn event_stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Some reverse proxies hold streams back unless they are told (MCP 2026-07-28, Streamable HTTP).
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
