//! The block `decision`: what was decided, by which rule, and what it was decided from (AARM ).

use serde::{Deserialize, Serialize};

use super::clip::{json_bytes, take_fitting};
use super::{Text, clip, clip_cow};
use crate::model::{
    Classification, ContextEffect, DataLevel, Decision, Digest, DistanceSource, Edit, EditKind, Effect, Enforcement,
    MatchedRule, Metered, Origin, PartsPerMillion, PolicyReference, Provenance, ReasonCode, ReceiptId, Severity,
    Signals, Verdict,
};
use crate::record::redact;

/// Ids of policies and rules, versions, approvers. Bytes inside the JSON string.
const NAME_MAX: usize = 128;
/// The operation that returned a value.
const OPERATION_MAX: usize = 48;
/// The sentence for people.
const REASON_MAX: usize = 1_024;
/// All matched rules together, in JSON. About 40 rules with ids of 20 characters; `rules_total` counts them all.
const RULES_BUDGET: usize = 5_120;
/// All changes of a MODIFY together, in JSON.
const EDITS_BUDGET: usize = 1_024;
/// All approvers together, in JSON.
const APPROVERS_BUDGET: usize = 512;
/// All meters together, in JSON.
const METERS_BUDGET: usize = 512;
/// All tags together, in JSON.
const TAGS_BUDGET: usize = 384;
/// All origins of values together, in JSON: about ten; `provenance_total` counts them all.
const PROVENANCE_BUDGET: usize = 1_024;
/// All labels that rules set, in JSON.
const SETS_BUDGET: usize = 256;
/// One label.
const LABEL_MAX: usize = 64;
/// The largest integer that every reader of JSON reads exactly (RFC 8785).
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct DecisionBlock<'a> {
    pub alignment_ppm: Option<PartsPerMillion>,
    pub approvers: Vec<Text<'a>>,
    pub break_glass_id: Option<Text<'a>>,
    pub classification: Classification,
    pub confidence_ppm: Option<PartsPerMillion>,
    pub edits: Vec<EditBlock<'a>>,
    pub edits_total: u64,
    pub enforced: bool,
    pub eval_us: u64,
    pub evaluable: bool,
    pub exception_id: Option<Text<'a>>,
    pub grant_id: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterBlock<'a>>,
    pub mode: Enforcement,
    pub policy: PolicyBlock<'a>,
    pub policy_set: Digest,
    pub provenance: Option<Vec<ProvenanceBlock<'a>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance_total: Option<u64>,
    pub reason: Text<'a>,
    pub reason_code: ReasonCode,
    pub result: Verdict,
    pub risk_level: Option<Severity>,
    pub rules: Vec<RuleBlock<'a>>,
    pub rules_total: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sets: Option<SetsBlock<'a>>,
    pub severity: Severity,
    pub signals: SignalsBlock,
    pub supersedes: Option<Text<'a>>,
    pub tags: Vec<Text<'a>>,
}

/// One change of a MODIFY: where and how, not what. What was forwarded stands in `action.forwarded_parameters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct EditBlock<'a> {
    pub kind: Text<'a>,
    pub pointer: Text<'a>,
}

/// The policy that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct PolicyBlock<'a> {
    pub hash: Digest,
    pub policy_id: Text<'a>,
    pub rule_id: Option<Text<'a>>,
    pub version: Text<'a>,
}

/// What the action put on a meter of its agent when it ran, or began to wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterBlock<'a> {
    /// Thousandths; 0 where only actions are counted.
    pub amount_milli: u64,
    /// `policy/rule`.
    pub meter: Text<'a>,
}

/// What rules say about the data that the action brought into the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetsBlock<'a> {
    /// Labels.
    pub labels: Vec<Text<'a>>,
    /// The least level.
    pub level: Option<DataLevel>,
}

/// Where a value of the arguments first appeared in the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ProvenanceBlock<'a> {
    pub form: Option<Text<'a>>,
    pub from_action: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_operation: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_result: Option<u64>,
    pub origin: Text<'a>,
    pub pointer: Text<'a>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub sink: bool,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct RuleBlock<'a> {
    pub action: Verdict,
    pub policy_id: Text<'a>,
    pub rule_id: Text<'a>,
    pub shadow: bool,
}

