//! Standing permissions: "this tool, this value, this session", so that people are asked seldom and answer with care.
//!
//! A permission is given with an answer, ends by itself, and can be taken back. It holds for the same caller, the same
//! tool as it was defined then, under the same policies, and never for what the policies refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::{Approvals, ApproveError, Person, Seal};
use crate::context::caller;
use crate::model::{ApprovalId, Call, Digest, GrantId, Identity, Timestamp};
use crate::net::random_bytes;
use crate::record::entry::{GrantBlock, ScopeBlock};
use crate::record::{ControlFact, RecordError};

/// The longest permission, minutes: a day. Longer is a policy.
pub const GRANT_MINUTES_MAX: u64 = 1_440;
/// Permissions at once.
const GRANTS_MAX: usize = 1_000;
/// Longest pointer, bytes.
const POINTER_BYTES_MAX: usize = 192;

/// What a person permits with an answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// Minutes that it lasts.
    pub minutes: u64,
    /// Whether it holds in the session of the request only.
    #[serde(default)]
    pub this_session: bool,
    /// The argument whose value has to be the same, as a JSON pointer; all arguments without.
    #[serde(default)]
    pub pointer: Option<String>,
    /// How often it may be used.
    #[serde(default)]
    pub uses_max: Option<u64>,
}

/// One standing permission.
#[derive(Debug)]
pub struct Grant {
    /// Its id.
    pub id: GrantId,
    /// Who gave it.
    pub approver: Arc<str>,
    /// The server and its operation.
    pub what: (Arc<str>, Arc<str>),
    /// The argument whose value has to be the same.
    pub pointer: Option<Arc<str>>,
    /// Keyed: caller, tool, policies and value.
    pub binding: Digest,
    /// The session it holds in.
    pub session: Option<Arc<str>>,
    /// The tenant of who asked.
    pub tenant: Option<Arc<str>>,
    /// Until when.
    pub expires: Timestamp,
    /// How often it may be used.
    pub uses_max: Option<u64>,
    /// How often it was.
    pub uses: AtomicU64,
    /// Place of its entry.
    pub entry: u64,
}

/// A permission as people see it.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct GrantView {
    pub id: String,
    pub approver: String,
    pub server: String,
    pub operation: String,
    pub pointer: Option<String>,
    pub session: Option<String>,
    pub tenant: Option<String>,
    pub expires: Timestamp,
    pub uses: u64,
    pub uses_max: Option<u64>,
}

impl Grant {
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        now < self.expires && self.uses_max.is_none_or(|max| self.uses.load(Ordering::Relaxed) < max)
    }

    pub(super) fn use_once(&self) {
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn covers(
        &self,
        seal: &Seal,
        call: &Call,
        identity: &Identity,
        session: &str,
        standing: (Option<Digest>, Digest),
    ) -> bool {
        let native = &call.action.native;
        *native.server == *self.what.0
            && *native.operation == *self.what.1
            && self.session.as_deref().is_none_or(|only| only == session)
            && bind(seal, call, identity, self.pointer.as_deref(), standing) == Some(self.binding)
    }

    fn block(&self, event: &'static str, reason: Option<&str>) -> GrantBlock<'static> {
        GrantBlock {
            approver: Some(self.approver.to_string().into()),
            event: event.into(),
            expires: Some(self.expires),
            grant_id: self.id.to_string().into(),
            operation: Some(self.what.1.to_string().into()),
            pointer: self.pointer.as_ref().map(|pointer| pointer.to_string().into()),
            reason: reason.map(|reason| reason.to_owned().into()),
            scope: self
                .session
                .as_ref()
                .map(|session| ScopeBlock { kind: "session".into(), value: Some(session.to_string().into()) }),
            tool: Some(self.what.0.to_string().into()),
            uses: self.uses.load(Ordering::Relaxed),
            uses_max: self.uses_max,
            value_hash: Some(self.binding),
        }
    }

    pub(super) fn of_block(block: &GrantBlock<'_>, entry: u64) -> Option<Self> {
        let session =
            block.scope.as_ref().filter(|scope| scope.kind == "session").and_then(|scope| scope.value.as_deref());
        Some(Self {
            id: GrantId::parse(&block.grant_id).ok()?,
            approver: block.approver.as_deref()?.into(),
            what: (block.tool.as_deref()?.into(), block.operation.as_deref()?.into()),
            pointer: block.pointer.as_deref().map(Arc::from),
            binding: block.value_hash?,
            session: session.map(Arc::from),
            tenant: None,
            expires: block.expires?,
            uses_max: block.uses_max,
            uses: AtomicU64::new(block.uses),
            entry,
        })
    }
}

/// Everything that has to be the same, under the key. `None` when there is nothing at the pointer.
fn bind(
    seal: &Seal,
    call: &Call,
    identity: &Identity,
    pointer: Option<&str>,
    (tool_pin, policy_set): (Option<Digest>, Digest),
) -> Option<Digest> {
    let action = &call.action;
    let value = match pointer {
        Some(pointer) => serde_json::to_vec(action.arguments.value.pointer(pointer)?).ok()?,
        None => action.arguments.text.to_vec(),
    };
    let pin = tool_pin.map(|pin| pin.0.to_vec()).unwrap_or_default();
    let parts: [&[u8]; 8] = [
        b"grant",
        &caller(call, identity).0,
        action.native.server.as_bytes(),
        action.native.operation.as_bytes(),
        &pin,
        &policy_set.0,
        pointer.unwrap_or_default().as_bytes(),
        &value,
    ];
    Some(seal.digest(&parts))
}

/// What an answer needs to give a permission with: remembered with the request while it waits.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) call: Arc<Call>,
    pub(super) identity: Arc<Identity>,
}

