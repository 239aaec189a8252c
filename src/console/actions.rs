//! `/v1/actions`: what happens now. The newest entries as they are durable, without proof: a receipt has that.

use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::line::{Line, predicate};
use super::{Caller, Problem};
use crate::record::{Log, RecordError};

/// Entries of one answer at most.
const LINES_MAX: usize = 200;
/// Bytes of entries that are read for one answer at most.
const BYTES_MAX: usize = 4 << 20;
/// How far back the first answer looks.
const BACK: u64 = 200;
/// Kinds that are about an action.
const KINDS: [&str; 5] = ["approval", "decision", "deferral", "outcome", "recovery"];

pub(super) fn routes(ledger: Ledger) -> Router {
    Router::new().route("/actions", get(list)).with_state(ledger)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    /// The `next` of the answer before; the newest without.
    #[serde(default)]
    from: Option<u64>,
}

/// Entries in the order of the log.
#[derive(Serialize)]
struct Newest {
    items: Vec<Line>,
    /// From where to ask on.
    next: u64,
    /// Entries that were passed over because more came than one answer holds.
    skipped: u64,
}

async fn list(
    State(ledger): State<Ledger>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Result<Json<Newest>, Problem> {
    ledger.read_newest(move |log| newest(log, &caller, listing.from)).await.map(Json)
}

fn newest(log: &Log, caller: &Caller, from: Option<u64>) -> Result<Newest, RecordError> {
    let end = log.durable_size();
    // Whoever watches wants the newest: a page that fell behind jumps, and is told.
    let earliest = end.saturating_sub(BACK);
    let first = from.unwrap_or(earliest).min(end).max(earliest);
    let skipped = from.map_or(0, |from| first.saturating_sub(from));
    let (mut items, mut next) = (Vec::new(), first);
    while next < end {
        let entries = log.read(next, LINES_MAX, BYTES_MAX)?;
        if entries.is_empty() {
            break;
        }
        for entry in entries {
            next = entry.index + 1;
            let Some(read) = predicate(&entry.bytes) else { continue };
            let line = Line::of(entry.index, &read);
            if KINDS.contains(&&*line.kind) && caller.sees(line.tenant.as_deref()) {
                items.push(line);
            }
        }
    }
    Ok(Newest { items, next, skipped })
}
