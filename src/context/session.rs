//! One session.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::classification::{Classifier, raise};
use super::correlation::SessionKey;
use super::drift::{self, ActionSeen, HashKey, Memory};
use super::intent::SessionIntent;
use super::result::Facts;
use super::sessions::Shared;
use super::store::Snapshot;
use crate::model::{
    Action, Call, ContextEffect, Correlation, DataLevel, Destination, Digest, DriftAlert, DriftTrigger, LevelSource,
    PriorAction, SessionContext, SessionId, Signals, Timestamp, Verdict,
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

pub(super) struct State {
    pub(super) history: VecDeque<Arc<PriorAction>>,
    /// `history` as decisions see it; made again only when it is asked for after a change.
    snapshot: Option<Arc<[Arc<PriorAction>]>>,
    pub(super) count: u64,
    pub(super) context_hash: Digest,
    pub(super) last_seen: Timestamp,
    pub(super) intent: SessionIntent,
    /// Whether anything that a tool returned came into the session.
    pub(super) results: bool,
    /// The highest level of data that came into the session. Never lowered.
    pub(super) level: Option<(DataLevel, LevelSource)>,
    /// The level of the first data that came into the session.
    pub(super) first_level: Option<DataLevel>,
    /// Labels of data that came into the session, sorted. Never taken away.
    pub(super) labels: Arc<[Arc<str>]>,
    /// Values of the intent, of results and of own actions, as keyed digests.
    pub(super) memory: Memory,
    /// The session has left its intent, and that was told.
    pub(super) drifted: bool,
}

/// A session while one action is observed and decided: nobody else changes it meanwhile, so that what is decided, what
/// is recorded and the order of both agree (design §2).
pub struct Observed<'a> {
    session: &'a Arc<Session>,
    state: MutexGuard<'a, State>,
    context: SessionContext,
}

