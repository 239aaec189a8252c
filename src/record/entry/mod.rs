//! What stands in the log: entries, as [`crate::manual::log_format`] specifies them.
//!
//! An entry's payload is an in-toto statement whose serialisation is its own RFC 8785 form: members are declared in
//! alphabetical order, numbers are integers, and plain `serde_json` output is canonical. Nothing here signs, stores or
//! reads a clock. Nothing that is not in the manual may be written, and no member may change its meaning: a new member
//! is additive, a changed meaning is a new `v`.

mod action;
mod approval;
mod client;
mod clip;
mod commitment;
mod context;
mod decision;
mod export;
mod findings;
mod identity;
mod kind;
mod life;
mod operator;
mod outcome;
mod parameters;
mod predicate;
mod read;
mod statement;
mod write;

pub use action::{
    ActionBlock, ActionFacts, DestinationBlock, EffectBlock, ModelBlock, NativeBlock, StepBlock, TraceBlock,
};
pub use approval::{ApprovalBlock, DeferralBlock};
pub use client::{ClientBlock, PeerBlock};
pub use clip::{CUT_MARK, clip, clip_cow, fitting};
pub use commitment::{Domain, SALT_BYTES, Salt, SaltKey, commit_field};
pub use context::{ContextBlock, IntentBlock, LevelBlock, PriorActionBlock};
pub use decision::{
    DecisionBlock, EditBlock, MeterBlock, PolicyBlock, ProvenanceBlock, RuleBlock, SetsBlock, SignalsBlock,
};
pub use export::{DestinationCount, ExportCheckpointBlock, ExportGapBlock};
pub use findings::{DriftBlock, FactsBlock, ObservedBlock, SessionEnd, ValueBlock};
pub use identity::{AgentBlock, ClaimBlock, DelegationBlock, IdentityBlock, ProviderBlock};
pub use kind::Kind;
pub use life::{
    AnchorBlock, CloseBlock, GapBlock, GenesisBlock, KeyBlock, PredecessorBlock, RedactionBlock, RevokeBlock,
};
pub use operator::{
    ControlBlock, GrantBlock, LoadedPolicy, PinnedTool, PolicyChanges, PolicySetBlock, ScopeBlock, ToolPinBlock,
};
pub use outcome::{OutcomeBlock, RecoveryBlock, ResultBlock, UpstreamBlock, agreement, is_permitted, standing};
pub use parameters::{FieldCommitment, ParametersBlock, ParametersMode};
pub use predicate::{LogBlock, Predicate, SessionBlock, TimeBlock};
pub use read::{
    EntryError, Outline, OutlineAction, OutlineControl, OutlineDecision, OutlineLog, OutlinePredicate, OutlineSession,
    OutlineTime, ReadEntry, read_payload,
};
pub use statement::{PREDICATE_TYPE, STATEMENT_TYPE, Statement, Subject, SubjectDigest};
pub use write::{Blocks, EntryHeader, Member, PAYLOAD_BYTES_MAX, write_blocks, write_statement};

/// A text of an entry: borrowed while it is written, owned after it was read.
pub(crate) type Text<'a> = std::borrow::Cow<'a, str>;

#[cfg(test)]
mod tests;
