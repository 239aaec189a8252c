//! AARM's event shapes (telemetry page of the standard), with more members than its examples and none fewer.
//!
//! What is unknown is null, never zero.

use serde_json::{Map, Value, json};

use crate::export::Event;
use crate::model::{EventType, Timestamp};

/// The version of these shapes: a new member keeps it, a changed meaning does not.
const SCHEMA_VERSION: &str = "1";

pub(super) fn format(event: &Event, origin: &str) -> Value {
    let entry = Entry(&event.predicate);
    let mut out = Map::new();
    out.insert("event_type".into(), event.event_type.as_str().into());
    out.insert("event_id".into(), event.id.as_str().into());
    out.insert("schema_version".into(), SCHEMA_VERSION.into());
    out.insert("timestamp".into(), entry.time());
    out.insert("severity".into(), event.severity.as_str().into());
    let receipt = json!({
        "receipt_id": entry.at("/receipt_id"), "kind": entry.at("/kind"), "origin": origin, "index": event.index,
        "leaf_hash": event.leaf_hash.to_string(), "seq": entry.at("/session/seq"),
    });
    if matches!(event.event_type, EventType::Action | EventType::Decision) {
        out.insert("session_id".into(), entry.at("/session/id"));
        out.insert("action".into(), entry.action());
        out.insert("identity".into(), entry.identity());
        out.insert("decision".into(), entry.decision());
        out.insert("trace_id".into(), entry.at("/action/trace/trace_id"));
    }
    match event.event_type {
        EventType::Action => drop(out.insert("execution".into(), entry.execution())),
        EventType::Decision => drop(out.insert("context".into(), entry.context())),
        _ => {
            let kind = event.predicate.get("kind").and_then(Value::as_str).unwrap_or_default();
            let pointer = if kind == "policy" { "/policy".to_owned() } else { format!("/{kind}") };
            out.insert("detail".into(), entry.at(&pointer));
        }
    }
    out.insert("receipt".into(), receipt);
    Value::Object(out)
}

/// An entry's predicate, asked by JSON pointer.
struct Entry<'a>(&'a Value);

impl Entry<'_> {
    fn at(&self, pointer: &str) -> Value {
        self.0.pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// RFC 3339 UTC with milliseconds (telemetry S0-1).
    fn time(&self) -> Value {
        let wall = self.at("/time/wall");
        let parsed = wall.as_str().and_then(Timestamp::parse);
        parsed.map_or(wall, |time| time.to_rfc3339_millis().into())
    }

    fn action(&self) -> Value {
        json!({
            "action_id": self.at("/action/action_id"),
            "tool": self.at("/action/tool"),
            "operation": self.at("/action/operation"),
            "method": self.at("/action/method"),
            "server": self.at("/action/native/server"),
            "parameters": self.at("/action/parameters/text"),
            "parameters_hash": self.at("/action/parameters/hash"),
            "effective_parameters_hash": self.at("/action/forwarded_parameters/hash"),
            "destination": self.at("/action/destination/class"),
            "destination_name": self.at("/action/destination/name"),
            "transport": self.at("/action/client/transport"),
            "source_host": self.at("/action/client/peer/host"),
            "source_port": self.at("/action/client/peer/port"),
        })
    }

    fn identity(&self) -> Value {
        json!({
            "human": self.at("/identity/human/value"),
            "service": self.at("/identity/service/value"),
            "agent": self.at("/identity/agent/id/value"),
            "role": self.at("/identity/role/value"),
            "scope": self.at("/identity/scope"),
            "owner": self.at("/identity/owner"),
            "team": self.at("/identity/team"),
            "tenant": self.at("/identity/tenant"),
            "verification": self.at("/identity/verification"),
            "delegation_chain": self.at("/identity/delegation"),
        })
    }

    fn decision(&self) -> Value {
        json!({
            "result": self.at("/decision/result"),
            "classification": self.at("/decision/classification"),
            "reason": self.at("/decision/reason"),
            "reason_code": self.at("/decision/reason_code"),
            "policy_id": self.at("/decision/policy/policy_id"),
            "policy_version": self.at("/decision/policy/version"),
            "policy_hash": self.at("/decision/policy/hash"),
            "rule_id": self.at("/decision/policy/rule_id"),
            "policy_set": self.at("/decision/policy_set"),
            "enforced": self.at("/decision/enforced"),
            "context_signals": {
                "semantic_distance": fraction(&self.at("/decision/signals/semantic_distance_ppm")),
                "scope_expansion": self.at("/decision/signals/scope_expansion"),
            },
        })
    }

    fn context(&self) -> Value {
        let prior = self.at("/context/prior_actions");
        let names = prior.as_array().into_iter().flatten().map(|action| {
            let part = |name| action.get(name).and_then(Value::as_str).unwrap_or_default();
            Value::from(format!("{}.{}", part("tool"), part("operation")))
        });
        let labels = match self.at("/context/labels") {
            Value::Array(labels) => labels,
            _ => Vec::new(),
        };
        json!({
            "prior_actions": names.collect::<Vec<_>>(),
            "action_count": self.at("/context/action_count"),
            "data_classifications_accessed": labels,
            "data_level": self.at("/context/level/value"),
            "semantic_distance": fraction(&self.at("/decision/signals/semantic_distance_ppm")),
            "cumulative_drift": fraction(&self.at("/decision/signals/cumulative_drift_ppm")),
        })
    }

    /// Null when the action was not forwarded.
    fn execution(&self) -> Value {
        match self.at("/kind").as_str() {
            Some("outcome") => json!({
                "success": self.at("/outcome/success"),
                "status": self.at("/outcome/status"),
                "duration_ms": self.at("/outcome/duration_us").as_u64().map(|us| us / 1_000),
                "http_status": self.at("/outcome/http_status"),
                "error_code": self.at("/outcome/error_code"),
                "error": self.at("/outcome/error"),
                "output_hash": self.at("/outcome/result/hash"),
                "output_bytes": self.at("/outcome/result/bytes"),
                "upstream_host": self.at("/outcome/upstream/host"),
                "upstream_port": self.at("/outcome/upstream/port"),
            }),
            Some("recovery") => json!({ "success": null, "status": "unknown", "duration_ms": null }),
            _ => Value::Null,
        }
    }
}

/// Millionths as the fraction that AARM's events carry.
fn fraction(ppm: &Value) -> Value {
    ppm.as_u64().and_then(|ppm| u32::try_from(ppm).ok()).map_or(Value::Null, |ppm| (f64::from(ppm) / 1e6).into())
}
