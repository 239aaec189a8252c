//! What the product knows about a session at the moment of a decision (AARM R2).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ActionId, Digest, SessionId, Signals, Timestamp, Verdict};

/// An immutable snapshot of a session: the second half of what a decision is made from (AARM ).
#[derive(Clone, Debug)]
pub struct SessionContext {
    /// The session.
    pub session: SessionId,
    /// What tied this action to the session, and so how far the session's history can be relied on.
    pub correlation: Correlation,
    /// What the session is found by, keyed: in its first action alone, so that the log can tell which session it was.
    pub key: Option<Digest>,
    /// Whether what is known about the session is all there is, and is kept. Otherwise nothing may go on (AARM ).
    pub intact: bool,
    /// When the session began.
    pub started: Timestamp,
    /// When this action was observed: the time that rules see.
    pub now: Timestamp,
    /// What the user asked for, when known.
    pub intent: Option<Intent>,
    /// Earlier actions, oldest first, bounded (AARM ).
    pub history: Arc<[Arc<PriorAction>]>,
    /// Actions observed so far, this one not counted.
    pub action_count: u64,
    /// The highest data level seen; `None` before any data was seen.
    pub level: Option<(DataLevel, LevelSource)>,
    /// Labels of data seen: `PII`, `SECRET`, ... sorted.
    pub labels: Arc<[Arc<str>]>,
    /// Signals for this action. An absent signal is unknown, never zero.
    pub signals: Signals,
    /// The session leaves its intent with this action, and has not before (AARM ).
    pub drift: Option<DriftAlert>,
    /// Head of the session's context chain (AARM ).
    pub context_hash: Digest,
}

/// A session left its intent: a threshold was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriftAlert {
    /// What crossed it.
    pub trigger: DriftTrigger,
    /// The threshold.
    pub threshold: PartsPerMillion,
}

/// What says that a session left its intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriftTrigger {
    /// The drift of the whole session.
    CumulativeDrift,
    /// The distance of one action.
    SemanticDistance,
}

impl DriftTrigger {
    /// The word in entries and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CumulativeDrift => "cumulative_drift",
            Self::SemanticDistance => "semantic_distance",
        }
    }
}

/// What tied an action to its session, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correlation {
    /// A session token that this product signed.
    SignedToken,
    /// The transport itself: one process, one pair of pipes.
    Transport,
    /// `Mcp-Session-Id` of the older era.
    ProtocolSession,
    /// A session or trace id in `_meta` or a header, from the client.
    ClientAsserted,
    /// The same identity within the idle gap.
    IdentityAndGap,
}

/// What the user wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The words, redacted.
    pub text: Arc<str>,
    /// The class of the request (`meeting_prep`, `code_fix`), when the channel that set the intent named one.
    pub class: Option<Arc<str>>,
    /// Where they came from.
    pub source: IntentSource,
}

/// Where an intent came from, most trusted first (resolution G-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentSource {
    /// A session token that this product signed.
    SignedToken,
    /// The agent's host, on a channel the agent does not control.
    Host,
    /// A prompt event that the agent's host reported.
    Telemetry,
    /// Taken from the first calls.
    Inferred,
}

/// One earlier action of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorAction {
    /// The action.
    pub id: ActionId,
    /// Its tool.
    pub tool: Arc<str>,
    /// Its operation.
    pub operation: Arc<str>,
    /// What was decided.
    pub verdict: Verdict,
    /// Whether it was forwarded.
    pub forwarded: bool,
    /// Whether a person was asked and agreed. What shadow mode forwards nobody agreed to.
    pub confirmed: bool,
    /// When it was received.
    pub at: Timestamp,
    /// The level of the data it brought into the session; `None` when it brought none, or it is not known yet.
    pub level: Option<DataLevel>,
    /// Whether it succeeded; `None` while it runs or when it was not forwarded.
    pub success: Option<bool>,
}

/// Ordered levels of sensitivity (AARM §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DataLevel {
    /// For everyone.
    Public,
    /// For the organisation.
    Internal,
    /// For those who need it.
    Confidential,
    /// For the named few.
    Restricted,
}

impl DataLevel {
    /// The word that policies, entries and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Internal => "INTERNAL",
            Self::Confidential => "CONFIDENTIAL",
            Self::Restricted => "RESTRICTED",
        }
    }
}

/// How a level was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelSource {
    /// Nothing said what it is, so it counts as the highest (AARM ).
    Default,
    /// A detector found it in the data.
    Detector,
    /// The operator labelled the tool.
    Label,
    /// A policy said so.
    Policy,
}

impl LevelSource {
    /// The word that policies, entries and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Detector => "detector",
            Self::Label => "label",
            Self::Policy => "policy",
        }
    }
}

/// A fraction in millionths: signed bytes hold integers only (resolution G-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartsPerMillion(pub u32);
