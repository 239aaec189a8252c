//! Blocks about a session: what results brought into it, when it left its intent, what its host reported.

use serde::{Deserialize, Serialize};

use super::{LevelBlock, SignalsBlock, Text, TraceBlock};
use crate::model::{Correlation, Digest, IntentSource, PartsPerMillion, Severity, Timestamp};

/// What a result brought into the session, in parts when it is much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct FactsBlock<'a> {
    pub context_hash: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<SessionEnd<'a>>,
    pub entities: Vec<Text<'a>>,
    pub instructions: u64,
    pub labels: Vec<Text<'a>>,
    pub level: Option<LevelBlock>,
    pub part: u64,
    pub parts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_hash: Option<Digest>,
    pub result_hash: Option<Digest>,
    pub trust: Text<'a>,
    pub values: Vec<ValueBlock<'a>>,
    pub values_total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
}

/// The last entry of a session: what there was, before it is forgotten (AARM ).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct SessionEnd<'a> {
    pub actions: u64,
    pub correlation: Correlation,
    pub intent_source: Option<IntentSource>,
    pub last_action: Option<Timestamp>,
    pub reason: Text<'a>,
    pub started: Timestamp,
}

/// One value of a result that later arguments may repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ValueBlock<'a> {
    pub form: Text<'a>,
    pub hash: Digest,
}

/// A session left its intent. The words of the intent and the chain of actions stand in the block `context`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct DriftBlock<'a> {
    pub model: Option<Text<'a>>,
    pub model_hash: Option<Digest>,
    #[serde(rename = "ref")]
    pub decision_leaf: Option<Digest>,
    pub severity: Severity,
    pub signals: SignalsBlock,
    pub threshold_ppm: Option<PartsPerMillion>,
    pub trigger: Text<'a>,
}

/// Something an agent's host reported. Never evidence of what happened, only of what was reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ObservedBlock<'a> {
    pub agent: Option<Text<'a>>,
    pub at: Timestamp,
    pub event_name: Text<'a>,
    pub human: Option<Text<'a>>,
    pub joined_action_id: Option<Text<'a>>,
    pub severity: Option<Severity>,
    pub source: Text<'a>,
    pub success: Option<bool>,
    pub text: Option<Text<'a>>,
    pub tool: Option<Text<'a>>,
    pub trace: Option<TraceBlock<'a>>,
    pub truncated: bool,
}
