//! OCSF: classes, aliases, versions, dialects. That every event is valid is checked by `tests/stand/ocsf.py`, with the
//! JSON Schema of each class, over the golden files.

use serde_json::{Value, json};

use super::{formatter, json as render};
use crate::export::{Formatter, SchemaSettings, events_of, samples};
use crate::model::EventType;

fn event(yaml: &str, sample: &str, event_type: EventType) -> Value {
    let events = events_of(&samples::entry(&samples::predicate(sample)));
    render(&formatter(yaml), events.iter().find(|event| event.event_type == event_type).unwrap())
}

fn class(yaml: &str, sample: &str, event_type: EventType) -> u64 {
    event(yaml, sample, event_type)["class_uid"].as_u64().unwrap()
}

#[test]
fn s0_5_the_names_of_the_seed_are_accepted() {
    let seed = "{name: ocsf, version: '1.1', mappings: {action_event: api_activity, decision_event: security_finding, approval_event: authorization}}";
    assert_eq!(class(seed, "action-allowed", EventType::Action), 6003);
    assert_eq!(class(seed, "action-denied", EventType::Decision), 2004, "2001 is deprecated");
    assert_eq!(class(seed, "approval-approved", EventType::Approval), 3003);
    assert_eq!(event(seed, "action-allowed", EventType::Action)["metadata"]["version"], "1.1.0");
    assert_eq!(event(seed, "action-allowed", EventType::Action), event("ocsf", "action-allowed", EventType::Action));
    let compatible = "{name: ocsf, mappings: {decision_event: security_finding_2001}}";
    assert_eq!(class(compatible, "action-denied", EventType::Decision), 2001);
}

#[test]
fn s0_5_versions_that_are_not_known_are_refused() {
    for version in ["1.9", "2.0", "1", "latest", "1.1.x"] {
        let settings =
            SchemaSettings { version: Some(version.into()), ..SchemaSettings::of(super::super::Schema::Ocsf) };
        assert!(Formatter::new(&settings, std::path::Path::new("/nonexistent")).is_err(), "{version}");
    }
}

#[test]
fn every_verdict_has_its_action_and_disposition() {
    for (sample, event_type, old, new) in [
        ("action-denied", EventType::Decision, (2, 2), (2, 2)),
        ("decision-step-up", EventType::Decision, (99, 23), (99, 23)),
        ("decision-defer", EventType::Decision, (99, 14), (3, 14)),
        ("drift", EventType::Drift, (99, 15), (3, 15)),
    ] {
        for (version, expected) in [("1.1", old), ("1.4", new), ("1.8", new)] {
            let event = event(&format!("{{name: ocsf, version: '{version}'}}"), sample, event_type);
            assert_eq!(
                (event["action_id"].clone(), event["disposition_id"].clone()),
                (json!(expected.0), json!(expected.1)),
                "{sample}"
            );
        }
    }
    for (sample, expected) in [("action-allowed", (1, 1)), ("action-modified", (4, 11)), ("action-shadow", (3, 17))] {
        let event = event("{name: ocsf, version: '1.4'}", sample, EventType::Action);
        assert_eq!(
            (event["action_id"].clone(), event["disposition_id"].clone()),
            (json!(expected.0), json!(expected.1)),
            "{sample}"
        );
        assert_eq!(super::super::tests::ocsf::event("ocsf", sample, EventType::Action)["action_id"], Value::Null);
    }
}

#[test]
fn unknown_distance_is_null_and_time_is_a_number() {
    let bare = event("ocsf", "action-bare", EventType::Action);
    assert_eq!(bare["unmapped"]["aarm"]["decision"].get("semantic_distance"), Some(&Value::Null));
    assert_eq!(
        event("ocsf", "drift-unknown", EventType::Drift)["unmapped"]["aarm"]["drift"]["semantic_distance"],
        Value::Null
    );
    assert_eq!(bare["time"], 1_795_170_660_456_u64);
}

#[test]
fn s4_1_to_s4_5_aos_has_the_agent_as_actor() {
    let event = event("{name: ocsf, version: '1.4', dialect: aos}", "action-allowed", EventType::Action);
    let expected = [
        ("/class_uid", json!(6003)),
        ("/category_uid", json!(6)),
        ("/activity_id", json!(1)),
        ("/type_uid", json!(600_301)),
        ("/activity_name", json!("Tool Execution")),
        ("/status_id", json!(1)),
        ("/actor/user/uid", json!("sales-assistant")),
        ("/actor/user/type_id", json!(99)),
        ("/actor/user/type", json!("AI Agent")),
        ("/api/service/name", json!("database")),
        ("/api/service/version", json!("postgres-mcp 1.0.0")),
        ("/api/response/code", json!(200)),
        ("/osint", json!([])),
        ("/src_endpoint/type_id", json!(99)),
        ("/dst_endpoint/port", json!(5432)),
        ("/dst_endpoint/hostname", json!("db.internal")),
    ];
    for (pointer, value) in expected {
        assert_eq!(event.pointer(pointer), Some(&value), "{pointer}");
    }
    assert!(event["actor"]["session"]["uid"].as_str().unwrap().starts_with("sess_"));
    assert_eq!(event["metadata"]["correlation_uid"], event["trace"]["uid"]);
}

