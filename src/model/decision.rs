//! What was decided about an action, and why (AARM R3, R4).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Action, DataLevel, Digest, Metered, PartsPerMillion, ReceiptId, Refusal, RefusalKind, Severity};

/// AARM's five decisions. Exactly one is made for every action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// Forwarded as it came.
    Allow,
    /// Suspended until more is known.
    Defer,
    /// Refused.
    Deny,
    /// Forwarded with changed parameters.
    Modify,
    /// Waits for a person.
    StepUp,
}

impl Verdict {
    /// All five, in the order of the standard's text.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Deny, Self::Modify, Self::StepUp, Self::Defer];

    /// AARM's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Defer => "DEFER",
            Self::Deny => "DENY",
            Self::Modify => "MODIFY",
            Self::StepUp => "STEP_UP",
        }
    }

    /// How restrictive it is: a higher number wins between rules of equal standing.
    #[must_use]
    pub const fn restrictiveness(self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Modify => 1,
            Self::StepUp => 2,
            Self::Defer => 3,
            Self::Deny => 4,
        }
    }
}

/// The class of a decision (AARM; the last two are the paper's baseline rows).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    /// Allowed because the context confirms it.
    ContextDependentAllow,
    /// Suspended because the context is uncertain.
    ContextDependentDefer,
    /// Refused because of the context.
    ContextDependentDeny,
    /// Never allowed, whatever the context.
    Forbidden,
    /// The baseline permits it.
    StandardAllow,
    /// The baseline refuses it.
    StandardDeny,
}

impl Classification {
    /// The word that policies, entries and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContextDependentAllow => "context_dependent_allow",
            Self::ContextDependentDefer => "context_dependent_defer",
            Self::ContextDependentDeny => "context_dependent_deny",
            Self::Forbidden => "forbidden",
            Self::StandardAllow => "standard_allow",
            Self::StandardDeny => "standard_deny",
        }
    }
}

/// A decision with everything that explains it (AARM ).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What the policy says.
    pub verdict: Verdict,
    /// Whether it is enforced, and if not why not.
    pub enforcement: Enforcement,
    /// The class.
    pub classification: Classification,
    /// The policy that decided.
    pub policy: PolicyReference,
    /// Digest of the whole active policy set.
    pub policy_set: Digest,
    /// One sentence for people.
    pub reason: Arc<str>,
    /// One word for programs.
    pub reason_code: ReasonCode,
    /// Every rule that matched, the deciding one first.
    pub matched: Vec<MatchedRule>,
    /// The changes a MODIFY makes; empty otherwise.
    pub edits: Vec<Edit>,
    /// How much it matters to whoever watches.
    pub severity: Severity,
    /// Approvers named by the rule, for STEP_UP.
    pub approvers: Vec<Arc<str>>,
    /// How sure it is that the deciding rule was evaluated on what is so, 0 to 1,000,000; `None` where no rule decided.
    pub confidence: Option<PartsPerMillion>,
    /// The exception that took a rule out which would have applied.
    pub exception: Option<Arc<str>>,
    /// Tags of the deciding rule: `owasp_agentic:ASI01`, `mitre_atlas:AML.T0051`.
    pub tags: Vec<Arc<str>>,
    /// What rules say about the data that this action brings into the session. Applied when the action runs.
    pub effect: ContextEffect,
    /// What the action puts on the agent's meters when it runs, or waits for a person.
    pub meters: Vec<Metered>,
    /// How long evaluation took, microseconds.
    pub evaluation_us: u64,
}

/// What rules write into the session: `effect: {set_context: ...}` (AARM ).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextEffect {
    /// The least level of the data; `None` says nothing.
    pub level: Option<DataLevel>,
    /// Its labels, sorted.
    pub labels: Vec<Arc<str>>,
}

impl ContextEffect {
    /// Whether it says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.level.is_none() && self.labels.is_empty()
    }
}

impl Decision {
    /// What the caller of a refused action is told.
    #[must_use]
    pub fn refusal(&self, action: &Action, receipt: ReceiptId) -> Refusal {
        let what = format!("{}.{}", action.tool, action.operation);
        let outside = match self.verdict {
            Verdict::StepUp => format!("Countersign needs a person's approval for {what}: {}", self.reason),
            Verdict::Defer => format!("Countersign deferred {what}: {}", self.reason),
            _ => format!("Countersign denied {what}: {}", self.reason),
        };
        let kind = if self.reason_code == ReasonCode::IdentityUnverified {
            RefusalKind::Unauthenticated { receipt: Some(receipt) }
        } else {
            let (policy, reason_code) = (self.policy.clone(), self.reason_code);
            RefusalKind::Decided { verdict: self.verdict, policy, reason_code, receipt }
        };
        Refusal::new(kind, &outside, &self.reason)
    }
}

