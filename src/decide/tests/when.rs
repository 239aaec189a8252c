//! Conditions in CEL: what loads, what they see, and that what they cannot answer never widens access.

use crate::decide::fixture::{Case, prior, set, set_with, source, tool};
use crate::decide::{Gate, PolicySet, Settings};
use crate::model::{
    Claim, DataLevel, Effect, Intent, IntentSource, LevelSource, Origin, PartsPerMillion, Provenance, ReasonCode,
    Verdict, Verification,
};

fn rule(when: &str, action: &str) -> String {
    format!("rules:\n  - id: r\n    action: {action}\n    when: |-\n      {when}\n")
}

fn errors(when: &str) -> Vec<String> {
    let text = rule(when, "DENY");
    let errors = PolicySet::compile(&[source(&text)], &Settings::default()).err().unwrap_or_else(|| panic!("{when}"));
    errors.iter().map(ToString::to_string).collect()
}

fn decided(when: &str, action: &str, case: &Case) -> Verdict {
    case.decide(&set(&rule(when, action))).0.verdict
}

/// A case in which something is known about everything.
fn full() -> Case {
    let mut case = Case::new(
        "mail",
        "send",
        r#"{"to":["ann@corp.example","eve@evil.test"],"amount":5000,"share":0.25,"note":"Übung","urgent":true,
            "none":null,"items":[{"price":10,"count":3},{"price":400,"count":3}],"big":18446744073709551615}"#,
    );
    let context = &mut case.context;
    context.history = [prior("db", "query", 5)].into();
    context.action_count = 1;
    context.labels = ["PII".into()].into();
    context.level = Some((DataLevel::Confidential, LevelSource::Detector));
    context.signals.semantic_distance = Some(PartsPerMillion(700_000));
    context.signals.effect = Some(Effect::Communicate);
    context.signals.commanded_by_content = Some(false);
    let entry = |pointer: &str, origin| Provenance { pointer: pointer.into(), origin, sink: true, witness: None };
    context.signals.provenance = [entry("/to/0", Origin::Intent), entry("/to/1", Origin::Prose)].into();
    case
}

#[test]
fn sees_the_facts_that_typed_tests_see() {
    for when in [
        "tool == 'mail' && server == 'mail' && operation == 'send' && method == 'tools/call'",
        "arguments.amount > 4999 && arguments.amount <= 5000.0 && parameters.amount == 5000",
        "arguments['amount'] + 1 == 5001",
        "arguments.share * 4.0 == 1.0",
        "arguments.big > 5",
        "size(arguments.to) == 2 && arguments.to[1].endsWith('@evil.test')",
        "'eve@evil.test' in arguments.to && !('x' in arguments.to)",
        "arguments.to.exists(t, !t.endsWith('@corp.example'))",
        "!arguments.to.all(t, t.endsWith('@corp.example'))",
        "arguments.to.exists_one(t, t.contains('evil'))",
        "arguments.items.exists(i, i.price * i.count > 1000)",
        "size(arguments.items.filter(i, i.count == 3)) == 2",
        "arguments.items.filter(i, i.price > 100).all(i, i.count == 3)",
        "arguments.to.exists(t, ['evil', 'bad'].exists(w, t.contains(w)))",
        "has(arguments.amount) && !has(arguments.other)",
        "'amount' in arguments && size(arguments) == 8",
        "arguments.items[0] != arguments.items[1] && arguments.items[0] == arguments.items[0]",
        "arguments.note.startsWith('Üb') && size(arguments.note) == 5",
        "arguments.urgent && arguments.none == null",
        "int('5') == 5 && string(5) == '5' && double('0.5') == 0.5",
        "arguments.amount > 1000 ? tool == 'mail' : false",
        "session.action_count == 1 && context.action_count == 1",
        "'PII' in session.data_classification && session.data_level == 'CONFIDENTIAL'",
        "'db.query' in session.prior_actions",
        "session.elapsed_s == 100",
        "identity.human == 'ann' && identity.agent == 'helper' && identity.verified",
        "size(identity.scope) == 0",
        "signals.semantic_distance == 0.7 && risk_signals.effect == 'communicate' && !signals.commanded_by_content",
        "provenance.to.exists(o, o == 'prose') && provenance['/to/0'] == ['intent']",
        "arguments.missing > 1 || true",
    ] {
        assert_eq!(decided(when, "ALLOW", &full()), Verdict::Allow, "{when}");
        assert_eq!(decided(&format!("!({when})"), "ALLOW", &full()), Verdict::Deny, "{when}");
    }
}

