//! HTTP bodies as they travel between stages.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// What can go wrong while a body streams.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body that streams.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// A body that is already complete.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// No body.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Reads a body to its end, up to `bytes_max` bytes.
///
/// # Errors
/// The body's own error, or a sentence when it is larger.
pub async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut parts: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let part = frame?.into_data().unwrap_or_default();
        bytes += part.len();
        if bytes > bytes_max {
            return Err(format!("the body is larger than {bytes_max} bytes").into());
        }
        parts.push(part);
    }
    Ok(match parts.as_slice() {
        [one] => one.clone(),
        many => many.concat().into(),
    })
}
