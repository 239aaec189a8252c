//! `/v1/tools`: what is pinned, what has changed, and its acceptance.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::{Caller, Problem, Role};
use crate::forward::{PinError, ServerPins};
use crate::mediate::Mediator;
use crate::model::with_causes;

pub(super) fn routes(mediator: Arc<Mediator>) -> Router {
    Router::new().route("/tools/{server}", get(list)).route("/tools/{server}/accept", post(accept)).with_state(mediator)
}

impl From<PinError> for Problem {
    fn from(error: PinError) -> Self {
        match error {
            PinError::Nothing(_) => Self::not_found(error.to_string()),
            PinError::Stated(_) => Self::conflict(error.to_string()),
            PinError::File { .. } | PinError::Record(_) | PinError::TooMany => {
                tracing::error!(error = with_causes(&error), "pins");
                Self::unavailable("the pins could not be read, kept or recorded; nothing was accepted")
            }
        }
    }
}

async fn list(
    State(mediator): State<Arc<Mediator>>,
    _caller: Caller,
    Path(server): Path<String>,
) -> Result<Json<ServerPins>, Problem> {
    mediator.upstreams.pins(&server)?.map(Json).ok_or_else(|| Problem::not_found("no server of that name"))
}

/// Which tool; all that changed when none is named.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wanted {
    tool: Option<String>,
}

#[derive(Serialize)]
struct Accepted {
    accepted: Vec<String>,
}

async fn accept(
    State(mediator): State<Arc<Mediator>>,
    caller: Caller,
    Path(server): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Accepted>, Problem> {
    caller.require(Role::Admin)?;
    let accepted = mediator.upstreams.accept(&server, wanted.tool.as_deref(), &caller.name).await?;
    accepted.map(|accepted| Json(Accepted { accepted })).ok_or_else(|| Problem::not_found("no server of that name"))
}
