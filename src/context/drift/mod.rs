//! What a session remembers of its intent and of results, and the signals of an action (AARM A-2.9, R7).
//!
//! [`Memory`] is pure: no I/O, no clock. It is fed with the user's words, with every action that was decided and with
//! every result, and answers with [`Signals`]. Bodies are never kept: a text becomes keyed hashes of its words with
//! marks at its sentences, fields become keyed hashes, and everything can be written to disk and read back
//! (`serde`) without changing a verdict, as long as the [`HashKey`] is the same. It must never trust a result to say
//! what the user wants, and never forget that something was seen: what was let go counts as running text.
//!
//! ```text
//! words of the user ─► intent ─┐
//! results ─► structure ─► seen ┼─► signals of the next action
//! actions ─► operation ────────┘
//! ```
//!
//! The manual's page on drift defines every signal.

mod config;
mod distance;
mod grammar;
mod hash;
mod intent;
mod message;
mod operation;
mod passage;
mod provenance;
mod result;
mod scan;
mod shape;
mod signals;
mod signature;
mod structure;
mod table;
mod values;
mod vocabulary;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use config::{Config, LinkFetch, Profile, Trust};
pub use distance::NGRAM_MODEL;
pub use hash::HashKey;
pub use message::parts;
pub use table::{Table, TableConfig, TableError};

use crate::model::{IntentSource, Signals, Timestamp, ToolHints};
use distance::Vector;
use intent::Intent;
use result::{Asked, Seen};
use signature::{Signatures, WORTHWHILE};
use table::Sum;

/// An action that is about to be decided.
#[derive(Clone, Copy, Debug)]
pub struct ActionSeen<'a> {
    /// An id that its result will name.
    pub id: &'a str,
    /// The protocol method.
    pub method: &'a str,
    /// The operation, wrapper resolved.
    pub operation: &'a str,
    /// The arguments.
    pub arguments: &'a Value,
    /// The server's annotations, where it listed the tool. They add risk and take none away.
    pub hints: Option<&'a ToolHints>,
    /// Whether the destination is outside the internal domains; `None` where there is none.
    pub external: Option<bool>,
    /// When it was received.
    pub at: Timestamp,
}

/// A result that came.
#[derive(Clone, Copy, Debug)]
pub struct ResultSeen<'a> {
    /// The id of the action it answers.
    pub action: &'a str,
    /// The operation that returned it.
    pub operation: &'a str,
    /// Its texts, and its structured content as JSON text: see [`parts`].
    pub parts: &'a [String],
    /// Whether this is all of it. What went by unseen counts as running text.
    pub whole: bool,
    /// How far it is trusted.
    pub trust: Trust,
}

/// Whether text that a tool returned is addressed to a machine, by itself: whatever the session knows.
#[must_use]
pub fn is_instruction_like(parts: &[String], key: &HashKey) -> bool {
    let result = ResultSeen { action: "", operation: "", parts, whole: true, trust: Trust::default() };
    Seen::read(0, Arc::from(""), &result, &Asked::default(), None, key).instruction_like
}

/// Results that are remembered one by one. Older ones are let go, oldest first.
const RESULTS_MAX: usize = 256;
/// Calls that wait for a result.
const PENDING_MAX: usize = 128;
/// Hosts that are remembered.
const HOSTS_MAX: usize = 512;
/// Values of own actions that are remembered.
const OWN_MAX: usize = 2_048;
/// Times of actions that are remembered: as many as a `velocity_max` can ask for.
const TIMES_MAX: usize = 512;

/// What a session remembers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    intent: Option<Intent>,
    results: VecDeque<Seen>,
    /// Where to look among many results. What it does not cover is looked at one by one.
    #[serde(skip)]
    signatures: Signatures,
    results_total: u64,
    /// Results that are not remembered at all any more.
    lost: bool,
    pending: VecDeque<(Arc<str>, Asked)>,
    /// Digests of the arguments of actions that were forwarded.
    own: VecDeque<u32>,
    /// Digests of hosts that were reached with consent.
    own_hosts: Vec<u32>,
    /// Effects of actions that were forwarded.
    effects: grammar::Effects,
    actions: u64,
    times: VecDeque<Timestamp>,
    /// The running sum of the cumulative drift, in millionths.
    drift: u32,
}

impl Memory {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds words of the user. The first channel that speaks sets the intent; more of the same channel is added to it,
    /// and what comes from any other channel is ignored, a more trusted one excepted, which replaces it (AARM G-11).
    pub fn intent(&mut self, words: &str, source: IntentSource, config: &Config, key: &HashKey) {
        let known = self.intent.take().filter(|known| !is_more_trusted(source, known.source));
        let mut intent = known.unwrap_or_else(|| Intent::new(source));
        if intent.source == source {
            intent.add(words, config.table.as_deref(), key);
        }
        self.intent = Some(intent);
    }

    /// Whether an intent is known.
    #[must_use]
    pub const fn has_intent(&self) -> bool {
        self.intent.is_some()
    }

