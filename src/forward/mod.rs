//! The tool: sends what was permitted, once, and watches what comes back.
//!
//! Nothing reaches a server but through [`Upstream::send`], which takes a [`Cleared`]: that can only be made from a
//! permit and the token of the durable decision, or from the permit of a protocol frame. This stage never decides,
//! never retries what a server may have seen, and adds nothing to what the client sent but the header
//! `Countersign-Action`.

mod answer;
mod cleared;
mod finding;
mod hang_up;
mod http;
mod inputs;
mod list;
mod listing;
mod location;
mod message_id;
mod pending;
mod pins;
mod reshape;
mod screen;
mod stdio;
mod tools;
mod upstreams;
mod watch;
mod whole;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::Response;
use bytes::Bytes;
use serde::Deserialize;

use crate::metrics::{Counter, count};
use crate::model::{Outcome, ReceiptId, Refusal, RefusalKind, ResultText, with_causes};
use crate::net::Body;

pub use answer::{Message, ResponseVerdict, read_message};
pub use cleared::Cleared;
pub use finding::Finding;
pub use hang_up::{HangUp, Waiting};
pub use http::{HttpSettings, HttpUpstream};
pub use listing::Listed;
pub use pending::Pending;
pub use pins::{Change, PinError, Pins, ServerPins, StatedPins, ToolPin};
pub use screen::Screen;
pub use stdio::{StdioSettings, StdioUpstream};
pub use tools::{Asker, Catalogue, Tools};
pub use upstreams::{Origin, Server, Upstreams};
pub use watch::{AnswerLimits, Watch, watch};

/// The `forward:` section: limits on answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Largest answer that is held whole to be looked at, bytes; a larger one streams and is hashed only.
    pub inspected_bytes_max: usize,
    /// Largest event of a stream, bytes. A larger one ends the stream with an error.
    pub event_bytes_max: usize,
    /// Longest silence of an answer that has begun, seconds.
    pub silence_s_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        let limits = AnswerLimits::default();
        Self {
            inspected_bytes_max: limits.inspected_bytes_max,
            event_bytes_max: limits.event_bytes_max,
            silence_s_max: limits.silence_max.as_secs(),
        }
    }
}

impl Config {
    /// The limits as answers are watched with.
    #[must_use]
    pub const fn limits(&self) -> AnswerLimits {
        AnswerLimits {
            inspected_bytes_max: self.inspected_bytes_max,
            event_bytes_max: self.event_bytes_max,
            silence_max: Duration::from_secs(self.silence_s_max),
        }
    }
}

/// A server that calls can be sent to.
///
/// On return the head of the answer is there and the body streams. At most one attempt reaches the server; an
/// implementation may repeat only what provably never left this process. May be used by many tasks at once.
pub trait Upstream: Send + Sync {
    /// Sends one cleared call.
    fn send(&self, cleared: Cleared)
    -> Pin<Box<dyn Future<Output = Result<Response<Body>, ForwardError>> + Send + '_>>;

    /// Host and port, or the command's name: what evidence says about where a call went.
    fn address(&self) -> &str;

    /// Whether what it lists belongs to the session of a client, so that it is only asked on one.
    fn has_sessions(&self) -> bool {
        false
    }

