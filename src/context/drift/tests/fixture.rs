//! A session that is played through.

use serde_json::{Value, json};

use crate::context::drift::{ActionSeen, Config, HashKey, Memory, ResultSeen, Trust};
use crate::model::{IntentSource, Origin, Signals, Timestamp};

pub(super) struct Play {
    pub(super) memory: Memory,
    pub(super) config: Config,
    key: HashKey,
    at: u64,
}

impl Play {
    pub(super) fn asked(words: &str) -> Self {
        let mut play = Self::unasked();
        play.memory.intent(words, IntentSource::Host, &play.config, &play.key);
        play
    }

    pub(super) fn unasked() -> Self {
        Self { memory: Memory::new(), config: Config::default(), key: HashKey::new([7; 32]), at: 1_000 }
    }

    /// The same session after a restart.
    pub(super) fn resumed(other: &Self) -> Self {
        let kept = serde_json::to_vec(&other.memory).unwrap();
        let memory = serde_json::from_slice(&kept).unwrap();
        Self { memory, config: other.config.clone(), key: other.key.clone(), at: other.at }
    }

    pub(super) fn says(&mut self, words: &str, source: IntentSource) {
        self.memory.intent(words, source, &self.config, &self.key);
    }

    /// A call that was allowed, and its result.
    pub(super) fn calls(&mut self, operation: &str, arguments: &Value, result: &str) -> &mut Self {
        self.calls_with(operation, arguments, result, Trust::Fields)
    }

    pub(super) fn calls_with(&mut self, operation: &str, arguments: &Value, result: &str, trust: Trust) -> &mut Self {
        let signals = self.signals(operation, arguments);
        self.at += 1;
        let id = format!("act_{}", self.at);
        let action = action(&id, operation, arguments, self.at);
        self.memory.acted(&action, &signals, true, &self.config, &self.key);
        self.memory
            .result(&ResultSeen { action: &id, operation, parts: &[result.to_owned()], whole: true, trust }, &self.key);
        self
    }

    pub(super) fn signals(&self, operation: &str, arguments: &Value) -> Signals {
        self.memory.signals(&action("act_x", operation, arguments, self.at + 1), &self.config, &self.key)
    }

    pub(super) fn origin(&self, value: &str) -> Origin {
        let signals = self.signals("send_note", &json!({"to": value}));
        signals.provenance.first().map_or(Origin::Prose, |provenance| provenance.origin)
    }
}

fn action<'a>(id: &'a str, operation: &'a str, arguments: &'a Value, at: u64) -> ActionSeen<'a> {
    let at = Timestamp::from_secs(at);
    ActionSeen { id, method: "tools/call", operation, arguments, hints: None, external: None, at }
}

impl Play {
    pub(super) fn compact(&mut self, bytes_max: usize) {
        self.memory.compact(bytes_max);
    }

    /// A result that nobody could look at.
    pub(super) fn unseen(&mut self, operation: &str) {
        let result = ResultSeen { action: "act_y", operation, parts: &[], whole: false, trust: Trust::Fields };
        self.memory.result(&result, &self.key);
    }
}
