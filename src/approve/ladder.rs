//! How a client waits, by what it can do (the ladder): held for a while, then told that it waits, in rounds where the
//! protocol has them.
//!
//! An answer that a client passes on is never an approval: what it carries is a sealed state, which says only where the
//! wait goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::cleared::{About, Asked, Came, Cleared};
use super::grants::Ground;
use super::splice::{self, Carried};
use super::{Approvals, ApproveError, Source, Status};
use crate::context::caller;
use crate::decide::{Evidence, action_digest};
use crate::metrics::{Counter, count};
use crate::model::{
    ActionId, Approval, ApprovalId, ApprovalResult, Binding, Call, Credentials, Digest, Era, Identity, Pending,
    ReasonCode, ReceiptId, Refusal, RefusalKind, Transport, Verdict,
};
use crate::net::random_bytes;
use crate::record::After;

/// Methods whose answer may ask for another round (MCP 2026-07-28, `InputRequiredResult`).
const ROUNDS: [&str; 3] = ["prompts/get", "resources/read", "tools/call"];

/// Sealed states of one request that may be used up: more than a client makes, few enough to remember.
const SPENT_MAX: usize = 512;

/// The state of a wait, as a client carries it.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    request: String,
    pickup: Digest,
    number: u64,
    round: u32,
    carried: Carried,
}

/// One call's place in its wait.
pub(super) struct Place {
    id: ApprovalId,
    round: u32,
    carried: Carried,
}

impl Place {
    /// The place of a call that was just asked about.
    pub(super) fn first(id: ApprovalId, call: &Call) -> Self {
        Self { id, round: 0, carried: splice::carried(call) }
    }
}

impl Approvals {
    /// Looks whether a call goes on with a wait: by the state it carries, or because the same caller asked exactly the
    /// same before. What belongs to the wait is taken out of it, and it goes by the id of the action that waits.
    /// `gone` resolves when the client went away and took its call back.
    pub async fn come(
        &self,
        call: &mut Call,
        identity: &Identity,
        policy_set: Digest,
        gone: impl Future<Output = ()>,
    ) -> Came {
        if !self.inner.is_served {
            return Came::Goes(None);
        }
        let place = match self.place(call, identity, policy_set) {
            Ok(Some(place)) => place,
            Ok(None) => return Came::Goes(None),
            Err(why) => return Came::Goes(Some(Box::new(Cleared::stale(why)))),
        };
        if place.round > 0 && splice::replace(call, &place.carried).is_none() {
            return Came::Goes(Some(Box::new(Cleared::stale("the request could not be put together again"))));
        }
        match self.wait(call, identity, place, gone).await {
            Asked::Cleared(cleared) => Came::Goes(Some(cleared)),
            Asked::Ends(refusal) => Came::Ends(refusal),
        }
    }

    /// Asks people about a call whose decision stands at `index`, and waits as long as its client can.
    pub async fn ask(
        &self,
        call: &mut Call,
        about: About<'_>,
        at: (u64, Bytes),
        gone: impl Future<Output = ()>,
    ) -> Asked {
        let About { identity, decision, waited } = about;
        let source = if decision.verdict == Verdict::Defer { Source::DeferEscalation } else { Source::StepUp };
        if source == Source::DeferEscalation && waited.is_none() {
            return self.defer(call, (identity, decision), at, gone).await;
        }
        if source == Source::DeferEscalation && !self.inner.config.deferral.escalate {
            let outside = format!("Countersign suspended it and nobody knows more: {}", decision.reason);
            return Asked::Ends(Box::new(Refusal::new(RefusalKind::Overloaded, &outside, "nobody knows")));
        }
        let (index, exact) = at;
        let pickup = self.inner.pickup(call, identity);
        let ground = Self::ground(call, identity);
        match self.inner.request(pickup, index, source, (exact, ground)).await {
            Ok(id) => {
                // Those that depend on it wait on, until it has run.
                if let Some(hold) = waited.and_then(Cleared::into_hold) {
                    self.keep_place(&id, hold);
                }
                let place = Place::first(id, call);
                self.wait(call, identity, place, gone).await
            }
            Err(ApproveError::TooMany(which)) => {
                let outside = format!("Countersign cannot ask for another approval: too many requests {which} wait.");
                Asked::Ends(Box::new(refused(decision.policy.clone(), ReasonCode::TooManyPending, &outside, None)))
            }
            Err(error) => {
                let outside = "This approval cannot be recorded, so nobody was asked.";
                Asked::Ends(Box::new(Refusal::new(RefusalKind::LogUnavailable, outside, error)))
            }
        }
    }

    pub(super) fn ground(call: &Call, identity: &Identity) -> Ground {
        let asking = Call { credentials: Credentials::default(), ..call.clone() };
        Ground { call: Arc::new(asking), identity: Arc::new(identity.clone()) }
    }

