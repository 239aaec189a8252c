//! What a client tells the server inside a call: its answers to what the server asked (MCP 2026-07-28,
//! `inputResponses`). Each is decided and recorded before the call that carries it.

use std::sync::Arc;

use super::{Mediator, refused_as, tell};
use crate::context::Awaited;
use crate::decide::{Gate, PermitKind};
use crate::model::{Call, Clock, Identity, Outcome, OutcomeStatus, Refusal, ResultText, Timestamp};
use crate::record::Decided;

/// Answers that may travel, with the call that carries them. Dropped before it was sent, their outcomes say so.
pub(super) struct Inputs {
    permitted: Vec<(Awaited, Decided)>,
    server: Arc<str>,
    started: Timestamp,
    clock: Arc<dyn Clock>,
}

impl Mediator {
    /// Decides and records the answers inside `call`. One that is modified is modified in the body of the call.
    ///
    /// # Errors
    /// The refusal of the first one that may not travel, and so of the call.
    pub(super) async fn inputs(&self, call: &mut Call, identity: &Arc<Identity>) -> Result<Inputs, Refusal> {
        let mut inputs = Inputs {
            permitted: Vec::new(),
            server: Arc::clone(&call.action.native.server),
            started: self.clock.now(),
            clock: Arc::clone(&self.clock),
        };
        for at in 0..call.inputs.len() {
            let Some(mut input) = call.inputs.get(at).cloned() else { break };
            input.outbound.body = call.outbound.body.clone();
            input.credentials.session = call.credentials.session.clone();
            let mut taken = self.take(&mut input, identity, None).await.map_err(|error| error.refusal())?;
            taken.decided.durable().await.map_err(|error| error.refusal())?;
            tell(self.observer.as_ref(), &input, identity, &taken.decision);
            let Gate::Open(permit) = &taken.gate else {
                return Err(refused_as(&input, &taken));
            };
            if let (PermitKind::Modified, Some(offset)) = (permit.kind(), input.action.arguments.offset) {
                let (before, after) = (input.action.arguments.text.len(), permit.arguments().len());
                call.replace_body(permit.outbound().body.clone(), offset, before, after);
            }
            inputs.permitted.push((Awaited::new(taken.session, input.action), taken.decided));
        }
        Ok(inputs)
    }
}

impl Inputs {
    /// The call that carries them has left, or the server could not be reached.
    pub(super) fn sent(mut self, arrived: bool) {
        let status = if arrived { OutcomeStatus::Success } else { OutcomeStatus::UpstreamError };
        self.complete(status, None);
    }

    fn complete(&mut self, status: OutcomeStatus, error: Option<&str>) {
        for (awaited, decided) in std::mem::take(&mut self.permitted) {
            let mut outcome = Outcome::passed_on(&self.server, self.started, self.clock.now());
            outcome.status = status;
            outcome.error = error.map(Into::into);
            awaited.complete(outcome, &ResultText::nothing(), |outcome, facts| {
                drop(decided.complete_with(outcome, facts));
            });
        }
    }
}

impl Drop for Inputs {
    fn drop(&mut self) {
        self.complete(OutcomeStatus::Cancelled, Some("the call that carried it was not forwarded"));
    }
}
