//! One session.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::classification::{Classified, Classifier, flatten, raise};
use super::correlation::SessionKey;
use super::drift::{self, ActionSeen, HashKey, Memory};
use super::intent::SessionIntent;
use super::sessions::Shared;
use super::state::State;
use super::store::Snapshot;
use crate::model::{
    Action, ActionId, Call, ContextEffect, Correlation, Destination, Digest, LevelSource, PriorAction, SessionContext,
    SessionId, Timestamp, ToolHints, Verdict,
};

/// One session's memory. Everything that happens to it happens under one lock, which is never held across a wait.
pub struct Session {
    pub(super) id: SessionId,
    pub(super) correlation: Correlation,
    pub(super) started: Timestamp,
    key: Option<SessionKey>,
    shared: Arc<Shared>,
    intact: bool,
    state: Mutex<State>,
    /// Its file is behind and it waits to be written.
    marked: AtomicBool,
    over: AtomicBool,
}

/// A session while one action is observed and decided: nobody else changes it meanwhile, so that what is decided, what
/// is recorded and the order of both agree (design §2).
pub struct Observed<'a> {
    session: &'a Arc<Session>,
    state: MutexGuard<'a, State>,
    context: SessionContext,
    hints: Option<ToolHints>,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        correlation: Correlation,
        started: Timestamp,
        key: Option<SessionKey>,
        shared: Arc<Shared>,
    ) -> Self {
        let state = State {
            history: VecDeque::new(),
            snapshot: None,
            count: 0,
            context_hash: Digest::of_parts(&[b"countersign/context/v1\0", id.as_str().as_bytes()]),
            last_seen: started,
            intent: SessionIntent::default(),
            results: false,
            level: None,
            first_level: None,
            labels: Arc::from([]),
            memory: Memory::new(),
            drifted: false,
        };
        Self {
            id,
            correlation,
            started,
            key,
            shared,
            intact: true,
            state: Mutex::new(state),
            marked: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// A session as it was kept.
    pub(super) fn restore(kept: Snapshot, key: SessionKey, shared: Arc<Shared>) -> Self {
        let state = State {
            history: kept.history.into_iter().map(|prior| Arc::new(prior.into())).collect(),
            snapshot: None,
            count: kept.count,
            context_hash: kept.context_hash,
            last_seen: kept.last_seen,
            intent: kept.intent,
            results: kept.results,
            level: kept.level,
            first_level: kept.first_level,
            labels: kept.labels.into_iter().map(Arc::from).collect(),
            memory: kept.memory,
            drifted: kept.drifted,
        };
        let (id, correlation, started) = (kept.id, kept.correlation, kept.started);
        Self {
            id,
            correlation,
            started,
            key: Some(key),
            shared,
            intact: true,
            state: Mutex::new(state),
            marked: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// What is kept of it.
    pub(super) fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        Snapshot {
            id: self.id.clone(),
            correlation: self.correlation,
            started: self.started,
            last_seen: state.last_seen,
            count: state.count,
            context_hash: state.context_hash,
            level: state.level,
            first_level: state.first_level,
            labels: state.labels.iter().map(|label| label.to_string()).collect(),
            intent: state.intent.clone(),
            results: state.results,
            history: state.history.iter().map(|prior| (&**prior).into()).collect(),
            memory: state.memory.clone(),
            drifted: state.drifted,
        }
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

    /// Lets go what an idle session does not keep.
    pub(super) fn compact_if_idle(&self, now: Timestamp) {
        self.lock().compact_if_idle(&self.shared, now);
    }

    /// Takes the session for one action and snapshots what is known before it. `hints`: what the server says about the
    /// tool, where it listed it.
    #[must_use]
    pub fn observe<'a>(self: &'a Arc<Self>, call: &Call, hints: Option<ToolHints>) -> Observed<'a> {
        let (action, mut state) = (&call.action, self.lock());
        let first = state.count == 0;
        state.intent.observe(call, first, self.shared.config.host_intent);
        // The same whether it was idle in memory or on the disk.
        state.compact_if_idle(&self.shared, action.received);
        state.remember_intent(&self.shared);
        let mut signals =
            state.memory.signals(&seen(action, hints.as_ref()), &self.shared.config.drift, &self.shared.values);
        signals.classification_escalation = Some(state.level.map(|(level, _)| level) > state.first_level);
        let drift = state.leaves_intent(&signals, &self.shared.config.drift);
        state.last_seen = state.last_seen.max(action.received);
        let (history, action_count) = state.before(&action.id);
        let context = SessionContext {
            session: self.id.clone(),
            correlation: self.correlation,
            key: self.key.filter(|_| first).map(|key| key.0),
            intact: self.intact && self.shared.is_intact(),
            started: self.started,
            now: action.received,
            intent: state.intent.current(),
            history,
            action_count,
            level: state.level,
            labels: Arc::clone(&state.labels),
            drift,
            signals,
            context_hash: state.context_hash,
        };
        Observed { session: self, state, context, hints }
    }

    /// What it is found by; `None` for one that is not kept.
    pub(super) const fn key(&self) -> Option<SessionKey> {
        self.key
    }

    /// What was kept of it cannot be read: nothing is decided on what is left (AARM ).
    pub(super) fn damaged(mut self) -> Self {
        self.intact = false;
        self
    }

    /// Whether it stands in place of a file that cannot be read.
    pub(super) const fn is_damaged(&self) -> bool {
        !self.intact
    }

    /// It differs from what is kept of it.
    pub(super) fn changed(self: &Arc<Self>) {
        if let Some(store) = &self.shared.store {
            store.changed(self);
        }
    }

    /// What an answer to an action is.
    #[must_use]
    pub fn classify(&self, action: &Action, answer: &[u8]) -> Classified {
        let (server, operation) = (&action.native.server, &action.native.operation);
        self.shared.classifier.classify(server, operation, Some(&flatten(answer)))
    }

    /// Whether an answer holds text that is addressed to a machine: never, where the lexicon is switched off.
    #[must_use]
    pub fn is_instruction_like(&self, answer: &[u8]) -> bool {
        let lexicon = self.shared.config.drift.attack_lexicon;
        lexicon && drift::is_instruction_like(&drift::parts(answer), &self.shared.values)
    }

    /// A person agreed to an action that was decided before: its values are the session's own from now on.
    pub fn approved(self: &Arc<Self>, action: &ActionId) {
        self.lock().memory.approved(action.as_str());
        self.changed();
    }

    pub(super) fn classifier(&self) -> &Classifier {
        &self.shared.classifier
    }

    /// The key under which values are remembered.
    pub(super) fn values(&self) -> &HashKey {
        &self.shared.values
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// What waits to be written of it is not written any more: it is over.
    pub(super) fn forget(&self) {
        self.over.store(true, Ordering::Release);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn is_marked(&self) -> bool {
        self.marked.load(Ordering::Acquire)
    }

    /// Says that its file is behind. True when it said so already.
    pub(super) fn mark(&self) -> bool {
        self.marked.swap(true, Ordering::AcqRel)
    }

    /// Its file is about to be written.
    pub(super) fn unmark(&self) {
        self.marked.store(false, Ordering::Release);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
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
        raise(&mut state.level, effect.level.map(|level| (level, LevelSource::Policy)));
        state.add_labels(&effect.labels);
    }

    /// Adds the action with what was decided about it, and lets the session go.
    pub fn decided(mut self, action: &Action, verdict: Verdict, forwarded: bool) {
        let (state, shared) = (&mut *self.state, &self.session.shared);
        // What shadow mode lets through nobody has consented to.
        let consented = forwarded && matches!(verdict, Verdict::Allow | Verdict::Modify);
        let seen = seen(action, self.hints.as_ref());
        state.memory.acted(&seen, &self.context.signals, consented, &shared.config.drift, &shared.values);
        // One that waited has said what it wants.
        if state.waiting(&action.id).is_none() {
            state.intent.infer(action, state.results);
        }
        let prior = PriorAction {
            id: action.id.clone(),
            tool: Arc::clone(&action.tool),
            operation: Arc::clone(&action.operation),
            verdict,
            forwarded,
            confirmed: false,
            at: action.received,
            success: None,
            level: None,
        };
        state.add(prior, self.session.shared.config.actions_max);
        drop(self.state);
        self.session.changed();
    }
}

/// An action as the memory of values sees it.
fn seen<'a>(action: &'a Action, hints: Option<&'a ToolHints>) -> ActionSeen<'a> {
    ActionSeen {
        id: action.id.as_str(),
        method: &action.method,
        operation: &action.operation,
        arguments: &action.arguments.value,
        hints,
        external: action.destination.as_ref().map(|destination| matches!(destination, Destination::External(_))),
        at: action.received,
    }
}