#[test]
fn a_parameter_that_is_left_out_counts_as_its_declared_default() {
    let mut case = Case::new("mail", "send", "{}");
    assert_eq!(decided("arguments.limit <= 100", "ALLOW", &case), Verdict::Defer);
    case.tool = Some(tool(r#"{"type":"object","properties":{"limit":{"type":"integer","default":500}}}"#));
    assert_eq!(decided("arguments.limit <= 100", "ALLOW", &case), Verdict::Deny);
    assert_eq!(decided("arguments.limit == 500", "ALLOW", &case), Verdict::Allow);
}

/// What a condition says that cannot be answered, in a rule of every kind.
#[test]
fn what_cannot_be_answered_never_widens_access() {
    let allow = "rules:\n  - {id: all, match: {}, action: ALLOW}\n";
    for when in [
        "arguments.missing == 1",
        "arguments.to[7] == 'x'",
        "arguments.to > 5",
        "arguments.note > 5",
        "arguments.amount.exists(x, x == 1)",
        "arguments.items[0].exists(x, x == 'price')",
        "arguments.amount",
        "int(arguments.note) == 1",
        "signals.cumulative_drift > 0.5",
        "identity.role == 'admin'",
        "session.intent == 'x'",
        "provenance.amount == ['intent']",
        "facts.maintenance_window",
    ] {
        let case = full();
        assert_eq!(decided(when, "ALLOW", &case), Verdict::Defer, "{when}: a permission does not rest on it");
        assert_eq!(decided(&format!("!({when})"), "ALLOW", &case), Verdict::Defer, "{when}: nor on its opposite");
        assert_eq!(decided(when, "MODIFY\n    modifications: {set: {a: 1}}", &case), Verdict::Defer, "{when}");
        let confirms = "STEP_UP\n    classification: context_dependent_allow";
        assert_eq!(decided(when, confirms, &case), Verdict::Defer, "{when}: nor is a denied action confirmed by it");
        for (action, expected) in [("DENY", Verdict::Deny), ("STEP_UP", Verdict::StepUp), ("DEFER", Verdict::Defer)] {
            let text = format!("{allow}{}", rule(when, action).trim_start_matches("rules:\n"));
            let (decision, gate) = case.decide(&set(&text));
            assert_eq!((decision.verdict, decision.policy.rule_id.as_deref()), (expected, Some("r")), "{when}");
            assert!(matches!(gate, Gate::Closed));
        }
    }
    let asking = Settings { approvers: true, ..Settings::default() };
    let decision = full().decide(&set_with(&rule("signals.cumulative_drift > 0.5", "ALLOW"), &asking)).0;
    assert_eq!(decision.reason_code, ReasonCode::UnpopulatedContext);
    assert!(decision.reason.contains("`signals.cumulative_drift`"), "{}", decision.reason);
}

#[test]
fn what_the_caller_only_says_is_not_known() {
    let mut case = full();
    case.identity.role = Some(Claim { value: "admin".into(), verification: Verification::Asserted });
    assert_eq!(decided("identity.role == 'admin'", "ALLOW", &case), Verdict::Defer);
    case.identity.role = Some(Claim { value: "admin".into(), verification: Verification::Jwt });
    assert_eq!(decided("identity.role == 'admin'", "ALLOW", &case), Verdict::Allow);
}

#[test]
fn an_evaluation_that_breaks_off_refuses() {
    let long: Vec<String> = (0..400).map(|n| format!("\"x{n}\"")).collect();
    let many = Case::new("mail", "send", &format!("{{\"a\":[{}]}}", long.join(",")));
    let huge = Case::new("mail", "send", &format!("{{\"a\":[{}0]}}", "0,".repeat(5_000)));
    let text = Case::new("mail", "send", &format!("{{\"a\":\"{}\"}}", "x".repeat(2 << 20)));
    let allow = "rules:\n  - {id: all, match: {}, action: ALLOW, priority: 9}\n";
    for (when, case) in [
        ("1 / (arguments.amount - 5000) == 1", &full()),
        ("arguments.amount % (arguments.amount - 5000) == 1", &full()),
        ("arguments.amount * 9223372036854775807 > 1", &full()),
        ("arguments.a.all(x, arguments.a.exists(y, x + y == ''))", &many),
        ("size(arguments.a) > 1", &huge),
        ("arguments.a != ''", &text),
    ] {
        for action in ["ALLOW", "DENY", "STEP_UP"] {
            let text = format!("{allow}{}", rule(when, action).trim_start_matches("rules:\n"));
            let (decision, gate) = case.decide(&set(&text));
            assert_eq!(decision.reason_code, ReasonCode::EvaluationError, "{when}");
            assert_eq!(decision.verdict, Verdict::Deny);
            assert!(matches!(gate, Gate::Closed));
        }
        let shadow = format!("{allow}{}    mode: shadow\n", rule(when, "DENY").trim_start_matches("rules:\n"));
        assert_eq!(case.decide(&set(&shadow)).0.verdict, Verdict::Allow, "what is in shadow refuses nothing");
    }
    assert_eq!(decided("arguments.a.exists(x, x == 'x399')", "ALLOW", &many), Verdict::Allow, "within the bounds");
}

#[test]
fn names_file_line_and_remedy() {
    let text = "policy: {id: p}\nrules:\n  - id: r\n    match: {}\n    when: 'toool == \"x\"'\n    action: DENY\n";
    let error = PolicySet::compile(&[source(text)], &Settings::default()).unwrap_err().to_string();
    assert_eq!(error, "test.yaml:5: `when` has no variable `toool`; did you mean `tool`?");
    for (when, expected) in [
        (
            "user == 'x'",
            "`when` has no variable `user`; known here: tool, server, operation, method, arguments, \
                         parameters, context, facts, identity, provenance, result, risk_signals, session, signals",
        ),
        (
            "signals.semantic_distence > 0.5",
            "`signals` has no field `semantic_distence`; did you mean `semantic_distance`?",
        ),
        ("signals == 1", "`signals` is no value by itself; name a field of it: `signals.FIELD`"),
        ("signals[tool] == 1", "`signals` is no value by itself; name a field of it: `signals.FIELD`"),
        (
            "has(signals.effect)",
            "`has(... .effect)` is about something else than parameters; leave it out: what nobody \
                                 knows makes the whole condition unknown",
        ),
        (
            "result.bytes > 5",
            "`result.bytes` cannot be known here; write `phase: result`: before an action runs there is \
                              no result",
        ),
        (
            "arguments.a.matches('x')",
            "`when` has no function `matches`; write the pattern into `match`: `parameters: \
                                      {NAME: {matches: PATTERN}}`",
        ),
        (
            "timestamp('2026-01-01T00:00:00Z') > 1",
            "`when` has no function `timestamp`; known here: contains, double, \
                                                   endsWith, int, size, startsWith, string, uint",
        ),
        ("{'a': 1}.a == 1", "`when` cannot make objects; compare the members one by one"),
        (
            "arguments.a.map(x, x) == []",
            "`filter` and `map` give a list, and nothing here takes one; write \
                                         `size(LIST.filter(x, ...))`, `exists` or `all`; there is no `map`",
        ),
        (
            "[arguments.a + arguments.a][0].exists(x, true)",
            "a macro goes over something that is no field; go over a \
                                                            field, a list of constants, or what `filter` leaves of them",
        ),
        (
            "arguments.a.all(x, x.all(y, y.all(z, z)))",
            "macros stand too deep in each other; at most 2 inside each other",
        ),
    ] {
        assert_eq!(errors(when), [format!("test.yaml:5: {expected}")], "{when}");
    }
    assert!(errors("identity.email == 'x'")[0].contains("`identity` has no field `email`; known here: agent, "));
    for when in ["arguments.a ==", "a.?b", "(", "'", "1 +", &"(".repeat(200), &"!".repeat(2_500), "arguments.a = 1"] {
        let errors = errors(when);
        assert!(errors.len() == 1 && errors[0].starts_with("test.yaml:5: `when` "), "{errors:?}");
    }
    for chain in ["1+".repeat(900), "arguments.a[0]".to_owned() + &"[0]".repeat(600)] {
        let errors = errors(&format!("{chain}1"));
        assert!(errors.iter().all(|error| error.starts_with("test.yaml:5: `when` ")), "{errors:?}");
    }
    let wide = vec!["1 == 1"; 250].join("||");
    assert_eq!(errors(&wide), ["test.yaml:5: `when` has too many parts; at most 512; write several rules"]);
}

#[test]
fn counts_as_what_it_looks_at() {
    let class = |when: &str| full().decide(&set(&rule(when, "DENY"))).0.classification.as_str();
    assert_eq!(class("arguments.amount > 1"), "standard_deny");
    assert_eq!(class("identity.agent == 'helper'"), "standard_deny");
    assert_eq!(class("signals.semantic_distance > 0.1"), "context_dependent_deny");
    assert_eq!(class("session.action_count > 0"), "context_dependent_deny");
    let mut case = full();
    case.context.intent = Some(Intent { text: "pay".into(), source: IntentSource::Inferred, class: None });
    let text = format!("{}    threshold: 0.8\n", rule("session.intent == 'pay'", "ALLOW"));
    let asking = Settings { approvers: true, ..Settings::default() };
    assert_eq!(case.decide(&set_with(&text, &asking)).0.reason_code, ReasonCode::LowConfidence);
}

#[test]
fn the_digest_covers_the_expression() {
    let hash = |when: &str| set(&rule(when, "DENY")).hash();
    assert_eq!(hash("arguments.a == 1"), hash("arguments.a == 1"));
    assert_ne!(hash("arguments.a == 1"), hash("arguments.a == 2"));
}

#[test]
fn explanations_show_the_expression_and_what_it_saw() {
    let set = set(&rule("signals.semantic_distance > 0.5 && arguments.amount > 1 && identity.role == 'x'", "ALLOW"));
    let explanation = set.explain(&full().input());
    let test = &explanation.rules[0].tests[0];
    assert_eq!((test.field.as_str(), test.answer), ("when", "unknown"));
    assert!(test.test.starts_with("signals.semantic_distance > 0.5"));
    assert!(test.seen.iter().any(|seen| seen == "signals.semantic_distance = 0.7"), "{:?}", test.seen);
    assert!(test.seen.iter().any(|seen| seen == "identity.role = (unknown)"));
    assert!(test.seen.iter().any(|seen| seen.starts_with("arguments = {")));
}

#[test]
fn tests_in_the_file_run_it() {
    let text = "policy: {id: p}\nrules:\n  - {id: big, match: {server: bank}, when: 'arguments.n * arguments.price > 100', \
                action: DENY}\n  - {id: all, match: {server: bank}, action: ALLOW}\ntests:\n  - {name: small, action: \
                {server: bank, operation: buy, parameters: {n: 2, price: 3}}, expect: ALLOW}\n  - {name: large, action: \
                {server: bank, operation: buy, parameters: {n: 20, price: 30}}, expect: DENY, rule: big}\n";
    set(text);
    let wrong = text.replace("n: 20", "n: 1");
    assert!(PolicySet::compile(&[source(&wrong)], &Settings::default()).is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn reading_never_panics(text in "[ -~\n]{0,60}|([a-z.()\\[\\]'\"!&|<>=+*/%?:0-9 ]|tool|arguments|signals|exists|has){0,30}") {
        let sources = [source(&format!("rules:\n  - id: r\n    action: DENY\n    when: {:?}\n", text))];
        drop(PolicySet::compile(&sources, &Settings::default()));
    }
}

/// Two lists of seventy against each other are within the bounds; two hundred are not.
#[test]
fn the_work_grows_with_the_lists_and_is_bounded() {
    let worst = set(&rule("arguments.a.all(x, arguments.a.all(y, x != 'y' && y != 'x'))", "DENY"));
    let code = |count: usize| {
        let elements: Vec<String> = (0..count).map(|n| format!("\"x{n}\"")).collect();
        let case = Case::new("mail", "send", &format!("{{\"a\":[{}]}}", elements.join(",")));
        case.decide(&worst).0.reason_code
    };
    assert_eq!((code(70), code(200)), (ReasonCode::PolicyRule, ReasonCode::EvaluationError));
}
