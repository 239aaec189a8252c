//! What one session knows.

use std::collections::VecDeque;
use std::sync::Arc;

use super::classification::raise;
use super::drift::{self, Memory};
use super::intent::SessionIntent;
use super::result::Facts;
use super::sessions::Shared;
use crate::model::{
    Action, ActionId, DataLevel, Digest, DriftAlert, DriftTrigger, LevelSource, PriorAction, Signals, Timestamp,
    Verdict,
};

/// What one session knows. Changed only under its session's lock.
pub(super) struct State {
    pub(super) history: VecDeque<Arc<PriorAction>>,
    /// `history` as decisions see it; made again only when it is asked for after a change.
    pub(super) snapshot: Option<Arc<[Arc<PriorAction>]>>,
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

/// How much is kept of one session: labels beyond it are not remembered one by one.
const LABELS_MAX: usize = 64;

impl State {
    pub(super) fn compact_if_idle(&mut self, shared: &Shared, now: Timestamp) {
        if now.micros_since(self.last_seen) > shared.config.idle_after_s.saturating_mul(1_000_000) {
            self.memory.rest(shared.config.idle_bytes_max);
        }
    }

    /// Hands the newest words of the user to the memory of values.
    pub(super) fn remember_intent(&mut self, shared: &Shared) {
        for (words, source) in self.intent.take_fresh() {
            self.memory.intent(&words, source, &shared.config.drift, &shared.values);
        }
    }

    /// Whether a threshold is crossed that was not before. It can be crossed again when the session came back.
    pub(super) fn leaves_intent(&mut self, signals: &Signals, config: &drift::Config) -> Option<DriftAlert> {
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

    /// What came before an action, and how many there were: without itself, when it has waited.
    pub(super) fn before(&mut self, action: &ActionId) -> (Arc<[Arc<PriorAction>]>, u64) {
        if let Some(place) = self.waiting(action) {
            let others = self.history.iter().enumerate().filter(|(at, _)| *at != place);
            return (others.map(|(_, prior)| Arc::clone(prior)).collect(), self.count.saturating_sub(1));
        }
        let history = match &self.snapshot {
            Some(history) => Arc::clone(history),
            None => self.history.iter().map(Arc::clone).collect(),
        };
        self.snapshot = Some(Arc::clone(&history));
        (history, self.count)
    }

    /// The place of an action that was decided before and has waited since.
    pub(super) fn waiting(&self, action: &ActionId) -> Option<usize> {
        // Ids grow with time: almost every action is newer than all that went before.
        self.history.back().filter(|last| last.id.as_str() >= action.as_str())?;
        let waits = |prior: &PriorAction| matches!(prior.verdict, Verdict::Defer | Verdict::StepUp) && !prior.forwarded;
        self.history.iter().rposition(|prior| prior.id == *action && waits(prior))
    }

    /// Adds an action; the oldest goes when there are too many (AARM ). The chain keeps all of them. One that has
    /// waited is decided again and stays one action.
    pub(super) fn add(&mut self, prior: PriorAction, actions_max: usize) {
        self.extend(&prior);
        self.snapshot = None;
        if let Some(entry) = self.waiting(&prior.id).and_then(|place| self.history.get_mut(place)) {
            *entry = Arc::new(decided_again(entry, &prior));
            return;
        }
        self.count += 1;
        while self.history.len() >= actions_max.max(1) {
            self.history.pop_front();
        }
        self.history.push_back(Arc::new(prior));
    }

    fn extend(&mut self, prior: &PriorAction) {
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
    }
}

/// An action that waited, with what came of it. That a person was asked and it ran is how later decisions know that one
/// agreed (`actions_since_confirmation`).
fn decided_again(waited: &PriorAction, now: &PriorAction) -> PriorAction {
    // Asked again under shadow it runs as well, and nobody has agreed.
    let agreed = waited.verdict == Verdict::StepUp && now.forwarded && now.verdict != Verdict::StepUp;
    let verdict = if agreed { waited.verdict } else { now.verdict };
    PriorAction { verdict, confirmed: agreed, at: waited.at, ..now.clone() }
}