#[test]
fn s4_2_without_a_trace_the_execution_id_correlates() {
    let event = event("{name: ocsf, version: '1.4', dialect: aos}", "action-bare", EventType::Action);
    assert_eq!(event["metadata"]["correlation_uid"], event["api"]["request"]["uid"]);
    assert_eq!(event.get("trace"), None);
}

#[test]
fn s4_6_a_trace_has_its_span() {
    let event = event("{name: ocsf, version: '1.4'}", "action-allowed", EventType::Action);
    assert_eq!(event["trace"]["uid"], "4bf92f3577b34da6a3ce929d0e0e4736");
    let span = &event["trace"]["span"];
    assert!(span["start_time"].as_u64().unwrap() <= span["end_time"].as_u64().unwrap());
}

#[test]
fn s4_7_to_s4_9_steps_stand_in_unmapped_aos() {
    let event = event("{name: ocsf, version: '1.4', dialect: aos}", "action-allowed", EventType::Action);
    assert_eq!(event["api"]["operation"], "query", "S4-8: the tool, not the method");
    let aos = &event["unmapped"]["aos"];
    assert_eq!(aos["tool_call"]["name"], "query");
    assert_eq!(aos["step"]["operation"]["type"], "tool_execution");
    assert_eq!(aos["step"]["operation"]["tool"]["inputs"][0]["name"], "sql");
    assert_eq!(aos["step"]["operation"]["tool"]["is_error"], false);
    assert_eq!(aos["context"]["model"], json!({"id": "gpt-4", "provider": {"name": "OpenAI"}}));
}

#[test]
fn s4_14_reasoning_only_when_the_host_supplied_it() {
    let event = event("{name: ocsf, version: '1.4', dialect: aos}", "action-allowed", EventType::Action);
    assert!(event["unmapped"]["aos"]["step"]["reasoning"].is_string());
    let bare = super::super::tests::ocsf::event("{name: ocsf, dialect: aos}", "action-bare", EventType::Action);
    assert_eq!(bare["unmapped"]["aos"]["step"].get("reasoning"), None);
}

#[test]
fn s4_10_a_policy_violation_is_a_finding() {
    let event = event("{name: ocsf, dialect: aos}", "action-denied", EventType::Decision);
    assert_eq!(event["class_uid"], 2004);
    assert_eq!(event["unmapped"]["policy_violated"], "email-after-sensitive-read");
    assert_eq!(event["finding_info"]["types"], json!(["context_dependent_deny"]));
    assert_eq!(event["resources"][0]["name"], "email.send");
}

#[test]
fn s4_12_acs_says_its_dispositions_and_severities() {
    for (sample, event_type, disposition, severity) in [
        ("action-allowed", EventType::Action, "ALLOW", 1),
        ("action-modified", EventType::Action, "MODIFY", 2),
        ("decision-step-up", EventType::Decision, "ASK", 3),
        ("decision-defer", EventType::Decision, "DEFER", 3),
        ("action-denied", EventType::Decision, "DENY", 4),
    ] {
        let event = event("{name: ocsf, version: '1.4', dialect: acs}", sample, event_type);
        let decision = &event["unmapped"]["acs"]["decision"];
        assert_eq!(
            (decision["disposition"].clone(), decision["severity"].clone()),
            (json!(disposition), json!(severity))
        );
    }
}

#[test]
fn s1_1_and_s1_2_aitf_has_two_dialects_and_a_class_for_each_event() {
    let legacy = |sample, event_type| class("{name: ocsf, dialect: legacy_cat7}", sample, event_type);
    assert_eq!(legacy("action-allowed", EventType::Action), 7003);
    assert_eq!(legacy("action-denied", EventType::Decision), 7005);
    assert_eq!(legacy("approval-approved", EventType::Approval), 7008);
    assert_eq!(legacy("policy-loaded", EventType::Policy), 7007);
    assert_eq!(legacy("control-suspend", EventType::Control), 7002);
    let reuse = event("{name: ocsf, dialect: reuse}", "action-allowed", EventType::Action);
    assert_eq!((&reuse["class_uid"], &reuse["unmapped"]["aitf"]["tool_name"]), (&json!(6003), &json!("query")));
}
