//! What holds above the policies at this moment: controls and standing permissions, as one value that is swapped whole,
//! so that a look at it takes no lock.

use std::sync::{Arc, PoisonError};

use super::Approvals;
use super::cleared::Cleared;
use super::controls::{Control, ControlKind};
use super::grants::Grant;
use crate::decide::{Evidence, Gate};
use crate::model::{Call, Decision, Digest, Identity, ReasonCode, Verdict};
use crate::record::After;

/// Everything that holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    pub(super) controls: Vec<Arc<Control>>,
    pub(super) grants: Vec<Arc<Grant>>,
}

impl Approvals {
    /// What holds for an action above the policies: the kill switch before everything else, then what the action
    /// waited for, then a standing permission, then break-glass.
    #[must_use]
    pub fn standing(
        &self,
        call: &Call,
        identity: &Identity,
        session: &str,
        (tool_pin, policy_set): (Option<Digest>, Digest),
    ) -> Option<Cleared> {
        let standing = self.inner.standing.load();
        let depends = || {
            let parent = self.inner.deferrals.parent(call, session)?;
            Some(Cleared::of(Evidence::DependsOn(parent.action), After::default()))
        };
        if standing.controls.is_empty() && standing.grants.is_empty() {
            return depends();
        }
        let now = self.inner.clock.now();
        let covers = |kind| {
            standing.controls.iter().find(|control| {
                control.kind == kind && control.is_active(now) && control.scope.covers(&call.action, identity, session)
            })
        };
        if let Some(control) = covers(ControlKind::Suspend) {
            return Some(suspended(control));
        }
        if let Some(depends) = depends() {
            return Some(depends);
        }
        let grant = standing.grants.iter().find(|grant| {
            grant.is_open(now) && grant.covers(&self.inner.seal, call, identity, session, (tool_pin, policy_set))
        });
        if let Some(grant) = grant {
            let id: Arc<str> = grant.id.as_str().into();
            let after = After { grant_id: Some(Arc::clone(&id)), ..After::default() };
            return Some(Cleared::of(Evidence::Granted(id), after));
        }
        let control = covers(ControlKind::BreakGlass)?;
        let id: Arc<str> = control.id.as_str().into();
        let after = After { break_glass_id: Some(Arc::clone(&id)), ..After::default() };
        Some(Cleared::of(Evidence::BreakGlass(id), after))
    }

    /// Whether a person is asked about what was decided.
    #[must_use]
    pub fn asks(&self, decision: &Decision, gate: &Gate) -> bool {
        let waits = matches!(decision.verdict, Verdict::Defer | Verdict::StepUp);
        waits && matches!(gate, Gate::Closed) && self.inner.is_served
    }

    /// Whether the kill switch holds what this caller sends, before a session is known.
    #[must_use]
    pub fn is_suspended(&self, call: &Call, identity: &Identity) -> bool {
        let standing = self.inner.standing.load();
        let now = self.inner.clock.now();
        standing.controls.iter().any(|control| {
            control.kind == ControlKind::Suspend
                && control.is_active(now)
                && control.scope.covers(&call.action, identity, "")
        })
    }

    /// Takes note that a decision was made by a standing permission.
    pub fn note_use(&self, cleared: Option<&Cleared>, decision: &Decision) {
        if decision.reason_code == ReasonCode::Granted
            && let Some(Evidence::Granted(id)) = cleared.map(|cleared| &cleared.evidence)
        {
            let standing = self.inner.standing.load();
            standing.grants.iter().filter(|grant| grant.id.as_str() == &**id).for_each(|grant| grant.use_once());
        }
    }

    /// Why a held call is suspended now.
    pub(super) fn suspension(&self, call: &Call, identity: &Identity, session: &str) -> Option<Cleared> {
        let standing = self.inner.standing.load();
        let now = self.inner.clock.now();
        let control = standing.controls.iter().find(|control| {
            control.kind == ControlKind::Suspend
                && control.is_active(now)
                && control.scope.covers(&call.action, identity, session)
        })?;
        Some(suspended(control))
    }

    /// Changes what holds, and wakes those who are held.
    pub(super) fn change(&self, change: impl FnOnce(&mut Standing)) {
        // One at a time: two changes at once would lose one.
        let _alone = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut standing = Standing::clone(&self.inner.standing.load());
        change(&mut standing);
        self.inner.standing.store(Arc::new(standing));
        self.inner.changed.send_modify(|number| *number += 1);
    }
}

fn suspended(control: &Control) -> Cleared {
    let why = format!("{} is suspended by {} ({})", control.scope, control.actor, control.id);
    Cleared::of(Evidence::Suspended(why.into()), After::default())
}