    /// Ends what was started for this server. When it returns, nothing of it runs any more; calls after it fail.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// Told once how a forwarded call ended, with the answer's text as far as it was held. Returns something to wait for
/// when the end of the answer must not leave before the outcome is durable (`outcome: wait`). Dropped untold, the
/// outcome is unknown.
pub type Completion = Box<dyn FnOnce(Outcome, ResultText) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> + Send>;

/// Something a server asks of the client: sampling, elicitation, roots.
#[derive(Clone, Debug)]
pub enum Question {
    /// Inside another message, without an id (MCP 2026-07-28): `{"method": ..., "params": ...}`.
    Inside(Bytes),
    /// A message of its own, which the client answers by its id (the older era).
    Message {
        /// Its JSON-RPC id as written.
        id: Arc<str>,
        /// The message as the server wrote it.
        message: Bytes,
    },
}

/// A question as it may be passed on, or why it may not.
pub type Answered<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Box<Refusal>>> + Send + 'a>>;

/// Decides what servers ask of clients. It is an action like any other, in the other direction.
pub trait ServerRequests: Send + Sync {
    /// Decides and records one question. On success its text as it may be passed on. A message that may not be passed
    /// on is answered to the server by the implementation.
    fn decide<'a>(&'a self, question: Question, origin: &'a Origin) -> Answered<'a>;
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The client took the call back before there was an answer.
    #[error("the client took its call to `{server}` back")]
    Cancelled {
        /// The configured alias.
        server: String,
    },
    /// The server answered with something that is no answer to this call.
    #[error("`{server}` answered with HTTP {status}: {problem}")]
    Answer {
        /// The configured alias.
        server: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No connection.
    #[error("connect to `{server}` at `{address}`")]
    Connect {
        /// The configured alias.
        server: String,
        /// Where.
        address: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke off, or the answer is not what the protocol allows.
    #[error("exchange with `{server}`")]
    Exchange {
        /// The configured alias.
        server: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server asks the client for something that it may not ask for.
    #[error("`{server}` asks for something that was refused: {}", refusal.inside)]
    Question {
        /// The configured alias.
        server: String,
        /// Why it was refused.
        refusal: Box<Refusal>,
    },
    /// Too many calls to this server at once.
    #[error("more than {limit} calls to `{server}` at once")]
    Overloaded {
        /// The configured alias.
        server: String,
        /// The limit.
        limit: usize,
    },
    /// Too many processes of this server at once.
    #[error("more than {limit} processes of `{server}` at once")]
    Processes {
        /// The configured alias.
        server: String,
        /// The limit.
        limit: usize,
    },
    /// No answer in time.
    #[error("no answer from `{server}` within {seconds} s")]
    Timeout {
        /// The configured alias.
        server: String,
        /// The limit, seconds.
        seconds: u64,
    },
    /// The configuration names no such server.
    #[error("no server `{0}` is configured")]
    Unknown(String),
}

impl ForwardError {
    /// What the caller is told.
    #[must_use]
    pub fn refusal(&self, receipt: Option<ReceiptId>) -> Refusal {
        let (kind, outside) = match self {
            Self::Timeout { server, seconds } => (
                RefusalKind::UpstreamTimeout { receipt },
                format!(
                    "Tool server `{server}` did not answer within {seconds} s. Whether the call took effect is unknown."
                ),
            ),
            Self::Answer { server, status, .. } => (
                RefusalKind::UpstreamUnavailable { receipt },
                format!(
                    "Tool server `{server}` sent what is not an answer (HTTP {status}). Whether the call took effect is unknown."
                ),
            ),
            Self::Overloaded { server, .. } => (
                RefusalKind::Overloaded,
                format!("Tool server `{server}` has too many calls in flight. Try again later."),
            ),
            Self::Processes { server, .. } => (
                RefusalKind::Overloaded,
                format!("Tool server `{server}` serves too many sessions. End one, or try again later."),
            ),
            Self::Cancelled { server } => (
                RefusalKind::UpstreamUnavailable { receipt },
                format!("The call to tool server `{server}` was cancelled. Whether it took effect is unknown."),
            ),
            Self::Connect { server, .. } | Self::Unknown(server) => (
                RefusalKind::UpstreamUnavailable { receipt },
                format!("Tool server `{server}` could not be reached. The call was not made."),
            ),
            Self::Question { refusal, .. } => return refusal.as_ref().clone(),
            Self::Exchange { server, .. } => (
                RefusalKind::UpstreamUnavailable { receipt },
                format!("Tool server `{server}` broke off. Whether the call took effect is unknown."),
            ),
        };
        count(Counter::UpstreamFailures);
        let inside = with_causes(self);
        tracing::warn!(error = inside, "no answer");
        Refusal::new(kind, &outside, inside)
    }
}
