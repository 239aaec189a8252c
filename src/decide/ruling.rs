//! A decision in the making: what was decided and everything that explains it.

use std::sync::Arc;

use super::combine::{Answer, Doubt, Outcome};
use super::confidence;
use super::set::SetRule;
use super::settings::DefaultPosture;
use super::truth::Truth;
use crate::model::{
    Classification, ContextEffect, Decision, Digest, Enforcement, MatchedRule, Metered, PartsPerMillion,
    PolicyReference, ReasonCode, SessionContext, Severity, Verdict,
};

/// What was decided, before it is known whether it can be carried out.
#[derive(Clone, Debug)]
pub(super) struct Ruling<'s> {
    pub(super) verdict: Verdict,
    pub(super) classification: Classification,
    pub(super) policy: PolicyReference,
    pub(super) reason: String,
    pub(super) code: ReasonCode,
    pub(super) severity: Severity,
    pub(super) approvers: Vec<Arc<str>>,
    pub(super) matched: Vec<MatchedRule>,
    /// The MODIFY rules whose changes are to be made.
    pub(super) modifiers: Vec<&'s SetRule>,
    pub(super) confidence: Option<PartsPerMillion>,
    pub(super) exception: Option<Arc<str>>,
    pub(super) tags: Vec<Arc<str>>,
    pub(super) effect: ContextEffect,
    pub(super) meters: Vec<Metered>,
}

/// The policy id of checks that are part of the product and not of a policy.
pub(super) const BUILT_IN: &str = "countersign";

/// The policy id when no rule matched (AARM ).
pub(super) const DEFAULT: &str = "default";

impl<'s> Ruling<'s> {
    /// A decision of the product itself. `set` is the digest that stands for the version of the settings.
    pub(super) fn built_in(verdict: Verdict, code: ReasonCode, reason: String, set: Digest) -> Self {
        let classification = match verdict {
            Verdict::Defer => Classification::ContextDependentDefer,
            Verdict::Allow | Verdict::Modify | Verdict::StepUp => Classification::StandardAllow,
            Verdict::Deny => Classification::StandardDeny,
        };
        Self {
            verdict,
            classification,
            policy: built_in_policy(code.as_str(), set),
            reason,
            code,
            severity: usual_severity(verdict),
            approvers: Vec::new(),
            matched: Vec::new(),
            modifiers: Vec::new(),
            confidence: None,
            exception: None,
            tags: Vec::new(),
            effect: ContextEffect::default(),
            meters: Vec::new(),
        }
    }

