//! The page that specifies the format and the structures that write it must agree.

use serde_json::Value;

use super::kinds::filled;
use super::*;

const PAGE: &str = include_str!("../../../manual/log_format.md");

/// The first part of a member's path, where a member of the predicate is meant.
const ROOTS: [&str; 12] = [
    "action.",
    "approval.",
    "context.",
    "control.",
    "decision.",
    "deferral.",
    "drift.",
    "genesis.",
    "identity.",
    "log.",
    "outcome.",
    "session.",
];

/// What stands between backticks.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn lookup<'a>(predicate: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(predicate, |value, part| match part.strip_suffix("[]") {
        Some(name) => value.get(name)?.get(0),
        None => value.get(part),
    })
}

#[test]
fn every_member_that_the_tables_name_exists() {
    let (_, tables) = PAGE.split_once("## From entries to events").unwrap();
    let predicates: Vec<Value> =
        Kind::ALL.into_iter().map(|kind| serde_json::to_value(&filled(kind).predicate).unwrap()).collect();
    let mut checked = 0;
    for line in tables.lines().filter(|line| line.starts_with("| ")) {
        // The second column says where a field comes from; abbreviations (`.operation`) follow a full path.
        let from = line.split(" | ").nth(1).unwrap_or_default();
        for path in code_spans(from).filter(|span| ROOTS.iter().any(|root| span.starts_with(root))) {
            checked += 1;
            let found =
                predicates.iter().any(|predicate| lookup(predicate, path).is_some_and(|value| !value.is_null()));
            assert!(found, "`{path}` of the line\n{line}\nis no member of any entry");
        }
    }
    assert!(checked > 150, "only {checked} paths found: the page's tables have another form");
}

#[test]
fn every_field_of_the_events_of_the_standard_has_a_source() {
    let (_, tables) = PAGE.split_once("### AARM telemetry exporter").unwrap();
    let (table, _) = tables.split_once("\n###").unwrap();
    let fields: Vec<&str> = table.lines().filter_map(|line| line.split(" | ").next()).flat_map(code_spans).collect();
    for field in [
        "event_type",
        "timestamp",
        "severity",
        "session_id",
        "action.action_id",
        "action.tool",
        "action.operation",
        "action.parameters_hash",
        "action.destination",
        "identity.human",
        "identity.service",
        "identity.agent",
        "decision.result",
        "decision.classification",
        "decision.reason",
        "decision.policy_id",
        "decision.context_signals.semantic_distance",
        "decision.context_signals.scope_expansion",
        "context.prior_actions[]",
        "context.data_classifications_accessed[]",
        "context.semantic_distance",
        "execution.success",
        "execution.duration_ms",
        "request.request_id",
        "request.action_id",
        "request.tool",
        "request.operation",
        "workflow.status",
        "workflow.approver",
        "workflow.response_time_ms",
        "workflow.reason",
        "original_intent",
        "drift_signals.semantic_distance",
        "drift_signals.action_count",
        "drift_signals.scope_expansion",
        "drift_signals.classification_escalation",
        "action_chain_summary[]",
    ] {
        assert!(fields.contains(&field), "`{field}` has no line");
    }
}

#[test]
fn every_member_of_an_entry_is_on_the_page() {
    let (specification, _) = PAGE.split_once("## From entries to events").unwrap();
    // `a.b.c`, `a` and `b` all name their parts.
    let names: std::collections::HashSet<&str> = code_spans(specification)
        .flat_map(|span| span.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .collect();
    for kind in Kind::ALL {
        assert!(names.contains(kind.as_str()), "kind `{}`", kind.as_str());
        let mut open = vec![serde_json::to_value(filled(kind)).unwrap()];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(members) => {
                    for (name, value) in members {
                        assert!(names.contains(&*name), "`{name}` of kind `{}` is not on the page", kind.as_str());
                        open.push(value);
                    }
                }
                Value::Array(elements) => open.extend(elements),
                _ => {}
            }
        }
    }
}
