//! What is not known defers where it matters, and only there (AARM, resolution G-7).

use crate::decide::fixture::{Case, set, set_with};
use crate::decide::{Gate, Settings, UnverifiedIdentity};
use crate::model::{Claim, PartsPerMillion, ReasonCode, Verdict, Verification};

const FAR: &str = "match: {risk_signals: {semantic_distance: {gt: 0.7}}}";

fn verdict(rules: &[&str]) -> Verdict {
    let text: String = rules.iter().enumerate().map(|(n, rest)| format!("  - {{id: r{n}, {rest}}}\n")).collect();
    Case::new("mail", "send", "{}").decide(&set(&format!("rules:\n{text}"))).0.verdict
}

#[test]
fn defers_where_a_match_would_change_the_outcome() {
    let allow = "match: {}, action: ALLOW";
    let deny = "match: {}, action: DENY";
    let far = |action: &str| format!("{FAR}, action: {action}");
    assert_eq!(verdict(&[allow, &far("DENY")]), Verdict::Defer);
    assert_eq!(verdict(&[allow, &far("STEP_UP")]), Verdict::Defer);
    assert_eq!(verdict(&[allow, &far("ALLOW")]), Verdict::Allow, "allowed either way");
    assert_eq!(verdict(&[deny, &far("STEP_UP")]), Verdict::Deny, "refused either way");
    assert_eq!(verdict(&[deny, &far("DENY")]), Verdict::Deny);
    assert_eq!(verdict(&[&far("DENY")]), Verdict::Deny, "the default refuses as well");
    assert_eq!(verdict(&[&far("ALLOW")]), Verdict::Defer, "the default refuses, a match would not");
    let forbidden = "match: {}, action: DENY, classification: forbidden";
    assert_eq!(verdict(&[forbidden, &far("ALLOW"), &far("DEFER")]), Verdict::Deny);
    let outranked = format!("{FAR}, action: DENY, priority: 1");
    assert_eq!(
        verdict(&[
            "match: {}, action: ALLOW, priority: 2, classification: context_dependent_allow",
            "match: {risk_signals: {semantic_distance: {gt: 0.7}}}, action: STEP_UP, priority: 1"
        ]),
        Verdict::Allow
    );
    assert_eq!(verdict(&[allow, &outranked]), Verdict::Defer, "the level of a denial by context is higher");
    // A conflict that might be, and one that is but might be settled from above: both defer.
    let opposed = "match: {identity: {role: x}}, action: DENY, priority: 3";
    assert_eq!(verdict(&["match: {}, action: ALLOW, priority: 3", opposed]), Verdict::Defer);
    // Two changes instead of one is another outcome.
    let modify = "match: {}, action: MODIFY, modifications: {set: {a: 1}}";
    let more = "match: {identity: {role: x}}, action: MODIFY, modifications: {set: {b: 1}}";
    assert_eq!(verdict(&[modify, more]), Verdict::Defer);
}

#[test]
fn what_settles_a_condition_settles_the_unknown_in_it() {
    let allow = "match: {}, action: ALLOW";
    for (matching, expected) in [
        ("{risk_signals: {semantic_distance: {gt: 0.7}}, tool: other}", Verdict::Allow),
        ("{risk_signals: {semantic_distance: {gt: 0.7}}, context: {action_count: {gt: 99}}}", Verdict::Allow),
        ("{any: [{risk_signals: {semantic_distance: {gt: 0.7}}}, {tool: mail}]}", Verdict::Deny),
        ("{not: {risk_signals: {semantic_distance: {gt: 0.7}}}}", Verdict::Defer),
        ("{not: {any: [{risk_signals: {semantic_distance: {gt: 0.7}}}, {tool: mail}]}}", Verdict::Allow),
        ("{risk_signals: {semantic_distance: {exists: false}}}", Verdict::Deny),
        ("{context: {intent: {unknown_or_conflicting: true}}}", Verdict::Deny),
    ] {
        assert_eq!(verdict(&[allow, &format!("match: {matching}, action: DENY")]), expected, "{matching}");
    }
}