    /// A rule that could not be evaluated: refused (design §10).
    pub(super) fn failed(rule: &SetRule, answers: &[Answer<'s>]) -> Self {
        let what = format!("rule `{}` could not be evaluated", rule.rule.id);
        let mut ruling = Self::of_rule(rule, Verdict::Deny, ReasonCode::EvaluationError, what);
        ruling.classification = Classification::StandardDeny;
        ruling.matched = matched(None, answers);
        ruling
    }

    /// What the rules say.
    pub(super) fn of_outcome(
        outcome: Outcome<'s>,
        answers: &[Answer<'s>],
        context: &SessionContext,
        posture: DefaultPosture,
        set: Digest,
    ) -> Self {
        let mut ruling = match outcome {
            Outcome::Rule(rule) => Self::decided(rule, answers, context),
            Outcome::Conflict(first, second) => {
                let reason =
                    format!("rules `{}` and `{}` have the same priority and disagree", first.rule.id, second.rule.id);
                let mut ruling = Self::of_rule(first, Verdict::Defer, ReasonCode::ConflictingPolicies, reason);
                ruling.classification = Classification::ContextDependentDefer;
                ruling.approvers = first.rule.approvers.clone();
                ruling
            }
            Outcome::Risk(rule) => {
                let reason =
                    format!("the risks of this action add up to too much, most of it by rule `{}`", rule.rule.id);
                let mut ruling = Self::of_rule(rule, Verdict::Deny, ReasonCode::CompositionalRisk, reason);
                ruling.classification = Classification::ContextDependentDeny;
                ruling
            }
            Outcome::Uncertain(rule, doubt) => {
                let id = &rule.rule.id;
                let (code, reason) = match doubt {
                    Doubt::LowConfidence => (
                        ReasonCode::LowConfidence,
                        format!("rule `{id}` matches, but on what is not known well enough"),
                    ),
                    Doubt::Unknown(field) => (
                        ReasonCode::UnpopulatedContext,
                        format!("rule `{id}` depends on `{field}`, which is not known"),
                    ),
                };
                let mut ruling = Self::of_rule(rule, Verdict::Defer, code, reason);
                ruling.classification = Classification::ContextDependentDefer;
                ruling
            }
            Outcome::Default => by_default(posture, set),
        };
        let first = match outcome {
            Outcome::Rule(rule) | Outcome::Conflict(rule, _) => Some(rule),
            Outcome::Risk(rule) => Some(rule),
            Outcome::Uncertain(..) | Outcome::Default => None,
        };
        ruling.matched = matched(first, answers);
        ruling.effect = effect(answers);
        ruling.exception = answers
            .iter()
            .filter(|answer| answer.truth != Truth::False && !answer.rule.shadow && answer.rule.rule.decides)
            .find_map(|answer| answer.exception.map(|exception| Arc::clone(&exception.id)));
        ruling
    }

    fn decided(rule: &'s SetRule, answers: &[Answer<'s>], context: &SessionContext) -> Self {
        let action = rule.rule.action;
        let reason = match &rule.rule.reason {
            Some(reason) => reason.to_string(),
            None => format!("rule `{}` of policy `{}`", rule.rule.id, rule.reference.policy_id),
        };
        let mut ruling = Self::of_rule(rule, action, ReasonCode::PolicyRule, reason);
        ruling.classification = rule.rule.classification;
        ruling.confidence = Some(confidence::of(&rule.rule.condition, context));
        ruling.severity = rule.rule.severity.unwrap_or_else(|| severity(action, rule.rule.classification, context));
        ruling.approvers = rule.rule.approvers.clone();
        if matches!(action, Verdict::Defer | Verdict::Modify | Verdict::StepUp) {
            // One rule decides that the action is changed, or waits and then runs; all that ask for a change are heard.
            let modifiers = answers
                .iter()
                .filter(|answer| answer.holds() && answer.counts() && answer.rule.rule.action == Verdict::Modify);
            ruling.modifiers = modifiers.map(|answer| answer.rule).collect();
        }
        ruling
    }

    fn of_rule(rule: &SetRule, verdict: Verdict, code: ReasonCode, reason: String) -> Self {
        let set = rule.reference.hash;
        let tags = rule.rule.tags.clone();
        Self { policy: rule.reference.clone(), tags, ..Self::built_in(verdict, code, reason, set) }
    }

    /// The same action refused, because its change could not be made as written (resolution G-30).
    pub(super) fn unmodifiable(self, problem: &str) -> Self {
        Self {
            verdict: Verdict::Deny,
            classification: Classification::StandardDeny,
            reason: format!("the action could not be changed as the policy asks: {problem}"),
            code: ReasonCode::ModificationFailed,
            severity: usual_severity(Verdict::Deny),
            ..self
        }
    }

    /// The finished decision.
    pub(super) fn into_decision(self, enforcement: Enforcement, set: Digest) -> Decision {
        Decision {
            verdict: self.verdict,
            enforcement,
            classification: self.classification,
            policy: self.policy,
            policy_set: set,
            reason: self.reason.into(),
            reason_code: self.code,
            matched: self.matched,
            edits: Vec::new(),
            severity: self.severity,
            approvers: self.approvers,
            confidence: self.confidence,
            exception: self.exception,
            tags: self.tags,
            effect: self.effect,
            meters: self.meters,
            evaluation_us: 0,
        }
    }
}

/// A reference to a check of the product.
pub(super) fn built_in_policy(check: &str, set: Digest) -> PolicyReference {
    let version = env!("CARGO_PKG_VERSION").into();
    PolicyReference { hash: set, policy_id: BUILT_IN.into(), rule_id: Some(check.into()), version }
}

fn by_default<'s>(posture: DefaultPosture, set: Digest) -> Ruling<'s> {
    let (verdict, reason) = match posture {
        DefaultPosture::Allow => (Verdict::Allow, "no rule matches, and the default is to allow"),
        DefaultPosture::Deny => (Verdict::Deny, "no rule allows this action"),
    };
    let ruling = Ruling::built_in(verdict, ReasonCode::DefaultPosture, reason.to_owned(), set);
    let policy = PolicyReference { policy_id: DEFAULT.into(), rule_id: None, ..ruling.policy };
    Ruling { policy, ..ruling }
}

/// Every rule that matched, the deciding one first, then in the order of the files (AARM ).
fn matched(first: Option<&SetRule>, answers: &[Answer<'_>]) -> Vec<MatchedRule> {
    // A rule that only labels or weighs asks for nothing.
    let matched = || answers.iter().filter(|answer| answer.truth == Truth::True && answer.rule.rule.decides);
    let is_first = |answer: &&Answer<'_>| first.is_some_and(|first| std::ptr::eq(first, answer.rule));
    let ordered = matched().filter(is_first).chain(matched().filter(|answer| !is_first(answer)));
    ordered
        .map(|answer| MatchedRule {
            action: answer.rule.rule.action,
            policy_id: Arc::clone(&answer.rule.reference.policy_id),
            rule_id: Arc::clone(&answer.rule.rule.id),
            shadow: !answer.counts(),
        })
        .collect()
}

/// What the rules say about the data that comes in. One that might match says it as well: a label too many is safe.
fn effect(answers: &[Answer<'_>]) -> ContextEffect {
    let mut effect = ContextEffect::default();
    let counts =
        |answer: &&Answer<'_>| answer.truth != Truth::False && !answer.rule.shadow && answer.exception.is_none();
    for rule in answers.iter().filter(counts).map(|answer| &answer.rule.rule) {
        effect.level = effect.level.max(rule.effect.level);
        effect.labels.extend(rule.effect.labels.iter().map(Arc::clone));
    }
    effect.labels.sort();
    effect.labels.dedup();
    effect
}

/// Resolution G-21.
fn severity(verdict: Verdict, classification: Classification, context: &SessionContext) -> Severity {
    let secret = context.labels.iter().any(|label| matches!(&**label, "CREDENTIAL" | "SECRET"));
    if classification == Classification::Forbidden && secret { Severity::Critical } else { usual_severity(verdict) }
}

const fn usual_severity(verdict: Verdict) -> Severity {
    match verdict {
        Verdict::Allow => Severity::Info,
        Verdict::Modify => Severity::Low,
        Verdict::Defer | Verdict::StepUp => Severity::Medium,
        Verdict::Deny => Severity::High,
    }
}
