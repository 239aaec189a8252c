//! One suspended action from its decision to its resolution.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::Hold;
use super::table::Parent;
use crate::approve::cleared::{Asked, Cleared};
use crate::approve::ladder::Place;
use crate::approve::{Approvals, ApproveError, Source, Status};
use crate::decide::Evidence;
use crate::metrics::{Counter, count};
use crate::model::{
    ApprovalId, Call, Decision, DeferralId, Identity, ReasonCode, ReceiptId, Refusal, RefusalKind, Timestamp,
};
use crate::net::random_bytes;
use crate::record::entry::DeferralBlock;
use crate::record::{After, FollowUp, RecordError};

/// Times to resolution that the median is taken of.
const TIMES_MAX: usize = 256;

/// How long suspended actions took to settle.
#[derive(Debug, Default)]
pub struct DeferralStats(Mutex<VecDeque<u64>>);

impl DeferralStats {
    fn note(&self, us: u64) {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if times.len() >= TIMES_MAX {
            times.pop_front();
        }
        times.push_back(us);
    }

    /// The median of the latest, milliseconds; 0 before there are any.
    #[must_use]
    pub fn median_ms(&self) -> u64 {
        let mut times: Vec<u64> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0) / 1_000
    }
}

/// One suspension on its way.
struct Suspension {
    id: DeferralId,
    index: u64,
    decision: ReceiptId,
    since: Timestamp,
    /// When the wait that it is in ends.
    expires: Timestamp,
    trigger: &'static str,
    reason: String,
    waits_for: Vec<Arc<str>>,
}

impl Approvals {
    /// Suspends a call whose decision is DEFER, asks resolvers, and when they do not know people (AARM ).
    pub(in crate::approve) async fn defer(
        &self,
        call: &mut Call,
        (identity, decision): (&Identity, &Decision),
        at: (u64, Bytes),
        gone: impl Future<Output = ()>,
    ) -> Asked {
        match self.try_defer(call, (identity, decision), at, gone).await {
            Ok(asked) => asked,
            Err(ApproveError::TooMany(which)) => {
                count(Counter::DeferralsRefused);
                let outside = format!("Countersign cannot suspend another action: too many {which}.");
                Asked::Ends(Box::new(Refusal::new(RefusalKind::Overloaded, &outside, which)))
            }
            Err(error) => {
                let outside = "This suspension cannot be recorded, so the action was not done.";
                Asked::Ends(Box::new(Refusal::new(RefusalKind::LogUnavailable, outside, error)))
            }
        }
    }

    async fn try_defer(
        &self,
        call: &mut Call,
        (identity, decision): (&Identity, &Decision),
        (index, exact): (u64, Bytes),
        gone: impl Future<Output = ()>,
    ) -> Result<Asked, ApproveError> {
        let entry = self.inner.recorder.statement(index)?;
        let session: Arc<str> = entry.session.as_ref().map_or("", |session| &session.id).into();
        let parent = self.inner.deferrals.parent(call, &session);
        let config = &self.inner.config.deferral;
        let depth = parent.as_ref().map_or(1, |parent| parent.depth + 1);
        if depth > config.depth_max {
            return Err(ApproveError::TooMany("actions that wait on one another"));
        }
        let now = self.inner.clock.now();
        let bound_us = match decision.reason_code {
            ReasonCode::DependsOnDeferred => u64::try_from(self.hold(call).as_micros()).unwrap_or(u64::MAX),
            _ => config.resolve_ms.saturating_mul(1_000),
        };
        let random = random_bytes().map_err(|error| RecordError::Random(Arc::new(error)))?;
        let suspension = Suspension {
            id: DeferralId::mint(now, random),
            index,
            decision: ReceiptId::parse(&entry.receipt_id).map_err(|_| ApproveError::Unknown)?,
            since: now,
            expires: now.plus_micros(bound_us),
            trigger: trigger(decision.reason_code),
            reason: decision.reason.to_string(),
            waits_for: parent.iter().map(|parent| Arc::clone(&parent.action)).collect(),
        };
        let bounds = (depth, config.pending_per_session_max);
        let hold = self.inner.deferrals.hold(suspension.id.clone(), (call, index), &session, bounds)?;
        // COMMIT POINT: nobody is asked before the suspension survives a crash.
        self.write(&suspension, None, 0).await?;
        count(Counter::Deferrals);
        match (decision.reason_code, parent) {
            (ReasonCode::DependsOnDeferred, Some(parent)) => self.wait_for(call, suspension, parent, hold).await,
            // What it waited for has settled between the decision and now.
            (ReasonCode::DependsOnDeferred, None) => {
                self.resolved(suspension, hold, "order", 0, Evidence::Resolved(Arc::default())).await
            }
            _ => self.resolve((call, identity), suspension, (exact, hold), gone).await,
        }
    }