#[test]
fn the_decision_names_the_rule_and_what_it_would_need() {
    let text = format!("rules: [{{id: all, match: {{}}, action: ALLOW}}, {{id: far, {FAR}, action: DENY}}]");
    let mut case = Case::new("mail", "send", "{}");
    let (decision, gate) = case.decide(&set(&text));
    assert!(matches!(gate, Gate::Closed));
    assert_eq!(decision.policy.rule_id.as_deref(), Some("far"));
    assert_eq!(decision.matched.len(), 1, "a rule that might match has not matched");
    assert!(decision.reason.contains("`far` depends on `risk_signals.semantic_distance`"), "{}", decision.reason);
    case.context.signals.semantic_distance = Some(PartsPerMillion(100_000));
    assert_eq!(case.decide(&set(&text)).0.verdict, Verdict::Allow);
    case.context.signals.semantic_distance = Some(PartsPerMillion(900_000));
    assert_eq!(case.decide(&set(&text)).0.verdict, Verdict::Deny);
}

#[test]
fn strict_defer_takes_the_standard_by_its_letter() {
    let strict = Settings { strict_defer: true, ..Settings::default() };
    let case = Case::new("mail", "send", "{}");
    for (rules, lenient, literal) in [
        (format!("{{id: d, match: {{}}, action: DENY}}, {{id: f, {FAR}, action: STEP_UP}}"), Verdict::Deny, Verdict::Defer),
        (format!("{{id: a, match: {{}}, action: ALLOW}}, {{id: f, {FAR}, action: ALLOW}}"), Verdict::Allow, Verdict::Defer),
        // Settled by another term, and still it refers to something that is not there.
        ("{id: a, match: {}, action: ALLOW}, {id: f, match: {context: {action_count: {gt: 9}, intent: x}}, action: DENY}".into(),
            Verdict::Allow, Verdict::Defer),
        // A rule about something else is not applicable.
        ("{id: a, match: {}, action: ALLOW}, {id: f, match: {tool: other, context: {intent: x}}, action: DENY}".into(),
            Verdict::Allow, Verdict::Allow),
        (format!("{{id: x, match: {{}}, action: DENY, classification: forbidden}}, {{id: f, {FAR}, action: DENY}}"),
            Verdict::Deny, Verdict::Deny),
        (format!("{{id: a, match: {{}}, action: ALLOW}}, {{id: f, {FAR}, action: DENY, mode: shadow}}"),
            Verdict::Allow, Verdict::Allow),
    ] {
        let text = format!("rules: [{rules}]");
        assert_eq!(case.decide(&set(&text)).0.verdict, lenient, "{rules}");
        assert_eq!(case.decide(&set_with(&text, &strict)).0.verdict, literal, "{rules}");
    }
}

#[test]
fn a_part_of_an_identity_that_nobody_vouches_for_is_unknown() {
    let flag = Settings { identity: UnverifiedIdentity::Flag, ..Settings::default() };
    let text = "rules: [{id: r, match: {identity: {role: admin}}, action: ALLOW}]";
    let mut case = Case::new("mail", "send", "{}");
    let claim = |verification| Some(Claim { value: "admin".into(), verification });
    case.identity.role = claim(Verification::Asserted);
    assert_eq!(case.decide(&set_with(text, &flag)).0.verdict, Verdict::Defer);
    case.identity.role = claim(Verification::Jwt);
    assert_eq!(case.decide(&set_with(text, &flag)).0.verdict, Verdict::Allow);
    (case.identity.verification, case.identity.flagged) = (Verification::Asserted, true);
    let flagged = "rules: [{id: r, match: {identity: {verified: false}}, action: STEP_UP}]";
    let decision = case.decide(&set_with(flagged, &flag)).0;
    assert_eq!((decision.verdict, decision.reason_code), (Verdict::StepUp, ReasonCode::NoApprover));
}
