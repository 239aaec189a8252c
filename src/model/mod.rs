//! The nouns of the product, the same in code, configuration, manual and events: AARM's.
//!
//! Everything here is plain data. This module does no I/O, reads no clock, takes no lock and imports nothing else of
//! the crate, so every other stage may use it and none can be surprised by it.

pub mod json;

mod action;
mod approval;
mod call;
mod decision;
mod event;
mod fact;
mod id;
mod identity;
mod outcome;
mod refusal;
mod session;
mod signals;
mod time;
mod tool;
mod usage;

pub use action::{Action, Arguments, Destination, NativeName, Wrapper};
pub use approval::{Approval, ApprovalResult, Binding, Deferral};
pub use call::{
    Call, Client, Credentials, Era, FrameKind, Held, Outbound, Peer, ProxyHeaders, SessionCredential, SessionToken,
    Transport,
};
pub use decision::{
    Classification, ContextEffect, Decision, Edit, EditKind, Enforcement, MatchedRule, PolicyReference, ReasonCode,
    Verdict,
};
pub use event::{EventType, Severity};
pub use fact::{Fact, Facts};
pub use id::{
    ActionId, ApprovalId, ControlId, DeferralId, Digest, GrantId, InstanceId, InvalidId, ReceiptId, RunId, SessionId,
};
pub use identity::{AgentIdentity, Claim, Delegation, Identity, Verification};
pub use outcome::{Agreement, Outcome, OutcomeStatus, ResultSummary, ResultText};
pub use refusal::{Pending, Refusal, RefusalKind, with_causes};
pub use session::{
    Correlation, DataLevel, DriftAlert, DriftTrigger, Intent, IntentSource, LevelSource, PartsPerMillion, PriorAction,
    SessionContext,
};
pub use signals::{DistanceSource, Effect, Origin, Provenance, Signals, Witness};
pub use time::{Clock, ManualClock, Timestamp};
pub use tool::{ToolDefinition, ToolHints};
pub use usage::{Meter, Metered, Usage};
