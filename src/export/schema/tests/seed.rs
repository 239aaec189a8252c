//! The seed's own four events are a strict subset of what `aarm` writes for entries that say the same.
//!
//! Each member of an event is put where [`crate::manual::log_format`] says that it comes from.

use std::path::Path;

use serde_json::{Value, json};

use super::aarm::{is_subset, rendered};
use crate::model::EventType;

/// One of the seed's events; `None`, said aloud, where they are not.
fn seed(name: &str) -> Option<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/aarm/telemetry").join(name);
    if !file.is_file() {
        eprintln!("../shared is not here: the seed's event {name} is left out");
        return None;
    }
    Some(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
}

/// Members of an entry with the values of members of an event.
fn moved(seed: &Value, members: &[(&'static str, &str)]) -> Vec<(&'static str, Value)> {
    members.iter().map(|(to, from)| (*to, seed.pointer(from).unwrap_or_else(|| panic!("{from}")).clone())).collect()
}

fn ppm(value: &Value) -> Value {
    json!(format!("{:.0}", value.as_f64().unwrap() * 1e6).parse::<u64>().unwrap())
}

fn check(seed: &Value, event: &Value) {
    assert!(is_subset(seed, event), "{seed:#}\nis not in\n{event:#}");
    assert!(!is_subset(event, seed), "more is written than the seed shows");
}

#[test]
fn s0_1_the_action_event_of_the_seed() {
    let Some(action) = seed("01.json") else { return };
    let mut members = moved(
        &action,
        &[
            ("/outcome/completed", "/timestamp"),
            ("/session/id", "/session_id"),
            ("/action/action_id", "/action/action_id"),
            ("/action/tool", "/action/tool"),
            ("/action/operation", "/action/operation"),
            ("/action/parameters/hash", "/action/parameters_hash"),
            ("/identity/human/value", "/identity/human"),
            ("/identity/service/value", "/identity/service"),
            ("/identity/agent/id/value", "/identity/agent"),
            ("/decision/result", "/decision/result"),
            ("/decision/classification", "/decision/classification"),
            ("/decision/policy/policy_id", "/decision/policy_id"),
            ("/decision/signals/scope_expansion", "/decision/context_signals/scope_expansion"),
            ("/outcome/success", "/execution/success"),
        ],
    );
    let distance = &action["decision"]["context_signals"]["semantic_distance"];
    members.push(("/decision/signals/semantic_distance_ppm", ppm(distance)));
    members.push(("/outcome/duration_us", json!(action["execution"]["duration_ms"].as_u64().unwrap() * 1_000 + 999)));
    check(&action, &rendered("action-allowed", EventType::Action, &members));
}

#[test]
fn s0_2_the_decision_event_of_the_seed() {
    let Some(decision) = seed("02.json") else { return };
    let mut members = moved(
        &decision,
        &[
            ("/time/wall", "/timestamp"),
            ("/decision/severity", "/severity"),
            ("/action/action_id", "/action/action_id"),
            ("/action/tool", "/action/tool"),
            ("/action/operation", "/action/operation"),
            ("/action/destination/class", "/action/destination"),
            ("/decision/result", "/decision/result"),
            ("/decision/classification", "/decision/classification"),
            ("/decision/reason", "/decision/reason"),
            ("/decision/policy/policy_id", "/decision/policy_id"),
            ("/context/labels", "/context/data_classifications_accessed"),
        ],
    );
    members.push(("/decision/signals/semantic_distance_ppm", ppm(&decision["context"]["semantic_distance"])));
    members.push(("/context/prior_actions", json!([{"tool": "database", "operation": "query"}])));
    check(&decision, &rendered("action-denied", EventType::Decision, &members));
}

#[test]
fn s0_3_the_approval_event_of_the_seed() {
    let Some(approval) = seed("03.json") else { return };
    let mut members = moved(
        &approval,
        &[
            ("/time/wall", "/timestamp"),
            ("/approval/request_id", "/request/request_id"),
            ("/action/action_id", "/request/action_id"),
            ("/action/tool", "/request/tool"),
            ("/action/operation", "/request/operation"),
            ("/approval/status", "/workflow/status"),
            ("/approval/approver", "/workflow/approver"),
            ("/approval/reason", "/workflow/reason"),
        ],
    );
    members.push(("/approval/response_us", json!(approval["workflow"]["response_time_ms"].as_u64().unwrap() * 1_000)));
    check(&approval, &rendered("approval-approved", EventType::Approval, &members));
}

#[test]
fn s0_4_the_drift_event_of_the_seed() {
    let Some(drift) = seed("04.json") else { return };
    let mut members = moved(
        &drift,
        &[
            ("/time/wall", "/timestamp"),
            ("/drift/severity", "/severity"),
            ("/session/id", "/session_id"),
            ("/context/intent/text", "/original_intent"),
            ("/context/action_count", "/drift_signals/action_count"),
            ("/drift/signals/scope_expansion", "/drift_signals/scope_expansion"),
            ("/drift/signals/classification_escalation", "/drift_signals/classification_escalation"),
        ],
    );
    members.push(("/drift/signals/semantic_distance_ppm", ppm(&drift["drift_signals"]["semantic_distance"])));
    check(&drift, &rendered("drift", EventType::Drift, &members));
}
