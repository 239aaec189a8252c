//! Progress while a call is held: a client of the older era that asked for it hears that its call waits for a person.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use tokio::time::{Instant, Interval, interval_at};

use super::batch::{event, event_stream, pass_on};
use super::server::end_to_end;
use super::{AnswerForm, Mediate, Reply, refusal};
use crate::model::{Call, Era, Held};
use crate::net::{Body, Streamed};

/// Between two notifications. Far below the time-outs of clients that reset them, and few enough for a chat.
const EVERY: Duration = Duration::from_secs(1);

/// Notifications of progress for one call, as long as it is held.
pub(super) struct HeldProgress {
    /// As the client wrote it.
    token: Arc<str>,
    held: Held,
    ticks: Interval,
    told: u64,
}

impl HeldProgress {
    /// For a call of the older era that asked for progress. In the newer one a held call is answered in rounds.
    pub(super) fn of(call: &mut Call) -> Option<Self> {
        let client = &mut call.client;
        let token = client.progress_token.clone().filter(|_| client.era == Era::Legacy)?;
        client.held = Held::watched();
        Some(Self { token, held: client.held.clone(), ticks: interval_at(Instant::now() + EVERY, EVERY), told: 0 })
    }

    /// The next notification, when it is time for one: never, unless the call is held. Nothing is lost when this is
    /// dropped before.
    pub(super) async fn next(&mut self) -> Bytes {
        loop {
            self.ticks.tick().await;
            if self.held.is_held() {
                break;
            }
        }
        self.told += 1;
        // It has to increase, and the server's own comes later: ours stay below 1.
        let progress = format!("0.{:06}", self.told.min(999_999));
        format!(
            "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":{},\
             \"progress\":{progress},\"message\":\"Waits for a person's approval\"}}}}",
            self.token
        )
        .into()
    }
}

/// Mediates a call; its answer becomes a stream when there is progress to tell before it.
pub(super) async fn answer<M: Mediate>(mediate: M, call: Call, mut progress: HeldProgress) -> Response<Body> {
    let (form, wanted) = (AnswerForm::of(&call), call.action.jsonrpc_id.is_some());
    let mut work = Box::pin(async move {
        match mediate.mediate(call).await {
            Reply::Refused(ends) => refusal(&ends, &form),
            Reply::Upstream(response) => end_to_end(*response),
        }
    });
    let mut line = tokio::select! {
        response = &mut work => return response,
        line = progress.next() => line,
    };
    let (sender, body) = Streamed::channel();
    tokio::spawn(async move {
        let response = loop {
            // A client that hangs up cancels nothing in this era.
            let _client_may_be_gone = sender.send(Ok(event(&line))).await;
            tokio::select! {
                response = &mut work => break response,
                next = progress.next() => line = next,
            }
        };
        pass_on(response, wanted, &sender).await;
    });
    event_stream(body.boxed_unsync())
}
