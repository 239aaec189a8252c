//! What is checked before any rule.

use crate::decide::fixture::{Case, set, set_with, tool};
use crate::decide::{Gate, SchemaCheck, Settings, UnknownSchema, UnverifiedIdentity};
use crate::model::{Decision, Identity, ReasonCode, Verdict};

const ALLOW: &str = "rules: [{id: all, match: {}, action: ALLOW}]";
const STRICT: &str = r#"{"type":"object","properties":{"to":{"type":"array","items":{"type":"string","maxLength":9}},
    "n":{"type":"integer"}},"required":["to"],"additionalProperties":false}"#;

fn decide(case: &Case, settings: Settings) -> Decision {
    case.decide(&set_with(ALLOW, &settings)).0
}

#[test]
fn nobody_verified_is_refused_or_flagged() {
    let mut case = Case::new("mail", "send", "{}");
    case.identity = Identity::default();
    let decision = decide(&case, Settings::default());
    assert_eq!((decision.verdict, decision.reason_code), (Verdict::Deny, ReasonCode::IdentityUnverified));
    assert_eq!(
        (&*decision.policy.policy_id, decision.policy.rule_id.as_deref()),
        ("countersign", Some("identity_unverified"))
    );
    let flag = Settings { identity: UnverifiedIdentity::Flag, ..Settings::default() };
    let decision = decide(&case, flag.clone());
    assert_eq!(decision.reason_code, ReasonCode::IdentityUnverified, "a credential that was revoked is never flagged");
    case.identity.flagged = true;
    assert_eq!(decide(&case, flag).verdict, Verdict::Allow);
    let decision = decide(&case, Settings::default());
    assert_eq!(decision.reason_code, ReasonCode::IdentityUnverified);
}

#[test]
fn the_inventory_says_who_may_reach_what() {
    let mut case = Case::new("mail", "send", "{}");
    let listed_only = Settings { listed_agents_only: true, ..Settings::default() };
    let code = |case: &Case, settings: &Settings| decide(case, settings.clone()).reason_code;
    assert_eq!(code(&case, &Settings::default()), ReasonCode::PolicyRule, "no inventory");
    assert_eq!(code(&case, &listed_only), ReasonCode::AgentNotListed);
    if let Some(agent) = case.identity.agent.as_mut() {
        agent.listed = Some(false);
    }
    assert_eq!(code(&case, &Settings::default()), ReasonCode::AgentNotListed);
    if let Some(agent) = case.identity.agent.as_mut() {
        agent.listed = Some(true);
    }
    assert_eq!(code(&case, &listed_only), ReasonCode::PolicyRule);
    case.identity.servers = Some(["files".into()].into());
    assert_eq!(code(&case, &listed_only), ReasonCode::AgentNotListed);
    case.identity.servers = Some(["files".into(), "mail".into()].into());
    assert_eq!(code(&case, &listed_only), ReasonCode::PolicyRule);
    case.identity.agent = None;
    assert_eq!(code(&case, &listed_only), ReasonCode::AgentNotListed, "no agent id at all");
}

