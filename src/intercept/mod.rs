//! Bytes to [`Call`]s, and refusals back to bytes.
//!
//! This is the only place that reads what an agent sent and the only one that writes an error to it. It checks
//! everything that two readers of the same bytes could understand differently, and hands on the bytes untouched. It must
//! never decide, never forward, and never let a frame through that it did not understand.

mod batch;
mod head;
mod held;
mod http_tool;
mod inputs;
mod mcp;
mod methods;
mod reply;
mod server;
mod stdio;
mod wrappers;

use serde::Deserialize;

use crate::model::{Call, Refusal};
use crate::net::Body;

pub use head::{Head, HostCheck};
pub use http_tool::{PathTemplate, read as read_http};
pub use inputs::{INPUT_RESPONSE, INPUTS_MAX, read_input_request, reread_inputs};
pub use mcp::{Arrival, MODERN_VERSION, Refused, read as read_mcp, read_line};
pub use methods::frame_kind;
pub use reply::{AnswerForm, Malformed, REFUSED, error_line, malformed, refusal, refusal_line};
pub use server::{Drained, Interceptor, Routes, ServeError};
pub use stdio::StdioClient;
pub use wrappers::WrapperTool;

/// What the rest of the product answers to a call.
#[derive(Debug)]
pub enum Reply {
    /// The upstream's answer, streaming.
    Upstream(Box<http::Response<Body>>),
    /// It ends here.
    Refused(Box<Refusal>),
}

/// The seam to the rest of the product: every call goes in here and comes out answered. Never fails: a failure is a
/// [`Reply::Refused`].
pub trait Mediate: Send + Sync + 'static {
    /// Mediates one call. Work that must not be lost when the caller goes away is the implementation's to detach.
    fn mediate(&self, call: Call) -> impl Future<Output = Reply> + Send;
}

/// Limits on what is read from a client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Largest request body, bytes. 4 MiB: larger than what agents send as arguments, small enough for a thousand at
    /// once.
    pub body_bytes_max: usize,
    /// Deepest nesting of a JSON body.
    pub depth_max: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Seconds a client may take to send its headers, and its body.
    pub read_timeout_s: u64,
    /// Host names, besides the listening address and loopback, under which clients may reach this proxy.
    pub hosts: Vec<String>,
    /// Origins of browser pages that may call. Loopback origins always may.
    pub origins: Vec<String>,
    /// Tools that run other tools, so that rules see the inner one (AARM ). `mcp_tool` and `Skill` by default.
    pub wrappers: Vec<WrapperTool>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_bytes_max: 4 << 20,
            depth_max: 64,
            connections_max: 4_096,
            read_timeout_s: 30,
            hosts: Vec::new(),
            origins: Vec::new(),
            wrappers: wrappers::known_wrappers(),
        }
    }
}
