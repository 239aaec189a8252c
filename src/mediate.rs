//! The path of an action. Read this first.
//!
//! ```text
//! agent ─► identify ─► context ─► decide ─► RECORD decision ─► [approve] ─► forward ─► RECORD outcome ─► agent
//! ```
//!
//! This is the only place where stages meet, and the types keep the order: nothing is forwarded without a `Permit`,
//! which only `decide` can make, and a `Decided`, which only `record` can make. From the decision on the work runs on a
//! task of its own, so that a client that hangs up cannot cancel the record.

#[path = "mediation/inputs.rs"]
mod inputs;
#[path = "mediation/questions.rs"]
mod questions;
#[path = "mediation/refused_credentials.rs"]
mod refused_credentials;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;

use crate::approve::{About, Approvals, Asked, Came, Cleared};
use crate::context::{Awaited, Meters, Session, Sessions, caller, metered_as};
use crate::decide::{CompiledTool, FramePermit, Gate, Input, PolicySet};
use crate::forward::{HangUp, Origin, Screen, Upstreams};
use crate::identify::Authenticator;
use crate::intercept::{Mediate, Reply};
use crate::metrics::{Counter, count};
use crate::model::{
    Call, Clock, Decision, Enforcement, Facts, FrameKind, Identity, Outcome, ReasonCode, ReceiptId, Refusal,
    RefusalKind, ResultText, Verdict,
};
use crate::net::Body;
use crate::record::{Decided, DecisionFacts, ParametersMode, RecordError, Recorder, Reservation};

use inputs::Inputs;
pub use refused_credentials::RefusedCredentials;

/// Everything an action passes through.
pub struct Mediator {
    /// Who is calling.
    pub authenticator: Arc<dyn Authenticator>,
    /// What is known about sessions.
    pub sessions: Sessions,
    /// What agents have used of the limits that rules count with.
    pub meters: Meters,
    /// The active policies; swapped whole at a reload.
    pub policies: ArcSwap<PolicySet>,
    /// The evidence.
    pub recorder: Recorder,
    /// What waits for people.
    pub approvals: Approvals,
    /// The servers.
    pub upstreams: Upstreams,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How arguments stand in entries.
    pub parameters_mode: ParametersMode,
    /// Told about every decision, for people who watch.
    pub observer: Arc<dyn Observer>,
    /// Who was refused lately.
    pub refused_credentials: RefusedCredentials,
}

/// Hears of every decision, after it is durable. Must not block.
pub trait Observer: Send + Sync {
    /// One decision.
    fn decided(&self, call: &Call, identity: &Identity, decision: &Decision);
}

/// A decision on its way to the log, and what it permits.
struct Taken {
    session: Arc<Session>,
    decided: Decided,
    decision: Decision,
    gate: Gate,
    /// Looks at the answer, where a rule can be about it.
    screen: Option<Arc<Screen>>,
    /// The parameters as they would run, when a person is asked about them.
    asks: Option<Bytes>,
}

impl Mediator {
    /// The path of one action. Twice through it goes what waits for a person: once to be asked about, once to run.
    async fn act(self: &Arc<Self>, mut call: Call, mut identity: Arc<Identity>, hang_up: HangUp) -> Reply {
        let policy_set = self.policies.load().hash();
        let mut cleared = match self.approvals.come(&mut call, &identity, policy_set, hang_up.happened()).await {
            Came::Goes(cleared) => cleared,
            Came::Ends(refusal) => return refused(&call, *refusal),
        };
        // What the client tells the server inside the call comes first: refused, it takes the call with it.
        let inputs = match self.inputs(&mut call, &identity).await {
            Ok(inputs) => inputs,
            Err(refusal) => return refused(&call, refusal),
        };
        loop {
            if cleared.is_some() {
                // Time has passed: a credential that ended meanwhile authorises nothing (AARM A-4.22).
                identity = self.identify(&mut call).await;
            }
            // Waits only for the log's queue and, at a server's first call, for the list of its tools.
            let mut taken = match self.take(&mut call, &identity, cleared.as_deref()).await {
                Ok(taken) => taken,
                Err(error) => return refused(&call, error.refusal()),
            };
            // COMMIT POINT: nothing is forwarded, asked or answered before the decision survives a crash.
            if let Err(error) = taken.decided.durable().await {
                return refused(&call, error.refusal());
            }
            tell(self.observer.as_ref(), &call, &identity, &taken.decision);
            let may_ask = cleared.as_ref().is_none_or(|waited| waited.may_escalate());
            let Some(asks) = taken.decided.index().zip(taken.asks.take()).filter(|_| may_ask) else {
                return self.carry_out(call, identity, taken, (inputs, hang_up)).await;
            };
            let about = About { identity: &identity, decision: &taken.decision, waited: cleared.take() };
            match self.approvals.ask(&mut call, about, asks, hang_up.happened()).await {
                Asked::Cleared(evidence) => cleared = Some(evidence.instead_of(&taken.decided, &call.action)),
                Asked::Ends(refusal) => return refused(&call, *refusal),
            }
        }
    }

