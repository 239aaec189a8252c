//! The predicate: what every entry says of itself, and one block for what it is about.

use serde::{Deserialize, Serialize};

use super::{
    ActionBlock, AnchorBlock, ApprovalBlock, CloseBlock, ContextBlock, ControlBlock, DecisionBlock, DeferralBlock,
    DriftBlock, ExportCheckpointBlock, ExportGapBlock, FactsBlock, GapBlock, GenesisBlock, GrantBlock, IdentityBlock,
    KeyBlock, Kind, ObservedBlock, OutcomeBlock, PolicySetBlock, RecoveryBlock, RedactionBlock, Text, ToolPinBlock,
};
use crate::model::{Digest, Timestamp};

/// The predicate of every entry. The blocks of an action (`action`, `approval`, `context`, `decision`, `deferral`,
/// `identity`, `outcome`) and `session` are always present, null where they do not apply; the block that is named like
/// the kind stands only in entries of that kind (`facts` in `context` entries).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each block documents itself")]
pub struct Predicate<'a> {
    pub action: Option<Box<ActionBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<Box<AnchorBlock<'a>>>,
    pub approval: Option<Box<ApprovalBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close: Option<Box<CloseBlock<'a>>>,
    pub context: Option<Box<ContextBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<Box<ControlBlock<'a>>>,
    pub decision: Option<Box<DecisionBlock<'a>>>,
    pub deferral: Option<Box<DeferralBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<DriftBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_checkpoint: Option<Box<ExportCheckpointBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_gap: Option<Box<ExportGapBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<FactsBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<Box<GapBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Box<GenesisBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Box<GrantBlock<'a>>>,
    pub identity: Option<Box<IdentityBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<KeyBlock<'a>>>,
    /// The kind's word; see [`Predicate::kind`].
    pub kind: Text<'a>,
    pub log: LogBlock<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<Box<ObservedBlock<'a>>>,
    pub outcome: Option<Box<OutcomeBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<PolicySetBlock<'a>>>,
    /// The entry's id, as people quote it.
    pub receipt_id: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Box<RecoveryBlock<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Box<RedactionBlock<'a>>>,
    /// The entry's place in its session; null when it belongs to none.
    pub session: Option<SessionBlock<'a>>,
    pub time: TimeBlock<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_pin: Option<Box<ToolPinBlock<'a>>>,
    /// The version of the format: 1.
    pub v: u32,
}

impl Predicate<'_> {
    /// The kind; `None` for one of a later version.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Kind::parse(&self.kind)
    }
}

/// Which log the entry was written for, so that it cannot be passed off as part of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBlock<'a> {
    /// Number of the receipt key, 1 and up.
    pub epoch: u64,
    /// Name of the log: the origin line of its checkpoints.
    pub origin: Text<'a>,
    /// Index of the first entry of this run of the process.
    pub run_first: u64,
}

/// An entry's place in its session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionBlock<'a> {
    /// Number of the chain within the run, 1 and up. `run_id` and `chain` together name one chain.
    pub chain: u64,
    /// Whether this is the last entry of the session.
    pub close: bool,
    /// The session.
    pub id: Text<'a>,
    /// Leaf hash of the entry before this one in the chain; null when `seq` is 0.
    pub prev: Option<Digest>,
    /// The log that `prev` stands in, when it is another; null otherwise.
    pub prev_origin: Option<Text<'a>>,
    /// Place in the chain, from 0, without gaps.
    pub seq: u64,
    /// The day of the vault that holds the key of this entry's salts; null when the entry made none.
    pub vault_day: Option<Text<'a>>,
}

/// When the entry was made, by the clock of the machine that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeBlock<'a> {
    /// The boot of the machine.
    pub boot_id: Text<'a>,
    /// Nanoseconds since some point of this run, never decreasing, as a decimal string.
    pub mono_ns: Text<'a>,
    /// The run of the process.
    pub run_id: Text<'a>,
    /// RFC 3339 UTC with microseconds.
    pub wall: Timestamp,
}
