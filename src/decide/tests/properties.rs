//! What holds for every policy and every action.

use proptest::prelude::*;
use serde_json::Value;

use crate::decide::fixture::{Case, OPEN, prior, source, tool};
use crate::decide::index::Index;
use crate::decide::names::{ActionNames, Names, Scope};
use crate::decide::{Gate, PolicySet, Settings};
use crate::model::json::{Limits, scan};
use crate::model::{Origin, PartsPerMillion, Provenance, ReasonCode, Usage, Verdict};

/// Conditions in CEL: some hold, some cannot be answered, and some break off.
const WHEN: &[&str] = &[
    "{}, when: 'arguments.a > 5'",
    "{}, when: 'has(arguments.b) && arguments.b < 3'",
    "{tool: mail}, when: 'signals.semantic_distance > 0.5'",
    "{}, when: 'arguments.to.exists(t, t == arguments.x)'",
    "{}, when: '10 / arguments.a > 2'",
    "{}, when: 'arguments.a * 9223372036854775807 > 0'",
];

/// A rule, as text, over a small vocabulary so that rules meet.
fn rule() -> impl Strategy<Value = String> {
    let matching = vec![
        "{}",
        "{tool: mail}",
        "{tool: 'm*', operation: send}",
        "{tool: files}",
        "{parameters: {a: {gt: 5}}}",
        "{parameters: {a: {lte: 5}}}",
        "{parameters: {to: {external: true}}}",
        "{parameters: {'**.x': {matches: k}}}",
        "{context: {data_classification: PII}}",
        "{risk_signals: {semantic_distance: {gt: 0.5}}}",
        "{not: {risk_signals: {semantic_distance: {gt: 0.5}}}}",
        "{any: [{identity: {role: x}}, {context: {action_count: {gt: 1}}}]}",
        "{provenance: {to: {origin: [prose, synthesised]}}}",
        "{sequence: [db.query]}",
        "{}, risk: 0.6",
        "{tool: mail}, constraints: {rate: {max: 2, window: 60}}",
        "{}, constraints: {budget: {sum: a, max: 8, window: 60}}",
    ];
    let conditions = if cfg!(feature = "cel") { WHEN } else { &[] };
    let matching = prop::sample::select([matching, conditions.to_vec()].concat());
    let action = prop::sample::select(vec![
        "ALLOW",
        "DENY",
        "STEP_UP",
        "DEFER",
        "MODIFY, modifications: {set: {a: 1}}",
        "MODIFY, modifications: {remove: [b]}",
        "DENY, classification: forbidden",
        "DENY, classification: context_dependent_deny",
        "DEFER, classification: context_dependent_defer",
        "STEP_UP, classification: context_dependent_allow",
        "ALLOW, classification: context_dependent_allow",
    ]);
    let priority = prop::sample::select(vec!["", ", priority: 1", ", priority: 2"]);
    let mode = prop::sample::select(vec!["", "", "", ", mode: shadow"]);
    (matching, action, priority, mode).prop_map(|(matching, action, priority, mode)| {
        // A limit is for the case that it is passed: no rule forwards because of it.
        let limited = matching.contains("constraints") && (action.starts_with("ALLOW") || action.starts_with("MODIFY"));
        let matching = if limited { "{}" } else { matching };
        format!("match: {matching}, action: {action}{priority}{mode}")
    })
}

fn compile(rules: &[String], strict: bool) -> PolicySet {
    let lines: String = rules.iter().enumerate().map(|(n, rest)| format!("  - {{id: r{n}, {rest}}}\n")).collect();
    let settings = Settings { strict_defer: strict, ..Settings::default() };
    let text = if rules.is_empty() { "rules: []".to_owned() } else { format!("rules:\n{lines}") };
    PolicySet::compile(&[source(&text)], &settings).unwrap_or_else(|errors| panic!("{errors}"))
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..10_i64).prop_map(Value::from),
        (-1e9..1e9_f64).prop_map(Value::from),
        "[ -~äß\u{1f600}]{0,12}".prop_map(Value::from),
        Just(Value::from("eve@evil.test")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let name =
            prop_oneof![Just("a".to_owned()), Just("b".into()), Just("to".into()), Just("x".into()), "[a-z/~.]{0,3}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn arguments() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a".to_owned()), Just("b".into()), Just("to".into()), Just("x".into())];
    let object = prop::collection::hash_map(name, json(), 0..4);
    object.prop_map(|members| Value::Object(members.into_iter().collect()).to_string())
}