    /// Forwards what is permitted, and tells the client of what is not.
    async fn carry_out(
        self: &Arc<Self>,
        call: Call,
        identity: Arc<Identity>,
        taken: Taken,
        (inputs, hang_up): (Inputs, HangUp),
    ) -> Reply {
        let receipt = taken.decided.receipt().clone();
        let Gate::Open(permit) = taken.gate else {
            return refused(&call, taken.decision.refusal(&call.action, receipt));
        };
        let awaited = Awaited::new(taken.session, call.action.clone());
        let (screen, noting) = (taken.screen.clone(), taken.screen);
        let completed = move |decided: Decided, outcome: Outcome, text: ResultText| {
            let outcome = noting.iter().fold(outcome, |outcome, screen| screen.note(outcome, &text));
            awaited.complete(outcome, &text, |outcome, facts| drop(decided.complete_with(outcome, facts)));
        };
        let origin = self.origin(&call, identity, hang_up);
        let sent = self.upstreams.forward(permit, taken.decided, origin, completed).await;
        inputs.sent(sent.is_ok());
        match sent {
            Ok(response) => screened(response, screen, &call, receipt).await,
            Err(error) => refused(&call, error.refusal(Some(receipt))),
        }
    }

    async fn identify(&self, call: &mut Call) -> Arc<Identity> {
        let mut identity = self.authenticator.identify(&call.credentials, &call.client.peer).await;
        self.sessions.admit(call, &mut identity);
        Arc::new(identity)
    }

    async fn take(
        &self,
        call: &mut Call,
        identity: &Identity,
        cleared: Option<&Cleared>,
    ) -> Result<Taken, RecordError> {
        let tool = self.upstreams.tool(call, caller(call, identity)).await;
        let reservation = self.recorder.reserve().await?;
        // One policy set for the whole action, whatever is loaded meanwhile.
        let policies = self.policies.load_full();
        call.action.destination = policies.destination(&call.action);
        Ok(self.decide(call, identity, &policies, (tool, cleared), reservation))
    }

    /// Observes, decides, signs and enqueues: one critical section for each session, without a wait inside, so that
    /// what was decided, what is recorded and the order of both agree. The places in the queue were taken before.
    fn decide(
        &self,
        call: &Call,
        identity: &Identity,
        policies: &Arc<PolicySet>,
        (tool, cleared): (Option<Arc<CompiledTool>>, Option<&Cleared>),
        reservation: Reservation,
    ) -> Taken {
        let server = self.upstreams.server(&call.action.native.server);
        let enforcement = match identity.mode {
            Some(Enforcement::Shadow) => Enforcement::Shadow,
            _ => server.map_or(Enforcement::Enforce, |server| server.enforcement),
        };
        let session = self.sessions.find(call, identity);
        let chain = self.recorder.chain(session.id());
        let mut observed = session.observe(call, tool.as_ref().map(|tool| tool.definition().hints));
        let (tool_known, context) = (tool.as_deref(), observed.context());
        let pin = tool.as_ref().map(|tool| tool.definition().digest);
        let standing = self.approvals.standing(call, identity, session.id().as_str(), (pin, policies.hash()));
        let (waited, cleared) = (cleared, Cleared::stronger(cleared, standing.as_ref()));
        let begun = self.clock.monotonic_ns();
        let meters = policies.meters(&call.action);
        let facts = cleared.map_or(Facts::NONE, Cleared::facts);
        let input = Input { call, identity, context, usage: &[], facts, tool: tool_known, enforcement };
        let (who, at) = (metered_as(identity), (&call.action.id, context.now));
        let (mut decision, gate, asks) = self.meters.hold(&who, &meters, at, |usage| {
            let input = Input { usage, ..input };
            let (decision, gate) = match cleared {
                Some(cleared) => policies.decide_approved(&input, &cleared.evidence),
                None => policies.decide(&input),
            };
            let asks = self.approvals.asks(&decision, &gate).then(|| policies.would_run(&input));
            let (verdict, metered) = (decision.verdict, decision.meters.clone());
            ((decision, gate, asks), verdict, metered)
        });
        let screen = Screen::new(policies, &input, tool.clone(), &session, self.upstreams.inspected_bytes_max());
        decision.evaluation_us = self.clock.monotonic_ns().saturating_sub(begun) / 1_000;
        let after = cleared.map(|cleared| cleared.followed_by(&decision, waited));
        let facts = DecisionFacts {
            call,
            identity,
            context: observed.context(),
            decision: &decision,
            forwarded: gate.modified_arguments(),
            tool: pin,
            parameters_mode: self.parameters_mode,
            after: after.as_ref(),
        };
        let decided = self.recorder.decided(reservation, &chain, facts);
        self.approvals.note_use(cleared, &decision);
        if decision.verdict != Verdict::Deny || matches!(gate, Gate::Open(_)) {
            observed.label(&decision.effect);
        }
        observed.decided(&call.action, decision.verdict, matches!(gate, Gate::Open(_)));
        Taken { session, decided, decision, gate, screen: screen.map(Arc::new), asks }
    }