/// How much is kept of one session: labels beyond it are not remembered one by one.
const LABELS_MAX: usize = 64;

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

    /// Takes the session for one action and snapshots what is known before it.
    #[must_use]
    pub fn observe<'a>(self: &'a Arc<Self>, call: &Call) -> Observed<'a> {
        let (action, mut state) = (&call.action, self.lock());
        let first = state.count == 0;
        state.intent.observe(call, first, self.shared.config.host_intent);
        // The same whether it was idle in memory or on the disk.
        state.compact_if_idle(&self.shared, action.received);
        state.remember_intent(&self.shared);
        let mut signals = state.memory.signals(&seen(action), &self.shared.config.drift, &self.shared.values);
        signals.classification_escalation = Some(state.level.map(|(level, _)| level) > state.first_level);
        let drift = state.leaves_intent(&signals, &self.shared.config.drift);
        state.last_seen = state.last_seen.max(action.received);
        let history = match &state.snapshot {
            Some(history) => Arc::clone(history),
            None => state.history.iter().map(Arc::clone).collect(),
        };
        state.snapshot = Some(Arc::clone(&history));
        let context = SessionContext {
            session: self.id.clone(),
            correlation: self.correlation,
            key: self.key.filter(|_| first).map(|key| key.0),
            intact: self.intact && self.shared.is_intact(),
            started: self.started,
            now: action.received,
            intent: state.intent.current(),
            history,
            action_count: state.count,
            level: state.level,
            labels: Arc::clone(&state.labels),
            drift,
            signals,
            context_hash: state.context_hash,
        };
        Observed { session: self, state, context }
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

    /// It differs from what is kept of it.
    pub(super) fn changed(self: &Arc<Self>) {
        if let Some(store) = &self.shared.store {
            store.changed(self);
        }
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

impl State {
    fn compact_if_idle(&mut self, shared: &Shared, now: Timestamp) {
        if now.micros_since(self.last_seen) > shared.config.idle_after_s.saturating_mul(1_000_000) {
            self.memory.compact(shared.config.idle_bytes_max);
        }
    }

    /// Hands the newest words of the user to the memory of values.
    pub(super) fn remember_intent(&mut self, shared: &Shared) {
        for (words, source) in self.intent.take_fresh() {
            self.memory.intent(&words, source, &shared.values);
        }
    }

    /// Whether a threshold is crossed that was not before. It can be crossed again when the session came back.
    fn leaves_intent(&mut self, signals: &Signals, config: &drift::Config) -> Option<DriftAlert> {
        let detected = signals.drift_detected?;
        let before = std::mem::replace(&mut self.drifted, detected);
        let threshold = config.threshold();
        let trigger = match signals.semantic_distance {
            Some(distance) if distance > threshold => DriftTrigger::SemanticDistance,
            _ => DriftTrigger::CumulativeDrift,
        };
        (detected && !before).then_some(DriftAlert { trigger, threshold })
    }

    /// Takes a result in: the action's end, level and labels. Returns the heads of the context chain before and after:
    /// the same when the result brought nothing, or when no entry will tell of it.
    pub(super) fn take_in(
        &mut self,
        action: &Action,
        facts: &Facts,
        recorded: bool,
        shared: &Shared,
    ) -> (Digest, Digest) {
        self.complete(action.id.as_str(), Some(facts.success), facts.classified.level.map(|(level, _)| level));
        self.memory.result(&facts.seen(action), &shared.values);
        self.memory.compact(shared.config.memory_bytes_max);
        let previous = self.context_hash;
        if !facts.is_empty() {
            self.results = true;
            self.bring(facts.classified.level);
            self.add_labels(&facts.classified.labels);
            if recorded {
                self.context_hash = facts.extend(previous, &action.id);
            }
        }
        (previous, self.context_hash)
    }

    /// Data of a level came into the session.
    pub(super) fn bring(&mut self, level: Option<(DataLevel, LevelSource)>) {
        self.first_level = self.first_level.or(level.map(|(level, _)| level));
        raise(&mut self.level, level);
    }

    /// Says how an earlier action ended, as far as it is given.
    pub(super) fn complete(&mut self, action: &str, success: Option<bool>, level: Option<DataLevel>) -> bool {
        // Almost always one of the last.
        let found = self.history.iter().rposition(|prior| prior.id.as_str() == action);
        let Some(entry) = found.and_then(|index| self.history.get_mut(index)) else { return false };
        let mut prior = PriorAction::clone(entry);
        prior.success = success.or(prior.success);
        prior.level = prior.level.max(level);
        *entry = Arc::new(prior);
        self.snapshot = None;
        true
    }

    pub(super) fn add_labels(&mut self, labels: &[Arc<str>]) {
        let fresh = labels.iter().filter(|label| !self.labels.contains(label));
        let fresh: Vec<_> = fresh.take(LABELS_MAX.saturating_sub(self.labels.len())).map(Arc::clone).collect();
        if !fresh.is_empty() {
            let mut all: Vec<_> = self.labels.iter().map(Arc::clone).chain(fresh).collect();
            all.sort_unstable();
            self.labels = all.into();
        }
    }

    /// Adds an action; the oldest goes when there are too many (AARM ). The chain keeps all of them.
    pub(super) fn add(&mut self, prior: PriorAction, actions_max: usize) {
        self.count += 1;
        self.context_hash = Digest::of_parts(&[
            &self.context_hash.0,
            prior.id.as_str().as_bytes(),
            b"\0",
            prior.tool.as_bytes(),
            b"\0",
            prior.operation.as_bytes(),
            b"\0",
            prior.verdict.as_str().as_bytes(),
        ]);
        while self.history.len() >= actions_max.max(1) {
            self.history.pop_front();
        }
        self.history.push_back(Arc::new(prior));
        self.snapshot = None;
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
        state.memory.acted(&seen(action), &self.context.signals, consented, &shared.config.drift, &shared.values);
        state.intent.infer(action, state.results);
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
        state.add(prior, self.session.shared.config.actions_max);
        drop(self.state);
        self.session.changed();
    }
}

/// An action as the memory of values sees it.
fn seen(action: &Action) -> ActionSeen<'_> {
    ActionSeen {
        id: action.id.as_str(),
        method: &action.method,
        operation: &action.operation,
        arguments: &action.arguments.value,
        // Annotations are what the server says about itself.
        hints: None,
        external: action.destination.as_ref().map(|destination| matches!(destination, Destination::External(_))),
        at: action.received,
    }
}
