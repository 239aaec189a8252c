//! What people see: a line of the queue, and everything about one request (AARM ).

use serde::Serialize;
use serde_json::{Value, json};

use super::{Approvals, ApproveError, Person, Request, Status};
use crate::model::{ApprovalId, Severity, Timestamp};

/// One line of the queue.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct Summary {
    pub id: String,
    pub status: &'static str,
    pub source: &'static str,
    pub risk_level: Severity,
    pub tool: String,
    pub operation: String,
    pub agent: Option<String>,
    pub tenant: Option<String>,
    pub session: String,
    pub reason: String,
    pub requested: Timestamp,
    pub expires: Timestamp,
    pub approvers: Vec<String>,
    pub escalated_to: Vec<String>,
    pub needed: usize,
    pub yes: Vec<String>,
}

/// Everything about one request.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct View {
    #[serde(flatten)]
    pub summary: Summary,
    /// The arguments exactly as they will run; null when they are not held any more. `action.parameters.text` then has
    /// them without secrets.
    pub arguments: Option<String>,
    /// Why it was denied or cancelled, and by whom.
    pub answer: Option<Value>,
    /// The blocks of the entries, as the manual's page on the log specifies them.
    pub action: Value,
    pub identity: Value,
    pub context: Value,
    pub decision: Value,
    pub receipt_id: String,
}

impl Summary {
    fn of(request: &Request) -> Self {
        let texts = |names: &[std::sync::Arc<str>]| names.iter().map(ToString::to_string).collect();
        Self {
            id: request.id.to_string(),
            status: request.status().word(),
            source: request.source.as_str(),
            risk_level: request.risk,
            tool: request.what.0.to_string(),
            operation: request.what.1.to_string(),
            agent: request.agent.as_ref().map(ToString::to_string),
            tenant: request.tenant.as_ref().map(ToString::to_string),
            session: request.session.to_string(),
            reason: request.reason.to_string(),
            requested: request.requested,
            expires: request.expires,
            approvers: texts(&request.approvers),
            escalated_to: texts(&request.escalated),
            needed: request.needed,
            yes: texts(&request.yes),
        }
    }
}

impl Approvals {
    /// The requests that this person may see: those that wait first, by risk and then by age.
    #[must_use]
    pub fn list(&self, person: &Person, only_pending: bool) -> Vec<Summary> {
        let queue = self.inner.lock();
        // Before its entry is durable nobody can answer a request, so nobody sees it.
        let seen = queue.requests.values().filter(|request| {
            request.is_on_record() && person.sees(request.tenant.as_deref()) && (!only_pending || request.is_pending())
        });
        let mut all: Vec<Summary> = seen.map(Summary::of).collect();
        let waits = |summary: &Summary| summary.status == "pending";
        all.sort_by(|one, other| {
            let rank = |summary: &Summary| (waits(summary), summary.risk_level);
            rank(other).cmp(&rank(one)).then_with(|| one.requested.cmp(&other.requested))
        });
        all
    }

    /// Everything about one request, out of the entry of its decision. Blocks on the disk for old ones.
    ///
    /// # Errors
    /// [`ApproveError`]: there is none that this person may see, or the log cannot be read.
    pub fn show(&self, id: &ApprovalId, person: &Person) -> Result<View, ApproveError> {
        let (summary, index, exact, answer) = {
            let queue = self.inner.lock();
            let request = queue.requests.get(id).filter(|request| person.sees(request.tenant.as_deref()));
            let request = request.ok_or(ApproveError::Unknown)?;
            let answer = match request.status() {
                Status::Denied { by, reason } => Some(json!({ "by": by, "reason": reason })),
                Status::Cancelled(why) => Some(json!({ "by": null, "reason": why })),
                _ => None,
            };
            (Summary::of(request), request.decision_index, request.exact.clone(), answer)
        };
        let entry = self.inner.recorder.statement(index)?;
        let block = |block: Result<Value, serde_json::Error>| block.unwrap_or_default();
        Ok(View {
            summary,
            arguments: exact.map(|exact| String::from_utf8_lossy(&exact).into_owned()),
            answer,
            action: block(serde_json::to_value(&entry.action)),
            identity: block(serde_json::to_value(&entry.identity)),
            context: block(serde_json::to_value(&entry.context)),
            decision: block(serde_json::to_value(&entry.decision)),
            receipt_id: entry.receipt_id.into_owned(),
        })
    }
}
