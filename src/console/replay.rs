//! `POST /v1/destinations/{name}/replay`: sends entries again, with the ids that their events always have.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::controls::require_all;
use super::destinations::Deliveries;
use super::{Caller, Problem, Role};
use crate::export::{Pushed, Pusher};
use crate::model::with_causes;
use crate::record::{Log, StoredEntry};

/// Entries of one request: it ends within a proxy's patience, and the answer says from where to go on.
const ENTRIES_MAX: u64 = 1_000;
/// Entries and bytes that are read at once.
const READ_MAX: (usize, usize) = (200, 4 << 20);

/// One replay at a time: it takes the processor and the receiver from what is new.
type Turn = Arc<Mutex<()>>;

pub(super) fn routes(deliveries: Deliveries) -> Router {
    let state = (Arc::new(deliveries), Turn::default());
    Router::new().route("/destinations/{name}/replay", post(replay)).with_state(state)
}

/// Which entries.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    from: u64,
    /// The last one; the newest without.
    #[serde(default)]
    to: Option<u64>,
}

#[derive(Serialize)]
struct Replayed {
    /// Events that arrived.
    arrived: u64,
    rejected: Vec<Rejected>,
    /// From where to go on; null at the end.
    next: Option<u64>,
}

#[derive(Serialize)]
struct Rejected {
    event_id: String,
    error: String,
}

async fn replay(
    State((deliveries, turn)): State<(Arc<Deliveries>, Turn)>,
    caller: Caller,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Replayed>, Problem> {
    require_all(&caller, Role::Admin)?;
    let Ok(_turn) = turn.try_lock() else { return Err(Problem::conflict("another replay is under way")) };
    let end = deliveries.log.durable_size().min(wanted.to.map_or(u64::MAX, |to| to.saturating_add(1)));
    if wanted.from >= end {
        return Err(Problem::bad_request(format!("there is no entry from {} on: the log ends at {end}", wanted.from)));
    }
    let pusher = pusher(&deliveries, &name)?;
    tracing::info!(by = %caller.name, destination = name, from = wanted.from, "replays entries");
    let stop = end.min(wanted.from.saturating_add(ENTRIES_MAX));
    let mut all = Pushed::default();
    let mut next = wanted.from;
    while next < stop {
        let entries = read(&deliveries.log, next, stop).await?;
        let Some(last) = entries.last().map(|entry| entry.index) else { break };
        let items = entries.iter().map(|entry| pusher.items(entry)).collect::<Result<Vec<_>, _>>();
        let items = items.map_err(Problem::unavailable)?.into_iter().flatten().collect();
        let pushed = pusher.push(items, |_| ()).await.map_err(|error| {
            let what = with_causes(&error).to_string();
            Problem::unavailable(format!("at entry {next}, after {} events: {what}", all.arrived))
        })?;
        all.arrived += pushed.arrived;
        all.rejected.extend(pushed.rejected);
        next = last + 1;
    }
    let rejected = all.rejected.into_iter().map(|(event_id, error)| Rejected { event_id, error }).collect();
    Ok(Json(Replayed { arrived: all.arrived, rejected, next: (next < end).then_some(next) }))
}

fn pusher(deliveries: &Deliveries, name: &str) -> Result<Pusher, Problem> {
    let exporter = deliveries.telemetry.exporters.iter().find(|exporter| exporter.name() == name);
    let exporter = exporter.ok_or_else(|| Problem::not_found("no destination of that name"))?;
    let origin = &deliveries.log.instance().origin;
    Pusher::open(&deliveries.telemetry, exporter, &deliveries.data_dir, origin)
        .map_err(|error| Problem::unavailable(with_causes(&error).to_string()))
}

async fn read(log: &Log, from: u64, stop: u64) -> Result<Vec<StoredEntry>, Problem> {
    let log = log.clone();
    let read = tokio::task::spawn_blocking(move || log.read(from, READ_MAX.0, READ_MAX.1)).await;
    let mut entries = read.map_err(|_| Problem::unavailable("the log could not be read"))??;
    entries.retain(|entry| entry.index < stop);
    Ok(entries)
}