impl Approvals {
    /// Gives a standing permission for what a request asks. Does not answer the request.
    ///
    /// # Errors
    /// [`ApproveError`]: the request is not pending, was made before a restart, or names nothing at the pointer.
    pub async fn grant(&self, id: &ApprovalId, person: &Person, asked: &GrantRequest) -> Result<GrantId, ApproveError> {
        if asked.minutes == 0 || asked.minutes > GRANT_MINUTES_MAX {
            return Err(ApproveError::Text("a permission lasts 1 to 1440 minutes"));
        }
        if asked.pointer.as_ref().is_some_and(|pointer| pointer.len() > POINTER_BYTES_MAX || !pointer.starts_with('/'))
        {
            return Err(ApproveError::Text("`pointer` is a JSON pointer: /to"));
        }
        let now = self.inner.clock.now();
        let random = random_bytes().map_err(|error| RecordError::Random(Arc::new(error)))?;
        let mut grant = {
            let queue = self.inner.lock();
            let request = queue.requests.get(id).filter(|request| person.sees(request.tenant.as_deref()));
            let request = request.ok_or(ApproveError::Unknown)?;
            request.may_answer(person, self.inner.config.requester_may_approve, now)?;
            if request.needed > 1 {
                return Err(ApproveError::Text("what takes two people is approved each time"));
            }
            let gone = ApproveError::Text("the request outlived a restart: approve it once, without a permission");
            let ground = request.ground.as_ref().ok_or(gone)?;
            let standing = (request.tool_pin, request.policy_set);
            let binding = bind(&self.inner.seal, &ground.call, &ground.identity, asked.pointer.as_deref(), standing);
            let native = &ground.call.action.native;
            Grant {
                id: GrantId::mint(now, random),
                approver: Arc::clone(&person.name),
                what: (Arc::clone(&native.server), Arc::clone(&native.operation)),
                pointer: asked.pointer.as_deref().map(Arc::from),
                binding: binding.ok_or(ApproveError::Text("the arguments have nothing at this pointer"))?,
                session: asked.this_session.then(|| Arc::clone(&request.session)),
                tenant: request.tenant.clone(),
                expires: now.plus_micros(asked.minutes * 60_000_000),
                uses_max: asked.uses_max,
                uses: AtomicU64::new(0),
                entry: 0,
            }
        };
        if self.inner.standing.load().grants.len() >= GRANTS_MAX {
            return Err(ApproveError::TooMany("permissions"));
        }
        // COMMIT POINT: a permission counts when it is on record.
        let (_, entry) = self.inner.recorder.control_at(ControlFact::grant(grant.block("given", None))).await?;
        grant.entry = entry;
        let id = grant.id.clone();
        self.change(|standing| standing.grants.push(Arc::new(grant)));
        Ok(id)
    }

    /// Takes a permission back. It holds for nothing any more, whether or not that can be recorded.
    ///
    /// # Errors
    /// [`ApproveError`]: there is none that this person may see, or it could not be recorded.
    pub async fn revoke(&self, id: &GrantId, person: &Person, reason: &str) -> Result<(), ApproveError> {
        let standing = self.inner.standing.load_full();
        let seen = |grant: &&Arc<Grant>| grant.id == *id && person.sees(grant.tenant.as_deref());
        let grant = standing.grants.iter().find(seen).ok_or(ApproveError::Unknown)?;
        let block = grant.block("ended", Some(&format!("{}: {reason}", person.name)));
        self.change(|standing| standing.grants.retain(|grant| grant.id != *id));
        self.inner.recorder.control(ControlFact::grant(block)).await?;
        Ok(())
    }

    /// The permissions that hold and that this person may see.
    #[must_use]
    pub fn grants(&self, person: &Person) -> Vec<GrantView> {
        let now = self.inner.clock.now();
        let standing = self.inner.standing.load_full();
        let seen = standing.grants.iter().filter(|grant| grant.is_open(now) && person.sees(grant.tenant.as_deref()));
        let view = |grant: &Arc<Grant>| GrantView {
            id: grant.id.to_string(),
            approver: grant.approver.to_string(),
            server: grant.what.0.to_string(),
            operation: grant.what.1.to_string(),
            pointer: grant.pointer.as_ref().map(ToString::to_string),
            session: grant.session.as_ref().map(ToString::to_string),
            tenant: grant.tenant.as_ref().map(ToString::to_string),
            expires: grant.expires,
            uses: grant.uses.load(Ordering::Relaxed),
            uses_max: grant.uses_max,
        };
        seen.map(view).collect()
    }
}
