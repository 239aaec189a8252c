//! Who wins (AARM A-3.11): every pair of levels, priorities, and what is recorded about it.

use crate::decide::fixture::{Case, set, set_with, source};
use crate::decide::{DefaultPosture, Gate, PermitKind, PolicySet, PolicySource, Settings};
use crate::model::{Classification, Enforcement, ReasonCode, Severity, Verdict};

/// From the highest level to the lowest: id, and the rest of a rule that matches everything.
const LEVELS: &[(&str, &str, Verdict)] = &[
    ("forbidden", "action: DENY, classification: forbidden", Verdict::Deny),
    ("uncertain", "action: DEFER, classification: context_dependent_defer", Verdict::Defer),
    ("context_deny", "action: DENY, classification: context_dependent_deny", Verdict::Deny),
    ("context_allow", "action: STEP_UP, classification: context_dependent_allow", Verdict::StepUp),
    ("deny", "action: DENY", Verdict::Deny),
    ("defer", "action: DEFER", Verdict::Defer),
    ("step_up", "action: STEP_UP", Verdict::StepUp),
    ("modify", "action: MODIFY, modifications: {set: {a: 1}}", Verdict::Modify),
    ("allow", "action: ALLOW", Verdict::Allow),
];

fn rule(id: &str, rest: &str) -> String {
    format!("  - {{id: {id}, match: {{}}, {rest}}}\n")
}

#[test]
fn every_pair_of_levels() {
    let case = Case::new("mail", "send", "{}");
    for (upper, (high, high_rest, verdict)) in LEVELS.iter().enumerate() {
        for (low, low_rest, _) in &LEVELS[upper + 1..] {
            for text in [
                format!("rules:\n{}{}", rule(high, high_rest), rule(low, low_rest)),
                format!("rules:\n{}{}", rule(low, low_rest), rule(high, high_rest)),
            ] {
                let (decision, gate) = case.decide(&set(&text));
                assert_eq!(decision.verdict, *verdict, "{high} over {low}");
                assert_eq!(decision.policy.rule_id.as_deref(), Some(*high), "{high} over {low}");
                assert_eq!(decision.matched.len(), 2);
                assert_eq!(&*decision.matched[0].rule_id, *high, "the deciding rule is first");
                let forwards = matches!(verdict, Verdict::Allow | Verdict::Modify);
                assert_eq!(matches!(gate, Gate::Open(_)), forwards);
            }
        }
    }
}

#[test]
fn a_level_is_above_any_priority_and_a_priority_above_any_restriction() {
    let case = Case::new("mail", "send", "{}");
    let verdict = |rules: &[(&str, &str)]| {
        let text: String = rules.iter().map(|(id, rest)| rule(id, rest)).collect();
        case.decide(&set(&format!("rules:\n{text}"))).0
    };
    let decision = verdict(&[("a", "action: ALLOW, priority: 1000"), ("f", "action: DENY, classification: forbidden")]);
    assert_eq!(decision.verdict, Verdict::Deny);
    let decision = verdict(&[("a", "action: ALLOW, priority: 2"), ("d", "action: DENY, priority: 1")]);
    assert_eq!(decision.verdict, Verdict::Allow);
    let decision = verdict(&[("a", "action: ALLOW, priority: -5"), ("d", "action: DENY")]);
    assert_eq!(decision.verdict, Verdict::Allow, "a rule without a priority stands below all that have one");
    // The same priority: the most restrictive, but opposite results are a conflict (A-3.7b).
    let decision = verdict(&[("a", "action: ALLOW, priority: 1"), ("s", "action: STEP_UP, priority: 1")]);
    assert_eq!(decision.verdict, Verdict::StepUp);
    let decision = verdict(&[("d", "action: DENY, priority: 1"), ("a", "action: ALLOW, priority: 1")]);
    assert_eq!((decision.verdict, decision.matched.len()), (Verdict::Defer, 2));
    assert!(decision.reason.contains("`d` and `a` have the same priority and disagree"), "{}", decision.reason);
    // Not when something above settles it.
    let decision = verdict(&[
        ("d", "action: DENY, priority: 1"),
        ("a", "action: ALLOW, priority: 1"),
        ("x", "action: STEP_UP, priority: 2"),
    ]);
    assert_eq!(decision.verdict, Verdict::StepUp);
}

#[test]
fn a_class_that_was_only_derived_lifts_nothing_over_a_denial() {
    let case = {
        let mut case = Case::new("mail", "send", "{}");
        case.context.labels = ["PII".into()].into();
        case
    };
    let text = |class: &str| {
        format!(
            "rules:\n  - {{id: s, match: {{context: {{data_classification: PII}}}}, action: STEP_UP{class}}}\n{}",
            rule("d", "action: DENY")
        )
    };
    assert_eq!(case.decide(&set(&text(""))).0.verdict, Verdict::Deny);
    let decision = case.decide(&set(&text(", classification: context_dependent_allow"))).0;
    assert_eq!((decision.verdict, decision.classification), (Verdict::StepUp, Classification::ContextDependentAllow));
}

