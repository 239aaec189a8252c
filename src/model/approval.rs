//! What people and resolvers answered (AARM ).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ApprovalId, DeferralId, Digest, ReceiptId, Timestamp};

/// A person's yes to one request, bound to what was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The request.
    pub id: ApprovalId,
    /// Who answered; never taken from a body.
    pub approver: Arc<str>,
    /// What it holds for.
    pub binding: Binding,
    /// The entry of the decision that asked.
    pub decision: ReceiptId,
}

/// What an approval holds for: nothing else may run on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Who calls.
    pub caller: Digest,
    /// What is called, with the exact arguments.
    pub action: Digest,
    /// The definition of the tool when it was asked.
    pub tool_pin: Option<Digest>,
    /// The policies when it was asked.
    pub policy_set: Digest,
    /// Until when it may be used.
    pub expires: Timestamp,
}

/// What came of a request to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ApprovalResult {
    /// Yes.
    Approved,
    /// No.
    Denied,
    /// Passed on to the next approvers.
    Escalated,
    /// Nobody has answered yet.
    Pending,
    /// Nobody answered in time, which is a no.
    Timeout,
}

/// A suspended action and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferral {
    /// The suspension.
    pub id: DeferralId,
    /// Why it was suspended.
    pub reason: Arc<str>,
    /// How it was resolved: the resolver's name, or `timeout`.
    pub method: Option<Arc<str>>,
    /// When.
    pub resolved: Option<Timestamp>,
}
