//! Filters over the sample events.

use std::collections::BTreeSet;

use super::{Filter, Filters};
use crate::export::samples;
use crate::model::EventType;

/// What a filter lets through: sample and event type, but the events that pass every filter.
fn passed(yaml: &str) -> BTreeSet<String> {
    let filter = Filter::new(&serde_saphyr::from_str::<Filters>(yaml).unwrap());
    let events = samples::events().into_iter().filter(|(_, event)| filter.passes(event));
    let events = events.filter(|(_, event)| !matches!(event.event_type, EventType::Checkpoint | EventType::Gap));
    events.map(|(sample, event)| format!("{sample} {}", event.event_type.short())).collect()
}

fn all() -> BTreeSet<String> {
    passed("[]")
}

#[test]
fn s0_16_a_map_is_and_a_list_is_or() {
    let denials = passed("{event_type: aarm.decision, min_severity: HIGH}");
    assert_eq!(denials, BTreeSet::from(["action-bare decision".into(), "action-denied decision".into()]));
    let either = passed("[{event_type: aarm.decision}, {min_severity: HIGH}]");
    assert!(either.contains("decision-defer decision") && either.contains("control-suspend control"));
    assert!(!either.contains("action-allowed action"));
    assert!(denials.is_subset(&either) && either.is_subset(&all()));
}

#[test]
fn s0_16_event_types_severity_and_classifications_as_the_seed_writes_them() {
    let some = passed(r#"[{event_type: ["aarm.decision", "aarm.approval"]}]"#);
    assert!(!some.is_empty() && some.iter().all(|event| event.ends_with(" decision") || event.ends_with(" approval")));
    let classes = passed(r#"[{classifications: ["forbidden", "context_dependent_deny"]}]"#);
    assert!(classes.contains("action-denied action") && !classes.contains("action-allowed action"));
    assert!(passed("{min_severity: LOW}").len() < all().len());
    assert_eq!(passed("{min_severity: INFO}"), all());
}

/// One destination gets findings at once, another everything.
#[test]
fn s3_9_a_severity_threshold_for_each_destination() {
    let (findings, everything) = (passed("{min_severity: HIGH}"), passed("{min_severity: INFO}"));
    assert!(findings.is_subset(&everything) && findings.len() < everything.len() / 2);
    assert!(findings.contains("action-denied decision") && !findings.contains("action-allowed action"));
}

#[test]
fn a8_3_decisions_including_defer_tools_identities_and_tenants() {
    assert!(passed("{decision: DEFER}").contains("decision-defer decision"));
    assert_eq!(
        passed("{decision: [DENY, DEFER]}").difference(&passed("{decision: DENY}")).count(),
        passed("{decision: DEFER}").len()
    );
    let tool = passed("{tool: email}");
    assert!(tool.contains("action-denied action") && !tool.contains("action-allowed action"));
    assert_eq!(passed("{tool: email.send}"), tool);
    assert_eq!(passed("{tool: 'email.*'}"), tool);
    let human = passed("{identity: alice@company.example}");
    assert!(human.contains("observed observed") && human.contains("action-allowed action"));
    assert!(!human.contains("action-bare action"), "what an event does not say matches nothing");
    assert_eq!(passed("{identity: '*@acme.example'}"), passed("{team: support}"));
    assert_eq!(passed("{tenant: acme}"), passed("{agent: sales-assistant}"));
    assert!(passed("{tenant: other}").is_empty());
    assert!(passed("{enforced: false}").iter().all(|event| event.starts_with("action-shadow")));
}

#[test]
fn what_speaks_about_the_stream_passes_every_filter() {
    let filter = Filter::new(&serde_saphyr::from_str::<Filters>("{tenant: nobody}").unwrap());
    let passing = samples::events().into_iter().filter(|(_, event)| filter.passes(event));
    let kinds: BTreeSet<_> = passing.map(|(sample, _)| sample).collect();
    assert_eq!(
        kinds,
        BTreeSet::from(["export-checkpoint".into(), "export-gap".into(), "gap".into(), "gap-bare".into()])
    );
}

#[test]
fn a_condition_that_nothing_can_meet_is_refused() {
    for yaml in [
        "{event_type: aarm.else}",
        "{min_severity: SEVERE}",
        "{decision: MAYBE}",
        "{tol: email}",
        "{classifications: [x]}",
    ] {
        assert!(serde_saphyr::from_str::<Filters>(yaml).is_err(), "{yaml}");
    }
}

#[test]
fn an_error_names_what_is_wrong() {
    for (yaml, named) in [
        ("{tol: email}", "unknown field `tol`"),
        ("[{decision: [DENY, MAYBE]}]", "unknown variant `MAYBE`"),
        ("{event_type: aarm.else}", "unknown event type `aarm.else`"),
        ("email", "a map of conditions or a list"),
    ] {
        let error = serde_saphyr::from_str::<Filters>(yaml).unwrap_err().to_string();
        assert!(error.contains(named), "{yaml}: {error}");
    }
}
