//! What people and resolvers answered (AARM ).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ApprovalId, DeferralId, Timestamp};

/// A person's answer to one request, bound to what was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The request.
    pub id: ApprovalId,
    /// What came of it.
    pub result: ApprovalResult,
    /// Who answered; never taken from a body.
    pub approver: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// When it was asked.
    pub requested: Timestamp,
    /// When it was answered.
    pub decided: Option<Timestamp>,
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
