//! One request to people, and what it holds for.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::deferral::Hold;
use super::grants::Ground;
use crate::model::{
    ApprovalId, ApprovalResult, Digest, PolicyReference, ReasonCode, ReceiptId, Severity, Timestamp, Verdict,
    Verification,
};
use crate::record::entry::{ApprovalBlock, Predicate};

/// Names of people in entries, bytes.
const NAMES_MAX: usize = 16;

/// Where a request came from: people see the two differently (AARM ).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A deferral that no resolver could settle.
    DeferEscalation,
    /// A STEP_UP.
    StepUp,
}

impl Source {
    /// AARM's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeferEscalation => "defer_escalation",
            Self::StepUp => "step_up",
        }
    }
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// A person said yes; it was not used yet.
    Approved,
    /// Nobody has to answer any more: what was asked cannot run as it was shown.
    Cancelled(Arc<str>),
    /// A person said no.
    Denied {
        /// Who.
        by: Arc<str>,
        /// Why.
        reason: Arc<str>,
    },
    /// Nobody answered in time.
    Expired,
    /// Waits.
    Pending,
    /// A person said yes, and it ran.
    Used,
}

impl Status {
    /// The word that people and programs see.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Cancelled(_) => "cancelled",
            Self::Denied { .. } => "denied",
            Self::Expired => "expired",
            Self::Pending => "pending",
            Self::Used => "used",
        }
    }
}

/// One request.
#[derive(Debug)]
pub struct Request {
    /// Its id.
    pub id: ApprovalId,
    /// Who asks for what, keyed.
    pub pickup: Digest,
    /// Where it came from.
    pub source: Source,
    /// The decision that asked: its place, its id and its action.
    pub decision_index: u64,
    /// The id of the decision's entry.
    pub decision: ReceiptId,
    /// The action.
    pub action_id: Arc<str>,
    /// The session.
    pub session: Arc<str>,
    /// The tenant.
    pub tenant: Option<Arc<str>>,
    /// Everybody the action is done for or by: none of them may approve it.
    pub requesters: Vec<Arc<str>>,
    /// Tool and operation, for listings.
    pub what: (Arc<str>, Arc<str>),
    /// The agent.
    pub agent: Option<Arc<str>>,
    /// The server's alias.
    pub server: Arc<str>,
    /// Why it was asked.
    pub reason: Arc<str>,
    /// What was decided.
    pub verdict: Verdict,
    /// The policy that asked.
    pub policy: PolicyReference,
    /// Why, in one word.
    pub reason_code: ReasonCode,
    /// How much is at stake.
    pub risk: Severity,
    /// The definition of the tool when it was asked.
    pub tool_pin: Option<Digest>,
    /// The policies when it was asked.
    pub policy_set: Digest,
    /// When it was asked.
    pub requested: Timestamp,
    /// Until when it can be answered and used.
    pub expires: Timestamp,
    /// Whom it was routed to.
    pub approvers: Vec<Arc<str>>,
    /// Who heard of it when nobody answered.
    pub escalated: Vec<Arc<str>>,
    /// When they hear of it.
    pub escalates: Option<Timestamp>,
    /// Whether the requester may answer: a confirmation.
    pub requester_may: bool,
    /// How many different people have to say yes.
    pub needed: usize,
    /// Who has.
    pub yes: Vec<Arc<str>>,
    /// How it is known who the last of them is.
    pub verification: Verification,
    /// The arguments exactly as they will run; gone after a restart.
    pub exact: Option<Bytes>,
    /// The call that asked; gone after a restart.
    pub(super) ground: Option<Ground>,
    /// Keeps those that depend on a suspended action waiting; gone once it runs or never will.
    pub(super) hold: Option<Hold>,
    /// Keyed digest of what is shown.
    pub shown: Option<Digest>,
    /// Places of its entries in the log.
    pub entries: Vec<u64>,
    /// Somebody's answer is being written.
    pub busy: bool,
    /// Sealed states that were used.
    pub spent: HashSet<u64>,
    /// Where it stands.
    pub status: watch::Sender<Status>,
}

/// What a request is made of besides the entry of its decision.
#[derive(Debug)]
pub(super) struct Origin {
    /// Its id.
    pub(super) id: ApprovalId,
    /// Who asks for what, keyed.
    pub(super) pickup: Digest,
    /// Where it came from.
    pub(super) source: Source,
    /// The place of the decision.
    pub(super) decision_index: u64,
    /// When it is asked.
    pub(super) requested: Timestamp,
    /// Until when.
    pub(super) expires: Timestamp,
}