    /// A frame of the protocol: through the same door, with a permit from the fixed list.
    async fn pass(self: &Arc<Self>, call: Call, identity: Arc<Identity>, hang_up: HangUp) -> Reply {
        if call.outbound.method == http::Method::DELETE {
            self.sessions.end(&call, &identity);
        }
        let origin = self.origin(&call, Arc::clone(&identity), hang_up.clone());
        let permit = match FramePermit::pass(call) {
            Ok(permit) => permit,
            Err(call) => return self.act(call, identity, hang_up).await,
        };
        count(Counter::Frames);
        match self.upstreams.pass(permit, origin).await {
            Ok(response) => Reply::Upstream(Box::new(response)),
            Err(error) => Reply::Refused(Box::new(error.refusal(None))),
        }
    }

    fn origin(self: &Arc<Self>, call: &Call, identity: Arc<Identity>, hang_up: HangUp) -> Origin {
        Origin {
            server: Arc::clone(&call.action.native.server),
            caller: caller(call, &identity),
            client: call.client.clone(),
            identity,
            jsonrpc_id: call.action.jsonrpc_id.clone(),
            method: Arc::clone(&call.action.method),
            session: call.credentials.session.clone(),
            requests: Arc::clone(self) as _,
            hang_up,
        }
    }
}

impl Mediate for Arc<Mediator> {
    async fn mediate(&self, mut call: Call) -> Reply {
        let this = Self::clone(self);
        let (waiting, hang_up) = HangUp::of(call.client.era);
        // A task of its own: the client's connection may end at any moment. It takes the answer with it and, in the newer
        // era, the call; never the record.
        let work = tokio::spawn(async move {
            let identity = this.identify(&mut call).await;
            // Protocol frames too: who may not act may not look around either (design §14.5).
            let turned_away = !identity.verification.is_verified() && !identity.flagged;
            match call.kind {
                _ if turned_away => this.turn_away(call, identity, hang_up).await,
                _ if this.approvals.is_suspended(&call, &identity) => this.act(call, identity, hang_up).await,
                FrameKind::Protocol | FrameKind::Response => this.pass(call, identity, hang_up).await,
                _ => this.act(call, identity, hang_up).await,
            }
        });
        let reply = work.await.unwrap_or_else(|error| {
            let refusal = Refusal::new(RefusalKind::Internal, "The call could not be mediated.", error);
            Reply::Refused(Box::new(refusal))
        });
        drop(waiting);
        reply
    }
}

/// The answer, as rules about results let it through.
async fn screened(response: Response<Body>, screen: Option<Arc<Screen>>, call: &Call, receipt: ReceiptId) -> Reply {
    let Some(screen) = screen else { return Reply::Upstream(Box::new(response)) };
    match screen.apply(response).await {
        Ok(response) => Reply::Upstream(Box::new(response)),
        Err(withheld) => {
            let name = format!("{}.{}", call.action.tool, call.action.operation);
            let outside = format!("Countersign withheld what {name} returned: {}", withheld.reason);
            let (policy, reason_code) = (withheld.policy, ReasonCode::PolicyRule);
            let kind = RefusalKind::Decided { verdict: Verdict::Deny, policy, reason_code, receipt };
            refused(call, Refusal::new(kind, &outside, &withheld.reason))
        }
    }
}

fn refused(call: &Call, mut refusal: Refusal) -> Reply {
    if matches!(refusal.kind, RefusalKind::LogUnavailable) {
        count(Counter::LogRefusals);
    }
    tracing::debug!(action = %call.action.id, inside = %refusal.inside, "refused");
    refusal.action.get_or_insert_with(|| call.action.id.clone());
    Reply::Refused(Box::new(refusal))
}

/// The refusal of an action that travels inside another message.
fn refused_as(inside: &Call, taken: &Taken) -> Refusal {
    let mut refusal = taken.decision.refusal(&inside.action, taken.decided.receipt().clone());
    refusal.action = Some(inside.action.id.clone());
    refusal
}

/// Counts a durable decision and tells whoever watches.
fn tell(observer: &dyn Observer, call: &Call, identity: &Identity, decision: &Decision) {
    count(Counter::Actions);
    match decision.verdict {
        Verdict::Allow => {}
        Verdict::Defer => count(Counter::Deferred),
        Verdict::Deny => count(Counter::Denied),
        Verdict::Modify => count(Counter::Modified),
        Verdict::StepUp => count(Counter::SteppedUp),
    }
    if decision.enforcement == Enforcement::Shadow && decision.verdict != Verdict::Allow {
        count(Counter::ShadowForwarded);
    }
    observer.decided(call, identity, decision);
}
