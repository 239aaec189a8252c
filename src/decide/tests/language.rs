//! The policy language: what loads, what matches, and what is said about mistakes.

use crate::decide::fixture::{Case, OPEN, set, source, tool, wrapper};
use crate::decide::{PolicySet, Settings};
use crate::model::{Correlation, DataLevel, Destination, LevelSource, Origin, PriorAction, Provenance, Verdict};

fn errors(text: &str) -> Vec<String> {
    let errors =
        PolicySet::compile(&[source(text)], &Settings::default()).err().unwrap_or_else(|| panic!("loads: {text}"));
    errors.iter().map(ToString::to_string).collect()
}

/// Whether a DENY and an ALLOW rule with these parameters match.
fn both(parameters: &str, arguments: &str) -> (Verdict, Verdict) {
    let text = |action: &str| format!("rules: [{{id: r, match: {{parameters: {parameters}}}, action: {action}}}]");
    let case = Case::new("mail", "send", arguments);
    let deny = set(&text("DENY"));
    let allow = set(&text("ALLOW"));
    // Under a default of DENY a DENY rule shows only by its reason.
    let deny = case.decide(&deny).0;
    let denied = if deny.policy.rule_id.is_some() { deny.verdict } else { Verdict::Allow };
    (denied, case.decide(&allow).0.verdict)
}

const YES: (Verdict, Verdict) = (Verdict::Deny, Verdict::Allow);
const NO: (Verdict, Verdict) = (Verdict::Allow, Verdict::Deny);
/// A DENY would not change the default DENY; an ALLOW would, so it defers.
const UNKNOWN: (Verdict, Verdict) = (Verdict::Allow, Verdict::Defer);

