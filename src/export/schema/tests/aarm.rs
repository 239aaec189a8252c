//! The shapes of the seed are a subset of what `aarm` writes.

use serde_json::{Value, json};

use super::{formatter, json as render};
use crate::export::{events_of, samples};
use crate::model::EventType;

/// An entry that says what the seed's example says, rendered.
pub(super) fn rendered(sample: &str, event_type: EventType, members: &[(&str, Value)]) -> Value {
    let mut predicate = samples::predicate(sample);
    for (pointer, value) in members {
        *predicate.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value.clone();
    }
    let events = events_of(&samples::loose(&predicate));
    let event = events.iter().find(|event| event.event_type == event_type).unwrap();
    render(&formatter("aarm"), event)
}

/// Every member of `part`, at any depth, is in `whole` with the same value.
pub(super) fn is_subset(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::Object(part), Value::Object(whole)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|other| is_subset(value, other)))
        }
        _ => part == whole,
    }
}

/// The shape of an action, as AARM's telemetry page gives it.
#[test]
fn s0_1_action_events_have_the_shape_of_the_seed() {
    let event = rendered(
        "action-allowed",
        EventType::Action,
        &[
            ("/action/action_id", json!("act_001")),
            ("/outcome/completed", json!("2025-02-04T10:30:05.123999Z")),
            ("/decision/signals/scope_expansion", json!(null)),
            ("/decision/signals/semantic_distance_ppm", json!(null)),
        ],
    );
    let expected = json!({
        "event_type": "aarm.action", "timestamp": "2025-02-04T10:30:05.123Z",
        "action": {"action_id": "act_001", "tool": "database", "operation": "query"},
        "identity": {"human": "alice@company.example", "service": "agent-svc", "agent": "sales-assistant"},
        "decision": {"result": "ALLOW", "classification": "context_dependent_allow", "policy_id": "policy-123",
            // Unknown is null, never zero and never false.
            "context_signals": {"semantic_distance": null, "scope_expansion": null}},
        "execution": {"success": true, "duration_ms": 45},
    });
    assert!(is_subset(&expected, &event), "{event:#}");
    assert!(event["action"]["parameters_hash"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn s0_1_an_action_that_was_not_forwarded_has_an_event_without_execution() {
    let event = rendered("action-denied", EventType::Action, &[]);
    assert_eq!((&event["execution"], &event["decision"]["result"]), (&Value::Null, &json!("DENY")));
}

#[test]
fn s0_2_decision_events_say_why_and_after_what() {
    for (sample, result) in [("action-denied", "DENY"), ("decision-step-up", "STEP_UP"), ("decision-defer", "DEFER")] {
        let event = rendered(sample, EventType::Decision, &[]);
        assert_eq!(event["decision"]["result"], result);
        assert!(!event["decision"]["reason"].as_str().unwrap().is_empty());
        assert_eq!(event["context"]["prior_actions"][3], "file.read");
        assert_eq!(event["context"]["data_classifications_accessed"], json!(["PII"]));
        assert_eq!(event["context"]["semantic_distance"], 0.65);
    }
    assert_eq!(rendered("action-denied", EventType::Decision, &[])["action"]["destination"], "external");
    assert_eq!(rendered("action-denied", EventType::Decision, &[])["severity"], "HIGH");
}

#[test]
fn s0_3_approval_events_say_who_answered_and_how_fast() {
    for (sample, status) in
        [("approval-approved", "APPROVED"), ("approval-denied", "DENIED"), ("approval-timeout", "TIMEOUT")]
    {
        let event = rendered(sample, EventType::Approval, &[]);
        assert_eq!(event["workflow"]["status"], status);
        assert_eq!(event["request"]["request_id"], "apr_001");
    }
    let event = rendered("approval-approved", EventType::Approval, &[]);
    assert_eq!(event["workflow"]["approver"], "bob@company.example");
    assert_eq!(event["workflow"]["response_time_ms"], 45_000);
    assert_eq!(event["workflow"]["reason"], "User confirmed cleanup request");
    assert_eq!(rendered("approval-timeout", EventType::Approval, &[])["workflow"]["response_time_ms"], Value::Null);
}

#[test]
fn s0_4_drift_events_carry_four_signals_and_the_chain() {
    let event = rendered("drift", EventType::Drift, &[]);
    let expected = json!({
        "session_id": "sess_019aa3d4-3f80-7000-8000-0000000000bb", "severity": "MEDIUM",
        "original_intent": "Prepare for Johnson meeting",
        "drift_signals": {"semantic_distance": 0.78, "action_count": 15, "scope_expansion": true,
            "classification_escalation": true},
        "action_chain_summary": ["crm.query → email.search → documents.search → file.read(confidential)"],
    });
    assert!(is_subset(&expected, &event), "{event:#}");
    let unknown = rendered("drift-unknown", EventType::Drift, &[]);
    assert_eq!(unknown["drift_signals"]["semantic_distance"], Value::Null);
    assert_eq!(unknown["action_chain_summary"], json!([]));
}
