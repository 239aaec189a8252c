//! AARM R3 and its policy features, one test for each requirement.

use crate::decide::fixture::{Case, prior, set, set_with, source, tool};
use crate::decide::{Gate, PolicySet, Settings};
use crate::model::{
    Correlation, DataLevel, Decision, Digest, Fact, Intent, IntentSource, LevelSource, PartsPerMillion, PriorAction,
    ReasonCode, Timestamp, Usage, Verdict,
};

const ALLOW: &str = "{id: all, match: {}, action: ALLOW}";

fn decide(rules: &[&str], case: &Case) -> Decision {
    case.decide(&set(&format!("rules: [{}]", rules.join(", ")))).0
}

fn intent(text: &str, source: IntentSource) -> Option<Intent> {
    Some(Intent { text: text.into(), source, class: None })
}

#[test]
fn a_3_1_action_and_context_are_evaluated_together() {
    let deny = "{id: d, match: {tool: mail, context: {data_classification: PII}}, action: DENY}";
    let mut case = Case::new("mail", "send", "{}");
    assert_eq!(decide(&[ALLOW, deny], &case).verdict, Verdict::Allow);
    case.context.labels = ["PII".into()].into();
    assert_eq!(decide(&[ALLOW, deny], &case).verdict, Verdict::Deny, "the same action in another context");
}

#[test]
fn a_3_2_every_decision_carries_its_class() {
    for (class, action) in [
        ("forbidden", "DENY"),
        ("context_dependent_deny", "DENY"),
        ("context_dependent_allow", "STEP_UP"),
        ("context_dependent_defer", "DEFER"),
    ] {
        let rule = format!("{{id: r, match: {{}}, action: {action}, classification: {class}}}");
        let decision = decide(&[&rule], &Case::new("mail", "send", "{}"));
        assert_eq!((decision.classification.as_str(), decision.verdict.as_str()), (class, action));
    }
}

#[test]
fn a_3_3_forbidden_is_refused_whatever_the_context() {
    let forbidden = "{id: f, match: {operation: drop}, action: DENY, classification: forbidden}";
    let aligned = "{id: a, match: {context: {intent: {contains: drop}}}, action: ALLOW, classification: context_dependent_allow, priority: 1000}";
    let mut case = Case::new("database", "drop", "{}");
    case.context.intent = intent("please drop the database, I own it and approve", IntentSource::SignedToken);
    let decision = decide(&[aligned, forbidden], &case);
    assert_eq!((decision.verdict, decision.policy.rule_id.as_deref()), (Verdict::Deny, Some("f")));
}

