//! `POST /v1/policies/reload`: a look at the policy files now, and what came of it.

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;

use super::{Caller, Problem, Role};

/// Looks at the policy files when it is asked.
pub trait PolicyReload: Send + Sync {
    /// Looks now. True when another set is in force afterwards; an error says why the last good one stays.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send>>;
}

pub(super) fn routes(reload: Arc<dyn PolicyReload>) -> Router {
    Router::new().route("/policies/reload", post(look)).with_state(reload)
}

#[derive(Serialize)]
struct Looked {
    /// Whether another set is in force now.
    changed: bool,
}

async fn look(State(reload): State<Arc<dyn PolicyReload>>, caller: Caller) -> Result<Json<Looked>, Problem> {
    caller.require(Role::Admin)?;
    let changed = reload.reload().await;
    let changed = changed.map_err(|problem| Problem::conflict(format!("the last good policies stay: {problem}")))?;
    tracing::info!(by = %caller.name, changed, "policies were looked at");
    Ok(Json(Looked { changed }))
}
