//! What a result brings into its session: facts, never the result itself.

use std::sync::Arc;

use bytes::Bytes;

use super::classification::{Classified, Classifier, Flat, OutputTrust, flatten};
use super::drift::{self, ResultSeen};
use super::session::Session;
use crate::model::{Action, ActionId, Digest, Outcome, OutcomeStatus, ResultText};
use crate::record::entry::{FactsBlock, LevelBlock};

/// Largest answer that is looked at: about 20 ms of a core. It is the largest event that the Python SDK reads.
const INSPECTED_BYTES_MAX: usize = 1 << 20;

/// What one result brings into its session.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) success: bool,
    /// Whether all of the answer was looked at.
    pub(super) whole: bool,
    pub(super) trust: OutputTrust,
    pub(super) classified: Classified,
    /// What the operator said about it, if anything.
    said: Option<OutputTrust>,
    /// The texts of the answer. They end with this: the session keeps no body.
    parts: Vec<String>,
}

impl Facts {
    /// Looks at a result, once.
    fn of(classifier: &Classifier, action: &Action, status: OutcomeStatus, text: &ResultText) -> Self {
        // What did not come whole, or is too large to be looked at, has gone by unseen: nobody can say what it is.
        let bytes = text.notes.iter().map(Bytes::len).sum::<usize>() + text.bytes.len();
        let whole = text.whole && bytes <= INSPECTED_BYTES_MAX;
        let flat: Option<Flat> = whole.then(|| {
            let mut flat = flatten(&text.bytes);
            text.notes.iter().for_each(|note| flat.take(note));
            flat
        });
        let (server, operation) = (&action.native.server, &action.native.operation);
        let said = classifier.tools().find(server, operation).and_then(|said| said.trust);
        Self {
            success: status == OutcomeStatus::Success,
            whole,
            trust: said.unwrap_or_default(),
            said,
            parts: if whole { parts(text) } else { Vec::new() },
            classified: classifier.classify(server, operation, flat.as_ref()),
        }
    }

    /// A result that nobody can say anything about, because its answer was never seen to end.
    fn unknown(classifier: &Classifier, action: &Action) -> Self {
        Self::of(classifier, action, OutcomeStatus::Unknown, &ResultText { whole: false, ..ResultText::default() })
    }

    /// The result as the memory of values sees it. Where nobody says how far it is trusted, fields count as fields and
    /// running text as running text.
    pub(super) fn seen<'a>(&'a self, action: &'a Action) -> ResultSeen<'a> {
        let trust = match self.said {
            None | Some(OutputTrust::Fields) => drift::Trust::Fields,
            Some(OutputTrust::Trusted) => drift::Trust::Trusted,
            Some(OutputTrust::Untrusted) => drift::Trust::Untrusted,
        };
        let (operation, whole) = (&*action.operation, self.whole);
        ResultSeen { action: action.id.as_str(), operation, parts: &self.parts, whole, trust }
    }

    /// Whether it brings anything that a later decision could depend on.
    pub(super) const fn is_empty(&self) -> bool {
        self.classified.level.is_none()
    }

    /// What the session's context chain takes of it: exactly what its entry says (AARM ).
    pub(super) fn extend(&self, previous: Digest, action: &ActionId) -> Digest {
        let (level, source) =
            self.classified.level.map_or(("", ""), |(level, source)| (level.as_str(), source.as_str()));
        Digest::of_parts(&[
            b"countersign/context/result/v1\0",
            &previous.0,
            action.as_str().as_bytes(),
            b"\0",
            level.as_bytes(),
            b"\0",
            source.as_bytes(),
            b"\0",
            self.classified.labels.join(",").as_bytes(),
            b"\0",
            self.trust.as_str().as_bytes(),
            if self.whole { b"\0whole" } else { b"\0part" },
        ])
    }

    fn block(&self, previous: Digest, context_hash: Digest) -> FactsBlock<'static> {
        FactsBlock {
            context_hash,
            end: None,
            entities: Vec::new(),
            instructions: 0,
            labels: self.classified.labels.iter().map(|label| label.to_string().into()).collect(),
            level: self.classified.level.map(|(value, source)| LevelBlock { source, value }),
            part: 1,
            parts: 1,
            previous_hash: Some(previous),
            result_hash: None,
            trust: self.trust.as_str().into(),
            values: Vec::new(),
            values_total: 0,
            whole: Some(self.whole),
        }
    }
}

/// A forwarded action whose result its session waits for.
///
/// Told once how it ended, it brings the result into the session. Dropped untold, the result went by unseen, and the
/// session knows that.
#[must_use = "the session waits for the result"]
pub struct Awaited {
    session: Arc<Session>,
    action: Option<Action>,
}

impl Awaited {
    /// The session waits for the result of `action`.
    pub fn new(session: Arc<Session>, action: Action) -> Self {
        Self { session, action: Some(action) }
    }

    /// Brings the result into the session. `record` writes how the action ended and what its result brought, while
    /// nobody else changes the session: what is known and what is recorded have the same order.
    pub fn complete(
        mut self,
        outcome: Outcome,
        text: &ResultText,
        record: impl FnOnce(Outcome, Option<FactsBlock<'static>>),
    ) {
        let Some(action) = self.action.take() else { return };
        // Looked at before the session is taken: that needs no order.
        let facts = Facts::of(self.session.classifier(), &action, outcome.status, text);
        let mut state = self.session.lock();
        let (previous, context_hash) = state.take_in(&action, &facts, true, self.session.shared());
        record(outcome, (!facts.is_empty()).then(|| facts.block(previous, context_hash)));
        drop(state);
        self.session.changed();
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(action) = self.action.take() {
            let facts = Facts::unknown(self.session.classifier(), &action);
            self.session.lock().take_in(&action, &facts, false, self.session.shared());
            self.session.changed();
        }
    }
}

/// The texts of an answer and of what came before it.
fn parts(text: &ResultText) -> Vec<String> {
    let mut parts = drift::parts(&text.bytes);
    parts.extend(text.notes.iter().flat_map(|note| drift::parts(note)));
    parts
}
