//! One session.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{
    Action, ActionId, ContextEffect, Correlation, DataLevel, Digest, LevelSource, PriorAction, SessionContext,
    SessionId, Signals, Timestamp, Verdict,
};

/// One session's memory. Everything that happens to it happens under one lock, which is never held across a wait.
pub struct Session {
    id: SessionId,
    correlation: Correlation,
    started: Timestamp,
    state: Mutex<State>,
}

struct State {
    history: VecDeque<Arc<PriorAction>>,
    /// `history` as decisions see it; made again only when it is asked for after a change.
    snapshot: Option<Arc<[Arc<PriorAction>]>>,
    count: u64,
    level: Option<(DataLevel, LevelSource)>,
    labels: Arc<[Arc<str>]>,
    context_hash: Digest,
    last_seen: Timestamp,
    actions_max: usize,
}

/// A session while one action is observed and decided: nobody else changes it meanwhile, so that what is decided, what
/// is recorded and the order of both agree (design §2).
pub struct Observed<'a> {
    state: MutexGuard<'a, State>,
    context: SessionContext,
}

impl Session {
    pub(super) fn new(id: SessionId, correlation: Correlation, started: Timestamp, actions_max: usize) -> Self {
        let context_hash = Digest::of_parts(&[b"countersign/context/v1\0", id.as_str().as_bytes()]);
        let state = State {
            history: VecDeque::new(),
            snapshot: None,
            count: 0,
            level: None,
            labels: Arc::from([]),
            context_hash,
            last_seen: started,
            actions_max,
        };
        Self { id, correlation, started, state: Mutex::new(state) }
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
    pub fn observe(&self, action: &Action) -> Observed<'_> {
        let mut state = self.lock();
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
            intent: None,
            history,
            action_count: state.count,
            level: state.level,
            labels: Arc::clone(&state.labels),
            signals: Signals::default(),
            context_hash: state.context_hash,
        };
        Observed { state, context }
    }

    /// Records how an action ended.
    pub fn complete(&self, action: &ActionId, success: bool) {
        let mut state = self.lock();
        // Almost always one of the last.
        let found = state.history.iter().rposition(|prior| prior.id == *action);
        if let Some(entry) = found.and_then(|index| state.history.get_mut(index)) {
            let mut prior = PriorAction::clone(entry);
            prior.success = Some(success);
            *entry = Arc::new(prior);
            state.snapshot = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed<'_> {
    /// What was known before this action.
    #[must_use]
    pub const fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Takes over what rules say about the data that this action brings into the session (AARM ).
    pub fn label(&mut self, effect: &ContextEffect) {
        let state = &mut *self.state;
        if let Some(level) = effect.level
            && state.level.is_none_or(|(known, _)| known < level)
        {
            state.level = Some((level, LevelSource::Policy));
        }
        if effect.labels.iter().any(|label| !state.labels.contains(label)) {
            let all: BTreeSet<Arc<str>> = state.labels.iter().chain(&effect.labels).map(Arc::clone).collect();
            state.labels = all.into_iter().collect();
        }
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
        if state.history.len() >= state.actions_max {
            state.history.pop_front();
        }
        state.history.push_back(Arc::new(prior));
        state.snapshot = None;
    }
}