fn case() -> impl Strategy<Value = Case> {
    let distance = prop::option::of(0..1_000_000_u32);
    let origin = prop::option::of(prop::sample::select(vec![Origin::Intent, Origin::Structured, Origin::Prose]));
    // What nobody counts is not zero.
    let usage = prop::option::of((0..4_u64, 0..12_000_u64));
    let session = (any::<bool>(), any::<bool>(), 0..3_u64);
    (prop::sample::select(vec!["mail", "files"]), arguments(), distance, origin, usage, session).prop_map(
        |(server, arguments, distance, origin, usage, (labelled, queried, count))| {
            let mut case = Case::new(server, "send", &arguments);
            case.context.signals.semantic_distance = distance.map(PartsPerMillion);
            let to = |origin| Provenance { pointer: "/to".into(), origin, sink: true, witness: None };
            case.context.signals.provenance = origin.map(to).into_iter().collect();
            case.context.action_count = count;
            if queried {
                case.context.history = [prior("db", "query", 5)].into();
                case.context.action_count += 1;
            }
            if labelled {
                case.context.labels = ["PII".into()].into();
            }
            let stands = |(count, sum_milli)| {
                (0..10).map(move |n| Usage { meter: format!("test/r{n}").into(), count, sum_milli })
            };
            case.usage = usage.map(stands).into_iter().flatten().collect();
            case
        },
    )
}

