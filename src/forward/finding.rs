//! What is found out about an answer while it passes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::answer::ResponseVerdict;
use crate::model::{Digest, OutcomeStatus, Refusal, ResultSummary, ResultText};

/// What is known so far about an answer.
#[derive(Clone, Debug)]
pub struct Finding {
    /// How the call ended, as far as known.
    pub status: OutcomeStatus,
    /// HTTP status of the answer.
    pub http_status: u16,
    /// JSON-RPC error code.
    pub error_code: Option<i64>,
    /// What went wrong, not yet redacted.
    pub error: Option<Arc<str>>,
    /// Sizes and digest.
    pub result: ResultSummary,
    /// The answer's text, as far as it was held.
    pub text: ResultText,
}

impl Finding {
    /// Before anything was read but the head.
    #[must_use]
    pub fn new(http_status: u16) -> Self {
        let status = match http_status {
            200..=399 => OutcomeStatus::Success,
            _ => OutcomeStatus::ProtocolError,
        };
        Self {
            status,
            http_status,
            error_code: None,
            error: None,
            result: ResultSummary::default(),
            text: ResultText::nothing(),
        }
    }

    /// Takes over what the answer says. Returns where it asks something of the client.
    pub fn judge(&mut self, verdict: ResponseVerdict) -> Vec<Range<usize>> {
        self.status = verdict.status;
        self.error_code = verdict.error_code;
        self.error = verdict.error;
        verdict.inputs
    }

    /// The answer as it is passed on.
    pub fn passed(&mut self, text: &Bytes) {
        self.result.digest = Some(Digest::of(text));
        self.text.bytes = text.clone();
    }

    /// The answer asks for something that was refused, so that its client gets the refusal in its place.
    pub fn refuse(&mut self, refusal: &Refusal) {
        self.status = OutcomeStatus::InputRequired;
        self.error = Some(format!("what the server asked for was refused: {}", refusal.outside).into());
        self.result.digest = None;
        self.text.bytes = Bytes::new();
    }
}
