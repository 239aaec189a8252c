//! Time passes: requests go to others when nobody answers, and are refused when nobody does in the end.

use std::sync::Arc;
use std::time::Duration;

use super::notify::{Notice, Occasion};
use super::{Approvals, Status};
use crate::metrics::{Counter, count};
use crate::model::{ApprovalId, ApprovalResult};
use crate::record::FollowUp;
use crate::record::entry::ApprovalBlock;

/// How often it is looked: an expiry is late by at most this, and no answer is taken meanwhile.
const EVERY: Duration = Duration::from_millis(250);

/// What is due.
enum Due {
    Escalation,
    Expiry,
}

impl Approvals {
    /// Tends requests for as long as the process runs. Ends with `stop`.
    pub async fn tend(self, stop: impl Future<Output = ()>) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        self.watch_restored();
        loop {
            tokio::select! {
                _ = every.tick() => {
                    self.end_unfinished().await;
                    self.tend_once().await;
                    self.inner.note_progress();
                }
                () = &mut stop => return,
            }
        }
    }

    /// Does what is due now.
    pub async fn tend_once(&self) {
        for (id, index, due, block) in self.due() {
            let written = self.inner.recorder.follow_up(index, FollowUp::Approval(Box::new(block))).await;
            let mut state = self.inner.lock();
            let Some(request) = state.requests.get_mut(&id) else { continue };
            request.busy = false;
            match (written, due) {
                (Err(error), _) => {
                    // Tried again at the next round. Nothing runs meanwhile: no answer is taken after the expiry.
                    tracing::error!(%error, request = %id, "record what became of a request");
                }
                (Ok((_, entry)), Due::Escalation) => {
                    request.entries.push(entry);
                    request.escalates = None;
                    let notice = Notice::of(request, Occasion::Escalated, self.inner.public_url.as_deref());
                    self.inner.notifiers.tell(notice);
                    count(Counter::ApprovalsEscalated);
                }
                (Ok((_, entry)), Due::Expiry) => {
                    request.entries.push(entry);
                    request.status.send_replace(Status::Expired);
                    count(Counter::ApprovalsExpired);
                }
            }
        }
        let now = self.inner.clock.now();
        self.inner.lock().sweep(now, &self.inner.config);
    }

    fn due(&self) -> Vec<(ApprovalId, u64, Due, ApprovalBlock<'static>)> {
        let now = self.inner.clock.now();
        let mut due = Vec::new();
        let mut state = self.inner.lock();
        for request in state.requests.values_mut().filter(|request| request.is_pending() && !request.busy) {
            if now >= request.expires {
                request.busy = true;
                let block = request.answered(ApprovalResult::Timeout, None, "nobody answered in time", now);
                due.push((request.id.clone(), request.decision_index, Due::Expiry, block));
            } else if request.escalates.is_some_and(|at| now >= at) {
                request.busy = true;
                request.escalated = self.inner.config.escalate_to.iter().map(|name| Arc::from(name.as_str())).collect();
                let block = request.block(ApprovalResult::Escalated);
                due.push((request.id.clone(), request.decision_index, Due::Escalation, block));
            }
        }
        due
    }
}
