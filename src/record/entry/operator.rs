//! Blocks about what the product's operator does: policies, controls, standing permissions, pinned tools.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::model::{Digest, PolicyReference, Timestamp, Verification};

/// A policy set was loaded, or refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct PolicySetBlock<'a> {
    pub changes: PolicyChanges<'a>,
    pub error: Option<Text<'a>>,
    pub hash: Digest,
    pub loaded: bool,
    pub policies: Vec<LoadedPolicy<'a>>,
    pub policies_total: u64,
    pub previous: Option<Digest>,
}

/// Which policies differ from the set before. Ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct PolicyChanges<'a> {
    pub added: Vec<Text<'a>>,
    pub changed: Vec<Text<'a>>,
    pub removed: Vec<Text<'a>>,
}

/// One policy of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct LoadedPolicy<'a> {
    pub hash: Digest,
    pub policy_id: Text<'a>,
    pub rules: u64,
    pub shadow_rules: u64,
    pub version: Text<'a>,
}

impl<'a> LoadedPolicy<'a> {
    /// The policy of that id, version and digest, and how many rules it has, in shadow and all.
    #[must_use]
    pub fn of(policy: &'a PolicyReference, rules: usize, shadow_rules: usize) -> Self {
        Self {
            hash: policy.hash,
            policy_id: policy.policy_id.as_ref().into(),
            rules: rules as u64,
            shadow_rules: shadow_rules as u64,
            version: policy.version.as_ref().into(),
        }
    }
}

/// The product or its operator did something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ControlBlock<'a> {
    pub actor: Option<Text<'a>>,
    pub actor_verification: Option<Verification>,
    pub approvers: Vec<Text<'a>>,
    pub control_id: Option<Text<'a>>,
    pub count: Option<u64>,
    pub event: Text<'a>,
    pub expires: Option<Timestamp>,
    pub peer: Option<Text<'a>>,
    pub reason: Option<Text<'a>>,
    pub scope: Option<ScopeBlock<'a>>,
    pub since: Option<Timestamp>,
    pub ticket: Option<Text<'a>>,
    pub until: Option<Timestamp>,
    pub version: Option<Text<'a>>,
}

/// What a control applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ScopeBlock<'a> {
    pub kind: Text<'a>,
    pub value: Option<Text<'a>>,
}

/// A standing permission was given, used or ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct GrantBlock<'a> {
    pub approver: Option<Text<'a>>,
    pub event: Text<'a>,
    pub expires: Option<Timestamp>,
    pub grant_id: Text<'a>,
    pub operation: Option<Text<'a>>,
    pub pointer: Option<Text<'a>>,
    pub reason: Option<Text<'a>>,
    pub scope: Option<ScopeBlock<'a>>,
    pub tool: Option<Text<'a>>,
    pub uses: u64,
    pub uses_max: Option<u64>,
    pub value_hash: Option<Digest>,
}

/// The definitions of a server's tools were pinned or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ToolPinBlock<'a> {
    pub actor: Option<Text<'a>>,
    pub part: u64,
    pub parts: u64,
    pub server: Text<'a>,
    pub server_version: Option<Text<'a>>,
    pub tools: Vec<PinnedTool<'a>>,
}

/// One tool of a [`ToolPinBlock`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct PinnedTool<'a> {
    pub change: Text<'a>,
    pub digest: Option<Digest>,
    pub name: Text<'a>,
    pub previous: Option<Digest>,
}