#[test]
fn operators() {
    for (parameters, arguments, expected) in [
        ("{n: 5}", r#"{"n":5}"#, YES),
        ("{n: 5}", r#"{"n":5.0}"#, YES),
        ("{n: 5}", r#"{"n":6}"#, NO),
        ("{n: {eq: 5}}", r#"{"n":"5"}"#, UNKNOWN),
        ("{n: {ne: 5}}", r#"{"n":6}"#, YES),
        ("{n: {ne: 5}}", r#"{"n":"6"}"#, UNKNOWN),
        ("{n: {gt: 100}}", r#"{"n":101}"#, YES),
        ("{n: {gt: 100}}", r#"{"n":100}"#, NO),
        ("{n: {gt: 100}}", r#"{"n":"5000"}"#, UNKNOWN),
        ("{n: {gte: 100, lt: 200}}", r#"{"n":100}"#, YES),
        ("{n: {lte: 9007199254740992}}", r#"{"n":9007199254740993}"#, NO),
        ("{t: [a, b]}", r#"{"t":"b"}"#, YES),
        ("{t: {in: [a, b]}}", r#"{"t":"c"}"#, NO),
        ("{t: {not_in: [a, b]}}", r#"{"t":"c"}"#, YES),
        ("{t: {contains: b}}", r#"{"t":"abc"}"#, YES),
        ("{t: {contains: b}}", r#"{"t":["a","b"]}"#, YES),
        ("{t: {contains: b}}", r#"{"t":["a","bb"]}"#, NO),
        ("{t: {not_contains: [b, z]}}", r#"{"t":"ac"}"#, YES),
        ("{t: {matches: '^a+$'}}", r#"{"t":"aaa"}"#, YES),
        ("{t: {regex: '^a+$'}}", r#"{"t":"ab"}"#, NO),
        ("{t: {matches: '^4'}}", r#"{"t":42}"#, YES),
        ("{t: {matches: x}}", r#"{"t":{"a":"x"}}"#, UNKNOWN),
        ("{t: {glob: 'a*c'}}", r#"{"t":"abc"}"#, YES),
        ("{t: {starts_with: [x, a]}}", r#"{"t":"abc"}"#, YES),
        ("{t: {ends_with: b}}", r#"{"t":"abc"}"#, NO),
        ("{t: {exists: true}}", r#"{"t":0}"#, YES),
        ("{t: {exists: true}}", r#"{"t":null}"#, NO),
        ("{t: {exists: false}}", r"{}", YES),
        ("{t: {type: [string, integer]}}", r#"{"t":1}"#, YES),
        ("{t: {type: integer}}", r#"{"t":1.5}"#, NO),
        ("{t: {type: 'null'}}", r#"{"t":null}"#, YES),
        ("{t: null}", r#"{"t":null}"#, YES),
        ("{t: {length: 3}}", r#"{"t":"äbc"}"#, YES),
        ("{t: {length: {gt: 1, lte: 2}}}", r#"{"t":[1,2]}"#, YES),
        ("{t: {domain_in: [a.test]}}", r#"{"t":"x@mail.a.test"}"#, YES),
        ("{t: {external: true}}", r#"{"t":"ann@corp.example"}"#, NO),
        ("{t: {external: true}}", r#"{"t":"https://corp.example@evil.test/"}"#, YES),
        ("{t: {external: true}}", r##"{"t":"#general"}"##, UNKNOWN),
        ("{t: {external: false}}", r#"{"t":"ann@corp.example"}"#, YES),
        ("{t: {not: {external: true}}}", r#"{"t":"eve@evil.test"}"#, NO),
        ("{t: {not: [a, b]}}", r#"{"t":"c"}"#, YES),
        ("{t: {any: [{lt: 1}, {gt: 9}]}}", r#"{"t":10}"#, YES),
        ("{t: {all: [{gt: 1}, {lt: 9}]}}", r#"{"t":10}"#, NO),
        ("{'a.b': 1}", r#"{"a":{"b":1}}"#, YES),
        ("{/a.b: 1}", r#"{"a.b":1}"#, YES),
        ("{'**.*': {matches: key}}", r#"{"a":[{"b":["my key"]}], "n": 1.5, "z": null}"#, YES),
        ("{'**.*': {matches: key}}", r#"{"a":[{"b":["mine"]}], "n": 1.5, "z": null}"#, NO),
    ] {
        let (deny, allow) = both(parameters, arguments);
        // A rule that permits needs every value; where there is none, all there are pass.
        let allow = if parameters.contains("**") { expected.1 } else { allow };
        assert_eq!((deny, allow), expected, "{parameters} on {arguments}");
    }
}

#[test]
fn a_second_value_never_slips_past_a_restriction_or_into_a_permission() {
    for parameters in ["{to: {external: true}}", "{'to[*]': {external: true}}"] {
        assert_eq!(both(parameters, r#"{"to":["ann@corp.example","eve@evil.test"]}"#).0, Verdict::Deny);
    }
    for parameters in
        ["{to: {external: false}}", "{to: {domain_in: [corp.example]}}", "{'to[*]': {not: {external: true}}}"]
    {
        let mixed = r#"{"to":["ann@corp.example","eve@evil.test"]}"#;
        assert_eq!(both(parameters, mixed).1, Verdict::Deny, "{parameters}");
        let joined = both(parameters, r#"{"to":"ann@corp.example, eve@evil.test"}"#).1;
        assert_ne!(joined, Verdict::Allow, "{parameters}");
        assert_eq!(both(parameters, r#"{"to":["ann@corp.example"]}"#).1, Verdict::Allow, "{parameters}");
    }
    let nested = r#"{"to":[{"email":"ann@corp.example"},{"email":"eve@evil.test"}]}"#;
    assert_eq!(both("{'to[*].email': {external: true}}", nested), (Verdict::Deny, Verdict::Deny));
    // An allow-list that is written as a constraint holds for all.
    let text = "rules: [{id: r, match: {}, constraints: {parameters.to: {domain_allowlist: [corp.example]}}, action: STEP_UP}]";
    let verdict = |to: &str| Case::new("mail", "send", &format!("{{\"to\":{to}}}")).decide(&set(text)).0.verdict;
    assert_eq!(verdict(r#"["ann@corp.example","eve@evil.test"]"#), Verdict::StepUp);
    assert_eq!(verdict(r#"["ann@corp.example"]"#), Verdict::Deny, "the default: the constraint holds");
}

#[test]
fn names_are_the_mapped_and_the_native_ones() {
    let mut case = Case::new("mailserver", "send_email", "{}");
    case.call.action.tool = "email".into();
    case.call.action.operation = "send".into();
    case.call.action.native.wrapper = Some(wrapper("mcp_tool"));
    for matching in [
        "tool: email",
        "tool: send_email",
        "tool: email.send",
        "tool: mailserver.send_email",
        "tool: mailserver",
        "tool: mcp_tool",
        "tool: [x, 'email.*']",
        "operation: send",
        "operation: 'send_*'",
        "server: mailserver, tool: email, operation: send",
        "method: tools/call",
        "any: [{tool: nothing}, {operation: send}]",
        "not: {tool: calendar}",
        "all: [{server: 'mail*'}, {not: {method: resources/read}}]",
    ] {
        let set = set(&format!("rules: [{{id: r, match: {{{matching}}}, action: ALLOW}}]"));
        assert_eq!(case.decide(&set).0.verdict, Verdict::Allow, "{matching}");
    }
    for other in
        ["tool: Email", "operation: email", "server: email", "method: resources/read", "tool: em", "not: {tool: email}"]
    {
        let set = set(&format!("rules: [{{id: r, match: {{{other}}}, action: ALLOW}}]"));
        assert_eq!(case.decide(&set).0.verdict, Verdict::Deny, "{other}");
    }
}

#[test]
fn context_identity_and_signals_decide_too() {
    let mut case = Case::new("email", "send", "{}");
    case.context.labels = ["PII".into()].into();
    case.context.level = Some((DataLevel::Restricted, LevelSource::Label));
    case.context.action_count = 12;
    case.context.correlation = Correlation::SignedToken;
    case.context.intent = Some(crate::model::Intent {
        text: "Clean UP the archive".into(),
        source: crate::model::IntentSource::Host,
        class: None,
    });
    case.context.signals.semantic_distance = Some(crate::model::PartsPerMillion(700_000));
    case.context.signals.scope_expansion = Some(true);
    case.identity.scope = vec!["admin".into(), "mail".into()];
    case.identity.role = Some(crate::decide::fixture::claim("analyst"));
    case.call.action.destination = Some(Destination::External("evil.test".into()));
    let prior = |tool: &str, operation: &str, forwarded| PriorAction {
        level: None,
        id: case.call.action.id.clone(),
        tool: tool.into(),
        operation: operation.into(),
        verdict: Verdict::Allow,
        forwarded,
        confirmed: false,
        at: case.context.now,
        success: Some(true),
    };
    case.context.history = [prior("db", "query", true), prior("files", "read", false)].map(std::sync::Arc::new).into();
    for (matching, expected) in [
        ("context: {data_classification: PII}", true),
        ("context: {data_classification: [PHI, CONFIDENTIAL]}", true),
        ("context: {data_accessed: {contains_classification: [PHI]}}", false),
        ("context: {data_classification: {gte: RESTRICTED}}", true),
        ("context: {data_level: {lt: RESTRICTED}}", false),
        ("context: {data_level_source: label}", true),
        ("context: {prior_actions: {contains: db.query}}", true),
        ("context: {prior_actions: {glob: 'db.*'}}", true),
        ("context: {prior_actions: {contains: files.read}}", false),
        ("context: {action_count: {gt: 11}}", true),
        ("context: {chain_length: {gt: 12}}", false),
        ("context: {elapsed_s: {gte: 100}}", true),
        ("context: {user_intent: {contains: [delete, clean up]}}", true),
        ("context: {original_request: {not_contains: archive}}", false),
        ("context: {intent_source: [signed_token, host]}", true),
        ("context: {correlation: signed_token}", true),
        ("context: {recipient: {external: true}}", true),
        ("context: {destination: {domain_in: [corp.example]}}", false),
        ("risk_signals: {semantic_distance: {gt: 0.7}}", false),
        ("risk_signals: {semantic_distance: {gte: 0.7}}", true),
        ("risk_signals.scope_expansion: true", true),
        ("identity: {role: analyst, effective_scope: {contains: [admin]}}", true),
        ("identity: {verified: true, verification: [mtls, jwt]}", true),
        ("identity: {human: bob}", false),
        ("identity.delegation: {exists: true}", false),
    ] {
        let set = set(&format!("rules: [{{id: r, match: {{{matching}}}, action: STEP_UP}}]"));
        let verdict = case.decide(&set).0.verdict;
        assert_eq!(verdict, if expected { Verdict::StepUp } else { Verdict::Deny }, "{matching}");
    }
    // A level in a rule that permits is a ceiling, and every label has to be named.
    for (seen, expected) in
        [("[PUBLIC, INTERNAL]", Verdict::Deny), ("[RESTRICTED]", Verdict::Deny), ("[RESTRICTED, PII]", Verdict::Allow)]
    {
        let set =
            set(&format!("rules: [{{id: r, match: {{context: {{data_classification: {seen}}}}}, action: ALLOW}}]"));
        assert_eq!(case.decide(&set).0.verdict, expected, "{seen}");
    }
}

#[test]
fn a_parameter_that_the_schema_declares_is_known_to_be_absent() {
    let set = set(
        "rules: [{id: all, match: {}, action: ALLOW}, {id: cap, match: {parameters: {limit: {gt: 100}}}, action: DENY}]",
    );
    let mut case = Case::new("db", "query", "{}");
    for (schema, expected) in [
        (OPEN, Verdict::Defer),
        (r#"{"type":"object","properties":{"limit":{"type":"integer"}}}"#, Verdict::Allow),
        (r#"{"type":"object","properties":{"limit":{"type":"integer","default":1000}}}"#, Verdict::Deny),
        (r#"{"type":"object","properties":{"limit":{"type":"integer","default":10}}}"#, Verdict::Allow),
    ] {
        case.tool = Some(tool(schema));
        assert_eq!(case.decide(&set).0.verdict, expected, "{schema}");
    }
}

#[test]
fn every_mistake_is_reported_with_its_line_and_what_to_do() {
    let text = r#"policy:
  id: p
  versoin: 1
rules:
  - id: a
    match:
      toool: mail
      parameters:
        amount: { gtt: 5 }
      context:
        data_clasification: PII
        action_count: { contains: 5 }
    action: Deny
    timeout_action: ALLOW
  - id: a
    match: { tool: { category: x } }
    action: MODIFY
    classification: forbidden
"#;
    assert_eq!(
        errors(text),
        [
            "test.yaml:3: unknown key `versoin` in `policy`; did you mean `version`?",
            "test.yaml:7: unknown key `toool` in `match`; did you mean `tool`?",
            "test.yaml:9: unknown operator `gtt` on `parameters.amount`; did you mean `gt`?",
            "test.yaml:11: `context.data_clasification` is never filled in, so the rule could never decide; did you mean `data_classification`?",
            "test.yaml:12: `contains` makes no sense for `context.action_count`; use eq or in",
            "test.yaml:13: `action` cannot be `Deny`; did you mean `DENY`?",
            "test.yaml:14: `timeout_action` is not DENY; write DENY or leave it out: silence is never consent",
            "test.yaml:15: a MODIFY rule has no `modifications`; say what to set, cap, remove or redact",
            "test.yaml:16: no category `x` is defined; define it under `policy.categories`; known here: credentials, destructive, execution, external_communication, financial, read",
            "test.yaml:18: a `forbidden` rule cannot have the action MODIFY; change the action to DENY, or leave the classification out",
        ]
    );
}

#[test]
fn what_makes_no_sense_does_not_load() {
    let rule = |rest: &str| format!("rules:\n  - {{id: r, match: {{}}, {rest}}}\n");
    let matching = |rest: &str| format!("rules:\n  - {{id: r, match: {{{rest}}}, action: DENY}}\n");
    for text in [
        "".to_owned(),
        "rules: {}".into(),
        "rules: [{match: {}, action: DENY}]".into(),
        "rules: [{id: r, action: DENY}]".into(),
        "rules: [{id: r, match: {}}]".into(),
        "policy: {id: default}\nrules: []".into(),
        "policy: {version: '1'}\nrules: []".into(),
        "policy: {id: p, mode: off}\nrules: []".into(),
        "rules: [{id: r, match: {}, action: DENY}, {id: r, match: {}, action: DENY}]".into(),
        rule("action: DENY, decision: DENY"),
        rule("action: DENY, priority: high"),
        rule("action: DENY, severity: SEVERE"),
        rule("action: DENY, mode: off"),
        rule("action: DENY, modifications: {set: {a: 1}}"),
        rule("action: MODIFY, modifications: {}"),
        rule("action: MODIFY, modifications: {remove: ['a[0]']}"),
        rule("action: MODIFY, modifications: {cap: {a: b}}"),
        rule("action: MODIFY, modifications: {redact: [result.text]}"),
        rule("action: STEP_UP, timeout: forever"),
        rule("action: STEP_UP, timeout_action: ALLOW"),
        rule("action: STEP_UP, escalation: {after: 60}"),
        rule("action: ALLOW, classification: context_dependent_deny"),
        rule("action: DENY, threshold: 2"),
        rule("action: ALLOW, constraints: {parameters.to: {external: false}}"),
        matching("parameters: {a: {matches: '('}}"),
        matching("parameters: {a: {matches: '(?=x)'}}"),
        matching("parameters: {a: {matches: '(a{1000}){1000}'}}"),
        matching("parameters: {a: {gt: '5'}}"),
        matching("parameters: {a: {}}"),
        matching("parameters: {a: []}"),
        matching("parameters: {a: {type: text}}"),
        matching("parameters: {a: {domain_in: ['not a domain']}}"),
        matching("parameters: {'a..b': 1}"),
        matching("parameters: {a: {external: 'yes'}}"),
        matching("context: {correlation: guess}"),
        matching("context: {data_level: RESTRICTED}"),
        matching("risk_signals: {scope_expansion: 'yes'}"),
        matching("identity: {role: 5}"),
        matching("tool: []"),
        matching("tool: 5"),
        matching("any: []"),
    ] {
        assert!(!errors(&text).is_empty());
    }
}

#[test]
fn policies_are_told_apart() {
    let one = source("policy: {id: p}\nrules: []");
    let two = crate::decide::PolicySource { name: "other.yaml".into(), ..one.clone() };
    let errors = PolicySet::compile(&[two, one], &Settings::default()).unwrap_err().to_string();
    assert_eq!(errors, "test.yaml:1: the policy id `p` is taken by other.yaml:1; give every policy an id of its own");
    let settings = Settings { internal_domains: vec!["no domain".into()], ..Settings::default() };
    assert!(PolicySet::compile(&[], &settings).is_err());
}

#[test]
fn the_digest_is_of_everything_that_can_change_a_decision() {
    let compile = |text: &str, settings: &Settings| PolicySet::compile(&[source(text)], settings).unwrap().hash();
    let text = "policy: {id: p}\nrules: []";
    let strict = Settings { strict_defer: true, ..Settings::default() };
    assert_eq!(compile(text, &Settings::default()), compile(text, &Settings::default()));
    assert_ne!(compile(text, &Settings::default()), compile(text, &strict));
    assert_ne!(compile(text, &Settings::default()), compile(&format!("{text} # changed"), &Settings::default()));
}

#[test]
fn rules_test_where_parameters_came_from() {
    let set = set("rules: [{id: known, match: {provenance: {'to[*]': {origin: [intent, trusted]}}}, action: ALLOW}]");
    let decided = |origins: &[(&str, Origin)]| {
        let mut case = Case::new("mail", "send", r#"{"to":["a@x.test","b@x.test"]}"#);
        let entry = |(pointer, origin): &(&str, Origin)| Provenance {
            pointer: (*pointer).into(),
            origin: *origin,
            sink: true,
            witness: None,
        };
        case.context.signals.provenance = origins.iter().map(entry).collect();
        case.decide(&set).0.verdict
    };
    assert_eq!(decided(&[("/to/0", Origin::Intent), ("/to/1", Origin::Trusted)]), Verdict::Allow);
    assert_eq!(decided(&[("/to/0", Origin::Intent), ("/to/1", Origin::Prose)]), Verdict::Deny);
    // Nobody looked it up: unknown, and a permission does not rest on what is unknown.
    assert_eq!(decided(&[("/to/0", Origin::Intent)]), Verdict::Defer);
    assert_eq!(decided(&[]), Verdict::Defer);
}

#[test]
fn a_condition_on_provenance_can_be_about_sinks_alone() {
    let decide = |sink: &str, entries: &[(&str, Origin, bool)]| {
        let policy = set(&format!(
            "rules: [{{id: all, match: {{}}, action: ALLOW}}, {{id: d, match: {{provenance: {{'**.*': {{origin: prose{sink}}}}}}}, action: DENY}}]"
        ));
        let mut case = Case::new("mail", "send", r#"{"to":"eve@other.test","body":"hello"}"#);
        let entry = |(pointer, origin, sink): &(&str, Origin, bool)| Provenance {
            pointer: (*pointer).into(),
            origin: *origin,
            sink: *sink,
            witness: None,
        };
        case.context.signals.provenance = entries.iter().map(entry).collect();
        case.decide(&policy).0.verdict
    };
    let body = [("/to", Origin::Intent, true), ("/body", Origin::Prose, false)];
    let to = [("/to", Origin::Prose, true), ("/body", Origin::Intent, false)];
    assert_eq!((decide("", &body), decide("", &to)), (Verdict::Deny, Verdict::Deny));
    assert_eq!((decide(", sink: true", &body), decide(", sink: true", &to)), (Verdict::Allow, Verdict::Deny));
    assert_eq!((decide(", sink: false", &body), decide(", sink: false", &to)), (Verdict::Deny, Verdict::Allow));
    assert_eq!(decide(", sink: true", &[]), Verdict::Defer, "nobody knows");
}
