//! `/v1/receipts`: the log, searched; and one receipt with everything that its proof takes.
//!
//! What is answered comes from the log, each entry with its audit path: the index only says where to look.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ledger::Ledger;
use super::line::{Line, predicate};
use super::{Caller, Problem};
use crate::model::{Timestamp, Verdict};
use crate::record::checkpoint::verifier_key;
use crate::record::index::{Filter, Hit, Index, Wanted};
use crate::record::receipt::joined;
use crate::record::{Archive, RecordError};

/// Receipts of one answer at most.
const PAGE_MAX: u64 = 100;
/// Entries of one receipt at most: an action has a handful.
const ENTRIES_MAX: usize = 64;

pub(super) fn routes(ledger: Ledger) -> Router {
    Router::new().route("/receipts", get(list)).route("/receipts/{id}", get(show)).with_state(ledger)
}

/// What is searched for. Every part that is given must fit.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Search {
    pub(super) session: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) human: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) decision: Option<String>,
    /// `decision` without; `all` for every kind.
    pub(super) kind: Option<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    /// The `next` of the answer before.
    pub(super) before: Option<u64>,
    pub(super) limit: Option<u64>,
}

impl Search {
    pub(super) fn limit(&self) -> u64 {
        self.limit.unwrap_or(50).clamp(1, PAGE_MAX)
    }

    /// The same for the index. A caller who is confined to a tenant finds nothing else.
    pub(super) fn filter(self, caller: &Caller) -> Result<Filter, Problem> {
        let result = self.decision.map(|word| verdict(&word)).transpose()?;
        Ok(Filter {
            kind: Some(self.kind.unwrap_or_else(|| "decision".to_owned())).filter(|kind| kind != "all"),
            session: self.session,
            agent: self.agent,
            human: self.human,
            tool: self.tool,
            result: result.map(|verdict| verdict.as_str().to_owned()),
            tenant: caller.tenant.as_deref().map(str::to_owned),
            since: self.since,
            until: self.until,
            before: self.before,
            from: None,
        })
    }
}

fn verdict(word: &str) -> Result<Verdict, Problem> {
    let word = Value::String(word.to_ascii_uppercase());
    serde_json::from_value(word)
        .map_err(|_| Problem::bad_request("`decision` is ALLOW, DENY, MODIFY, STEP_UP or DEFER"))
}

/// A part of a listing, newest first.
#[derive(Serialize)]
struct Listed {
    items: Vec<Found>,
    /// How many fit below `before`.
    total: u64,
    /// What to ask with as `before` for those that follow; null at the end.
    next: Option<u64>,
    /// Newest entries of the log that are not looked at yet.
    behind: u64,
}

#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    line: Line,
    /// What became of the action.
    ended: Option<String>,
}

async fn list(
    State(ledger): State<Ledger>,
    caller: Caller,
    Query(search): Query<Search>,
) -> Result<Json<Listed>, Problem> {
    let limit = search.limit();
    let filter = search.filter(&caller)?;
    ledger.read(move |archive, index| search_log(archive, index, &filter, limit)).await.map(Json)
}

fn search_log(archive: &mut Archive, index: &mut Index, filter: &Filter, limit: u64) -> Result<Listed, RecordError> {
    let (hits, total) = index.list(archive, filter, limit)?;
    let next = hits.last().map(|hit| hit.row.index).filter(|_| total > hits.len() as u64);
    let mut items = Vec::with_capacity(hits.len());
    for hit in hits {
        let Some(entry) = predicate(&hit.found.bytes) else { continue };
        let line = Line::of(hit.row.index, &entry);
        let ended = match (&hit.row.status, &line.action_id) {
            (None, Some(action)) => index.ending(archive, action)?.and_then(|ending| ending.row.status),
            (status, _) => status.clone(),
        };
        items.push(Found { line, ended });
    }
    Ok(Listed { items, total, next, behind: index.behind() })
}

/// `GET /v1/receipts/{id}`: a receipt (`rct_`), an action (`act_`) or the number of an entry.
async fn show(State(ledger): State<Ledger>, caller: Caller, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    let wanted = match id.parse() {
        Ok(place) => Wanted::Index(place),
        Err(_) if id.starts_with("act_") => Wanted::Action(id),
        Err(_) => Wanted::Receipt(id),
    };
    // What was written a moment ago is under the next checkpoint: the answer to a request, the outcome of an action. A
    // receipt is shown with all that belongs to it, or says what is not indexed yet.
    ledger.settled().await;
    let find =
        move |archive: &mut Archive, index: &mut Index| Ok((find(archive, index, &caller, wanted)?, index.behind()));
    let (found, behind) = ledger.read(find).await?;
    let missing = || Problem::not_found(not_indexed("the log holds no such receipt, action or entry", behind));
    found.map(Json).ok_or_else(missing)
}

/// What was not found may stand in what the index does not hold yet.
pub(super) fn not_indexed(missing: &str, behind: u64) -> String {
    match behind {
        0 => missing.to_owned(),
        _ => format!("{missing}, or it is among the newest {behind} entries, which are not indexed yet: ask again"),
    }
}

fn find(
    archive: &mut Archive,
    index: &mut Index,
    caller: &Caller,
    wanted: Wanted,
) -> Result<Option<Value>, RecordError> {
    let mut hits = index.of(archive, &wanted)?;
    if let Some(action) = hits.first().and_then(|hit| hit.row.action_id.clone()) {
        hits = index.of(archive, &Wanted::Action(action))?;
    }
    hits.truncate(ENTRIES_MAX);
    let own = caller.tenant.is_none()
        || hits.iter().any(|hit| hit.row.tenant.is_some())
            && hits.iter().all(|hit| hit.row.tenant.is_none() || caller.sees(hit.row.tenant.as_deref()));
    if hits.is_empty() || !own {
        return Ok(None);
    }
    let mut receipt = joined(archive, &hits)?;
    let evidence = evidence(archive, &hits)?;
    if let Some(receipt) = receipt.as_object_mut() {
        receipt.insert("evidence".to_owned(), evidence);
    }
    Ok(Some(receipt))
}

/// What somebody else needs to make the proof again: texts as they were signed, audit paths, the signed checkpoint.
fn evidence(archive: &mut Archive, hits: &[Hit]) -> Result<Value, RecordError> {
    let mut entries = Vec::with_capacity(hits.len());
    let mut keys = BTreeMap::new();
    for hit in hits {
        let certified_in = match predicate(&hit.found.bytes) {
            Some(entry) => archive.receipt_key(entry.log.run_first, entry.log.epoch)?.map(|(index, _)| index),
            None => None,
        };
        if let Some(index) = certified_in
            && let Some(entry) = archive.entry(index)?
        {
            keys.insert(index.to_string(), text(&entry));
        }
        entries.push(json!({
            "index": hit.row.index,
            "envelope": text(&hit.found.bytes),
            "inclusion": hit.found.proof,
            "certified_in": certified_in,
        }));
    }
    let origin = archive.origin().to_owned();
    Ok(json!({
        "origin": origin,
        "root_key": archive.root_verifier_key(),
        "log_key": verifier_key(&origin, archive.log_key()),
        "checkpoint": archive.checkpoint().map(|checkpoint| &checkpoint.note),
        "entries": entries,
        "key_entries": keys,
    }))
}

/// An envelope as text: it is ASCII by its format.
fn text(entry: &[u8]) -> String {
    String::from_utf8_lossy(entry).into_owned()
}
