//! What the user wants, and who says so (resolution G-11).
//!
//! Most trusted first: a session token that this instance signed; the agent's host, in `_meta` of the session's first
//! call; else it is inferred from the first calls, before any result came, and marked so. Once set it stays: only the
//! channel it came from can add to it, and where that is the first call's `_meta`, nothing can. Nothing that a tool
//! returned ever becomes part of it.

mod token;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Action, Call, Digest, Intent, IntentSource, Timestamp};
use crate::record::redact;

pub(super) use token::TOKEN_PREFIX;
pub use token::{Grant, SessionTokens, TokenError};

/// Longest intent, characters: all turns together. More is cut.
const INTENT_CHARACTERS_MAX: usize = 8_192;

/// Calls that an intent is inferred from.
const INFERRED_CALLS_MAX: u8 = 3;

/// Characters of the arguments of each of them.
const INFERRED_ARGUMENTS_MAX: usize = 256;

/// The member of `_meta` in which a host says what the user wants.
const META_INTENT: &str = "countersign/intent";

/// The member of `_meta` in which a host says of which class that is (AARM ).
const META_INTENT_CLASS: &str = "countersign/intent_class";

/// Longest class, bytes.
const CLASS_BYTES_MAX: usize = 128;

/// Whether `_meta` may say what the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostIntent {
    /// `countersign/intent` in `_meta` of a session's first call is the intent, with source `host`.
    #[default]
    FirstCall,
    /// The same in every call: each one that differs is one more turn. Only where agents cannot write `_meta`.
    EveryCall,
    /// It is ignored.
    Ignore,
}

/// The intent of one session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SessionIntent {
    current: Option<Intent>,
    /// When the newest turn of a token was signed, microseconds.
    signed_us: u64,
    /// The newest turn of `_meta`.
    host_turn: Option<Digest>,
    inferred_calls: u8,
    /// What was added since [`Self::take_fresh`] was asked last. Nothing that was only inferred.
    fresh: Vec<(Arc<str>, IntentSource)>,
}

impl SessionIntent {
    /// The turns that came since this was asked last, redacted.
    pub(super) fn take_fresh(&mut self) -> Vec<(Arc<str>, IntentSource)> {
        std::mem::take(&mut self.fresh)
    }

    pub(super) fn current(&self) -> Option<Intent> {
        self.current.clone()
    }

    /// Takes what a call brings about the intent, before it is decided. `first`: no action of this session came before.
    pub(super) fn observe(&mut self, call: &Call, first: bool, host: HostIntent) {
        if let Some(token) = call.credentials.session.verified() {
            // A token for a session that began without one has its say; what was inferred or asserted before goes.
            if self.source() != Some(IntentSource::SignedToken) {
                self.current = None;
            }
            if token.issued_us > self.signed_us
                && let Some(text) = &token.intent
            {
                self.signed_us = token.issued_us;
                self.add(text, IntentSource::SignedToken);
                if let (Some(current), Some(class)) = (&mut self.current, &token.class) {
                    current.class = Some(Arc::clone(class));
                }
            }
            return;
        }
        let listens = match host {
            HostIntent::EveryCall => first || self.source() == Some(IntentSource::Host),
            HostIntent::FirstCall => first,
            HostIntent::Ignore => false,
        };
        if listens && let Some(text) = stated(call, META_INTENT) {
            let turn = Digest::of(text.as_bytes());
            if self.host_turn != Some(turn) {
                self.host_turn = Some(turn);
                let begins = self.source() != Some(IntentSource::Host);
                self.add(&text, IntentSource::Host);
                // Set with the first words, and never after: the bounds of a session do not move while it runs.
                if let Some(current) = self.current.as_mut().filter(|_| begins) {
                    let class = stated(call, META_INTENT_CLASS).filter(|class| class.len() <= CLASS_BYTES_MAX);
                    current.class = class.map(Arc::from);
                }
            }
        }
    }

    /// Infers from one of the first calls. `results`: something that a tool returned is in the session, and the agent
    /// may be acting on that.
    pub(super) fn infer(&mut self, action: &Action, results: bool) {
        if self.infers(results) {
            let arguments = redact::json_or_text(&action.arguments.text);
            self.infer_more(&action.tool, &action.operation, &arguments.text);
        }
    }

    /// As [`Self::infer`], from what the log kept of a call.
    pub(super) fn infer_text(&mut self, tool: &str, operation: &str, arguments: Option<&str>, results: bool) {
        if let Some(arguments) = arguments.filter(|_| self.infers(results)) {
            self.infer_more(tool, operation, arguments);
        }
    }

    /// Takes over what the log says the intent was at a decision, when nothing better is known.
    pub(super) fn restore(&mut self, intent: Intent, decided: Timestamp) {
        if self.current.is_some() {
            return;
        }
        match intent.source {
            IntentSource::Host => self.host_turn = Some(Digest::of(intent.text.as_bytes())),
            IntentSource::SignedToken => self.signed_us = decided.as_micros(),
            IntentSource::Inferred | IntentSource::Telemetry => {}
        }
        if intent.source != IntentSource::Inferred {
            self.fresh.push((Arc::clone(&intent.text), intent.source));
        }
        self.current = Some(intent);
    }

    fn infers(&self, results: bool) -> bool {
        let stated = self.source().is_some_and(|source| source != IntentSource::Inferred);
        !stated && !results && self.inferred_calls < INFERRED_CALLS_MAX
    }

    fn infer_more(&mut self, tool: &str, operation: &str, arguments: &str) {
        self.inferred_calls += 1;
        let arguments: String = arguments.chars().take(INFERRED_ARGUMENTS_MAX).collect();
        self.add(&format!("{tool}.{operation} {arguments}"), IntentSource::Inferred);
    }

    fn source(&self) -> Option<IntentSource> {
        self.current.as_ref().map(|intent| intent.source)
    }

    fn add(&mut self, text: &str, source: IntentSource) {
        if source != IntentSource::Inferred {
            self.fresh.push((redact::text(text).text.as_ref().into(), source));
        }
        let before = self.current.as_ref().map(|intent| Arc::clone(&intent.text));
        let class = self.current.as_ref().and_then(|intent| intent.class.clone());
        let all = match &before {
            Some(before) => format!("{before}\n{text}"),
            None => text.to_owned(),
        };
        // Redacted here, so that no secret of a prompt stays in memory or reaches a policy's explanation.
        let text = redact::text(&all).text.chars().take(INTENT_CHARACTERS_MAX).collect::<String>();
        self.current = Some(Intent { text: text.into(), source, class });
    }
}

/// What the host says in `_meta`.
fn stated(call: &Call, member: &str) -> Option<String> {
    let meta = call.client.meta.as_ref()?;
    // Most calls say nothing: looking for the name is cheaper than reading the JSON.
    let mentioned = meta.windows(member.len()).any(|window| window == member.as_bytes());
    let meta: Value = if mentioned { serde_json::from_slice(meta).ok()? } else { return None };
    meta.get(member)?.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
