//! `/v1/destinations`: how the deliveries are, and what receivers rejected.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::controls::require_all;
use super::{Caller, Page, Problem, Role};
use crate::export::{DeadLetter, DestinationStatus, Monitor, dead_letters};
use crate::model::with_causes;

/// Dead letters of one answer at most: each holds a whole event.
const LETTERS_MAX: usize = 50;

/// What is known of destinations.
#[derive(Clone)]
pub struct Deliveries {
    /// How they are.
    pub monitor: Monitor,
    /// The folder of cursors and dead letters.
    pub folder: PathBuf,
}

pub(super) fn routes(deliveries: Deliveries) -> Router {
    Router::new()
        .route("/destinations", get(list))
        .route("/destinations/{name}/dead-letters", get(letters))
        .with_state(Arc::new(deliveries))
}

async fn list(
    State(deliveries): State<Arc<Deliveries>>,
    caller: Caller,
) -> Result<Json<Page<DestinationStatus>>, Problem> {
    require_all(&caller, Role::Viewer)?;
    Ok(Json(Page::of(deliveries.monitor.destinations(), 0)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    #[serde(default)]
    offset: usize,
}

/// The newest first. They hold events of every tenant.
async fn letters(
    State(deliveries): State<Arc<Deliveries>>,
    caller: Caller,
    Path(name): Path<String>,
    Query(listing): Query<Listing>,
) -> Result<Json<Page<DeadLetter>>, Problem> {
    require_all(&caller, Role::Viewer)?;
    if !deliveries.monitor.destinations().iter().any(|destination| destination.name == name) {
        return Err(Problem::not_found("no destination of that name"));
    }
    let read = tokio::task::spawn_blocking(move || dead_letters(&deliveries.folder, &name)).await;
    let letters = read.map_err(|_| Problem::unavailable("the dead letters could not be read"))?;
    let mut letters = letters.map_err(|error| {
        tracing::error!(error = with_causes(&error), "read dead letters for the console");
        Problem::unavailable("the dead letters could not be read; the program's own log says why")
    })?;
    letters.reverse();
    Ok(Json(Page::part(letters, listing.offset, Some(LETTERS_MAX))))
}