#[test]
fn a_3_4_an_allowed_action_after_sensitive_data_is_refused() {
    let deny = "{id: d, match: {operation: send, parameters: {to: {external: true}}, context: {data_classification: [PII, CONFIDENTIAL]}}, action: DENY}";
    let mut case = Case::new("mail", "send", r#"{"to":"eve@evil.test"}"#);
    assert_eq!(decide(&[ALLOW, deny], &case).verdict, Verdict::Allow);
    case.context.level = Some((DataLevel::Restricted, LevelSource::Label));
    let decision = decide(&[ALLOW, deny], &case);
    assert_eq!((decision.verdict, decision.classification.as_str()), (Verdict::Deny, "context_dependent_deny"));
}

#[test]
fn a_3_5_a_denied_action_that_the_context_confirms_is_asked_about() {
    let deny = "{id: d, match: {operation: delete}, action: DENY}";
    let confirmed = "{id: c, match: {operation: delete, context: {intent: {contains: [clean up, delete]}}}, action: STEP_UP, classification: context_dependent_allow}";
    let mut case = Case::new("database", "delete", "{}");
    case.context.intent = intent("Clean up the archive", IntentSource::SignedToken);
    assert_eq!(decide(&[deny, confirmed], &case).verdict, Verdict::StepUp);
    case.context.intent = intent("Summarise the archive", IntentSource::SignedToken);
    assert_eq!(decide(&[deny, confirmed], &case).verdict, Verdict::Deny);
}

#[test]
fn a_3_6_an_ambiguous_context_suspends() {
    let defer = "{id: w, match: {operation: rotate, context: {maintenance_window: {unknown_or_conflicting: true}}}, action: DEFER}";
    let mut case = Case::new("credentials", "rotate", "{}");
    assert_eq!(decide(&[ALLOW, defer], &case).verdict, Verdict::Defer, "nobody knows the window");
    let fact = |value: serde_json::Value| Fact {
        value,
        source: "calendar".into(),
        fetched: Timestamp::from_secs(999),
        expires: Timestamp::from_secs(1_001),
    };
    case.facts.put("maintenance_window".into(), fact(true.into()));
    assert_eq!(decide(&[ALLOW, defer], &case).verdict, Verdict::Allow, "a resolver knows it");
    case.facts.put("maintenance_window".into(), fact(serde_json::Value::Null));
    assert_eq!(decide(&[ALLOW, defer], &case).verdict, Verdict::Defer, "sources contradict each other");
    case.facts.put("maintenance_window".into(), Fact { expires: Timestamp::from_secs(1_000), ..fact(true.into()) });
    assert_eq!(decide(&[ALLOW, defer], &case).verdict, Verdict::Defer, "what was known is too old");
}

#[test]
fn a_3_7_a_context_that_is_not_populated_suspends() {
    let far = "{id: far, match: {risk_signals: {semantic_distance: {gt: 0.7}}}, action: DENY}";
    let owned = "{id: owned, match: {facts: {target_ownership: {owned_by: requesting_user}}}, action: ALLOW}";
    for rules in [&[ALLOW, far][..], &[owned][..]] {
        let decision = decide(rules, &Case::new("mail", "send", "{}"));
        assert_eq!((decision.verdict, decision.reason_code), (Verdict::Defer, ReasonCode::NoApprover), "{rules:?}");
        assert!(decision.reason.contains("is not known"), "{}", decision.reason);
    }
    // To the letter: what would not change the outcome suspends as well.
    let strict = Settings { strict_defer: true, ..Settings::default() };
    let text = "rules: [{id: d, match: {}, action: DENY}, {id: x, match: {facts: {window: true}}, action: DENY}]";
    let case = Case::new("mail", "send", "{}");
    assert_eq!(case.decide(&set_with(text, &strict)).0.verdict, Verdict::Defer);
    assert_eq!(case.decide(&set(text)).0.verdict, Verdict::Deny);
}

#[test]
fn a_3_7_b_a_conflict_at_one_priority_suspends() {
    let decision = decide(
        &["{id: a, match: {}, action: ALLOW, priority: 7}", "{id: d, match: {tool: mail}, action: DENY, priority: 7}"],
        &Case::new("mail", "send", "{}"),
    );
    assert_eq!(decision.verdict, Verdict::Defer);
    assert!(decision.reason.contains("disagree"), "{}", decision.reason);
}

#[test]
fn a_3_7_c_low_confidence_suspends() {
    let deny = "{id: d, match: {context: {intent: {contains: mail}}}, action: DENY, threshold: 0.7}";
    let mut case = Case::new("mail", "send", "{}");
    case.context.intent = intent("mail everybody", IntentSource::Inferred);
    let decision = decide(&[ALLOW, deny], &case);
    assert_eq!(decision.verdict, Verdict::Defer);
    assert!(decision.reason.contains("not known well enough"), "{}", decision.reason);
    case.context.intent = intent("mail everybody", IntentSource::SignedToken);
    assert_eq!(decide(&[ALLOW, deny], &case).verdict, Verdict::Deny);
    // For all rules at once; never for what is forbidden.
    let careful = Settings { confidence_min: PartsPerMillion(700_000), ..Settings::default() };
    let text = |class: &str| {
        format!("rules: [{ALLOW}, {{id: d, match: {{context: {{action_count: {{lt: 9}}}}}}, action: DENY{class}}}]")
    };
    case.context.correlation = Correlation::IdentityAndGap;
    assert_eq!(case.decide(&set_with(&text(""), &careful)).0.verdict, Verdict::Defer);
    let forbidden = text(", classification: forbidden");
    assert_eq!(case.decide(&set_with(&forbidden, &careful)).0.verdict, Verdict::Deny);
}

#[test]
fn a_3_8_why_something_is_suspended_is_in_the_decision() {
    let case = Case::new("mail", "send", "{}");
    for (rules, said) in [
        (vec![ALLOW, "{id: x, match: {facts: {window: true}}, action: DENY}"], "depends on `facts.window`"),
        (
            vec!["{id: a, match: {}, action: ALLOW, priority: 1}", "{id: b, match: {}, action: DENY, priority: 1}"],
            "disagree",
        ),
        (vec!["{id: w, match: {}, action: DEFER, reason: wait for the window}"], "wait for the window"),
    ] {
        let decision = decide(&rules, &case);
        assert!(decision.verdict == Verdict::Defer && decision.reason.contains(said), "{}", decision.reason);
    }
}

#[test]
fn a_3_9_parameters_are_validated() {
    let deny = |parameters: &str| format!("{{id: d, match: {{parameters: {{{parameters}}}}}, action: DENY}}");
    for (parameters, good, bad) in [
        ("n: {not: {type: integer}}", r#"{"n":5}"#, r#"{"n":"5"}"#),
        ("n: {gt: 100}", r#"{"n":5}"#, r#"{"n":101}"#),
        ("s: {matches: '^x'}", r#"{"s":"ax"}"#, r#"{"s":"xa"}"#),
        ("s: {not_in: [a, b]}", r#"{"s":"a"}"#, r#"{"s":"c"}"#),
        ("s: {in: [c]}", r#"{"s":"a"}"#, r#"{"s":"c"}"#),
    ] {
        let rule = deny(parameters);
        assert_eq!(decide(&[ALLOW, &rule], &Case::new("mail", "send", good)).verdict, Verdict::Allow, "{parameters}");
        assert_eq!(decide(&[ALLOW, &rule], &Case::new("mail", "send", bad)).verdict, Verdict::Deny, "{parameters}");
    }
    let mut case = Case::new("mail", "send", r#"{"n":"x"}"#);
    case.tool = Some(tool(r#"{"type":"object","properties":{"n":{"type":"integer"}}}"#));
    assert_eq!(decide(&[ALLOW], &case).reason_code, ReasonCode::ArgumentsInvalid);
}

#[test]
fn a_3_10_identical_inputs_get_identical_decisions() {
    let limit = "{id: l, match: {}, constraints: {rate: {max: 2, window: 60}}, action: STEP_UP}";
    let hours = "{id: h, match: {not: {time: {zone: Europe/Berlin, from: '08:00', to: '18:00'}}}, action: DENY}";
    let policy = set(&format!("rules: [{ALLOW}, {limit}, {hours}]"));
    let mut case = Case::new("mail", "send", r#"{"to":"eve@evil.test"}"#);
    case.usage = vec![Usage { meter: "test/l".into(), count: 2, sum_milli: 0 }];
    let first = case.decide(&policy).0;
    for _ in 0..1_000 {
        assert_eq!(case.decide(&policy).0, first);
    }
}

#[test]
fn a_3_11_the_precedence_of_the_standard() {
    let forbidden = "{id: forbidden, match: {}, action: DENY, classification: forbidden}";
    let composed = "{id: composed, match: {sequence: [db.query]}, action: DENY}";
    let risky = "{id: risky, match: {}, risk: 0.95}";
    let defer = "{id: defer, match: {}, action: DEFER, classification: context_dependent_defer}";
    let context = "{id: context, match: {context: {action_count: {gte: 0}}}, action: DENY}";
    let step_up = "{id: step_up, match: {}, action: STEP_UP, classification: context_dependent_allow}";
    let baseline = "{id: baseline, match: {}, action: DENY, priority: 1000000}";
    let ladder = [forbidden, composed, risky, defer, context, step_up, baseline];
    let mut case = Case::new("mail", "send", "{}");
    case.context.history = [prior("db", "query", 5)].into();
    case.context.action_count = 1;
    for (place, higher) in ladder.iter().enumerate() {
        for lower in ladder.iter().skip(place + 1) {
            if (*higher, *lower) == (composed, risky) {
                continue; // One level: refused either way.
            }
            let id = higher.split(':').nth(1).and_then(|text| text.split(',').next()).unwrap().trim();
            let decision = decide(&[lower, higher], &case);
            assert_eq!(decision.policy.rule_id.as_deref(), Some(id), "{higher} over {lower}: {}", decision.reason);
        }
    }
}

#[test]
fn a_3_11_risks_add_up_and_are_refused_above_rho() {
    let risks = [
        "{id: a, match: {}, risk: 0.6}",
        "{id: b, match: {tool: mail}, risk: 0.6}",
        "{id: c, match: {operation: send}, risk: 0.5}",
    ];
    let case = Case::new("mail", "send", "{}");
    assert_eq!(decide(&[ALLOW, risks[0], risks[1]], &case).verdict, Verdict::Allow, "0.84");
    let decision = decide(&[ALLOW, risks[0], risks[1], risks[2]], &case);
    assert_eq!((decision.verdict, decision.reason_code), (Verdict::Deny, ReasonCode::CompositionalRisk), "0.92");
    assert_eq!(decision.matched.len(), 1, "rules that only weigh ask for nothing");
    let bold = Settings { rho: PartsPerMillion(1_000_000), ..Settings::default() };
    let text = format!("rules: [{ALLOW}, {}]", risks.join(", "));
    assert_eq!(case.decide(&set_with(&text, &bold)).0.verdict, Verdict::Allow);
}

#[test]
fn a_3_12_the_default_is_documented_and_named() {
    let decision = decide(&["{id: x, match: {tool: other}, action: ALLOW}"], &Case::new("mail", "send", "{}"));
    assert_eq!((decision.verdict, &*decision.policy.policy_id), (Verdict::Deny, "default"));
    assert_eq!(decision.reason_code, ReasonCode::DefaultPosture);
}

#[test]
fn a_3_13_a_decision_explains_itself() {
    let decision = decide(
        &[ALLOW, "{id: d, match: {context: {action_count: {gte: 0}}}, action: DENY, reason: too many, tags: [ASI02]}"],
        &Case::new("mail", "send", "{}"),
    );
    assert_eq!(decision.matched.len(), 2);
    assert_eq!(&*decision.reason, "too many");
    assert_eq!(decision.tags, ["owasp_agentic:ASI02".into()]);
    assert_eq!(decision.confidence, Some(PartsPerMillion(1_000_000)));
}

#[test]
fn a_3_14_every_version_of_the_set_has_its_digest() {
    let (one, two) = (set("rules: []"), set("rules: [] # changed"));
    assert_ne!(one.hash(), two.hash());
    let case = Case::new("mail", "send", "{}");
    assert_eq!((case.decide(&one).0.policy_set, case.decide(&two).0.policy_set), (one.hash(), two.hash()));
    assert_ne!(one.hash(), Digest([0; 32]));
}

#[test]
fn a_3_15_what_cannot_be_evaluated_is_refused() {
    // A limit that nobody counts is unknown, never zero; a set that does not load is no set.
    let limit = "{id: l, match: {}, constraints: {rate: {max: 5, window: 60}}, action: DENY}";
    let case = Case::new("mail", "send", "{}");
    let (decision, gate) = case.decide(&set(&format!("rules: [{ALLOW}, {limit}]")));
    assert!(matches!(gate, Gate::Closed));
    assert_eq!(decision.verdict, Verdict::Defer);
    assert!(PolicySet::compile(&[source("rules: [{id: x}]")], &Settings::default()).is_err());
}

#[test]
fn a_3_16_risk_signals_are_predicates() {
    let mut case = Case::new("mail", "send", "{}");
    for name in ["injection_score", "anomaly_score", "instruction_anomaly"] {
        let deny = format!("{{id: d, match: {{risk_signals: {{{name}: {{gt: 0.8}}}}}}, action: DENY}}");
        assert_eq!(
            decide(&[ALLOW, &deny], &case).verdict,
            Verdict::Defer,
            "{name} is unknown until a detector says it"
        );
        let fact = |value: f64| Fact {
            value: value.into(),
            source: "detector".into(),
            fetched: Timestamp::from_secs(1_000),
            expires: Timestamp::from_secs(1_060),
        };
        case.facts.put(name.into(), fact(0.9));
        assert_eq!(decide(&[ALLOW, &deny], &case).verdict, Verdict::Deny);
        case.facts.put(name.into(), fact(0.1));
        assert_eq!(decide(&[ALLOW, &deny], &case).verdict, Verdict::Allow);
    }
}

#[test]
fn a_7_7_intents_have_boundaries() {
    let policy = set(
        "rules: [{id: all, match: {}, action: ALLOW}]\nintent_boundaries:\n  meeting_prep:\n    allowed_tools: [calendar, mail.read]\n    max_data_classification: INTERNAL\n    max_chain_length: 2\n  code_fix:\n    scope: same_repository\n    max_privilege: contributor\n",
    );
    let decide = |case: &Case| {
        let decision = case.decide(&policy).0;
        (decision.verdict, decision.policy.rule_id.map(|id| id.to_string()).unwrap_or_default())
    };
    let of = |class: &str, server: &str, operation: &str, arguments: &str| {
        let mut case = Case::new(server, operation, arguments);
        let text = "Prepare the meeting; fix acme/web".into();
        case.context.intent = Some(Intent { text, source: IntentSource::SignedToken, class: Some(class.into()) });
        case.identity.role = Some(crate::decide::fixture::claim("contributor"));
        case
    };
    assert_eq!(decide(&of("meeting_prep", "mail", "read", "{}")).0, Verdict::Allow);
    let outside = decide(&of("meeting_prep", "mail", "send", "{}"));
    assert_eq!(outside, (Verdict::Deny, "boundary:meeting_prep:allowed_tools".into()));
    let mut case = of("meeting_prep", "calendar", "list", "{}");
    case.context.level = Some((DataLevel::Confidential, LevelSource::Label));
    assert_eq!(decide(&case), (Verdict::Deny, "boundary:meeting_prep:max_data_classification".into()));
    let mut case = of("meeting_prep", "calendar", "list", "{}");
    case.context.action_count = 2;
    assert_eq!(decide(&case), (Verdict::Deny, "boundary:meeting_prep:max_chain_length".into()));
    assert_eq!(decide(&of("code_fix", "git", "push", r#"{"repo":"acme/web"}"#)).0, Verdict::Allow);
    let other = decide(&of("code_fix", "git", "push", r#"{"repo":"evil/web"}"#));
    assert_eq!(other, (Verdict::Deny, "boundary:code_fix:scope".into()));
    let mut case = of("code_fix", "git", "push", r#"{"repo":"acme/web"}"#);
    case.identity.role = Some(crate::decide::fixture::claim("admin"));
    assert_eq!(decide(&case), (Verdict::Deny, "boundary:code_fix:max_privilege".into()));
    // An intent without a class is of none of them; without any intent nobody knows.
    let mut case = Case::new("mail", "send", "{}");
    case.context.intent = intent("hello", IntentSource::SignedToken);
    assert_eq!(decide(&case).0, Verdict::Allow);
    case.context.intent = None;
    assert_eq!(decide(&case).0, Verdict::Defer);
}

#[test]
fn a_7_8_a_person_confirms_again_after_so_many_actions() {
    let policy = set(
        "rules: [{id: all, match: {}, action: ALLOW}]\nre_validation: {interval: 3, method: user_confirmation, timeout: 300, timeout_action: DENY}\n",
    );
    let mut case = Case::new("mail", "read", "{}");
    let mut history = vec![prior("mail", "read", 9), prior("mail", "read", 8)];
    let mut decide = |history: &[std::sync::Arc<PriorAction>]| {
        case.context.history = history.into();
        case.context.action_count = u64::try_from(history.len()).unwrap();
        case.decide(&policy).0.verdict
    };
    assert_eq!(decide(&history), Verdict::Allow);
    history.push(prior("mail", "read", 7));
    assert_eq!(decide(&history), Verdict::StepUp, "three since the beginning");
    let asked = PriorAction { verdict: Verdict::StepUp, ..PriorAction::clone(&history[0]) };
    history.push(std::sync::Arc::new(asked.clone()));
    assert_eq!(decide(&history), Verdict::StepUp, "what shadow forwards nobody has agreed to");
    history.push(std::sync::Arc::new(PriorAction { confirmed: true, ..asked }));
    assert_eq!(decide(&history), Verdict::Allow, "a person has just agreed");
    let silence = "re_validation: {interval: 3, timeout_action: ALLOW}";
    assert!(PolicySet::compile(&[source(silence)], &Settings::default()).is_err(), "silence is never consent");
}