/// What was computed about the action in its session. Null is unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct SignalsBlock {
    pub chain_length_exceeded: Option<bool>,
    pub classification_escalation: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub commanded_by_content: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub credential_use: Option<bool>,
    pub cumulative_drift_ppm: Option<PartsPerMillion>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub delegated_intent: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance_source: Option<DistanceSource>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub drift_detected: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub effect_ordered_by_content: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub goal_restatement: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub instruction_like: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub link_fetch: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub link_same_host: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub privilege_escalation: Option<bool>,
    pub scope_expansion: Option<bool>,
    pub semantic_distance_ppm: Option<PartsPerMillion>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub session_instruction_like: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink_origin: Option<Origin>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub sink_prose_only: Option<bool>,
    #[serde(default, skip_serializing_if = "is_not_true")]
    pub sink_synthesised: Option<bool>,
    pub unusual_sequence: Option<bool>,
    pub velocity_anomaly: Option<bool>,
}

/// Most signals are false of most actions. One of these that is absent is false where `effect` is there; those that
/// compare with the intent are unknown where `scope_expansion` is null.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_not_true(flag: &Option<bool>) -> bool {
    !matches!(flag, Some(true))
}

impl<'a> DecisionBlock<'a> {
    /// The block of a decision made from `signals`.
    #[must_use]
    pub fn of(decision: &'a Decision, signals: &'a Signals, supersedes: Option<&'a ReceiptId>) -> Self {
        let approvers = decision.approvers.iter().map(|approver| clip(approver, NAME_MAX));
        let traced = traced(decision.verdict, signals);
        let origins = traced.iter().map(|provenance| ProvenanceBlock::of(provenance));
        Self {
            alignment_ppm: None,
            approvers: take_fitting(approvers, APPROVERS_BUDGET, |approver| json_bytes(approver)),
            break_glass_id: None,
            classification: decision.classification,
            confidence_ppm: decision.confidence,
            edits: take_fitting(decision.edits.iter().map(EditBlock::of), EDITS_BUDGET, EditBlock::bytes),
            edits_total: decision.edits.len() as u64,
            enforced: decision.enforcement == Enforcement::Enforce,
            eval_us: decision.evaluation_us,
            evaluable: decision.reason_code != ReasonCode::EvaluationError,
            exception_id: decision.exception.as_deref().map(|id| clip(id, NAME_MAX)),
            grant_id: None,
            meters: take_fitting(decision.meters.iter().map(MeterBlock::of), METERS_BUDGET, MeterBlock::bytes),
            mode: decision.enforcement,
            policy: PolicyBlock::of(&decision.policy),
            policy_set: decision.policy_set,
            provenance: (!traced.is_empty()).then(|| take_fitting(origins, PROVENANCE_BUDGET, ProvenanceBlock::bytes)),
            provenance_total: (!traced.is_empty()).then_some(traced.len() as u64),
            reason: clip_cow(redact::text(&decision.reason).text, REASON_MAX),
            reason_code: decision.reason_code,
            result: decision.verdict,
            risk_level: None,
            rules: take_fitting(decision.matched.iter().map(RuleBlock::of), RULES_BUDGET, RuleBlock::bytes),
            rules_total: decision.matched.len() as u64,
            sets: SetsBlock::of(&decision.effect),
            severity: decision.severity,
            signals: SignalsBlock::of(signals),
            supersedes: supersedes.map(|receipt| receipt.as_str().into()),
            tags: take_fitting(decision.tags.iter().map(|tag| clip(tag, NAME_MAX)), TAGS_BUDGET, |tag| json_bytes(tag)),
        }
    }
}

