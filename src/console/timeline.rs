//! `GET /v1/sessions`: what the log knows of sessions, and the course of one.

use axum::extract::{Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::line::{Line, predicate};
use super::receipts::{Search, not_indexed};
use super::{Caller, Problem};
use crate::model::{DataLevel, IntentSource, Timestamp};
use crate::record::entry::{Predicate, ProvenanceBlock, SignalsBlock};
use crate::record::index::{Filter, Index, Order, SessionSpan};
use crate::record::{Archive, RecordError};

/// Entries of a session in one answer at most.
const ENTRIES_MAX: u64 = 500;

pub(super) fn routes(ledger: Ledger) -> Router {
    Router::new().route("/sessions", get(list)).route("/sessions/{id}", get(show)).with_state(ledger)
}

/// A part of the list, the session that was used last first.
#[derive(Serialize)]
struct Listed {
    items: Vec<Summary>,
    /// How many fit.
    total: u64,
    /// What to ask with as `before` for those that follow; null at the end.
    next: Option<u64>,
    /// Newest entries of the log that are not looked at yet.
    behind: u64,
}

#[derive(Serialize)]
struct Summary {
    id: String,
    first: Timestamp,
    last: Timestamp,
    entries: u64,
    decisions: u64,
    /// Of these, how many let the action neither run nor run changed.
    held: u64,
    agent: Option<String>,
    human: Option<String>,
    tenant: Option<String>,
    intent: Option<Intent>,
    level: Option<DataLevel>,
    signals: Option<SignalsBlock>,
}

#[derive(Clone, Serialize)]
struct Intent {
    text: String,
    source: IntentSource,
}

async fn list(
    State(ledger): State<Ledger>,
    caller: Caller,
    Query(search): Query<Search>,
) -> Result<Json<Listed>, Problem> {
    let limit = search.limit();
    let every_kind = Search { kind: Some("all".into()), ..search };
    let filter = every_kind.filter(&caller)?;
    ledger.read(move |archive, index| sessions(archive, index, &filter, limit)).await.map(Json)
}

fn sessions(archive: &mut Archive, index: &mut Index, filter: &Filter, limit: u64) -> Result<Listed, RecordError> {
    let (spans, total) = index.sessions(filter, limit)?;
    let full = spans.len() as u64 == limit;
    let next = spans.last().map(|span| span.last).filter(|_| full);
    let mut items = Vec::with_capacity(spans.len());
    for span in spans {
        items.extend(summary(archive, span)?);
    }
    Ok(Listed { items, total, next, behind: index.behind() })
}

/// What the session's own entries say. `None` when the log does not agree with the index: `verify` tells.
fn summary(archive: &mut Archive, span: SessionSpan) -> Result<Option<Summary>, RecordError> {
    let mut read = |place| -> Result<Option<Predicate<'static>>, RecordError> {
        let entry = archive.entry(place)?.as_ref().and_then(predicate);
        Ok(entry.filter(|entry| entry.session.as_ref().is_some_and(|session| session.id == span.id.as_str())))
    };
    let (Some(first), Some(last)) = (read(span.first)?, read(span.last)?) else { return Ok(None) };
    let decision = span.last_decision.map(&mut read).transpose()?.flatten();
    let about = decision.as_ref().unwrap_or(&first);
    let line = Line::of(span.last, about);
    Ok(Some(Summary {
        first: first.time.wall,
        last: last.time.wall,
        entries: span.entries,
        decisions: span.decisions,
        held: span.held,
        agent: line.agent,
        human: line.human,
        tenant: line.tenant,
        intent: intent(about),
        level: about.context.as_ref().and_then(|context| context.level.as_ref()).map(|level| level.value),
        signals: about.decision.as_ref().map(|decision| decision.signals.clone()),
        id: span.id,
    }))
}

fn intent(entry: &Predicate<'_>) -> Option<Intent> {
    let intent = entry.context.as_ref()?.intent.as_ref()?;
    Some(Intent { text: intent.text.to_string(), source: intent.source })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// The `next` of the answer before.
    #[serde(default)]
    from: Option<u64>,
    #[serde(default)]
    limit: Option<u64>,
}