    /// The signals of an action, before it is decided. Changes nothing.
    #[must_use]
    pub fn signals(&self, action: &ActionSeen<'_>, config: &Config, key: &HashKey) -> Signals {
        signals::of(self, action, config, key)
    }

    /// Adds an action that was decided. `consented`: a rule let it through, knowing what it is. What shadow mode lets
    /// through nobody consented to. One that waited and is decided again is the same action.
    pub fn acted(
        &mut self,
        action: &ActionSeen<'_>,
        signals: &Signals,
        consented: bool,
        config: &Config,
        key: &HashKey,
    ) {
        if self.knows(action.id) {
            if consented {
                self.approved(action.id);
            }
            return;
        }
        self.actions += 1;
        if self.times.len() == TIMES_MAX {
            self.times.pop_front();
        }
        self.times.push_back(action.at);
        if let Some(distance) = signals.semantic_distance {
            self.drift = signals::accumulate(self.drift, distance, config);
        }
        let asked = signals::asked(self, action, key);
        if consented {
            self.consent(&asked);
        }
        if self.pending.len() == PENDING_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back((action.id.into(), asked));
    }

    /// A person agreed to an action that was added before: its values are own values from now on.
    pub fn approved(&mut self, action: &str) {
        let found = self.pending.iter().find(|(id, _)| &**id == action).map(|(_, asked)| asked.clone());
        if let Some(asked) = found {
            self.consent(&asked);
        }
    }

    /// Whether an action was added, and its result was not.
    pub(super) fn knows(&self, action: &str) -> bool {
        self.pending.iter().any(|(id, _)| &**id == action)
    }

    fn consent(&mut self, asked: &Asked) {
        self.effects = self.effects.with(asked.effects);
        for digest in &asked.arguments {
            if self.own.len() == OWN_MAX {
                self.own.pop_front();
            }
            self.own.push_back(*digest);
        }
        self.own_hosts.extend(&asked.hosts);
        self.own_hosts.sort_unstable();
        self.own_hosts.dedup();
        self.own_hosts.truncate(HOSTS_MAX);
    }

    /// Adds a result: facts of it, never its text.
    pub fn result(&mut self, result: &ResultSeen<'_>, key: &HashKey) {
        let found = self.pending.iter().position(|(action, _)| &**action == result.action);
        let asked = found.and_then(|at| self.pending.remove(at)).map(|(_, asked)| asked).unwrap_or_default();
        self.results_total += 1;
        let number = self.results_total;
        let operation = Arc::from(result.operation);
        let seen = Seen::read(number, operation, result, &asked, self.intent.as_ref(), key);
        if self.results.len() == RESULTS_MAX {
            self.results.pop_front();
            self.lost = true;
        }
        let covered = self.signatures.covers(number - 1);
        self.results.push_back(seen);
        if self.results.len() > WORTHWHILE {
            match self.results.back().filter(|_| covered) {
                Some(seen) => self.signatures.add(seen),
                None => self.signatures = Signatures::of(self.results.iter()),
            }
        }
        self.forget_signatures();
    }

    /// Lets go what can be made again, and then what is beyond `bytes_max`: nobody uses it now.
    pub fn rest(&mut self, bytes_max: usize) {
        self.signatures = Signatures::default();
        self.compact(bytes_max);
    }

    /// Lets go what is beyond `bytes_max`, oldest first: running text, then whole results. What was let go counts as
    /// running text that nobody vouches for.
    pub fn compact(&mut self, bytes_max: usize) {
        let mut bytes = self.bytes();
        for seen in &mut self.results {
            if bytes <= bytes_max {
                return;
            }
            let before = seen.bytes();
            seen.fade();
            self.signatures.partial = true;
            bytes -= before - seen.bytes().min(before);
        }
        while bytes > bytes_max
            && let Some(oldest) = self.results.pop_front()
        {
            self.lost = true;
            bytes = bytes.saturating_sub(oldest.bytes());
        }
        self.forget_signatures();
    }

    /// Bytes in memory, nearly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let intent = self
            .intent
            .as_ref()
            .map_or(0, |intent| intent.passage.bytes() + intent.vector.bytes() + intent.sum.bytes());
        let results: usize = self.results.iter().map(Seen::bytes).sum();
        let pending: usize = self.pending.iter().map(|(id, asked)| id.len() + asked.arguments.len() * 4 + 64).sum();
        let kept = self.own.len() * 4 + self.times.len() * 8 + self.signatures.bytes();
        size_of::<Self>() + intent + results + pending + kept
    }

    /// What distances are measured from: by n-grams, and by a table.
    const fn vectors(&self) -> Option<(&Vector, &Sum)> {
        match &self.intent {
            Some(intent) => Some((&intent.vector, &intent.sum)),
            None => None,
        }
    }
}

/// Signed token over host over telemetry over inferred.
fn is_more_trusted(one: IntentSource, other: IntentSource) -> bool {
    let rank = |source| match source {
        IntentSource::SignedToken => 0,
        IntentSource::Host => 1,
        IntentSource::Telemetry => 2,
        IntentSource::Inferred => 3,
    };
    rank(one) < rank(other)
}
