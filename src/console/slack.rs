//! `POST /hooks/slack`: buttons that people pressed in Slack. Slack's signature is the credential; who the user is says the
//! operator (`interactive.people`).

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;

use super::Problem;
use crate::approve::Approvals;

pub(super) fn routes(approvals: Approvals) -> Router {
    Router::new().route("/hooks/slack", post(pressed)).with_state(approvals)
}

async fn pressed(State(approvals): State<Approvals>, headers: HeaderMap, body: Bytes) -> Result<StatusCode, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (timestamp, signature) = (text("x-slack-request-timestamp"), text("x-slack-signature"));
    let taken = approvals.press(timestamp, signature, &body).await;
    if taken {
        Ok(StatusCode::OK)
    } else {
        Err(Problem::unauthorized("Slack did not sign this, or the user may not answer"))
    }
}
