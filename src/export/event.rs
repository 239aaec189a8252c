//! What happened, as destinations see it: a pure function of one entry.

use std::sync::Arc;

use super::{Added, DecodedEntry};
use crate::model::json;
use crate::model::{EventType, Severity, Verdict};
use crate::record::Gist;
use crate::record::entry::Kind;

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
    /// What was looked up for it, if anything: the one part that is no function of the entry.
    pub added: Option<Arc<Added>>,
}

/// Whether no event comes of an entry, whatever else it says: an action that is allowed is told by its outcome
/// (design §14.2). True of no entry of which [`events_of`] makes one.
pub(super) fn is_silent(gist: Gist) -> bool {
    gist.kind == Kind::Context || gist.kind == Kind::Decision && gist.verdict == Some(Verdict::Allow)
}

/// The events of one entry, in order. Most entries have one, some none, a refusal two.
#[must_use]
pub fn events_of(entry: &Arc<DecodedEntry>) -> Vec<Event> {
    let severity = severity(entry);
    let event = |event_type: EventType| Event {
        id: format!("{}:{}", entry.leaf_hash.to_hex(), event_type.as_str()),
        event_type,
        severity,
        entry: Arc::clone(entry),
        added: None,
    };
    let one = |event_type| vec![event(event_type)];
    match &*entry.text("kind") {
        "decision" => {
            let result = entry.text("decision.result");
            let enforced = entry.at("decision.enforced").and_then(|enforced| enforced.as_bool()).unwrap_or(true);
            let decision = (result != "ALLOW").then_some(EventType::Decision);
            // What is not forwarded has no outcome: its action event comes from the decision (design §14.2). What waits
            // for a person or for context has one now, and another when it is decided again.
            let forwarded = matches!(&*result, "ALLOW" | "MODIFY") || !enforced;
            decision.into_iter().chain((!forwarded).then_some(EventType::Action)).map(event).collect()
        }
        "outcome" | "recovery" => one(EventType::Action),
        "approval" => one(EventType::Approval),
        "deferral" => one(EventType::Deferral),
        "drift" => one(EventType::Drift),
        "control" | "grant" => one(EventType::Control),
        "observed" => one(EventType::Observed),
        "policy" => one(EventType::Policy),
        "tool_pin" => one(EventType::ToolPin),
        "gap" | "export_gap" => one(EventType::Gap),
        "export_checkpoint" => one(EventType::Checkpoint),
        "genesis" | "key" | "anchor" | "redaction" | "close" => one(EventType::System),
        // What a result brought into its session (`context`) is evidence for the investigator, not news for a SIEM.
        _ => Vec::new(),
    }
}

/// How much an event matters. Decisions carry their own severity (resolution G-21); others have it from what happened.
fn severity(entry: &DecodedEntry) -> Severity {
    let word = |path: &str| entry.text(path);
    let stated = |path: &str| Severity::parse(&word(path));
    let is = |path: &str| entry.at(path).is_some();
    match &*word("kind") {
        // Nobody knows whether it ran.
        "recovery" => stated("decision.severity").unwrap_or_default().max(Severity::Medium),
        "approval" => {
            let asked = match &*word("approval.status") {
                "APPROVED" => Severity::Low,
                _ => Severity::Medium,
            };
            stated("approval.risk_level").unwrap_or_default().max(asked)
        }
        "deferral" if word("deferral.result") == "ALLOW" => Severity::Low,
        "deferral" => Severity::Medium,
        "drift" => stated("drift.severity").unwrap_or(Severity::Medium),
        "control" => match &*word("control.event") {
            "start" | "stop" => Severity::Info,
            "suspend" | "break_glass" => Severity::Critical,
            // A SIEM that gets nothing: told to the others at once.
            "resume" | "export_degraded" => Severity::High,
            _ => Severity::Medium,
        },
        "grant" if word("grant.event") == "given" => Severity::Medium,
        "grant" => Severity::Low,
        "observed" => stated("observed.severity").unwrap_or_default(),
        "policy" if is("policy.error") => Severity::High,
        "policy" if is("policy.previous") => Severity::Medium,
        "tool_pin" => tool_pin_severity(entry),
        "gap" | "export_gap" | "redaction" => Severity::High,
        "key" if is("key.revoke") => Severity::Critical,
        _ => stated("decision.severity").unwrap_or_default(),
    }
}

/// A tool whose definition changed under an agent is the worst of them.
fn tool_pin_severity(entry: &DecodedEntry) -> Severity {
    let tools = entry.at("tool_pin.tools").filter(|tools| tools.kind() == json::Kind::Array);
    let changes = tools.into_iter().flat_map(|tools| tools.children()).filter_map(|tool| tool.get("change")?.as_str());
    let severity = changes.map(|change| match &*change {
        "first_seen" => Severity::Info,
        "accepted" => Severity::Low,
        "removed" => Severity::Medium,
        _ => Severity::High,
    });
    severity.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{StoredEntry, seal};

    #[test]
    fn entries_that_are_not_read_have_no_events() {
        let verdicts = [Verdict::Allow, Verdict::Defer, Verdict::Deny, Verdict::Modify, Verdict::StepUp];
        let mut silent = 0;
        for (kind, verdict) in Kind::ALL.into_iter().flat_map(|kind| verdicts.map(|verdict| (kind, verdict))) {
            for enforced in [true, false] {
                let payload = format!(
                    r#"{{"predicate":{{"decision":{{"enforced":{enforced},"result":"{}","severity":"INFO"}},"kind":"{}"}}}}"#,
                    verdict.as_str(),
                    kind.as_str()
                );
                let read = StoredEntry::new(7, seal(payload.as_bytes(), &[]));
                let severity = (kind != Kind::Context).then_some(Severity::Info);
                let gist = Some(Gist { kind, verdict: Some(verdict), severity });
                let (made, read) = (StoredEntry { gist, ..read.clone() }, DecodedEntry::open(&read).unwrap());
                let made = DecodedEntry::open(&made).unwrap();
                assert_eq!((made.index, made.leaf_hash), (read.index, read.leaf_hash));
                silent += usize::from(made.predicate().is_none());
                let ids = |entry| events_of(&Arc::new(entry)).into_iter().map(|event| event.id).collect::<Vec<_>>();
                assert_eq!(ids(made), ids(read), "{kind:?} {verdict:?} {enforced}");
            }
        }
        // Twice each: whatever was allowed, and what results brought, whatever the verdict was.
        assert_eq!(silent, 2 + 2 * verdicts.len());
    }
}
