//! What happened, as destinations see it: a pure function of one entry.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::model::json::{Document, Limits, View, scan};
use crate::model::{Digest, EventType, Severity};
use crate::record::StoredEntry;

/// One event: which entry it comes from, and what that entry says.
#[derive(Clone, Debug)]
pub struct Event {
    /// The same for the same entry, whenever it is sent: what receivers drop repeats by.
    pub id: String,
    /// What kind.
    pub event_type: EventType,
    /// How much it matters.
    pub severity: Severity,
    /// The entry it comes from.
    pub entry: Arc<DecodedEntry>,
}

/// An entry of the log, opened once for all destinations.
#[derive(Debug)]
pub struct DecodedEntry {
    /// Its place in the log.
    pub index: u64,
    /// Its leaf hash: with it, a SIEM is a witness of the log.
    pub leaf_hash: Digest,
    payload: String,
    document: Document,
}

impl DecodedEntry {
    /// Opens an entry of our own log. Its signature was made here; whoever doubts the log asks the verifier, not the
    /// exporter.
    ///
    /// # Errors
    /// A sentence, when it is not an entry.
    pub fn open(entry: &StoredEntry) -> Result<Self, String> {
        let encoded = entry.bytes.strip_prefix(b"{\"payload\":\"").ok_or("not an envelope")?;
        let end = encoded.iter().position(|byte| *byte == b'"').ok_or("not an envelope")?;
        let payload =
            BASE64_STANDARD.decode(encoded.get(..end).unwrap_or_default()).map_err(|error| error.to_string())?;
        let payload = String::from_utf8(payload).map_err(|error| error.to_string())?;
        let (_, document) = scan(payload.as_bytes(), Limits::default()).map_err(|error| error.to_string())?;
        Ok(Self { index: entry.index, leaf_hash: entry.leaf_hash, payload, document })
    }

    /// What the entry states; `None` for an entry without a predicate.
    #[must_use]
    pub fn predicate(&self) -> Option<View<'_>> {
        self.document.root(&self.payload).get("predicate")
    }
}

/// The events of one entry, in order. Most entries have one, some none.
#[must_use]
pub fn events_of(entry: &Arc<DecodedEntry>) -> Vec<Event> {
    let Some(predicate) = entry.predicate() else { return Vec::new() };
    let text = |pointer: &str| predicate.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default();
    let severity = Severity::parse(&text("/decision/severity")).unwrap_or_default();
    let event = |event_type: EventType, severity: Severity| Event {
        id: format!("{}:{}", entry.leaf_hash.to_hex(), event_type.as_str()),
        event_type,
        severity,
        entry: Arc::clone(entry),
    };
    match &*text("/kind") {
        "decision" => {
            let result = text("/decision/result");
            let enforced = predicate.pointer("/decision/enforced").and_then(|value| value.as_bool()).unwrap_or(true);
            let forwarded = matches!(&*result, "ALLOW" | "MODIFY") || !enforced;
            let decision = (result != "ALLOW").then(|| event(EventType::Decision, severity));
            // What is not forwarded has no outcome: its action event comes from the decision (design §14.2).
            let action = (!forwarded).then(|| event(EventType::Action, severity));
            decision.into_iter().chain(action).collect()
        }
        "outcome" | "recovery" => vec![event(EventType::Action, severity)],
        "approval" => vec![event(EventType::Approval, Severity::Medium)],
        "deferral" => vec![event(EventType::Deferral, Severity::Medium)],
        "drift" => vec![event(EventType::Drift, Severity::Medium)],
        "control" => vec![event(EventType::Control, Severity::Info)],
        "genesis" | "key" | "policy" | "gap" | "close" => vec![event(EventType::System, Severity::Info)],
        _ => Vec::new(),
    }
}