    /// Waits until what the action depends on has run or was refused (AARM ).
    async fn wait_for(
        &self,
        call: &Call,
        suspension: Suspension,
        mut parent: Parent,
        hold: Hold,
    ) -> Result<Asked, ApproveError> {
        let settled = parent.settled.wait_for(|settled| *settled);
        call.client.held.set(true);
        let waited = tokio::time::timeout(self.hold(call), settled).await.is_ok();
        call.client.held.set(false);
        if waited {
            return self.resolved(suspension, hold, "order", 0, Evidence::Resolved(Arc::default())).await;
        }
        count(Counter::DeferralsExpired);
        self.write(&suspension, Some(("timeout", "TIMEOUT")), 0).await?;
        let outside = format!(
            "Countersign suspended it: it depends on action {}, which waits. Call again when that has run.",
            parent.action
        );
        Ok(Asked::Ends(Box::new(Refusal::new(RefusalKind::Overloaded, &outside, "depends on what waits"))))
    }

    async fn resolve(
        &self,
        (call, identity): (&mut Call, &Identity),
        suspension: Suspension,
        (exact, hold): (Bytes, Hold),
        gone: impl Future<Output = ()>,
    ) -> Result<Asked, ApproveError> {
        let config = &self.inner.config.deferral;
        let bound = Duration::from_millis(config.resolve_ms);
        let asked = tokio::time::timeout(bound, self.inner.resolvers.ask(call)).await;
        let (facts, attempts, said) = asked.unwrap_or_default();
        for source in &said {
            count(match &**source {
                "calendar" => Counter::ResolvedByCalendar,
                "http" => Counter::ResolvedByHttp,
                _ => Counter::ResolvedByInventory,
            });
        }
        if !said.is_empty() {
            let method = said.join(",");
            return self.resolved(suspension, hold, &method, attempts, Evidence::Resolved(Arc::new(facts))).await;
        }
        self.escalate((call, identity), suspension, (exact, hold), gone).await
    }

    /// Nobody knows: people are asked, or it is refused (AARM ).
    async fn escalate(
        &self,
        (call, identity): (&mut Call, &Identity),
        mut suspension: Suspension,
        (exact, hold): (Bytes, Hold),
        gone: impl Future<Output = ()>,
    ) -> Result<Asked, ApproveError> {
        if !self.inner.config.deferral.escalate {
            count(Counter::DeferralsExpired);
            self.write(&suspension, Some(("timeout", "TIMEOUT")), 0).await?;
            let outside = format!("Countersign suspended it and nobody knows more: {}", suspension.reason);
            return Ok(Asked::Ends(Box::new(Refusal::new(RefusalKind::Overloaded, &outside, "nobody knows"))));
        }
        count(Counter::DeferralsEscalated);
        suspension.expires = self.inner.clock.now().plus_micros(self.inner.config.timeout_s.saturating_mul(1_000_000));
        self.write(&suspension, Some(("person", "STEP_UP")), 0).await?;
        let pickup = self.inner.pickup(call, identity);
        let ground = Self::ground(call, identity);
        let id = self.inner.request(pickup, suspension.index, Source::DeferEscalation, (exact, ground)).await?;
        self.keep_place(&id, hold);
        let place = Place::first(id, call);
        Ok(self.wait(call, identity, place, gone).await)
    }

