//! AARM's event shapes (telemetry page of the standard), with more members than its examples and none fewer.
//!
//! An event is put together from the entry's own JSON text: values are copied as they are written. What is unknown is
//! null, never zero.

use crate::export::Event;
use crate::model::json::{Kind, View, write_string};
use crate::model::{EventType, Timestamp};

/// The version of these shapes: a new member keeps it, a changed meaning does not.
const SCHEMA_VERSION: &str = "1";

/// Members of an event and where they stand in the entry.
type Members = &'static [(&'static str, &'static str)];

const ACTION: Members = &[
    ("action_id", "/action/action_id"),
    ("tool", "/action/tool"),
    ("operation", "/action/operation"),
    ("method", "/action/method"),
    ("server", "/action/native/server"),
    ("parameters", "/action/parameters/text"),
    ("parameters_hash", "/action/parameters/hash"),
    ("effective_parameters_hash", "/action/forwarded_parameters/hash"),
    ("destination", "/action/destination/class"),
    ("destination_name", "/action/destination/name"),
    ("transport", "/action/client/transport"),
    ("source_host", "/action/client/peer/host"),
    ("source_port", "/action/client/peer/port"),
];

const IDENTITY: Members = &[
    ("human", "/identity/human/value"),
    ("service", "/identity/service/value"),
    ("agent", "/identity/agent/id/value"),
    ("role", "/identity/role/value"),
    ("scope", "/identity/scope"),
    ("owner", "/identity/owner"),
    ("team", "/identity/team"),
    ("tenant", "/identity/tenant"),
    ("verification", "/identity/verification"),
    ("delegation_chain", "/identity/delegation"),
];

const DECISION: Members = &[
    ("result", "/decision/result"),
    ("classification", "/decision/classification"),
    ("reason", "/decision/reason"),
    ("reason_code", "/decision/reason_code"),
    ("policy_id", "/decision/policy/policy_id"),
    ("policy_version", "/decision/policy/version"),
    ("policy_hash", "/decision/policy/hash"),
    ("rule_id", "/decision/policy/rule_id"),
    ("policy_set", "/decision/policy_set"),
    ("enforced", "/decision/enforced"),
];

const OUTCOME: Members = &[
    ("success", "/outcome/success"),
    ("status", "/outcome/status"),
    ("http_status", "/outcome/http_status"),
    ("error_code", "/outcome/error_code"),
    ("error", "/outcome/error"),
    ("output_hash", "/outcome/result/hash"),
    ("output_bytes", "/outcome/result/bytes"),
    ("upstream_host", "/outcome/upstream/host"),
    ("upstream_port", "/outcome/upstream/port"),
];

pub(super) fn format(event: &Event, origin: &str) -> String {
    let mut out = Writer(String::with_capacity(2_048));
    let Some(entry) = event.entry.predicate() else { return "{}".into() };
    out.text("event_type", event.event_type.as_str());
    out.text("event_id", &event.id);
    out.text("schema_version", SCHEMA_VERSION);
    out.text("timestamp", &time(entry));
    out.text("severity", event.severity.as_str());
    match event.event_type {
        EventType::Action | EventType::Decision => {
            out.copy("session_id", entry, "/session/id");
            out.object("action", |out| out.members(ACTION, entry));
            out.object("identity", |out| out.members(IDENTITY, entry));
            out.object("decision", |out| {
                out.members(DECISION, entry);
                out.object("context_signals", |out| {
                    out.fraction("semantic_distance", entry, "/decision/signals/semantic_distance_ppm");
                    out.copy("scope_expansion", entry, "/decision/signals/scope_expansion");
                });
            });
            out.copy("trace_id", entry, "/action/trace/trace_id");
            if event.event_type == EventType::Action { execution(&mut out, entry) } else { context(&mut out, entry) }
        }
        _ => {
            let kind = entry.get("kind").and_then(|kind| kind.as_str()).unwrap_or_default();
            out.copy("detail", entry, &format!("/{kind}"));
        }
    }
    out.object("receipt", |out| {
        out.copy("receipt_id", entry, "/receipt_id");
        out.copy("kind", entry, "/kind");
        out.text("origin", origin);
        out.raw("index", &event.entry.index.to_string());
        out.text("leaf_hash", &event.entry.leaf_hash.to_string());
        out.copy("seq", entry, "/session/seq");
    });
    out.finish()
}

/// RFC 3339 UTC with milliseconds (telemetry S0-1).
fn time(entry: View<'_>) -> String {
    let wall = entry.pointer("/time/wall").and_then(|wall| wall.as_str()).unwrap_or_default();
    Timestamp::parse(&wall).map_or_else(|| wall.into_owned(), Timestamp::to_rfc3339_millis)
}

fn context(out: &mut Writer, entry: View<'_>) {
    out.object("context", |out| {
        let prior = entry.pointer("/context/prior_actions");
        let names = prior.into_iter().flat_map(|actions| actions.children()).map(|action| {
            let part = |name| action.get(name).and_then(|value| value.as_str()).unwrap_or_default();
            let mut name = String::new();
            write_string(&mut name, &format!("{}.{}", part("tool"), part("operation")));
            name
        });
        out.raw("prior_actions", &format!("[{}]", names.collect::<Vec<_>>().join(",")));
        out.copy("action_count", entry, "/context/action_count");
        out.copy("data_classifications_accessed", entry, "/context/labels");
        out.copy("data_level", entry, "/context/level/value");
        out.fraction("semantic_distance", entry, "/decision/signals/semantic_distance_ppm");
        out.fraction("cumulative_drift", entry, "/decision/signals/cumulative_drift_ppm");
    });
}

/// Null when the action was not forwarded.
fn execution(out: &mut Writer, entry: View<'_>) {
    match entry.get("kind").and_then(|kind| kind.as_str()).as_deref() {
        Some("outcome") => out.object("execution", |out| {
            out.members(OUTCOME, entry);
            let micros = entry.pointer("/outcome/duration_us").and_then(|us| us.text().parse::<u64>().ok());
            out.raw("duration_ms", &micros.map_or_else(|| "null".into(), |us| (us / 1_000).to_string()));
        }),
        Some("recovery") => out.raw("execution", r#"{"success":null,"status":"unknown","duration_ms":null}"#),
        _ => out.raw("execution", "null"),
    }
}

/// Writes one JSON object, member by member.
struct Writer(String);

impl Writer {
    fn name(&mut self, name: &str) {
        if self.0.is_empty() {
            self.0.push('{');
        } else if !self.0.ends_with('{') {
            self.0.push(',');
        }
        write_string(&mut self.0, name);
        self.0.push(':');
    }

    fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.0.push_str(json);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        write_string(&mut self.0, text);
    }

    fn copy(&mut self, name: &str, entry: View<'_>, pointer: &str) {
        self.raw(name, entry.pointer(pointer).map_or("null", |value| value.text()));
    }

    /// Millionths as the fraction that AARM's events carry.
    fn fraction(&mut self, name: &str, entry: View<'_>, pointer: &str) {
        let number = entry.pointer(pointer).filter(|value| value.kind() == Kind::Number);
        let ppm = number.and_then(|number| number.text().parse::<u32>().ok());
        self.raw(name, &ppm.map_or_else(|| "null".into(), |ppm| (f64::from(ppm) / 1e6).to_string()));
    }

    fn members(&mut self, members: Members, entry: View<'_>) {
        for (name, pointer) in members {
            self.copy(name, entry, pointer);
        }
    }

    fn object(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.0.push('{');
        write(self);
        self.0.push('}');
    }

    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
