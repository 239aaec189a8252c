//! A session as the log tells of it, where its file is behind.

use std::sync::Arc;

use serde_json::Value;

use crate::context::classification::raise;
use crate::context::drift::{ActionSeen, Memory, ResultSeen, Trust};
use crate::context::session::Session;
use crate::context::sessions::Shared;
use crate::model::{ActionId, Intent, LevelSource, PriorAction, Signals, Verdict};
use crate::record::entry::{FactsBlock, Kind, Predicate, is_permitted};

/// Takes one entry into its session; true when it brought anything new.
pub(super) fn take(session: &Session, predicate: &Predicate<'_>) -> bool {
    let Some(id) = predicate.action.as_deref().and_then(|action| ActionId::parse(&action.action_id).ok()) else {
        return false;
    };
    match predicate.kind() {
        Some(Kind::Context) => predicate.facts.as_deref().is_some_and(|facts| result(session, &id, predicate, facts)),
        Some(Kind::Decision) => decision(session, &id, predicate).is_some(),
        Some(Kind::Outcome) => {
            let success = predicate.outcome.as_ref().and_then(|outcome| outcome.success);
            let ended = session.lock().complete(id.as_str(), success, None);
            ended | predicate.facts.as_deref().is_some_and(|facts| result(session, &id, predicate, facts))
        }
        Some(Kind::Recovery) => lost(session, &id),
        _ => false,
    }
}

/// A decision that the file does not know.
fn decision(session: &Session, id: &ActionId, predicate: &Predicate<'_>) -> Option<()> {
    let (action, decided) = (predicate.action.as_deref()?, predicate.decision.as_deref()?);
    let context = predicate.context.as_deref()?;
    let prior = PriorAction {
        id: id.clone(),
        tool: Arc::from(&*action.tool),
        operation: Arc::from(&*action.operation),
        verdict: decided.result,
        forwarded: is_permitted(decided.result, decided.enforced),
        confirmed: false,
        at: action.received,
        level: None,
        success: None,
    };
    let mut state = session.lock();
    // What waited is in the history already. A file that knows how it was decided again says so there.
    let waited = decided.supersedes.as_ref().and_then(|_| state.waiting(id));
    let waited = waited.and_then(|place| state.history.get(place));
    let again = waited.is_some_and(|waited| (waited.verdict, waited.forwarded) != (prior.verdict, prior.forwarded));
    if !again && context.action_count < state.count {
        return None;
    }
    // What the entry says of the context before it counts, whatever could not be followed up to here.
    state.context_hash = context.context_hash;
    state.last_seen = state.last_seen.max(action.received);
    if let Some(intent) = &context.intent {
        let class = intent.class.as_deref().map(Arc::from);
        let intent = Intent { text: (&*intent.text).into(), source: intent.source, class };
        state.intent.restore(intent, action.received);
    }
    let shared = session.shared();
    state.remember_intent(shared);
    if let Some(level) = &context.level {
        raise(&mut state.level, Some((level.value, level.source)));
    }
    let labels: Vec<Arc<str>> = context.labels.iter().map(|label| Arc::from(&**label)).collect();
    state.add_labels(&labels);
    if let Some(sets) = &decided.sets {
        raise(&mut state.level, sets.level.map(|level| (level, LevelSource::Policy)));
        let labels: Vec<Arc<str>> = sets.labels.iter().map(|label| Arc::from(&**label)).collect();
        state.add_labels(&labels);
    }
    let results = state.results;
    if !again {
        state.intent.infer_text(&action.tool, &action.operation, action.parameters.text.as_deref(), results);
    }
    act_again(&mut state.memory, id, predicate, shared);
    state.add(prior, shared.config.actions_max);
    Some(())
}

/// A result that the file does not know. Its values are lost: only the log's facts are left.
fn result(session: &Session, id: &ActionId, predicate: &Predicate<'_>, facts: &FactsBlock<'_>) -> bool {
    let mut state = session.lock();
    // A file that is ahead of this entry knows it.
    if facts.previous_hash.is_some_and(|previous| previous != state.context_hash) {
        return false;
    }
    let level = facts.level.as_ref().map(|level| (level.value, level.source));
    state.complete(id.as_str(), None, level.map(|(level, _)| level));
    state.bring(level);
    let labels: Vec<Arc<str>> = facts.labels.iter().map(|label| Arc::from(&**label)).collect();
    state.add_labels(&labels);
    state.context_hash = facts.context_hash;
    state.results = true;
    let operation = predicate.action.as_deref().map_or("", |action| &*action.operation);
    let seen = ResultSeen { action: id.as_str(), operation, parts: &[], whole: false, trust: Trust::default() };
    state.memory.result(&seen, session.values());
    true
}

/// Adds an action to the memory of values, with the arguments as the log has them.
fn act_again(memory: &mut Memory, id: &ActionId, predicate: &Predicate<'_>, shared: &Shared) -> Option<()> {
    let (action, decided) = (predicate.action.as_deref()?, predicate.decision.as_deref()?);
    let arguments: Value = serde_json::from_str(action.parameters.text.as_deref()?).unwrap_or_default();
    let external = action.destination.as_ref().map(|destination| destination.class == "external");
    let seen = ActionSeen {
        id: id.as_str(),
        method: &action.method,
        operation: &action.operation,
        arguments: &arguments,
        hints: None,
        external,
        at: action.received,
    };
    let signals = Signals { semantic_distance: decided.signals.semantic_distance_ppm, ..Signals::default() };
    let consented = matches!(decided.result, Verdict::Allow | Verdict::Modify);
    memory.acted(&seen, &signals, consented, &shared.config.drift, &shared.values);
    Some(())
}

/// An action of which nobody knows what it returned, or whether the agent saw it.
fn lost(session: &Session, id: &ActionId) -> bool {
    let mut state = session.lock();
    let unlabelled = session.classifier().unlabelled();
    state.results = true;
    state.bring(Some((unlabelled, LevelSource::Default)));
    state.complete(id.as_str(), Some(false), Some(unlabelled));
    true
}
