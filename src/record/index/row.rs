//! What the index holds of an entry: a pure function of its bytes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::{Digest, Timestamp};
use crate::record::leaf_hash;

/// What can be searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the manual documents each member under its path in the predicate")]
pub struct Row {
    pub index: u64,
    pub leaf_hash: Digest,
    pub receipt_id: String,
    pub kind: String,
    pub action_id: Option<String>,
    pub session: Option<String>,
    pub seq: Option<u64>,
    pub time: Timestamp,
    pub human: Option<String>,
    pub agent: Option<String>,
    pub tool: Option<String>,
    pub operation: Option<String>,
    /// The verdict.
    pub result: Option<String>,
    pub enforced: Option<bool>,
    /// What became of the action, in outcomes.
    pub status: Option<String>,
    pub policy: Option<String>,
    pub tenant: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    payload: &'a str,
}

/// The members that are needed, of entries of this version and of later ones.
#[derive(Deserialize)]
struct Payload {
    predicate: Predicate,
}

#[derive(Deserialize)]
struct Predicate {
    action: Option<Action>,
    decision: Option<Decision>,
    identity: Option<Identity>,
    kind: String,
    outcome: Option<Outcome>,
    receipt_id: String,
    session: Option<Session>,
    time: Time,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    operation: String,
    tool: String,
}

#[derive(Deserialize)]
struct Decision {
    enforced: bool,
    policy: Policy,
    result: String,
}

#[derive(Deserialize)]
struct Policy {
    policy_id: String,
}

#[derive(Deserialize)]
struct Identity {
    agent: Option<Agent>,
    human: Option<Claim>,
    tenant: Option<String>,
}

#[derive(Deserialize)]
struct Agent {
    id: Claim,
}

#[derive(Deserialize)]
struct Claim {
    value: String,
}

#[derive(Deserialize)]
struct Outcome {
    status: String,
}

#[derive(Deserialize)]
struct Session {
    id: String,
    seq: u64,
}

#[derive(Deserialize)]
struct Time {
    wall: Timestamp,
}

impl Row {
    /// The row of an entry; `None` when it is none of this format.
    #[must_use]
    pub fn of(index: u64, entry: &Bytes) -> Option<Self> {
        // Only what was verified, or will be, is asked for: the envelope's strict reader is not needed to search.
        let envelope: Envelope<'_> = serde_json::from_slice(entry).ok()?;
        let payload = base64_simd::STANDARD.decode_to_vec(envelope.payload).ok()?;
        let Payload { predicate } = serde_json::from_slice(&payload).ok()?;
        let (agent, human, tenant) = match predicate.identity {
            Some(identity) => (identity.agent.map(|agent| agent.id.value), identity.human, identity.tenant),
            None => (None, None, None),
        };
        let (action_id, tool, operation) = match predicate.action {
            Some(action) => (Some(action.action_id), Some(action.tool), Some(action.operation)),
            None => (None, None, None),
        };
        let (result, enforced, policy) = match predicate.decision {
            Some(decision) => (Some(decision.result), Some(decision.enforced), Some(decision.policy.policy_id)),
            None => (None, None, None),
        };
        let (session, seq) = predicate.session.map(|session| (session.id, session.seq)).unzip();
        Some(Self {
            index,
            leaf_hash: leaf_hash(entry),
            receipt_id: predicate.receipt_id,
            kind: predicate.kind,
            action_id,
            session,
            seq,
            time: predicate.time.wall,
            human: human.map(|human| human.value),
            agent,
            tool,
            operation,
            result,
            enforced,
            status: predicate.outcome.map(|outcome| outcome.status),
            policy,
            tenant,
        })
    }
}