#[test]
fn arguments_are_checked_against_the_tools_own_schema() {
    for (arguments, place, keyword) in [
        ("{}", "the arguments as a whole", "required"),
        (r#"{"to":["ann"],"x":"S3CRET"}"#, "the arguments as a whole", "additionalProperties"),
        (r#"{"to":["ann","S3CRET-S3CRET"]}"#, "`/to/1`", "maxLength"),
        (r#"{"to":["ann"],"n":"S3CRET"}"#, "`/n`", "type"),
    ] {
        let mut case = Case::new("mail", "send", arguments);
        case.tool = Some(tool(STRICT));
        let (decision, gate) = case.decide(&set(ALLOW));
        assert!(matches!(gate, Gate::Closed));
        assert_eq!(decision.reason_code, ReasonCode::ArgumentsInvalid);
        assert_eq!(&*decision.reason, format!("{place} does not fit the tool's schema: `{keyword}`"));
        assert!(!decision.reason.contains("S3CRET"), "never the value");
        let recorded = decide(&case, Settings { schema: SchemaCheck::Record, ..Settings::default() });
        assert_eq!(recorded.verdict, Verdict::Allow);
        let check = recorded.matched.last().unwrap();
        assert_eq!((&*check.rule_id, check.shadow, check.action), ("arguments_invalid", true, Verdict::Deny));
        let off = decide(&case, Settings { schema: SchemaCheck::Off, ..Settings::default() });
        assert_eq!((off.verdict, off.matched.len()), (Verdict::Allow, 1));
    }
    let mut case = Case::new("mail", "send", r#"{"to":["ann"],"n":5}"#);
    case.tool = Some(tool(STRICT));
    assert_eq!(decide(&case, Settings::default()).verdict, Verdict::Allow);
}

#[test]
fn a_schema_that_is_not_known_or_not_usable_is_not_a_valid_one() {
    let mut case = Case::new("mail", "send", "{}");
    let big = format!(r#"{{"type":"object","enum":[{}0]}}"#, "0,".repeat(100_000));
    for schema in [
        None,
        Some("true"),
        Some(r#"{"type":"objekt"}"#),
        Some(r#"{"$ref":"https://schemas.test/x.json"}"#),
        Some(r#"{"$ref":"file:///etc/passwd"}"#),
        Some(&*big),
    ] {
        case.tool = schema.map(tool);
        assert!(case.tool.as_ref().is_none_or(|tool| tool.problem().is_some()), "{schema:?}");
        let decision = decide(&case, Settings::default());
        assert_eq!((decision.verdict, decision.reason_code), (Verdict::Deny, ReasonCode::SchemaUnknown));
        let defer = decide(&case, Settings { unknown_schema: UnknownSchema::Defer, ..Settings::default() });
        assert_eq!((defer.verdict, defer.reason_code), (Verdict::Defer, ReasonCode::NoApprover));
        let allow = decide(&case, Settings { unknown_schema: UnknownSchema::Allow, ..Settings::default() });
        assert_eq!(allow.verdict, Verdict::Allow);
    }
    // Only tool calls have schemas.
    case.tool = None;
    case.call.action.method = "resources/read".into();
    assert_eq!(decide(&case, Settings::default()).verdict, Verdict::Allow);
}

#[test]
fn a_hostile_schema_pattern_ends_in_a_refusal_and_soon() {
    let mut case = Case::new("mail", "send", &format!(r#"{{"s":"{}!"}}"#, "a".repeat(60)));
    case.tool = Some(tool(r#"{"type":"object","properties":{"s":{"pattern":"^(?=a)(a+)+\\1$"}}}"#));
    assert_eq!(case.tool.as_ref().and_then(|tool| tool.problem()), None);
    assert_eq!(decide(&case, Settings::default()).reason_code, ReasonCode::ArgumentsInvalid);
}

#[test]
fn a_spent_budget_refuses() {
    let rows = vec!["[0,0,0,0,0,0,0,0,0]"; 6_000].join(",");
    let case = Case::new("db", "insert", &format!(r#"{{"rows":[{rows}]}}"#));
    let rules: String = (0..30)
        .map(|n| format!("  - {{id: r{n}, match: {{parameters: {{'**.*': {{matches: x}}}}}}, action: DENY}}\n"))
        .collect();
    let text = format!("rules:\n  - {{id: all, match: {{}}, action: ALLOW}}\n{rules}");
    let (decision, gate) = case.decide(&set(&text));
    assert!(matches!(gate, Gate::Closed));
    assert_eq!((decision.verdict, decision.reason_code), (Verdict::Deny, ReasonCode::EvaluationError));
    // The same rules in shadow spend a budget of their own, and leave enough for a rule behind them.
    let shadow = text.replace("action: DENY", "action: DENY, mode: shadow");
    let last = "  - {id: last, match: {parameters: {'**.*': {matches: x}}}, action: DENY}\n";
    let (decision, _) = case.decide(&set(&format!("{shadow}{last}")));
    assert_eq!(decision.verdict, Verdict::Allow);
}

#[test]
fn a_schema_that_unfolds_without_end_is_not_used() {
    let doubling = |levels: u32| {
        let step =
            |n: u32| format!(r##""a{n}":{{"allOf":[{{"$ref":"#/$defs/a{0}"}},{{"$ref":"#/$defs/a{0}"}}]}},"##, n + 1);
        let steps: String = (0..levels).map(step).collect();
        format!(r##"{{"$defs":{{{steps}"a{levels}":{{"type":"object"}}}},"$ref":"#/$defs/a0"}}"##)
    };
    assert_eq!(tool(&doubling(8)).problem(), None);
    for levels in [14, 60, 3_000] {
        assert!(tool(&doubling(levels)).problem().is_some(), "{levels}");
    }
    // References that lead back to themselves end.
    for schema in
        [r##"{"$ref":"#"}"##, r##"{"$defs":{"a":{"$ref":"#b"},"b":{"$anchor":"b","$ref":"#/$defs/a"}},"$ref":"#b"}"##]
    {
        let mut case = Case::new("mail", "send", r#"{"x":1}"#);
        case.tool = Some(tool(schema));
        assert_eq!(decide(&case, Settings::default()).verdict, Verdict::Allow, "{schema}");
    }
}

#[test]
fn the_deepest_schema_on_the_deepest_arguments_fits_the_stack() {
    // Each level of the arguments goes down a chain of references that is as long as it may be.
    let chain: String =
        (0..13).map(|n| format!(r##""a{n}":{{"allOf":[{{"$ref":"#/$defs/a{}"}}]}},"##, n + 1)).collect();
    let schema = format!(
        r##"{{"$defs":{{{chain}"a13":{{"items":{{"$ref":"#/$defs/a0"}},"properties":{{"x":{{"$ref":"#/$defs/a0"}}}}}}}},"$ref":"#/$defs/a0"}}"##
    );
    let mut case = Case::new("mail", "send", &format!(r#"{{"x":{}1{}}}"#, "[".repeat(60), "]".repeat(60)));
    case.tool = Some(tool(&schema));
    assert_eq!(case.tool.as_ref().and_then(|tool| tool.problem()), None);
    assert_eq!(decide(&case, Settings::default()).verdict, Verdict::Allow);
}
