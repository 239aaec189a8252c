//! One entry of the log as a line of a list.

use bytes::Bytes;
use serde::Serialize;

use crate::model::{ApprovalResult, OutcomeStatus, Severity, Timestamp};
use crate::record::entry::{Predicate, Statement};
use crate::record::open_envelope;

/// What lists show of an entry.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) index: u64,
    pub(super) receipt_id: String,
    pub(super) kind: String,
    pub(super) time: Timestamp,
    pub(super) session: Option<String>,
    pub(super) action_id: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) human: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) result: Option<&'static str>,
    pub(super) enforced: Option<bool>,
    pub(super) policy_id: Option<String>,
    pub(super) rule_id: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) severity: Option<Severity>,
    /// What became of the action, in outcomes.
    pub(super) status: Option<OutcomeStatus>,
    /// What a person said, and about which request.
    pub(super) approval: Option<ApprovalResult>,
    pub(super) request_id: Option<String>,
    /// How a deferral ended.
    pub(super) deferral: Option<String>,
}

/// What an entry of this format says. Whether it says so rightly is for a proof to tell.
pub(super) fn predicate(entry: &Bytes) -> Option<Predicate<'static>> {
    let envelope = open_envelope(entry).ok()?;
    let statement: Statement<'static> = serde_json::from_slice(&envelope.payload).ok()?;
    Some(statement.predicate)
}

impl Line {
    /// The line of an entry.
    pub(super) fn of(index: u64, entry: &Predicate<'_>) -> Self {
        let (action, decision, identity) = (entry.action.as_ref(), entry.decision.as_ref(), entry.identity.as_ref());
        let agent = identity.and_then(|identity| identity.agent.as_ref());
        let approval = entry.approval.as_ref();
        Self {
            index,
            receipt_id: entry.receipt_id.to_string(),
            kind: entry.kind.to_string(),
            time: entry.time.wall,
            session: entry.session.as_ref().map(|session| session.id.to_string()),
            action_id: action.map(|action| action.action_id.to_string()),
            tool: action.map(|action| action.tool.to_string()),
            operation: action.map(|action| action.operation.to_string()),
            human: identity.and_then(|identity| identity.human.as_ref()).map(|human| human.value.to_string()),
            agent: agent.map(|agent| agent.id.value.to_string()),
            tenant: identity.and_then(|identity| identity.tenant.as_ref()).map(ToString::to_string),
            result: decision.map(|decision| decision.result.as_str()),
            enforced: decision.map(|decision| decision.enforced),
            policy_id: decision.map(|decision| decision.policy.policy_id.to_string()),
            rule_id: decision.and_then(|decision| decision.policy.rule_id.as_ref()).map(ToString::to_string),
            reason: decision.map(|decision| decision.reason.to_string()),
            severity: decision.map(|decision| decision.severity),
            status: entry.outcome.as_ref().map(|outcome| outcome.status),
            approval: approval.map(|approval| approval.status),
            request_id: approval.map(|approval| approval.request_id.to_string()),
            deferral: entry.deferral.as_ref().and_then(|deferral| deferral.result.as_ref()).map(ToString::to_string),
        }
    }
}
