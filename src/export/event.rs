//! What happened, as destinations see it: a pure function of one entry.

use serde_json::Value;

use crate::model::{Digest, EventType, Severity};
use crate::record::{StoredEntry, leaf_hash, open_envelope};

/// One event: which entry it comes from, and what that entry says.
#[derive(Clone, Debug)]
pub struct Event {
    /// The same for the same entry, whenever it is sent: what receivers drop repeats by.
    pub id: String,
    /// What kind.
    pub event_type: EventType,
    /// How much it matters.
    pub severity: Severity,
    /// The entry's place in the log.
    pub index: u64,
    /// The entry's leaf hash: with it, a SIEM is a witness of the log.
    pub leaf_hash: Digest,
    /// The entry's predicate.
    pub predicate: Value,
}

/// The events of one entry, in order. Most entries have one, some none.
///
/// # Errors
/// A sentence, when the entry is not one of this log's: exporting stops there rather than leave it out.
pub fn events_of(entry: &StoredEntry) -> Result<Vec<Event>, String> {
    let envelope = open_envelope(&entry.bytes).map_err(|error| error.to_string())?;
    let mut statement: Value = serde_json::from_slice(&envelope.payload).map_err(|error| error.to_string())?;
    let predicate = statement.get_mut("predicate").map(Value::take).ok_or("an entry without a predicate")?;
    let leaf_hash = leaf_hash(&entry.bytes);
    let event = |event_type: EventType, severity: Severity| Event {
        id: format!("{}:{}", leaf_hash.to_hex(), event_type.as_str()),
        event_type,
        severity,
        index: entry.index,
        leaf_hash,
        predicate: predicate.clone(),
    };
    let severity = || {
        let named = predicate.pointer("/decision/severity").cloned().unwrap_or(Value::Null);
        serde_json::from_value(named).unwrap_or(Severity::Info)
    };
    let kind = predicate.get("kind").and_then(Value::as_str).unwrap_or_default();
    Ok(match kind {
        "decision" => {
            let allowed = predicate.pointer("/decision/result").and_then(Value::as_str) == Some("ALLOW");
            let mut events = Vec::new();
            if !allowed {
                events.push(event(EventType::Decision, severity()));
            }
            // What is not forwarded has no outcome: its action event comes from the decision (design §14.2).
            if !is_forwarded(&predicate) {
                events.push(event(EventType::Action, severity()));
            }
            events
        }
        "outcome" | "recovery" => vec![event(EventType::Action, severity())],
        "approval" => vec![event(EventType::Approval, Severity::Medium)],
        "deferral" => vec![event(EventType::Deferral, Severity::Medium)],
        "drift" => vec![event(EventType::Drift, Severity::Medium)],
        "control" => vec![event(EventType::Control, Severity::Info)],
        "genesis" | "key" | "policy" | "gap" | "close" => vec![event(EventType::System, Severity::Info)],
        _ => Vec::new(),
    })
}

/// Whether the decision let the action through: it allowed or changed it, or it is not enforced.
fn is_forwarded(predicate: &Value) -> bool {
    let result = predicate.pointer("/decision/result").and_then(Value::as_str).unwrap_or_default();
    let enforced = predicate.pointer("/decision/enforced").and_then(Value::as_bool).unwrap_or(true);
    matches!(result, "ALLOW" | "MODIFY") || !enforced
}
