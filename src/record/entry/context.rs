//! The block `context`: what was known about the session when the action was decided (AARM ).

use serde::{Deserialize, Serialize};

use super::{Domain, SaltKey, Text, clip, clip_cow};
use crate::model::{
    ActionId, Correlation, DataLevel, Digest, Intent, IntentSource, LevelSource, PriorAction, SessionContext,
    Timestamp, Verdict,
};
use crate::record::redact;

use super::clip::{json_bytes, take_fitting};

/// The intent's words. Bytes inside the JSON string.
const INTENT_MAX: usize = 1_024;
/// The class of an intent. Bytes inside the JSON string.
const CLASS_MAX: usize = 128;
/// Most earlier actions in one entry (design §14.2).
pub(crate) const PRIOR_ACTIONS_MAX: usize = 20;
/// Most earlier actions in the entry of an action that is allowed: there is nothing to explain, no event shows them, and
/// each stands in an entry of its own that the chain leads to. With all twenty, half of what a busy log writes, hashes
/// and signs would be repetition.
pub(crate) const PRIOR_ACTIONS_ALLOWED_MAX: usize = 5;
/// Tool and operation of an earlier action. Bytes inside the JSON string.
const PRIOR_NAME_MAX: usize = 48;
/// All labels together, in JSON.
const LABELS_BUDGET: usize = 512;

/// What was known about the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ContextBlock<'a> {
    pub action_count: u64,
    pub context_hash: Digest,
    pub correlation: Correlation,
    pub intent: Option<IntentBlock<'a>>,
    pub labels: Vec<Text<'a>>,
    pub labels_total: u64,
    pub level: Option<LevelBlock>,
    pub prior_actions: Vec<PriorActionBlock<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_key: Option<Digest>,
    pub started: Timestamp,
}

/// What the user wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentBlock<'a> {
    /// The class of the request, by which policies set boundaries; absent where nobody named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Text<'a>>,
    /// Salted digest of the whole redacted words.
    pub hash: Digest,
    /// Where they came from.
    pub source: IntentSource,
    /// The redacted words, cut to fit.
    pub text: Text<'a>,
    /// Whether they were cut.
    pub truncated: bool,
}

/// The highest data level seen, and how it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct LevelBlock {
    pub source: LevelSource,
    pub value: DataLevel,
}

/// One earlier action of the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct PriorActionBlock<'a> {
    pub action_id: Text<'a>,
    pub at: Timestamp,
    pub forwarded: bool,
    pub level: Option<DataLevel>,
    pub operation: Text<'a>,
    pub result: Verdict,
    pub success: Option<bool>,
    pub tool: Text<'a>,
}

impl<'a> ContextBlock<'a> {
    /// The block of a snapshot that led to `verdict`, with the 20 latest of the earlier actions, oldest first; 5 when the
    /// action was allowed.
    #[must_use]
    pub fn of(context: &'a SessionContext, verdict: Verdict, action: &ActionId, salts: &SaltKey) -> Self {
        let most = if verdict == Verdict::Allow { PRIOR_ACTIONS_ALLOWED_MAX } else { PRIOR_ACTIONS_MAX };
        let skipped = context.history.len().saturating_sub(most);
        let labels = context.labels.iter().map(|label| clip(label, LABELS_BUDGET / 4));
        Self {
            action_count: context.action_count,
            context_hash: context.context_hash,
            correlation: context.correlation,
            intent: context.intent.as_ref().map(|intent| IntentBlock::of(intent, action, salts)),
            labels: take_fitting(labels, LABELS_BUDGET, |label| json_bytes(label)),
            labels_total: context.labels.len() as u64,
            level: context.level.map(|(value, source)| LevelBlock { source, value }),
            prior_actions: context.history.iter().skip(skipped).map(|prior| PriorActionBlock::of(prior)).collect(),
            session_key: context.key,
            started: context.started,
        }
    }
}

impl<'a> IntentBlock<'a> {
    fn of(intent: &'a Intent, action: &ActionId, salts: &SaltKey) -> Self {
        let words = redact::text(&intent.text).text;
        let hash = Domain::Intent.commit(salts.salt(action, "intent"), words.as_bytes());
        let length = words.len();
        let text = clip_cow(words, INTENT_MAX);
        let class = intent.class.as_deref().map(|class| clip(class, CLASS_MAX));
        Self { class, hash, source: intent.source, truncated: text.len() != length, text }
    }
}

impl<'a> PriorActionBlock<'a> {
    /// The block of an earlier action.
    #[must_use]
    pub fn of(prior: &'a PriorAction) -> Self {
        let short = |name: &'a str| clip_cow(redact::text(name).text, PRIOR_NAME_MAX);
        Self {
            action_id: prior.id.as_str().into(),
            at: prior.at,
            forwarded: prior.forwarded,
            level: prior.level,
            operation: short(&prior.operation),
            result: prior.verdict,
            success: prior.success,
            tool: short(&prior.tool),
        }
    }
}
