//! ECS, CIM and OpenTelemetry.

use serde_json::{Value, json};

use super::golden::completed;
use super::{formatter, json as render};
use crate::export::{Dialect, Schema, SchemaSettings, events_of, samples, sourcetype};
use crate::model::EventType;

fn event(yaml: &str, sample: &str, event_type: EventType) -> Value {
    let events = events_of(&samples::entry(&samples::predicate(sample)));
    render(&formatter(yaml), events.iter().find(|event| event.event_type == event_type).unwrap())
}

/// The values that Elastic allows.
#[test]
fn s2_5_ecs_has_the_values_that_elastic_allows() {
    let allowed = |value: &Value, words: &str| words.split(' ').any(|word| *value == word);
    for (sample, sent) in samples::events() {
        let event = render(&formatter("ecs"), &sent)["event"].clone();
        assert!(allowed(&event["kind"], "alert asset enrichment event metric state pipeline_error signal"), "{sample}");
        assert!(allowed(&event["outcome"], "success failure unknown"), "{sample}");
        for category in event["category"].as_array().unwrap() {
            assert!(allowed(category, "api iam intrusion_detection configuration"), "{sample}");
        }
        for kind in event["type"].as_array().unwrap() {
            assert!(allowed(kind, "access admin allowed change denied info"), "{sample}: {kind}");
        }
    }
    for (sample, event_type, outcome) in [
        ("action-allowed", EventType::Action, "success"),
        ("action-denied", EventType::Action, "failure"),
        ("decision-step-up", EventType::Decision, "unknown"),
        ("action-recovered", EventType::Action, "success"),
    ] {
        let event = event("ecs", sample, event_type);
        let expected = if sample == "action-recovered" { "unknown" } else { outcome };
        assert_eq!(event["event"]["outcome"], expected, "{sample}");
    }
    let denied = event("ecs", "action-denied", EventType::Decision);
    assert_eq!(denied["aarm"]["decision"]["result"], "DENY");
    assert_eq!(denied["trace"]["id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(denied["related"]["user"], json!(["alice@company.example", "maya.chen@acme.example"]));
}

#[test]
fn s2_2_the_table_of_the_guide_is_an_option() {
    let literal = |sample, event_type| event("{name: ecs, dialect: literal}", sample, event_type);
    for (sample, event_type, verdict) in [
        ("action-allowed", EventType::Action, "allow"),
        ("action-modified", EventType::Action, "allow"),
        ("action-denied", EventType::Action, "deny"),
        ("decision-step-up", EventType::Decision, "pending_approval"),
        ("decision-defer", EventType::Decision, "pending_approval"),
    ] {
        assert_eq!(literal(sample, event_type)["event"]["outcome"], verdict);
    }
    let denied = literal("action-denied", EventType::Action);
    assert_eq!(denied["user"]["name"], "maya.chen@acme.example");
    assert_eq!(denied["service"]["name"], "sales-assistant");
    assert_eq!(denied["event"]["action"], "send");
    assert!(denied["event"]["original"].as_str().unwrap().contains("eve@mail.example"));
    assert!(denied["trace"]["id"].as_str().unwrap().starts_with("sess_"));
}

/// Every action, allowed and denied, with what detections pivot on.
#[test]
fn s2_1_and_s2_8_every_action_names_verdict_and_owner() {
    for sample in ["action-allowed", "action-denied", "action-modified", "action-shadow", "action-recovered"] {
        let event = event("cim", sample, EventType::Action);
        assert!(event["verdict"].is_string() && event["owner"].is_string(), "{sample}");
    }
}

/// "Denied actions of one user" is a search over two fields, in every schema.
#[test]
fn s2_6_denied_actions_of_one_user_can_be_asked_for() {
    let denied = |yaml: &str, verdict: &str, user: &str| {
        let events = samples::events().into_iter().filter(|(_, event)| event.event_type == EventType::Action);
        let found = events.map(|(sample, event)| (sample, render(&formatter(yaml), &event))).filter(|(_, event)| {
            event.pointer(verdict) == Some(&json!("DENY"))
                && event.pointer(user) == Some(&json!("alice@company.example"))
        });
        found.map(|(sample, _)| sample).collect::<Vec<_>>()
    };
    for (yaml, verdict, user) in [
        ("aarm", "/decision/result", "/identity/human"),
        ("ecs", "/aarm/decision/result", "/user/name"),
        ("cim", "/verdict", "/user"),
        ("ocsf", "/unmapped/aarm/decision/result", "/actor/user/name"),
    ] {
        assert_eq!(denied(yaml, verdict, user), ["action-denied", "action-shadow"], "{yaml}");
    }
}

#[test]
fn s1_18_cim_fields_stand_at_the_top() {
    for (_, sent) in samples::events() {
        let event = render(&formatter("cim"), &sent);
        for (name, value) in event.as_object().unwrap() {
            assert!(name == "detail" || !value.is_object(), "{name}");
        }
    }
    let event = event("cim", "action-denied", EventType::Decision);
    for (field, value) in [
        ("action", "blocked"),
        ("severity", "high"),
        ("signature", "external-after-pii"),
        ("app", "mail"),
        ("signature_id", "email-after-sensitive-read"),
        ("type", "aarm.decision"),
        ("user", "alice@company.example"),
        ("src", "10.0.1.50"),
        ("dest", "mail.example"),
        ("object", "email"),
        ("status", "failure"),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
}

#[test]
fn s1_17_sourcetypes_are_ours_and_those_of_aitf() {
    let settings = |dialect| SchemaSettings { dialect, ..SchemaSettings::of(Schema::Cim) };
    assert_eq!(sourcetype(&settings(None), EventType::Decision), "aarm:decision");
    let aitf = settings(Some(Dialect::Aitf));
    for (event_type, expected) in [
        (EventType::Action, "tool"),
        (EventType::Decision, "security"),
        (EventType::Approval, "identity"),
        (EventType::Policy, "governance"),
        (EventType::Control, "agent"),
    ] {
        assert_eq!(sourcetype(&aitf, event_type), format!("aitf:ocsf:ai:{expected}"));
    }
}

fn attribute<'a>(record: &'a Value, key: &str) -> &'a Value {
    let attributes = record["attributes"].as_array().unwrap();
    attributes.iter().find(|attribute| attribute["key"] == key).map_or(&Value::Null, |attribute| &attribute["value"])
}

#[test]
fn s3_1_and_s3_2_one_event_is_one_log_record() {
    let record = event("otel", "action-allowed", EventType::Action);
    assert_eq!(record["timeUnixNano"], "1795170605123456000");
    assert_eq!(record["eventName"], "aarm.action");
    assert_eq!(record["body"]["stringValue"], "reads of the customer table are allowed");
    assert_eq!(attribute(&record, "gen_ai.operation.name")["stringValue"], "execute_tool");
    assert_eq!(attribute(&record, "aarm.receipt.seq")["intValue"], "17");
    assert_eq!(attribute(&record, "aarm.signals.semantic_distance")["doubleValue"], 0.15);
    assert_eq!(attribute(&record, "aarm.execution.success")["boolValue"], true);
    let previous = &attribute(&record, "aarm.receipt.prev_hash")["stringValue"];
    assert!(previous.as_str().unwrap().starts_with("sha256:"));
    let bare = event("otel", "action-bare", EventType::Action);
    assert_eq!(*attribute(&bare, "aarm.signals.semantic_distance"), Value::Null, "unknown is left out");
}

#[test]
fn s3_3_severities_are_those_of_the_table() {
    for (sample, severity, number, text) in [
        ("action-allowed", "INFO", 9, "INFO"),
        ("approval-approved", "MEDIUM", 13, "WARN"),
        ("gap", "HIGH", 17, "ERROR"),
        ("control-suspend", "CRITICAL", 21, "FATAL"),
        ("grant", "MEDIUM", 13, "WARN"),
        ("drift-unknown", "LOW", 9, "INFO"),
    ] {
        let sent = events_of(&samples::entry(&samples::predicate(sample))).remove(0);
        assert_eq!(sent.severity.as_str(), severity, "{sample}");
        let record = render(&formatter("otel"), &sent);
        assert_eq!((&record["severityNumber"], &record["severityText"]), (&json!(number), &json!(text)));
    }
}

#[test]
fn s3_4_the_names_of_the_forwarder_are_an_option() {
    let record = event("{name: otel, dialect: ai_sentinel}", "action-denied", EventType::Decision);
    for (key, value) in [
        ("ai.sentinel.detector.id", "external-after-pii"),
        ("ai.sentinel.severity", "High"),
        ("audit.policy_code", "policy_rule"),
        ("ai.sentinel.audit.id", "rct_019aa3d4-3f80-7000-8000-0000000000aa"),
    ] {
        assert_eq!(attribute(&record, key)["stringValue"], value, "{key}");
    }
    assert_eq!(*attribute(&event("otel", "action-denied", EventType::Decision), "audit.id"), Value::Null);
}

#[test]
fn s3_12_records_carry_the_trace_of_the_request() {
    let record = event("otel", "action-allowed", EventType::Action);
    assert_eq!(record["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(record["spanId"], "b7ad6b7169203331");
    assert_eq!(event("otel", "action-bare", EventType::Action).get("traceId"), None);
}

/// Lookups and tags have no members of their own in the model: all of them stand in `additional`.
#[test]
fn s0_17_and_s1_22_udm_says_what_was_looked_up_and_what_is_evidence_of_what() {
    let (_, event) = completed("udm").into_iter().find(|(_, event)| event.event_type == EventType::Decision).unwrap();
    let (udm, aarm) = (render(&formatter("udm"), &event), render(&formatter("aarm"), &event));
    let own = &udm["additional"]["aarm"];
    assert_eq!(own["enrichment"]["identity_human"]["department"], "Treasury");
    for member in ["enrichment", "enrichment_status", "compliance"] {
        assert!(!own[member].is_null(), "{member}");
        assert_eq!(own[member], aarm[member], "{member}");
    }
    let plain = render(&formatter("udm"), &events_of(&samples::entry(&samples::predicate("action-denied")))[0]);
    assert!(plain["additional"]["aarm"].get("enrichment").is_none(), "what is unknown is left out");
}

/// What Google's importer asks of every event, and the words of its enumerations.
#[test]
fn s0_9_udm_events_are_ones_that_google_imports() {
    let allowed = |value: &Value, words: &str| value.is_null() || words.split(' ').any(|word| *value == word);
    let (mut accesses, mut blocked) = (0, 0);
    for (sample, sent) in samples::events() {
        let event = render(&formatter("udm"), &sent);
        let metadata = &event["metadata"];
        assert!(metadata["eventTimestamp"].as_str().unwrap().ends_with('Z'), "{sample}");
        assert_eq!(metadata["productLogId"], sent.id.as_str(), "{sample}");
        let result = &event["securityResult"][0];
        assert!(allowed(&result["severity"], "INFORMATIONAL LOW MEDIUM HIGH CRITICAL"), "{sample}");
        let actions = "UNKNOWN_ACTION ALLOW BLOCK ALLOW_WITH_MODIFICATION QUARANTINE FAIL CHALLENGE";
        assert!(allowed(&result["action"][0], actions), "{sample}: {result}");
        assert!(allowed(&result["category"][0], "POLICY_VIOLATION"), "{sample}");
        if metadata["eventType"] == "USER_RESOURCE_ACCESS" {
            assert!(event["principal"]["user"]["userid"].is_string(), "{sample}: a user who does");
            assert!(event["target"]["resource"]["name"].is_string(), "{sample}: what it is done to");
            accesses += 1;
        } else {
            assert_eq!(metadata["eventType"], "GENERIC_EVENT", "{sample}");
        }
        blocked += usize::from(result["action"][0] == "BLOCK");
    }
    assert!(accesses > 3 && blocked > 1, "{accesses} {blocked}");
    let denied = event("udm", "action-denied", EventType::Decision);
    for (member, value) in [
        ("/principal/user/userid", "alice@company.example"),
        ("/securityResult/0/action/0", "BLOCK"),
        ("/securityResult/0/category/0", "POLICY_VIOLATION"),
        ("/securityResult/0/ruleId", "email-after-sensitive-read"),
        ("/securityResult/0/actionDetails", "DENY"),
        ("/target/resource/name", "email.send"),
    ] {
        assert_eq!(denied.pointer(member), Some(&json!(value)), "{member}");
    }
}
