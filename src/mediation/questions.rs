//! What a server asks of a client is an action in the other direction: decided and recorded before the client sees it
//! (design §5).

use std::sync::Arc;

use bytes::Bytes;

use super::{Mediator, refused_as, tell};
use crate::context::Awaited;
use crate::decide::{Gate, PermitKind};
use crate::forward::{Answered, Origin, Question, ServerRequests};
use crate::intercept::{Arrival, REFUSED, error_line, read_input_request, read_line};
use crate::model::json::Limits;
use crate::model::{ActionId, Call, Credentials, Outcome, Refusal, RefusalKind, ResultText};
use crate::net::random_bytes;

impl ServerRequests for Mediator {
    fn decide<'a>(&'a self, question: Question, origin: &'a Origin) -> Answered<'a> {
        Box::pin(async move {
            let decided = self.question(&question, origin).await;
            if let (Err(refusal), Question::Message { id, .. }) = (&decided, &question) {
                let line = error_line(Some(id), REFUSED, "refused by policy");
                tracing::debug!(inside = %refusal.inside, "a server's question");
                if let Err(error) = self.upstreams.answer(line.into(), origin).await {
                    tracing::warn!(%error, server = %origin.server, "tell a server that its question was refused");
                }
            }
            decided
        })
    }
}

impl Mediator {
    async fn question(&self, question: &Question, origin: &Origin) -> Result<Bytes, Box<Refusal>> {
        let mut call = self.asked(question, origin)?;
        let received = call.action.received;
        let mut taken = self.take(&mut call, &origin.identity, None).await.map_err(|error| error.refusal())?;
        taken.decided.durable().await.map_err(|error| error.refusal())?;
        tell(self.observer.as_ref(), &call, &origin.identity, &taken.decision);
        let Gate::Open(permit) = &taken.gate else { return Err(Box::new(refused_as(&call, &taken))) };
        let passed = match permit.kind() {
            PermitKind::Modified => permit.outbound().body.clone(),
            PermitKind::Shadow | PermitKind::Unchanged => call.outbound.body.clone(),
        };
        // What a server asks is text of the server's that reaches the agent.
        let (decided, outcome) = (taken.decided, Outcome::passed_on("client", received, self.clock.now()));
        let awaited = Awaited::new(taken.session, call.action);
        awaited.complete(outcome, &ResultText::whole(passed.clone()), |outcome, facts| {
            drop(decided.complete_with(outcome, facts));
        });
        Ok(passed)
    }

    /// The question as an action of the session that it is asked in.
    fn asked(&self, question: &Question, origin: &Origin) -> Result<Call, Box<Refusal>> {
        let unreadable = |inside: String| {
            let outside = format!("Tool server `{}` asks for something that cannot be read.", origin.server);
            Box::new(Refusal::new(RefusalKind::UpstreamUnavailable { receipt: None }, &outside, inside))
        };
        let received = self.clock.now();
        let random = random_bytes().map_err(|error| unreadable(error.to_string()))?;
        let (server, action) = (Arc::clone(&origin.server), ActionId::mint(received, random));
        let arrival = Arrival { server, action, received, limits: Limits::default() };
        let read = match question {
            Question::Inside(request) => {
                let read = read_input_request(request, arrival, origin.client.clone());
                read.map(|mut call| {
                    call.action.jsonrpc_id.clone_from(&origin.jsonrpc_id);
                    call
                })
            }
            Question::Message { message, .. } => {
                read_line(message.clone(), arrival, origin.client.peer.clone(), Credentials::default())
            }
        };
        let mut call = read.map_err(|(problem, _)| unreadable(problem.to_string()))?;
        call.client = origin.client.clone();
        call.credentials.session = origin.session.clone();
        Ok(call)
    }
}