/// Whether a decision is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// It is.
    Enforce,
    /// The action is forwarded whatever the decision; the record says what would have happened.
    Shadow,
}

/// Which policy, in which version, decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReference {
    /// Digest of the policy's text.
    pub hash: Digest,
    /// The policy's id.
    pub policy_id: Arc<str>,
    /// The rule inside it; `None` for the default.
    pub rule_id: Option<Arc<str>>,
    /// The policy's version, as its author wrote it.
    pub version: Arc<str>,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedRule {
    /// What it asked for.
    pub action: Verdict,
    /// The policy's id.
    pub policy_id: Arc<str>,
    /// The rule's id.
    pub rule_id: Arc<str>,
    /// Whether the rule is in shadow and so only recorded.
    pub shadow: bool,
}

/// Why, in one word that never changes its meaning. Also in events and in `_meta` of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonCode {
    /// The inventory does not list the agent, or not for this server.
    AgentNotListed,
    /// A person said no.
    ApprovalDenied,
    /// What a person approved is not what would run now: other policies, another tool, another caller, or too late.
    ApprovalStale,
    /// Nobody answered in time, which is a no.
    ApprovalTimeout,
    /// A person said yes.
    Approved,
    /// The arguments do not fit the tool's own schema.
    ArgumentsInvalid,
    /// Two people opened this for a bounded time, against the policies.
    BreakGlass,
    /// Several risks together are more than the limit.
    CompositionalRisk,
    /// Rules of equal priority disagree (A-3.7b).
    ConflictingPolicies,
    /// No rule matched: the configured default.
    DefaultPosture,
    /// It depends on an action that is suspended.
    DependsOnDeferred,
    /// What is known about the session is not all there is, or cannot be kept.
    ContextUnavailable,
    /// A rule could not be evaluated.
    EvaluationError,
    /// A standing permission of a person covers it.
    Granted,
    /// Nobody could be verified.
    IdentityUnverified,
    /// A rule matched on what is known too badly (A-3.7c).
    LowConfidence,
    /// A MODIFY could not be applied as written.
    ModificationFailed,
    /// A STEP_UP or DEFER without anybody to ask.
    NoApprover,
    /// A rule said so.
    PolicyRule,
    /// The tool's schema is not known.
    SchemaUnknown,
    /// The kill switch holds it.
    Suspended,
    /// Too much waits already.
    TooManyPending,
    /// The tool is not what it was when it was pinned, and nobody has accepted the change.
    ToolChanged,
    /// A rule refers to something that is not known yet (A-3.7a).
    UnpopulatedContext,
}

impl ReasonCode {
    /// The word itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentNotListed => "agent_not_listed",
            Self::ApprovalDenied => "approval_denied",
            Self::ApprovalStale => "approval_stale",
            Self::ApprovalTimeout => "approval_timeout",
            Self::Approved => "approved",
            Self::ArgumentsInvalid => "arguments_invalid",
            Self::BreakGlass => "break_glass",
            Self::CompositionalRisk => "compositional_risk",
            Self::ConflictingPolicies => "conflicting_policies",
            Self::DefaultPosture => "default_posture",
            Self::DependsOnDeferred => "depends_on_deferred",
            Self::ContextUnavailable => "context_unavailable",
            Self::EvaluationError => "evaluation_error",
            Self::Granted => "granted",
            Self::IdentityUnverified => "identity_unverified",
            Self::LowConfidence => "low_confidence",
            Self::ModificationFailed => "modification_failed",
            Self::NoApprover => "no_approver",
            Self::PolicyRule => "policy_rule",
            Self::ToolChanged => "tool_changed",
            Self::SchemaUnknown => "schema_unknown",
            Self::Suspended => "suspended",
            Self::TooManyPending => "too_many_pending",
            Self::UnpopulatedContext => "unpopulated_context",
        }
    }
}

/// One change to the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is changed: a JSON pointer into the arguments.
    pub pointer: Arc<str>,
    /// How.
    pub kind: EditKind,
}

/// How a parameter is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditKind {
    /// Replaced by this JSON text, or added.
    Set(Arc<str>),
    /// Replaced by a marker.
    Redact,
    /// Taken out with its name.
    Remove,
}
