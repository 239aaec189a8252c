//! The shipped mapping, mappings of operators, and the tags of rules.

use serde_json::json;

use super::*;
use crate::export::samples;
use crate::model::EventType;

fn event(sample: &str, event_type: EventType) -> Event {
    let events = crate::export::events_of(&samples::entry(&samples::predicate(sample)));
    events.into_iter().find(|event| event.event_type == event_type).unwrap()
}

fn tagged(sample: &str, event_type: EventType, tags: serde_json::Value) -> Event {
    let mut predicate = samples::predicate(sample);
    predicate["decision"]["tags"] = tags;
    let events = crate::export::events_of(&samples::entry(&predicate));
    events.into_iter().find(|event| event.event_type == event_type).unwrap()
}

#[test]
fn s1_22_every_shipped_mapping_names_a_source_and_a_reason_and_all_frameworks_are_there() {
    let mappings = read(SHIPPED).unwrap();
    for framework in Framework::ALL {
        assert!(mappings.iter().any(|mapping| mapping.framework == framework), "{framework:?}");
    }
    let types: Vec<&str> = EventType::ALL.iter().map(|event_type| event_type.as_str()).collect();
    for mapping in &mappings {
        for event_type in &mapping.when.event_type {
            assert!(types.contains(&event_type.as_str()), "{event_type} is no event");
        }
    }
}

#[test]
fn s1_22_tags_come_from_the_mapping_and_from_rules_and_from_nothing_else() {
    let (shipped, tags) = (Compliance::shipped(), json!(["owasp_agentic:ASI01", "x:own"]));
    let event = tagged("action-denied", EventType::Decision, tags);
    let found = shipped.of(&event);
    assert_eq!(found[&Framework::OwaspAgentic], ["ASI01"]);
    assert_eq!(found[&Framework::OwaspLlm], ["LLM01"]);
    assert_eq!(found[&Framework::MitreAtlas], ["AML.T0051"]);
    assert_eq!(found[&Framework::Soc2], ["CC6.1"]);
    assert_eq!(found[&Framework::EuAiAct], ["Article 12(1)", "Article 15(5)"]);
    assert_eq!(found[&Framework::NistAiRmf], ["MEASURE 2.7"]);
    let event = tagged("action-denied", EventType::Decision, json!([]));
    let found = shipped.of(&event);
    assert!(!found.contains_key(&Framework::MitreAtlas), "no mapping, no tag: {found:?}");
}

#[test]
fn s1_22_operators_choose_frameworks_and_bring_mappings_of_their_own() {
    let only = ComplianceConfig { frameworks: vec![Framework::Soc2], mapping: None };
    let (only, allowed) = (Compliance::open(&only).unwrap(), event("action-allowed", EventType::Action));
    let found = only.of(&allowed);
    assert_eq!(found.keys().collect::<Vec<_>>(), [&Framework::Soc2]);
    let none = ComplianceConfig { frameworks: Vec::new(), mapping: None };
    assert_eq!(Compliance::open(&none).unwrap().json(&event("action-allowed", EventType::Action)), None);

    let folder = crate::net::scratch::Scratch::new();
    let path = folder.path("mapping.yaml");
    let write = |more: &str| {
        std::fs::write(&path, format!("version: '1'\nmappings:\n  - {{ framework: soc2, id: OUR-7, when: {{ event_type: [aarm.action] }}, {more} }}\n")).unwrap();
        Compliance::open(&ComplianceConfig { mapping: Some(path.clone()), ..ComplianceConfig::default() })
    };
    let own = write("source: 'https://wiki.example.com/controls', because: 'we say so'").unwrap();
    assert_eq!(own.json(&event("action-allowed", EventType::Action)).unwrap(), r#"{"soc2":["OUR-7"]}"#);
    for (wrong, problem) in [
        ("source: '', because: x", "has no source"),
        ("source: 'https://x.example', because: ''", "does not say why"),
        ("source: 'https://x.example', because: x, with: y", "unknown field"),
    ] {
        let found = write(wrong).unwrap_err();
        assert!(found.contains(problem) && found.contains("mapping.yaml"), "{found}");
    }
}