fn forwards(set: &PolicySet, case: &Case) -> bool {
    matches!(case.decide(set).1, Gate::Open(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_added_denial_never_turns_a_refusal_into_a_forward(
        rules in prop::collection::vec(rule(), 0..7), denial in rule(), case in case(), strict: bool,
    ) {
        let denial = format!("{}, action: DENY", denial.split(", action:").next().unwrap_or_default());
        for extra in ["", ", priority: 1", ", priority: 2", ", classification: forbidden"] {
            let mut more = rules.clone();
            more.push(format!("{denial}{extra}"));
            let before = forwards(&compile(&rules, strict), &case);
            prop_assert!(before || !forwards(&compile(&more, strict), &case));
        }
    }

    #[test]
    fn any_evaluation_error_refuses(
        rules in prop::collection::vec(rule(), 0..7), case in case(), strict: bool, values_max in 0..40_u32,
    ) {
        let whole = compile(&rules, strict);
        let mut short = compile(&rules, strict);
        short.values_max = values_max;
        let (decision, gate) = case.decide(&short);
        if decision.reason_code == ReasonCode::EvaluationError {
            prop_assert_eq!(decision.verdict, Verdict::Deny);
            prop_assert!(matches!(gate, Gate::Closed));
        } else {
            // What was decided without looking at everything is what looking at everything decides.
            let expected = case.decide(&whole).0;
            prop_assert_eq!(decision.verdict, expected.verdict);
            prop_assert_eq!(decision.policy.rule_id, expected.policy.rule_id);
        }
    }

    #[test]
    fn a_rule_in_shadow_never_changes_anything(rules in prop::collection::vec(rule(), 0..6), extra in rule(), case in case()) {
        let mut more = rules.clone();
        more.push(format!("{}, mode: shadow", extra.replace(", mode: shadow", "")));
        let (before, after) = (case.decide(&compile(&rules, false)), case.decide(&compile(&more, false)));
        prop_assert_eq!(before.0.verdict, after.0.verdict);
        prop_assert_eq!(before.0.policy.rule_id, after.0.policy.rule_id);
        prop_assert_eq!(before.0.edits, after.0.edits);
        prop_assert_eq!(matches!(before.1, Gate::Open(_)), matches!(after.1, Gate::Open(_)));
    }

    #[test]
    fn the_same_input_gets_the_same_decision(rules in prop::collection::vec(rule(), 0..7), case in case()) {
        let (one, two) = (compile(&rules, false), compile(&rules, false));
        let (first, second) = (case.decide(&one), case.decide(&two));
        prop_assert_eq!(&first.0, &second.0);
        prop_assert_eq!(&first.0, &case.decide(&one).0);
        prop_assert_eq!(matches!(first.1, Gate::Open(_)), matches!(second.1, Gate::Open(_)));
        // Only what is allowed or changed runs, and what runs is what was decided on.
        if let Gate::Open(permit) = &first.1 {
            prop_assert!(matches!(first.0.verdict, Verdict::Allow | Verdict::Modify));
            if first.0.verdict == Verdict::Allow {
                prop_assert_eq!(permit.arguments(), &case.call.action.arguments.text[..]);
                prop_assert_eq!(&permit.outbound().body, &case.call.outbound.body);
            }
        }
    }

    #[test]
    fn the_index_finds_what_a_linear_scan_finds(
        scopes in prop::collection::vec((names(), names(), names(), names()), 1..30),
        action in (name(), name(), name(), name()),
    ) {
        let scopes: Vec<Scope> = scopes
            .into_iter()
            .map(|(server, tool, operation, method)| Scope { server, tool, operation, method, category: Names::default() })
            .collect();
        let mut index = Index::default();
        for (number, scope) in scopes.iter().enumerate() {
            index.insert(scope, u32::try_from(number).unwrap());
        }
        let mut case = Case::new(&action.0, &action.1, "{}");
        case.call.action.tool = action.2.as_str().into();
        case.call.action.operation = action.3.as_str().into();
        let names = ActionNames::of(&case.call.action);
        let tools = names.tools();
        let found = index.find(&names, &tools);
        let applies = |number: usize| scopes[number].matches(&names, &tools);
        let indexed: Vec<usize> = found.iter().map(|n| *n as usize).filter(|n| applies(*n)).collect();
        let linear: Vec<usize> = (0..scopes.len()).filter(|n| applies(*n)).collect();
        prop_assert_eq!(indexed, linear);
    }

    #[test]
    fn a_change_leaves_every_byte_outside_the_edited_places(
        members in prop::collection::vec((prop::sample::select(vec!["a", "b", "x", "y", "z", "n\\u0061me", "é"]), odd(), space()), 0..7),
        n in 0..1_000_i64,
    ) {
        let mut seen = std::collections::HashSet::new();
        let members: Vec<_> = members.into_iter().filter(|(name, ..)| seen.insert(*name)).collect();
        let text = |(name, value, gap): &(&str, String, String)| format!("\"{name}\"{gap}:{gap}{value}");
        let joined: Vec<String> = members.iter().map(|member| format!("{}{}", member.2, text(member))).collect();
        let arguments = format!("{{{} }}", joined.join(" ,"));
        let case = Case::new("mail", "send", &arguments);
        let rules = format!("rules: [{{id: r, match: {{}}, action: MODIFY, modifications: {{set: {{a: {n}}}, remove: [b], redact: [x]}}}}]");
        let set = PolicySet::compile(&[source(&rules)], &Settings::default()).unwrap();
        let (decision, gate) = case.decide(&set);
        let Gate::Open(permit) = gate else { return Err(TestCaseError::fail(decision.reason.to_string())) };

        let after = std::str::from_utf8(permit.arguments()).unwrap();
        let (after, document) = scan(after.as_bytes(), Limits::default()).unwrap();
        let found: Vec<&str> = document.root(after).children().map(|v| after.get(v.key_span().start..v.span().end).unwrap()).collect();
        let expected: Vec<String> = members
            .iter()
            .filter(|member| member.0 != "b")
            .map(|member| match member.0 {
                "a" => text(&(member.0, n.to_string(), member.2.clone())),
                "x" => text(&(member.0, "\"[REDACTED]\"".into(), member.2.clone())),
                _ => text(member),
            })
            .chain((!seen.contains("a")).then(|| format!("\"a\":{n}")))
            .collect();
        prop_assert_eq!(found, expected);

        let (old, new) = (&case.call.outbound.body, &permit.outbound().body);
        let offset = case.call.action.arguments.offset.unwrap();
        prop_assert_eq!(&new[..offset], &old[..offset]);
        prop_assert_eq!(&new[offset..offset + after.len()], after.as_bytes());
        prop_assert_eq!(&new[offset + after.len()..], &old[offset + arguments.len()..]);
    }

    #[test]
    fn any_text_is_a_policy_or_a_list_of_mistakes(text in "[ -~\n]{0,200}") {
        if let Err(errors) = PolicySet::compile(&[source(&text)], &Settings::default()) {
            prop_assert!(errors.iter().count() > 0);
        }
    }

    #[test]
    fn any_value_in_any_place_of_a_rule_loads_or_is_a_mistake(
        key in prop::sample::select(vec!["match", "action", "constraints", "condition", "trigger", "context", "modifications",
            "priority", "severity", "timeout", "escalation", "approvers", "mode", "reason", "classification", "threshold"]),
        inner in prop::sample::select(vec!["tool", "parameters", "context", "any", "not", "identity", "set", "cap", "redact", "risk_signals"]),
        value in json(), case in case(),
    ) {
        for text in [
            format!("rules:\n  - {{id: r, match: {{}}, action: DENY, {key}: {value}}}\n"),
            format!("rules:\n  - {{id: r, action: MODIFY, match: {{{inner}: {value}}}, modifications: {{{inner}: {value}}}}}\n"),
        ] {
            if let Ok(set) = PolicySet::compile(&[source(&text)], &Settings::default()) {
                let (decision, gate) = case.decide(&set);
                prop_assert!(!matches!(gate, Gate::Open(_)) || matches!(decision.verdict, Verdict::Allow | Verdict::Modify));
            }
        }
    }

    #[test]
    fn any_schema_is_usable_or_not_and_never_a_panic(schema in json(), case in case()) {
        let mut case = case;
        case.tool = Some(tool(&schema.to_string()));
        let set = compile(&["match: {parameters: {a: {gt: 5}}}, action: ALLOW".into()], false);
        let (decision, _) = case.decide(&set);
        prop_assert!(case.tool.as_ref().is_some_and(|tool| tool.problem().is_none()) || decision.verdict == Verdict::Deny);
        prop_assert!(tool(OPEN).problem().is_none());
    }
}

/// The property above is about something: errors do come.
#[test]
fn a_rule_that_cannot_be_evaluated_refuses_what_the_others_allow() {
    let case = Case::new("mail", "send", r#"{"a":7,"b":[{"x":"k"}]}"#);
    for rest in [
        "match: {parameters: {'**.x': {matches: k}}}, action: DENY",
        "match: {parameters: {'**.x': {matches: none}}}, action: STEP_UP",
        "match: {parameters: {'**.x': {matches: none}}}, action: ALLOW",
        "match: {}, constraints: {budget: {sum: '**.x', max: 8, window: 60}}, action: DENY",
    ] {
        let mut set = compile(&["match: {}, action: ALLOW".into(), rest.into()], false);
        let refused = |set: &PolicySet| case.decide(set).0.reason_code == ReasonCode::EvaluationError;
        assert!(!refused(&set), "{rest}");
        set.values_max = 1;
        let limited = rest.contains("budget");
        assert_eq!(refused(&set), !limited, "{rest}: a limit has a bound of its own");
        assert!(refused(&set) || !matches!(case.decide(&set).1, Gate::Open(_)), "{rest}");
    }
}

/// JSON text that another writer would write differently.
fn odd() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "1e2",
        "-0.0",
        "12345678901234567890123",
        "1.10",
        "\"\\u0041\\/\"",
        "\"\u{1f600}\"",
        "null",
        "[ ]",
        "{ }",
        "[1 , 2]",
        "{\"b\" : 1, \"a\":2}",
        "true",
    ]);
    plain.prop_map(str::to_owned)
}

fn space() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", " ", "\n\t", "\r\n  "]).prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "ab", "abc", "b", "é", "a.b", "b.ab", "c"]).prop_map(str::to_owned)
}

fn names() -> impl Strategy<Value = Names> {
    let text = prop_oneof![
        name(),
        prop::sample::select(vec!["*", "a*", "*b", "a?c", "é*", "?", "a.*"]).prop_map(str::to_owned)
    ];
    prop::collection::vec(text, 0..3).prop_map(|texts| {
        let mut names = Names::default();
        for text in &texts {
            names.add(text);
        }
        names
    })
}
