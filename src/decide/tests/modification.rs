//! MODIFY, from the rule to the bytes that run.

use crate::decide::fixture::{Case, set, tool};
use crate::decide::{CompiledTool, Gate, PermitKind};
use crate::model::{Arguments, Decision, EditKind, Era, ReasonCode, ToolDefinition, Transport, Verdict};

fn modify(case: &Case, modifications: &str) -> (Decision, Gate) {
    case.decide(&set(&format!("rules: [{{id: r, match: {{}}, action: MODIFY, modifications: {modifications}}}]")))
}

/// The arguments as they would run.
fn run(arguments: &str, modifications: &str) -> String {
    let case = Case::new("db", "query", arguments);
    let (decision, gate) = modify(&case, modifications);
    let Gate::Open(permit) = gate else { panic!("{decision:?}") };
    assert_eq!((decision.verdict, permit.kind()), (Verdict::Modify, PermitKind::Modified));
    let text = String::from_utf8(permit.arguments().to_vec()).unwrap();
    let before = String::from_utf8(case.call.outbound.body.to_vec()).unwrap();
    let after = String::from_utf8(permit.outbound().body.to_vec()).unwrap();
    assert_eq!(after, before.replacen(arguments, &text, 1), "the body outside the arguments stays");
    text
}

#[test]
fn changes_and_nothing_else() {
    let odd = r#"{ "limit" : 1e3, "big":12345678901234567890123,"s":"\u0041", "z":[1, {"pw":"x","n":"y"}] }"#;
    for (modifications, from, to) in [
        ("{cap: {limit: 100}}", "1e3", "100"),
        ("{cap: {limit: 5000}}", "1e3", "1e3"),
        ("{parameters: {limit: 100}}", "1e3", "100"),
        ("{parameters.limit: 100}", "1e3", "100"),
        ("{params: {s: \"a\\\"b\"}}", r#""\u0041""#, r#""a\"b""#),
        ("{set: {s: {k: [1, null, true, 1.5]}}}", r#""\u0041""#, r#"{"k":[1,null,true,1.5]}"#),
        ("{set: {s: 18446744073709551615}}", r#""\u0041""#, "18446744073709551615"),
        ("{remove: [limit]}", r#""limit" : 1e3, "#, ""),
        ("{remove: [nothing]}", "", ""),
        ("{redact: [parameters.s]}", r#""\u0041""#, r#""[REDACTED]""#),
        ("{redact: ['**.pw']}", r#""x""#, r#""[REDACTED]""#),
        ("{redact: ['z[*].n']}", r#""y""#, r#""[REDACTED]""#),
        ("{remove: ['z[1].pw']}", r#""pw":"x","#, ""),
        ("{set: {'z[0]': 7}}", "[1,", "[7,"),
        ("{add_filter: {paths: [/data/]}}", "}] }", r#"}],"paths":["/data/"] }"#),
        ("{set: {deep.er: 1}}", "}] }", r#"}],"deep":{"er":1} }"#),
        (
            "[{cap: {limit: 9}}, {remove: [s]}]",
            r#"1e3, "big":12345678901234567890123,"s":"\u0041", "#,
            r#"9, "big":12345678901234567890123,"#,
        ),
    ] {
        assert_eq!(run(odd, modifications), odd.replacen(from, to, 1), "{modifications}");
    }
    assert_eq!(run("{}", "{cap: {limit: 100}}"), r#"{"limit":100}"#, "no number is not below the bound");
    assert_eq!(run(r#"{"limit":null}"#, "{cap: {limit: 100}}"), r#"{"limit":100}"#);
}

#[test]
fn every_change_is_named() {
    let case = Case::new("db", "query", r#"{"a":1,"b":[{"c":2},{"c":3}],"d":4}"#);
    let (decision, _) = modify(&case, "{set: {a: 9}, redact: ['b[*].c'], remove: [d]}");
    let edits: Vec<(&str, &EditKind)> = decision.edits.iter().map(|edit| (&*edit.pointer, &edit.kind)).collect();
    let set = EditKind::Set("9".into());
    assert_eq!(
        edits,
        [("/a", &set), ("/b/0/c", &EditKind::Redact), ("/b/1/c", &EditKind::Redact), ("/d", &EditKind::Remove)]
    );
}

#[test]
fn what_cannot_be_done_as_written_is_refused() {
    for (arguments, modifications) in [
        (r#"{"a":"many"}"#, "{cap: {a: 5}}"),
        (r#"{"a":1}"#, "{set: {a.b: 1}}"),
        (r#"{"a":[]}"#, "{set: {'a[3]': 1}}"),
        (r#"{"a":1}"#, "[{set: {a: 1}}, {set: {a: 2}}]"),
        (r#"{"a":{"b":1}}"#, "[{set: {a: 1}}, {redact: [a.b]}]"),
        (r#"{"a":{"b":1}, "a-c": 2}"#, "[{remove: [a]}, {set: {a-c: 3}}, {set: {a.b: 1}}]"),
        (r"{}", "[{set: {a.b: 1}}, {set: {a.c: 1}}]"),
        (&format!(r#"{{"a":[{}0]}}"#, "0,".repeat(1_000)), "{redact: ['a[*]']}"),
    ] {
        let (decision, gate) = modify(&Case::new("db", "query", arguments), modifications);
        assert!(matches!(gate, Gate::Closed), "{modifications}");
        assert_eq!((decision.verdict, decision.reason_code), (Verdict::Deny, ReasonCode::ModificationFailed));
        assert!(decision.edits.is_empty() && !decision.reason.contains("many"), "{}", decision.reason);
    }
    // The same change from two rules is one change.
    let twice = "rules: [{id: a, match: {}, action: MODIFY, modifications: {set: {x: 1}}},
        {id: b, match: {}, action: MODIFY, modifications: {set: {x: 1}, cap: {y: 2}}}]";
    let (decision, gate) = Case::new("db", "query", "{}").decide(&set(twice));
    assert!(matches!(gate, Gate::Open(permit) if permit.arguments() == br#"{"x":1,"y":2}"#));
    assert_eq!((decision.edits.len(), decision.matched.len()), (2, 2));
}

#[test]
fn the_result_still_has_to_fit_the_schema() {
    let mut case = Case::new("files", "read_file", r#"{"path":"/x"}"#);
    case.tool = Some(tool(r#"{"type":"object","properties":{"path":{"type":"string"}},"additionalProperties":false}"#));
    let (decision, gate) = modify(&case, "{add_filter: {allowed_paths: [/data/]}}");
    assert!(matches!(gate, Gate::Closed));
    assert!(decision.reason.contains("`additionalProperties`"), "{}", decision.reason);
}

#[test]
fn a_call_without_arguments_gets_them() {
    let mut case = Case::new("db", "query", "{}");
    case.call.action.arguments = Arguments::none();
    case.call.outbound.body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query" }}"#.into();
    let (_, gate) = modify(&case, "{cap: {limit: 100}}");
    let Gate::Open(permit) = gate else { panic!() };
    let expected =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"query","arguments":{"limit":100} }}"#;
    assert_eq!(permit.outbound().body, expected);
    // Over plain HTTP there is no one place where parameters stand.
    case.call.client.transport = Transport::Http;
    assert!(matches!(modify(&case, "{cap: {limit: 100}}").1, Gate::Closed));
    // A body that is not the one the arguments came from.
    let mut case = Case::new("db", "query", r#"{"limit":500}"#);
    case.call.action.arguments.offset = Some(1);
    assert!(matches!(modify(&case, "{cap: {limit: 100}}").1, Gate::Closed));
    case.call.action.arguments.offset = Some(usize::MAX);
    assert!(matches!(modify(&case, "{cap: {limit: 100}}").1, Gate::Closed));
}

#[test]
fn a_mirrored_argument_changes_its_header() {
    let mut case = Case::new("db", "query", r#"{"region":"eu","limit":500}"#);
    let definition: ToolDefinition = {
        let mut definition = tool(r#"{"type":"object"}"#).definition().clone();
        definition.mirrored = vec![("/limit".into(), "Limit".into()), ("/region".into(), "Region".into())];
        definition
    };
    case.tool = Some(CompiledTool::new(definition));
    case.call.outbound.headers.insert("mcp-param-limit", http::HeaderValue::from_static("500"));
    case.call.outbound.headers.insert("mcp-param-region", http::HeaderValue::from_static("eu"));
    for era in [Era::Modern, Era::Legacy] {
        case.call.client.era = era;
        let (_, gate) = modify(&case, "{cap: {limit: 100}, set: {region: Zürich}}");
        let Gate::Open(permit) = gate else { panic!() };
        assert_eq!(permit.outbound().headers["mcp-param-limit"], "100");
        assert_eq!(permit.outbound().headers["mcp-param-region"], "=?base64?WsO8cmljaA==?=");
    }
}
