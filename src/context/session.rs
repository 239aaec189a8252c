//! One session.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::classification::{Classifier, raise};
use super::intent::SessionIntent;
use super::result::Facts;
use super::sessions::Shared;
use crate::model::{
    Action, Call, Correlation, DataLevel, Digest, LevelSource, PriorAction, SessionContext, SessionId, Signals,
    Timestamp, Verdict,
};

/// One session's memory. Everything that happens to it happens under one lock, which is never held across a wait.
pub struct Session {
    id: SessionId,
    correlation: Correlation,
    started: Timestamp,
    shared: Arc<Shared>,
    state: Mutex<State>,
}

struct State {
    history: VecDeque<Arc<PriorAction>>,
    /// `history` as decisions see it; made again only when it is asked for after a change.
    snapshot: Option<Arc<[Arc<PriorAction>]>>,
    count: u64,
    context_hash: Digest,
    last_seen: Timestamp,
    intent: SessionIntent,
    /// Whether anything that a tool returned came into the session.
    results: bool,
    /// The highest level of data that came into the session. Never lowered.
    level: Option<(DataLevel, LevelSource)>,
    /// Labels of data that came into the session, sorted. Never taken away.
    labels: Arc<[Arc<str>]>,
}

/// A session while one action is observed and decided: nobody else changes it meanwhile, so that what is decided, what
/// is recorded and the order of both agree (design §2).
pub struct Observed<'a> {
    state: MutexGuard<'a, State>,
    context: SessionContext,
    actions_max: usize,
}

/// A session while a result comes into it.
pub(super) struct Fresh<'a> {
    state: MutexGuard<'a, State>,
}

/// How much is kept of one session: labels beyond it are not remembered one by one.
const LABELS_MAX: usize = 64;

impl Session {
    pub(super) fn new(id: SessionId, correlation: Correlation, started: Timestamp, shared: Arc<Shared>) -> Self {
        let state = State {
            history: VecDeque::new(),
            snapshot: None,
            count: 0,
            context_hash: Digest::of_parts(&[b"countersign/context/v1\0", id.as_str().as_bytes()]),
            last_seen: started,
            intent: SessionIntent::default(),
            results: false,
            level: None,
            labels: Arc::from([]),
        };
        Self { id, correlation, started, shared, state: Mutex::new(state) }
    }

    /// The session's id.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    /// When it was last used.
    #[must_use]
    pub fn last_seen(&self) -> Timestamp {
        self.lock().last_seen
    }

    /// Takes the session for one action and snapshots what is known before it.
    #[must_use]
    pub fn observe(&self, call: &Call) -> Observed<'_> {
        let (action, mut state) = (&call.action, self.lock());
        let first = state.count == 0;
        state.intent.observe(call, first, self.shared.config.host_intent);
        state.last_seen = state.last_seen.max(action.received);
        let history = match &state.snapshot {
            Some(history) => Arc::clone(history),
            None => state.history.iter().map(Arc::clone).collect(),
        };
        state.snapshot = Some(Arc::clone(&history));
        let context = SessionContext {
            session: self.id.clone(),
            correlation: self.correlation,
            started: self.started,
            now: action.received,
            intent: state.intent.current(),
            history,
            action_count: state.count,
            level: state.level,
            labels: Arc::clone(&state.labels),
            signals: Signals::default(),
            context_hash: state.context_hash,
        };
        Observed { state, context, actions_max: self.shared.config.actions_max }
    }

    pub(super) fn classifier(&self) -> &Classifier {
        &self.shared.classifier
    }

    /// Takes the session for a result.
    pub(super) fn fresh(&self) -> Fresh<'_> {
        Fresh { state: self.lock() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fresh<'_> {
    /// Takes a result in: the action's end, level and labels. Returns the heads of the context chain before and after;
    /// they are the same when the result brought nothing new.
    pub(super) fn take_in(&mut self, action: &Action, facts: &Facts) -> (Digest, Digest) {
        let state = &mut *self.state;
        // Almost always one of the last.
        let found = state.history.iter().rposition(|prior| prior.id == action.id);
        if let Some(entry) = found.and_then(|index| state.history.get_mut(index)) {
            let mut prior = PriorAction::clone(entry);
            prior.success = Some(facts.success);
            prior.level = facts.classified.level.map(|(level, _)| level);
            *entry = Arc::new(prior);
            state.snapshot = None;
        }
        let previous = state.context_hash;
        state.results |= !facts.is_empty();
        if facts.are_news(state.level, &state.labels) {
            raise(&mut state.level, facts.classified.level);
            state.add_labels(&facts.classified.labels);
            state.context_hash = facts.extend(previous, action);
        }
        (previous, state.context_hash)
    }
}

impl State {
    fn add_labels(&mut self, labels: &[Arc<str>]) {
        let fresh = labels.iter().filter(|label| !self.labels.contains(label));
        let fresh: Vec<_> = fresh.take(LABELS_MAX.saturating_sub(self.labels.len())).map(Arc::clone).collect();
        if !fresh.is_empty() {
            let mut all: Vec<_> = self.labels.iter().map(Arc::clone).chain(fresh).collect();
            all.sort_unstable();
            self.labels = all.into();
        }
    }
}

impl Observed<'_> {
    /// What was known before this action.
    #[must_use]
    pub const fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Adds the action with what was decided about it, and lets the session go.
    pub fn decided(mut self, action: &Action, verdict: Verdict, forwarded: bool) {
        let prior = PriorAction {
            id: action.id.clone(),
            tool: Arc::clone(&action.tool),
            operation: Arc::clone(&action.operation),
            verdict,
            forwarded,
            at: action.received,
            success: None,
            level: None,
        };
        let state = &mut *self.state;
        state.count += 1;
        state.intent.infer(action, state.results);
        state.context_hash = Digest::of_parts(&[
            &state.context_hash.0,
            action.id.as_str().as_bytes(),
            b"\0",
            action.tool.as_bytes(),
            b"\0",
            action.operation.as_bytes(),
            b"\0",
            verdict.as_str().as_bytes(),
        ]);
        while state.history.len() >= self.actions_max.max(1) {
            state.history.pop_front();
        }
        state.history.push_back(Arc::new(prior));
        state.snapshot = None;
    }
}
