//! What became of a forwarded action (AARM ).

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Digest, Timestamp};

/// What became of an action that was forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: OutcomeStatus,
    /// When forwarding began.
    pub started: Timestamp,
    /// When the answer was complete.
    pub completed: Timestamp,
    /// Host and port it was sent to, or the command's name.
    pub upstream: Arc<str>,
    /// HTTP status of the answer.
    pub http_status: Option<u16>,
    /// JSON-RPC error code of the answer.
    pub error_code: Option<i64>,
    /// What went wrong, redacted and bounded.
    pub error: Option<Arc<str>>,
    /// What came back.
    pub result: ResultSummary,
    /// Self-reported name and version of the server.
    pub server_version: Option<Arc<str>>,
}

impl Outcome {
    /// What was passed on to `whom` and has no answer of its own: a server's question, a client's answer to one.
    #[must_use]
    pub fn passed_on(whom: &str, started: Timestamp, completed: Timestamp) -> Self {
        Self {
            status: OutcomeStatus::Success,
            started,
            completed,
            upstream: Arc::from(whom),
            http_status: None,
            error_code: None,
            error: None,
            result: ResultSummary::default(),
            server_version: None,
        }
    }
}

/// How a forwarded action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    /// The client went away and the protocol says that this cancels the call.
    Cancelled,
    /// The server asks for more input before it answers (MCP 2026-07-28, `input_required`).
    InputRequired,
    /// The server answered with a JSON-RPC error, or an HTTP error.
    ProtocolError,
    /// Done.
    Success,
    /// The tool ran and says that it failed.
    ToolError,
    /// Not known: the process ended in between, or the answer broke off.
    Unknown,
    /// The server could not be reached or did not answer in time.
    UpstreamError,
}

impl OutcomeStatus {
    /// The word that entries and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::InputRequired => "input_required",
            Self::ProtocolError => "protocol_error",
            Self::Success => "success",
            Self::ToolError => "tool_error",
            Self::Unknown => "unknown",
            Self::UpstreamError => "upstream_error",
        }
    }
}

/// What came back, without what came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultSummary {
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// Digest of the answer's body as it was passed on.
    pub digest: Option<Digest>,
    /// Messages passed on before the answer: progress, logs.
    pub notifications: u32,
}

/// The text of an answer, as far as it was held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultText {
    /// The answer: a JSON-RPC message, or the body of a plain HTTP answer. Empty when nothing came, or nothing was held.
    pub bytes: Bytes,
    /// Messages that were passed on before the answer: progress and logs, which a model may read too.
    pub notes: Vec<Bytes>,
    /// Whether this is all that the client was given. Otherwise more of it went by than was looked at.
    pub whole: bool,
}

impl ResultText {
    /// All of an answer.
    #[must_use]
    pub const fn whole(bytes: Bytes) -> Self {
        Self { bytes, notes: Vec::new(), whole: true }
    }

    /// No answer.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { bytes: Bytes::new(), notes: Vec::new(), whole: true }
    }
}

/// Whether what happened is what was decided (receipts §7.4 `agreement`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Yes.
    Match,
    /// No.
    Mismatch,
    /// It cannot be told.
    Unknown,
}
