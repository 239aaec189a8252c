//! The block `identity`: who acted, on whose behalf, and how each part was verified (AARM ).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clip::{json_bytes, take_fitting};
use super::{Text, clip, clip_cow};
use crate::model::{AgentIdentity, Claim, Delegation, Digest, Identity, Timestamp, Verification};
use crate::record::redact;

/// Names of people, services, agents, roles, teams. Bytes inside the JSON string.
const NAME_MAX: usize = 192;
/// All scopes together, in JSON.
const SCOPE_BUDGET: usize = 1_024;
/// All steps of a delegation chain together, in JSON.
const DELEGATION_BUDGET: usize = 2_048;

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct IdentityBlock<'a> {
    pub agent: Option<AgentBlock<'a>>,
    pub credential: Option<Digest>,
    pub delegation: Vec<DelegationBlock<'a>>,
    pub delegation_total: u64,
    pub expires: Option<Timestamp>,
    pub human: Option<ClaimBlock<'a>>,
    pub issuer: Option<Text<'a>>,
    pub owner: Option<Text<'a>>,
    pub problem: Option<Text<'a>>,
    pub role: Option<ClaimBlock<'a>>,
    pub scope: Vec<Text<'a>>,
    pub scope_total: u64,
    pub service: Option<ClaimBlock<'a>>,
    pub session: Option<ClaimBlock<'a>>,
    pub team: Option<Text<'a>>,
    pub tenant: Option<Text<'a>>,
    pub verification: Verification,
    pub verified_at: Option<Timestamp>,
}

/// The agent's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct AgentBlock<'a> {
    pub id: ClaimBlock<'a>,
    pub instance: Option<Text<'a>>,
    pub listed: Option<bool>,
    pub name: Option<Text<'a>>,
    pub provider: Option<ProviderBlock<'a>>,
    pub version: Option<Text<'a>>,
}

/// Who provides an agent. Self-reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ProviderBlock<'a> {
    pub name: Option<Text<'a>>,
    pub url: Option<Text<'a>>,
}

/// One part of an identity and how it was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ClaimBlock<'a> {
    pub value: Text<'a>,
    pub verification: Verification,
}

/// One step of a delegation chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct DelegationBlock<'a> {
    pub delegatee: Text<'a>,
    pub delegator: Text<'a>,
    pub expires_at: Option<Timestamp>,
    pub issued_at: Option<Timestamp>,
    pub scope: Text<'a>,
}

impl<'a> IdentityBlock<'a> {
    /// The block of an identity.
    #[must_use]
    pub fn of(identity: &'a Identity) -> Self {
        let name = |text: &'a Option<Arc<str>>| text.as_deref().map(|text| clip(text, NAME_MAX));
        let claim = |claim: &'a Option<Claim>| claim.as_ref().map(ClaimBlock::of);
        let scope = identity.scope.iter().map(|scope| clip(scope, NAME_MAX));
        let delegation = identity.delegation.iter().map(DelegationBlock::of);
        Self {
            agent: identity.agent.as_ref().map(AgentBlock::of),
            credential: identity.credential,
            delegation: take_fitting(delegation, DELEGATION_BUDGET, DelegationBlock::bytes),
            delegation_total: identity.delegation.len() as u64,
            expires: identity.expires,
            human: claim(&identity.human),
            issuer: name(&identity.issuer),
            owner: name(&identity.owner),
            problem: identity.problem.as_deref().map(|text| clip_cow(redact::text(text).text, NAME_MAX)),
            role: claim(&identity.role),
            scope: take_fitting(scope, SCOPE_BUDGET, |scope| json_bytes(scope)),
            scope_total: identity.scope.len() as u64,
            service: claim(&identity.service),
            session: claim(&identity.session),
            team: name(&identity.team),
            tenant: name(&identity.tenant),
            verification: identity.verification,
            verified_at: identity.verified_at,
        }
    }
}

impl<'a> AgentBlock<'a> {
    fn of(agent: &'a AgentIdentity) -> Self {
        let name = |text: &'a Option<Arc<str>>| text.as_deref().map(|text| clip(text, NAME_MAX));
        Self {
            id: ClaimBlock::of(&agent.id),
            instance: name(&agent.instance),
            listed: agent.listed,
            name: None,
            provider: None,
            version: name(&agent.version),
        }
    }
}

impl<'a> ClaimBlock<'a> {
    fn of(claim: &'a Claim) -> Self {
        Self { value: clip(&claim.value, NAME_MAX), verification: claim.verification }
    }
}

impl<'a> DelegationBlock<'a> {
    fn of(step: &'a Delegation) -> Self {
        Self {
            delegatee: clip(&step.delegatee, NAME_MAX),
            delegator: clip(&step.delegator, NAME_MAX),
            expires_at: step.expires_at,
            issued_at: step.issued_at,
            scope: clip(&step.scope, NAME_MAX),
        }
    }

    fn bytes(&self) -> usize {
        // The names of the members and two times take at most 133 bytes.
        json_bytes(&self.delegatee) + json_bytes(&self.delegator) + json_bytes(&self.scope) + 133
    }
}