    /// Where the call goes on. An error is why what it carries does not count.
    fn place(&self, call: &Call, identity: &Identity, policy_set: Digest) -> Result<Option<Place>, &'static str> {
        let state = splice::our_state(call);
        let pickup = {
            let queue = self.inner.lock();
            if state.is_none() && queue.requests.is_empty() {
                return Ok(None);
            }
            drop(queue);
            self.inner.pickup(call, identity)
        };
        let mut queue = self.inner.lock();
        let Some(state) = state else {
            let Some(id) = queue.by_pickup.get(&pickup).cloned() else { return Ok(None) };
            let Some(request) = queue.requests.get(&id) else { return Ok(None) };
            if *request.status.borrow() == Status::Used {
                return Ok(None);
            }
            if request.policy_set != policy_set && *request.status.borrow() != Status::Approved {
                // What was asked is asked anew, under the policies of now.
                request.status.send_replace(Status::Cancelled("the policies changed while it waited".into()));
                return Ok(None);
            }
            return Ok(Some(Place { id, round: 0, carried: splice::carried(call) }));
        };
        let waiting: Waiting = self.inner.seal.open_state(&state).ok_or("the state it carries is not one of ours")?;
        if waiting.pickup != pickup {
            return Err("the state it carries belongs to another caller or to other arguments");
        }
        let id = ApprovalId::parse(&waiting.request).map_err(|_| "the state it carries names no request")?;
        let request = queue.requests.get_mut(&id).ok_or("the request it waited for is over")?;
        if request.policy_set != policy_set {
            return Err("the policies changed while it waited");
        }
        if self.inner.clock.now() >= request.expires {
            return Err("the request it waited for has expired");
        }
        if request.spent.len() >= SPENT_MAX || !request.spent.insert(waiting.number) {
            return Err("the state it carries was used before");
        }
        Ok(Some(Place { id, round: waiting.round, carried: waiting.carried }))
    }

    pub(super) async fn wait(
        &self,
        call: &mut Call,
        identity: &Identity,
        place: Place,
        gone: impl Future<Output = ()>,
    ) -> Asked {
        let subscribed = {
            let queue = self.inner.lock();
            queue.requests.get(&place.id).map(|request| (request.status.subscribe(), Arc::clone(&request.session)))
        };
        let Some((mut status, session)) = subscribed else {
            return Asked::Cleared(Box::new(Cleared::stale("the request it waited for is over")));
        };
        if !self.shows_at_once(call, &place)
            && let Ok(_held) = self.inner.holds.try_acquire()
        {
            let mut changed = self.inner.changed.subscribe();
            let settled = async {
                tokio::select! {
                    // Nobody would hear of it: what is approved is left for the next call.
                    () = gone => return true,
                    _settled = status.wait_for(|status| *status != Status::Pending) => {}
                    // The kill switch reaches those who are held.
                    () = async {
                        while self.suspension(call, identity, &session).is_none() && changed.changed().await.is_ok() {}
                    } => {}
                }
                false
            };
            call.client.held.set(true);
            let waited = tokio::time::timeout(self.hold(call), settled).await;
            call.client.held.set(false);
            if waited == Ok(true) {
                return Asked::Ends(Box::new(self.tell(call, &place, identity)));
            }
        }
        if let Some(suspended) = self.suspension(call, identity, &session) {
            return Asked::Cleared(Box::new(suspended));
        }
        let settled = status.borrow().clone();
        match settled {
            Status::Pending => Asked::Ends(Box::new(self.tell(call, &place, identity))),
            Status::Approved => self.consume(call, identity, &place.id),
            Status::Used => self.used(call, &place.id),
            Status::Cancelled(why) => Asked::Cleared(Box::new(Cleared::of(Evidence::Stale(why), After::default()))),
            Status::Denied { by, reason } => {
                let outside = format!("{by} denied it: {reason}");
                Asked::Ends(Box::new(self.ended(&place.id, ReasonCode::ApprovalDenied, &outside)))
            }
            Status::Expired => {
                let outside = "Nobody answered in time, which is a no.";
                Asked::Ends(Box::new(self.ended(&place.id, ReasonCode::ApprovalTimeout, outside)))
            }
        }
    }

    /// Uses an approval up.
    fn consume(&self, call: &mut Call, identity: &Identity, id: &ApprovalId) -> Asked {
        let mut queue = self.inner.lock();
        let Some(request) = queue.requests.get_mut(id) else {
            return Asked::Cleared(Box::new(Cleared::stale("the request it waited for is over")));
        };
        let mut mine = false;
        request.status.send_if_modified(|status| {
            mine = *status == Status::Approved;
            if mine {
                *status = Status::Used;
            }
            mine
        });
        if !mine {
            drop(queue);
            return self.used(call, id);
        }
        let approver: Arc<str> = request.yes.join(" and ").into();
        let approval = Approval {
            id: id.clone(),
            approver: Arc::clone(&approver),
            binding: Binding {
                caller: caller(call, identity),
                action: action_digest(call),
                tool_pin: request.tool_pin,
                policy_set: request.policy_set,
                expires: request.expires,
            },
            decision: request.decision.clone(),
        };
        let now = self.inner.clock.now();
        let by = Some((&*approver, "log", request.verification));
        let block = request.answered(ApprovalResult::Approved, by, "", now);
        let after = After { approval: Some(block), supersedes: Some(request.decision.clone()), ..After::default() };
        // What runs now is the action that waited.
        if let Ok(action) = ActionId::parse(&request.action_id) {
            call.action.id = action;
        }
        count(Counter::ApprovalsGranted);
        let hold = request.hold.take();
        Asked::Cleared(Box::new(Cleared::approved(Evidence::Approved(Arc::new(approval)), after, hold)))
    }

    /// Another call for exactly the same used the approval up.
    fn used(&self, call: &Call, id: &ApprovalId) -> Asked {
        let asker = self.inner.lock().requests.get(id).map(|request| Arc::clone(&request.action_id));
        if asker.is_some_and(|action| *action == *call.action.id.as_str()) {
            // That call ran as this very action: there is nothing left to decide about it.
            let outside = "Another call for exactly the same used the approval.";
            return Asked::Ends(Box::new(self.ended(id, ReasonCode::ApprovalStale, outside)));
        }
        Asked::Cleared(Box::new(Cleared::stale("the approval was used already")))
    }

    /// Tells a client that it waits.
    fn tell(&self, call: &Call, place: &Place, identity: &Identity) -> Refusal {
        let queue = self.inner.lock();
        let Some(request) = queue.requests.get(&place.id) else {
            return Refusal::new(RefusalKind::Overloaded, "The request is over. Call again.", "a request went away");
        };
        let rounds = has_rounds(call) && place.round < self.inner.config.mrtr_rounds_max;
        let url = self.inner.public_url.as_ref().map(|url| Arc::from(format!("{url}/approvals/{}", place.id)));
        let state = if rounds { self.seal_next(call, place, identity) } else { None };
        let what = format!("{}.{}", request.what.0, request.what.1);
        let outside = format!("Countersign waits for a person's approval of {what}: {}", request.reason);
        let pending = Pending {
            id: place.id.clone(),
            verdict: request.verdict,
            policy: request.policy.clone(),
            reason_code: request.reason_code,
            receipt: request.decision.clone(),
            ask_to_open: state.is_some() && place.round == 0 && call.client.url_elicitation,
            state: state.map(Arc::from),
            url,
            path: Arc::clone(&call.outbound.path),
        };
        let kind = RefusalKind::Pending(Box::new(pending));
        Refusal::new(kind, &outside, "waits for a person")
    }

    fn seal_next(&self, call: &Call, place: &Place, identity: &Identity) -> Option<String> {
        let number = u64::from_be_bytes(random_bytes().ok()?);
        self.inner.seal.seal(&Waiting {
            request: place.id.to_string(),
            pickup: self.inner.pickup(call, identity),
            number,
            round: place.round + 1,
            carried: place.carried.clone(),
        })
    }

    fn ended(&self, id: &ApprovalId, code: ReasonCode, outside: &str) -> Refusal {
        let queue = self.inner.lock();
        match queue.requests.get(id) {
            Some(request) => {
                let what = format!("{}.{} did not run. {outside}", request.what.0, request.what.1);
                refused(request.policy.clone(), code, &what, Some(request.decision.clone()))
            }
            None => Refusal::new(RefusalKind::Internal, outside, "a request went away"),
        }
    }

    /// A client that can show a page to its user is answered at once, so that the user sees it.
    fn shows_at_once(&self, call: &Call, place: &Place) -> bool {
        place.round == 0 && has_rounds(call) && call.client.url_elicitation && self.inner.public_url.is_some()
    }

    pub(super) fn hold(&self, call: &Call) -> Duration {
        let config = &self.inner.config;
        Duration::from_millis(if has_rounds(call) { config.mrtr_hold_ms } else { config.legacy_hold_ms })
    }
}

/// Whether the client of this call comes back with the state that it is given.
fn has_rounds(call: &Call) -> bool {
    call.client.era == Era::Modern && call.client.transport != Transport::Http && ROUNDS.contains(&&*call.action.method)
}

fn refused(
    policy: crate::model::PolicyReference,
    reason_code: ReasonCode,
    outside: &str,
    receipt: Option<ReceiptId>,
) -> Refusal {
    let kind = match receipt {
        Some(receipt) => RefusalKind::Decided { verdict: Verdict::Deny, policy, reason_code, receipt },
        None => RefusalKind::Overloaded,
    };
    Refusal::new(kind, outside, reason_code.as_str())
}
