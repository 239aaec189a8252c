//! The blocks `approval` and `deferral`: what people and resolvers answered (AARM ).

use serde::{Deserialize, Serialize};

use super::Text;
use crate::model::{ApprovalResult, Digest, Severity, Timestamp, Verification};

/// A request to a person and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ApprovalBlock<'a> {
    pub approver: Option<Text<'a>>,
    pub approver_verification: Option<Verification>,
    pub approvers: Vec<Text<'a>>,
    #[serde(default)]
    pub binding: Option<Digest>,
    pub channel: Option<Text<'a>>,
    pub decided: Option<Timestamp>,
    pub escalated_to: Vec<Text<'a>>,
    pub expires: Option<Timestamp>,
    pub reason: Option<Text<'a>>,
    #[serde(rename = "ref")]
    pub decision_leaf: Option<Digest>,
    pub request_id: Text<'a>,
    pub requested: Timestamp,
    pub response_us: Option<u64>,
    pub risk_level: Option<Severity>,
    pub shown_hash: Option<Digest>,
    pub source: Text<'a>,
    pub status: ApprovalResult,
}

/// A suspended action and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct DeferralBlock<'a> {
    pub attempts: u32,
    pub deferral_id: Text<'a>,
    pub deferred: Timestamp,
    pub expires: Option<Timestamp>,
    pub method: Option<Text<'a>>,
    pub reason: Text<'a>,
    #[serde(rename = "ref")]
    pub decision_leaf: Option<Digest>,
    pub resolved: Option<Timestamp>,
    pub result: Option<Text<'a>>,
    pub trigger: Text<'a>,
    pub waits_for: Vec<Text<'a>>,
}
