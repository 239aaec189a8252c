//! The tool: sends what was permitted, once, and watches what comes back.
//!
//! Nothing reaches a server but through [`Upstream::send`], which takes a [`Cleared`]: that can only be made from a
//! permit and the token of the durable decision, or from the permit of a protocol frame. This stage never decides,
//! never retries what a server may have seen, and adds nothing to what the client sent but the header
//! `Countersign-Action`.

mod cleared;

use std::pin::Pin;

use http::Response;

use crate::net::Body;

pub use cleared::Cleared;

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
}

/// Why a call got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
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
    /// Too many calls to this server at once.
    #[error("more than {limit} calls to `{server}` at once")]
    Overloaded {
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
