//! What a server asks of the client inside an answer (MCP 2026-07-28, `inputRequests`).

use std::ops::Range;

use bytes::Bytes;

use super::{Origin, Question};
use crate::intercept::INPUTS_MAX;
use crate::model::{Refusal, RefusalKind};

/// Decides the requests at `spans` of `message`, in their order. Returns the message as it may be passed on: the same
/// bytes, unless a decision changes a request.
///
/// # Errors
/// Why it may not be passed on: the first request that was refused.
pub(super) async fn decide(
    message: &Bytes,
    mut spans: Vec<Range<usize>>,
    origin: &Origin,
) -> Result<Bytes, Box<Refusal>> {
    if spans.len() > INPUTS_MAX {
        let outside = format!("Tool server `{}` asks more than {INPUTS_MAX} things at once.", origin.server);
        return Err(Box::new(Refusal::new(RefusalKind::Overloaded, &outside, "too many input requests")));
    }
    spans.sort_by_key(|span| span.start);
    let mut passed = Vec::new();
    for span in &spans {
        let request = message.slice(span.clone());
        let permitted = origin.requests.decide(Question::Inside(request.clone()), origin).await?;
        if permitted != request {
            passed.push((span.clone(), permitted));
        }
    }
    Ok(if passed.is_empty() { message.clone() } else { splice(message, &passed) })
}

/// `message` with other bytes at some spans, which are in order and apart from each other.
fn splice(message: &Bytes, changes: &[(Range<usize>, Bytes)]) -> Bytes {
    let mut out = Vec::with_capacity(message.len());
    let mut done = 0;
    for (span, text) in changes {
        out.extend_from_slice(message.get(done..span.start).unwrap_or_default());
        out.extend_from_slice(text);
        done = span.end;
    }
    out.extend_from_slice(message.get(done..).unwrap_or_default());
    out.into()
}
