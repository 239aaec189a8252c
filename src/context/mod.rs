//! What is known about a session: the second half of what a decision is made from (AARM R2).
//!
//! A session is found by the strongest key a call offers; the strength is recorded. Actions are added when they are
//! requested and completed later, so that a crash in between leaves a request without a result, never a result without
//! a request (AARM ). Every action extends a hash chain over the session's context (AARM ). Memory is
//! bounded: sessions, actions a session, and idle time. Must never take a session's intent from a tool's output, and
//! never decide.

pub mod classification;
pub mod drift;

mod correlation;
mod ending;
mod intent;
mod meters;
mod result;
mod secrets;
mod session;
mod sessions;
mod state;
mod store;

use serde::Deserialize;

pub use classification::{Classifier, OutputTrust, ToolLabels, ToolTable};
pub use correlation::{SessionKey, caller};
pub use intent::{Grant, HostIntent, SessionTokens, TokenError};
pub use meters::{Meters, metered_as, metered_by};
pub use result::Awaited;
pub use secrets::{Secrets, SecretsError};
pub use session::{Observed, Session};
pub use sessions::Sessions;
pub use store::StoreError;

/// Bounds on what is remembered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Sessions at once. One more, and the one that has been idle longest is forgotten.
    pub sessions_max: usize,
    /// Idle seconds after which a session ends (AARM G-28).
    pub session_ttl_s: u64,
    /// Idle seconds after which calls of one identity, without any session key, begin a new session.
    pub idle_gap_s: u64,
    /// Actions kept word by word for each session (AARM ).
    pub actions_max: usize,
    /// Bytes of values that a session remembers. What is beyond is let go, oldest first, and not trusted afterwards.
    pub memory_bytes_max: usize,
    /// Bytes of values that a session remembers when nobody has used it for `idle_after_s`.
    pub idle_bytes_max: usize,
    /// Seconds without a call after which a session is idle.
    pub idle_after_s: u64,
    /// Seconds that what was kept of a session outlives it (AARM ).
    pub retention_s: u64,
    /// Whether `countersign/intent` in `_meta` may say what the user wants.
    pub host_intent: HostIntent,
    /// How actions are compared with the intent.
    pub drift: drift::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sessions_max: 10_000,
            session_ttl_s: 3_600,
            idle_gap_s: 900,
            actions_max: 100,
            memory_bytes_max: 1 << 20,
            idle_bytes_max: 40 << 10,
            idle_after_s: 300,
            retention_s: 0,
            host_intent: HostIntent::default(),
            drift: drift::Config::default(),
        }
    }
}