#[test]
fn no_rule_is_the_default_and_says_so() {
    let case = Case::new("mail", "send", "{}");
    let (decision, gate) = case.decide(&set("rules: []"));
    assert!(matches!(gate, Gate::Closed));
    assert_eq!((decision.verdict, decision.reason_code), (Verdict::Deny, ReasonCode::DefaultPosture));
    assert_eq!((&*decision.policy.policy_id, decision.policy.rule_id.as_deref()), ("default", None));
    assert_eq!(decision.severity, Severity::High);
    let open = Settings { default: DefaultPosture::Allow, ..Settings::default() };
    let (decision, gate) = case.decide(&set_with("rules: []", &open));
    assert!(matches!(gate, Gate::Open(_)));
    assert_eq!(decision.verdict, Verdict::Allow);
}

#[test]
fn nobody_to_ask_closes_the_gate_and_keeps_the_verdict() {
    let case = Case::new("mail", "send", "{}");
    for (action, verdict) in [("STEP_UP", Verdict::StepUp), ("DEFER", Verdict::Defer)] {
        let text = format!("rules: [{{id: r, match: {{}}, action: {action}, approvers: [ann], reason: Ask first}}]");
        let (decision, gate) = case.decide(&set(&text));
        assert!(matches!(gate, Gate::Closed));
        assert_eq!((decision.verdict, decision.reason_code), (verdict, ReasonCode::NoApprover));
        assert_eq!(&*decision.reason, "Ask first; no approver configured");
        assert_eq!(decision.severity, Severity::Medium);
        assert_eq!(decision.approvers.len(), 1);
    }
}

#[test]
fn shadow_forwards_as_it_came_and_records_what_would_have_been() {
    let mut case = Case::new("mail", "send", r#"{"a": 9}"#);
    case.enforcement = Enforcement::Shadow;
    for (_, rest, verdict) in LEVELS {
        let (decision, gate) = case.decide(&set(&format!("rules:\n{}", rule("r", rest))));
        assert_eq!((decision.verdict, decision.enforcement), (*verdict, Enforcement::Shadow));
        let Gate::Open(permit) = gate else { panic!("{rest}") };
        assert_eq!((permit.kind(), permit.arguments()), (PermitKind::Shadow, &br#"{"a": 9}"#[..]));
        assert!(!permit.is_enforced());
        assert_eq!(permit.into_outbound().body, case.call.outbound.body);
    }
    case.identity = crate::model::Identity::default();
    let (decision, gate) = case.decide(&set("rules: []"));
    assert_eq!(decision.reason_code, ReasonCode::IdentityUnverified);
    assert!(matches!(gate, Gate::Open(_)));
}

#[test]
fn a_rule_in_shadow_is_recorded_and_changes_nothing() {
    let case = Case::new("mail", "send", "{}");
    let allow = rule("allow", "action: ALLOW");
    for (_, rest, _) in LEVELS {
        let text = format!("rules:\n{allow}{}", rule("shadow", &format!("{rest}, mode: shadow, priority: 9")));
        let (decision, gate) = case.decide(&set(&text));
        assert_eq!((decision.verdict, decision.enforcement), (Verdict::Allow, Enforcement::Enforce), "{rest}");
        assert!(matches!(gate, Gate::Open(_)));
        let shadows: Vec<bool> = decision.matched.iter().map(|rule| rule.shadow).collect();
        assert_eq!(shadows, [false, true]);
    }
    // A shadow ALLOW does not open what the default closes, and a whole policy can be in shadow.
    let text = format!("policy: {{id: p, mode: shadow}}\nrules:\n{allow}");
    let (decision, gate) = case.decide(&set(&text));
    assert_eq!((decision.verdict, decision.matched.len()), (Verdict::Deny, 1));
    assert!(matches!(gate, Gate::Closed));
}

#[test]
fn severities_follow_the_decision_unless_the_rule_says_otherwise() {
    let mut case = Case::new("mail", "send", "{}");
    let severity = |case: &Case, rest: &str| case.decide(&set(&format!("rules:\n{}", rule("r", rest)))).0.severity;
    assert_eq!(severity(&case, "action: ALLOW"), Severity::Info);
    assert_eq!(severity(&case, "action: MODIFY, modifications: {set: {a: 1}}"), Severity::Low);
    assert_eq!(severity(&case, "action: DENY"), Severity::High);
    assert_eq!(severity(&case, "action: DENY, classification: forbidden"), Severity::High);
    assert_eq!(severity(&case, "action: DENY, risk_level: LOW"), Severity::Low);
    case.context.labels = ["SECRET".into()].into();
    assert_eq!(severity(&case, "action: DENY, classification: forbidden"), Severity::Critical);
    assert_eq!(severity(&case, "action: DENY"), Severity::High);
}

#[test]
fn the_order_of_the_files_makes_no_difference() {
    let named = |name: &str, id: &str| PolicySource {
        name: name.into(),
        ..source(&format!("policy: {{id: {id}, version: '7'}}\nrules:\n{}", rule("same", "action: DENY, reason: x")))
    };
    let (one, two) = (named("a.yaml", "pa"), named("b.yaml", "pb"));
    let forward = PolicySet::compile(&[one.clone(), two.clone()], &Settings::default()).unwrap();
    let backward = PolicySet::compile(&[two, one], &Settings::default()).unwrap();
    assert_eq!(forward.hash(), backward.hash());
    let case = Case::new("mail", "send", "{}");
    let decision = case.decide(&forward).0;
    assert_eq!(decision, case.decide(&backward).0);
    assert_eq!((&*decision.policy.policy_id, &*decision.policy.version), ("pa", "7"));
    assert_eq!(decision.policy_set, forward.hash());
}