    /// Those that depend on it wait until it has run, or until it is clear that it never will.
    pub(in crate::approve) fn keep_place(&self, id: &ApprovalId, hold: Hold) {
        let mut queue = self.inner.lock();
        let Some(request) = queue.requests.get_mut(id) else { return };
        // Asked about the same twice: the place of the first counts.
        if request.hold.is_some() {
            return;
        }
        request.hold = Some(hold);
        self.watch_place(id.clone(), request.status.subscribe());
    }

    fn watch_place(&self, id: ApprovalId, mut status: watch::Receiver<Status>) {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            let waits = |status: &Status| matches!(status, Status::Pending | Status::Approved);
            let _gone = status.wait_for(|status| !waits(status)).await.is_ok();
            // What runs has taken its place along.
            let hold = inner.lock().requests.get_mut(&id).and_then(|request| request.hold.take());
            drop(hold);
        });
    }

    /// Watches over the places that were read back from the log.
    pub(in crate::approve) fn watch_restored(&self) {
        let held: Vec<_> = {
            let queue = self.inner.lock();
            let held = queue.requests.values().filter(|request| request.hold.is_some());
            held.map(|request| (request.id.clone(), request.status.subscribe())).collect()
        };
        held.into_iter().for_each(|(id, status)| self.watch_place(id, status));
    }

    /// Ends what was suspended when an earlier run ended and that nobody waits for any more. Tried again until it is on
    /// record: until then the hint stays where the next start finds it.
    pub(in crate::approve) async fn end_unfinished(&self) {
        let unfinished = std::mem::take(&mut *self.inner.unfinished());
        for suspension in unfinished {
            let block = suspension.ended(self.inner.clock.now());
            let ended = self.inner.recorder.follow_up(suspension.index, FollowUp::Deferral(Box::new(block))).await;
            if let Err(error) = ended {
                tracing::error!(%error, "record the end of what was suspended when the process ended");
                self.inner.unfinished().push(suspension);
                continue;
            }
            count(Counter::DeferralsExpired);
        }
    }

    async fn resolved(
        &self,
        suspension: Suspension,
        hold: Hold,
        method: &str,
        attempts: u32,
        evidence: Evidence,
    ) -> Result<Asked, ApproveError> {
        let now = self.inner.clock.now();
        self.inner.stats.note(now.micros_since(suspension.since));
        let block = suspension.block(Some((method, "ALLOW")), attempts, now);
        let after = After { deferral: Some(block), supersedes: Some(suspension.decision), ..After::default() };
        Ok(Asked::Cleared(Box::new(Cleared::resolved(evidence, after, hold))))
    }

    async fn write(
        &self,
        suspension: &Suspension,
        result: Option<(&str, &str)>,
        attempts: u32,
    ) -> Result<(), RecordError> {
        let block = suspension.block(result, attempts, self.inner.clock.now());
        self.inner.recorder.follow_up(suspension.index, FollowUp::Deferral(Box::new(block))).await.map(drop)
    }
}

impl Suspension {
    fn block(&self, result: Option<(&str, &str)>, attempts: u32, now: Timestamp) -> DeferralBlock<'static> {
        DeferralBlock {
            attempts,
            deferral_id: self.id.to_string().into(),
            deferred: self.since,
            expires: Some(self.expires),
            method: result.map(|(method, _)| method.to_owned().into()),
            reason: crate::record::redact::text(&self.reason).text.into_owned().into(),
            decision_leaf: None,
            resolved: result.map(|_| now),
            result: result.map(|(_, result)| result.to_owned().into()),
            trigger: self.trigger.into(),
            waits_for: self.waits_for.iter().map(|action| action.to_string().into()).collect(),
        }
    }
}

/// Why an action is suspended, in the words of the log.
const fn trigger(code: ReasonCode) -> &'static str {
    match code {
        ReasonCode::ConflictingPolicies => "policy_conflict",
        ReasonCode::LowConfidence => "low_confidence",
        ReasonCode::DependsOnDeferred => "depends_on",
        ReasonCode::UnpopulatedContext | ReasonCode::SchemaUnknown => "unpopulated_context",
        _ => "rule",
    }
}