/// The course of a session, oldest first.
#[derive(Serialize)]
struct Course {
    id: String,
    intent: Option<Intent>,
    items: Vec<Moment>,
    /// How many entries follow, those of this answer counted.
    total: u64,
    /// What to ask with as `from` for those that follow; null at the end.
    next: Option<u64>,
    /// Newest entries of the log that are not looked at yet.
    behind: u64,
}

/// One entry of a session.
#[derive(Serialize)]
struct Moment {
    #[serde(flatten)]
    line: Line,
    /// The arguments without secrets.
    arguments: Option<String>,
    /// The data level of the session so far.
    level: Option<DataLevel>,
    labels: Vec<String>,
    signals: Option<SignalsBlock>,
    /// Where values of the arguments first appeared.
    provenance: Vec<ProvenanceBlock<'static>>,
    facts: Option<Facts>,
    /// What made the session drift.
    trigger: Option<String>,
}

/// What a result brought into the session.
#[derive(Serialize)]
struct Facts {
    level: Option<DataLevel>,
    trust: String,
    instructions: u64,
    values: u64,
}

async fn show(
    State(ledger): State<Ledger>,
    caller: Caller,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Result<Json<Course>, Problem> {
    let look = async || {
        let (caller, id, part) = (caller.clone(), id.clone(), Part { from: part.from, limit: part.limit });
        ledger.read(move |archive, index| course(archive, index, &caller, &id, &part)).await
    };
    let mut course = look().await?;
    if course.items.is_empty() && ledger.settled().await {
        course = look().await?;
    }
    if course.items.is_empty() && part.from.is_none() {
        return Err(Problem::not_found(not_indexed("the log holds no such session", course.behind)));
    }
    Ok(Json(course))
}

fn course(
    archive: &mut Archive,
    index: &mut Index,
    caller: &Caller,
    id: &str,
    part: &Part,
) -> Result<Course, RecordError> {
    let filter = Filter {
        session: Some(id.to_owned()),
        tenant: caller.tenant.as_deref().map(str::to_owned),
        from: part.from,
        ..Filter::default()
    };
    let limit = part.limit.unwrap_or(200).clamp(1, ENTRIES_MAX);
    let (hits, total) = index.list_in(archive, &filter, Order::OldestFirst, limit)?;
    let next = hits.last().map(|hit| hit.row.index + 1).filter(|_| total > hits.len() as u64);
    let entries: Vec<_> = hits.iter().filter_map(|hit| Some((hit.row.index, predicate(&hit.found.bytes)?))).collect();
    // The newest words that the session was known to be about.
    let intent = entries.iter().rev().find_map(|(_, entry)| intent(entry));
    let items = entries.into_iter().map(|(place, entry)| Moment::of(place, entry)).collect();
    Ok(Course { id: id.to_owned(), intent, items, total, next, behind: index.behind() })
}

impl Moment {
    fn of(index: u64, entry: Predicate<'static>) -> Self {
        let line = Line::of(index, &entry);
        let (action, context) = (entry.action, entry.context);
        let (signals, provenance) = match entry.decision {
            Some(decision) => (Some(decision.signals), decision.provenance.unwrap_or_default()),
            None => (None, Vec::new()),
        };
        Self {
            line,
            arguments: action.and_then(|action| action.parameters.text.map(|text| text.into_owned())),
            level: context.as_ref().and_then(|context| context.level.as_ref()).map(|level| level.value),
            labels: context.iter().flat_map(|context| &context.labels).map(ToString::to_string).collect(),
            signals,
            provenance,
            facts: entry.facts.map(|facts| Facts {
                level: facts.level.as_ref().map(|level| level.value),
                trust: facts.trust.to_string(),
                instructions: facts.instructions,
                values: facts.values_total,
            }),
            trigger: entry.drift.map(|drift| drift.trigger.into_owned()),
        }
    }
}
