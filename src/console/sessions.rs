//! `/v1/sessions`: tokens that say what a user wants, and the end of a session.
//!
//! A host asks for a token before its agent begins, with the user's own words, and gives it to the agent. The agent shows
//! it and cannot change it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, post};
use axum::{Json, Router};
use serde::Serialize;

use super::{Caller, Problem, Role};
use crate::context::{Grant, TokenError};
use crate::mediate::Mediator;
use crate::model::SessionId;

pub(super) fn routes(mediator: Arc<Mediator>) -> Router {
    Router::new().route("/sessions", post(begin)).route("/sessions/{id}", delete(end)).with_state(mediator)
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// A session token, and how it is shown.
#[derive(Serialize)]
struct Begun {
    /// The header that it goes into.
    header: &'static str,
    session_id: SessionId,
    token: String,
}

/// `POST /v1/sessions`: signs a token. Whoever may say what users want speaks for all of them: it takes `admin`.
async fn begin(
    State(mediator): State<Arc<Mediator>>,
    caller: Caller,
    Json(grant): Json<Grant>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    caller.require(Role::Admin)?;
    let (token, session_id) = mediator.sessions.tokens().mint(grant, mediator.clock.now())?;
    tracing::info!(by = %caller.name, session = %session_id, "signed a session token");
    Ok((StatusCode::CREATED, Json(Begun { header: "Countersign-Session", session_id, token })))
}

/// `DELETE /v1/sessions/{id}`: writes the last entry of a session and forgets it.
async fn end(
    State(mediator): State<Arc<Mediator>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.require(Role::Admin)?;
    let ended = SessionId::parse(&id).is_ok_and(|id| mediator.sessions.end_by_id(&id));
    if !ended {
        return Err(Problem::not_found("no session of that id is in use"));
    }
    tracing::info!(by = %caller.name, session = id, "ended a session");
    Ok(StatusCode::NO_CONTENT)
}
