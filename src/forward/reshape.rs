//! The few places where a client gets other bytes than the server sent: a list of tools without those that are hidden,
//! and the end of a stream that broke off.

use bytes::Bytes;
use http::header;

use super::{ForwardError, Origin};
use crate::intercept::refusal_line;

/// The head of an answer whose body is another than it was.
pub(super) fn resized(mut head: http::response::Parts, shown: Option<&Bytes>) -> http::response::Parts {
    if shown.is_some() {
        head.headers.remove(header::CONTENT_LENGTH);
    }
    head
}

/// An event that says something else than the server's did. Line ends in JSON stand between tokens alone.
pub(super) fn message_event(message: &[u8]) -> Bytes {
    let line: Vec<u8> = message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    [b"event: message\ndata: ", &*line, b"\n\n"].concat().into()
}

/// The refusal as the last event of a stream that broke off.
pub(super) fn last_event(origin: &Origin, error: &str) -> Option<Bytes> {
    let failure = ForwardError::Exchange { server: origin.server.to_string(), source: error.into() };
    let refusal = failure.refusal(None);
    let line = refusal_line(&refusal, &origin.method, origin.jsonrpc_id.as_deref()?, origin.client.era);
    // The empty line before it ends an event that was cut off.
    Some(format!("\n\nevent: message\ndata: {line}\n\n").into())
}