/// The origins that explain a decision: where the effect goes, least trusted first, and behind that everything else that
/// was not the user's own word. Of what is allowed the first alone.
fn traced(verdict: Verdict, signals: &Signals) -> Vec<&Provenance> {
    let explains = |entry: &&Provenance| entry.sink || (verdict != Verdict::Allow && entry.origin != Origin::Intent);
    let mut all: Vec<&Provenance> = signals.provenance.iter().filter(explains).collect();
    all.sort_by_key(|entry| (std::cmp::Reverse(entry.sink), std::cmp::Reverse(entry.origin)));
    all
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl<'a> ProvenanceBlock<'a> {
    fn of(provenance: &'a Provenance) -> Self {
        let form = match provenance.origin {
            Origin::Resolved | Origin::Structured => Some("field".into()),
            Origin::NamedSource | Origin::Prose => Some("prose".into()),
            Origin::Intent | Origin::OwnWrite | Origin::Synthesised | Origin::Trusted => None,
        };
        let witness = provenance.witness.as_ref();
        Self {
            form,
            from_action: witness.filter(|seen| !seen.action.is_empty()).map(|seen| clip(&seen.action, NAME_MAX)),
            from_operation: witness.map(|seen| clip_cow(redact::text(&seen.operation).text, OPERATION_MAX)),
            from_result: witness.map(|seen| seen.result.min(INTEGER_MAX)),
            origin: provenance.origin.as_str().into(),
            pointer: clip_cow(redact::text(&provenance.pointer).text, NAME_MAX),
            sink: provenance.sink,
        }
    }

    fn bytes(&self) -> usize {
        let texts = [Some(&self.pointer), self.from_action.as_ref(), self.from_operation.as_ref()];
        texts.into_iter().flatten().map(|text| json_bytes(text)).sum::<usize>() + 144
    }
}

impl<'a> MeterBlock<'a> {
    fn of(metered: &'a Metered) -> Self {
        Self { amount_milli: metered.amount_milli.min(INTEGER_MAX), meter: clip(&metered.meter, 2 * NAME_MAX) }
    }

    fn bytes(&self) -> usize {
        json_bytes(&self.meter) + 48
    }
}

impl<'a> SetsBlock<'a> {
    fn of(effect: &'a ContextEffect) -> Option<Self> {
        let labels = effect.labels.iter().map(|label| clip(label, LABEL_MAX));
        let labels = take_fitting(labels, SETS_BUDGET, |label| json_bytes(label));
        (!effect.is_empty()).then_some(Self { labels, level: effect.level })
    }
}

impl<'a> EditBlock<'a> {
    fn of(edit: &'a Edit) -> Self {
        let kind = match edit.kind {
            EditKind::Redact => "redact",
            EditKind::Remove => "remove",
            EditKind::Set(_) => "set",
        };
        Self { kind: kind.into(), pointer: clip_cow(redact::text(&edit.pointer).text, NAME_MAX) }
    }

    fn bytes(&self) -> usize {
        json_bytes(&self.pointer) + 32
    }
}

impl<'a> PolicyBlock<'a> {
    fn of(policy: &'a PolicyReference) -> Self {
        Self {
            hash: policy.hash,
            policy_id: clip(&policy.policy_id, NAME_MAX),
            rule_id: policy.rule_id.as_deref().map(|rule| clip(rule, NAME_MAX)),
            version: clip(&policy.version, NAME_MAX),
        }
    }
}

impl<'a> RuleBlock<'a> {
    fn of(rule: &'a MatchedRule) -> Self {
        Self {
            action: rule.action,
            policy_id: clip(&rule.policy_id, NAME_MAX),
            rule_id: clip(&rule.rule_id, NAME_MAX),
            shadow: rule.shadow,
        }
    }

    fn bytes(&self) -> usize {
        json_bytes(&self.policy_id) + json_bytes(&self.rule_id) + 64
    }
}

impl SignalsBlock {
    /// The block of the signals of one action.
    #[must_use]
    pub const fn of(signals: &Signals) -> Self {
        Self {
            chain_length_exceeded: signals.chain_length_exceeded,
            classification_escalation: signals.classification_escalation,
            commanded_by_content: signals.commanded_by_content,
            credential_use: signals.credential_use,
            cumulative_drift_ppm: signals.cumulative_drift,
            delegated_intent: signals.delegated_intent,
            distance_source: signals.distance_source,
            drift_detected: signals.drift_detected,
            effect: signals.effect,
            effect_ordered_by_content: signals.effect_ordered_by_content,
            goal_restatement: signals.goal_restatement,
            instruction_like: signals.instruction_like,
            link_fetch: signals.link_fetch,
            link_same_host: signals.link_same_host,
            privilege_escalation: signals.privilege_escalation,
            scope_expansion: signals.scope_expansion,
            semantic_distance_ppm: signals.semantic_distance,
            session_instruction_like: signals.session_instruction_like,
            sink_origin: signals.sink_origin,
            sink_prose_only: signals.sink_prose_only,
            sink_synthesised: signals.sink_synthesised,
            unusual_sequence: signals.unusual_sequence,
            velocity_anomaly: signals.velocity_anomaly,
        }
    }
}