impl Request {
    /// The request about the decision that `entry` records. `None` when that is no decision about an action.
    #[must_use]
    pub(super) fn of(entry: &Predicate<'_>, origin: Origin) -> Option<Self> {
        let (action, decision, identity) = (entry.action.as_ref()?, entry.decision.as_ref()?, entry.identity.as_ref()?);
        let text = |text: &str| -> Arc<str> { text.into() };
        let claim = |claim: Option<&crate::record::entry::ClaimBlock<'_>>| claim.map(|claim| text(&claim.value));
        let agent = claim(identity.agent.as_ref().map(|agent| &agent.id));
        let requesters = [claim(identity.human.as_ref()), claim(identity.service.as_ref()), agent.clone()];
        Some(Self {
            id: origin.id,
            pickup: origin.pickup,
            source: origin.source,
            decision_index: origin.decision_index,
            decision: ReceiptId::parse(&entry.receipt_id).ok()?,
            action_id: text(&action.action_id),
            session: entry.session.as_ref().map_or_else(|| text(""), |session| text(&session.id)),
            tenant: identity.tenant.as_deref().map(text),
            requesters: requesters.into_iter().flatten().collect(),
            what: (text(&action.tool), text(&action.operation)),
            agent,
            server: text(&action.native.server),
            reason: text(&decision.reason),
            verdict: decision.result,
            policy: PolicyReference {
                hash: decision.policy.hash,
                policy_id: text(&decision.policy.policy_id),
                rule_id: decision.policy.rule_id.as_deref().map(text),
                version: text(&decision.policy.version),
            },
            reason_code: decision.reason_code,
            risk: decision.severity,
            tool_pin: action.tool_pin,
            policy_set: decision.policy_set,
            requested: origin.requested,
            expires: origin.expires,
            approvers: decision.approvers.iter().map(|name| text(name)).collect(),
            escalated: Vec::new(),
            escalates: None,
            requester_may: false,
            needed: 1,
            yes: Vec::new(),
            verification: Verification::None,
            exact: None,
            ground: None,
            hold: None,
            shown: None,
            entries: Vec::new(),
            busy: false,
            spent: HashSet::new(),
            status: watch::Sender::new(Status::Pending),
        })
    }

    /// Where it stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Whether it can still be answered.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        *self.status.borrow() == Status::Pending
    }

    /// Whether what it asks about may still come to run.
    #[must_use]
    pub(super) fn may_run(&self) -> bool {
        matches!(*self.status.borrow(), Status::Pending | Status::Approved)
    }

    /// Whether its entry is durable: before, nobody hears of it.
    #[must_use]
    pub const fn is_on_record(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Its block in an entry, as far as it is known before anybody answered.
    #[must_use]
    pub fn block(&self, status: ApprovalResult) -> ApprovalBlock<'static> {
        let names = |names: &[Arc<str>]| names.iter().take(NAMES_MAX).map(|name| name.to_string().into()).collect();
        ApprovalBlock {
            approver: None,
            approver_verification: None,
            approvers: names(&self.approvers),
            binding: Some(self.pickup),
            channel: None,
            decided: None,
            escalated_to: names(&self.escalated),
            expires: Some(self.expires),
            reason: None,
            decision_leaf: None,
            request_id: self.id.to_string().into(),
            requested: self.requested,
            response_us: None,
            risk_level: Some(self.risk),
            shown_hash: self.shown,
            source: self.source.as_str().into(),
            status,
        }
    }

    /// The block of an answer.
    #[must_use]
    pub fn answered(
        &self,
        status: ApprovalResult,
        by: Option<(&str, &str, Verification)>,
        reason: &str,
        now: Timestamp,
    ) -> ApprovalBlock<'static> {
        let mut block = self.block(status);
        if let Some((approver, channel, verification)) = by {
            block.approver = Some(approver.to_owned().into());
            block.approver_verification = Some(verification);
            block.channel = Some(channel.to_owned().into());
        }
        let reason = crate::record::redact::text(reason).text;
        block.reason = (!reason.is_empty()).then(|| reason.into_owned().into());
        block.decided = Some(now);
        block.response_us = Some(now.micros_since(self.requested));
        block
    }
}
