//! Limits, hours, sequences, effects, exceptions, results and the tests inside a file.

use crate::decide::fixture::{Case, set, source};
use crate::decide::{PolicySet, ResultRuling, ScenarioResult, Settings, run_tests};
use crate::model::{DataLevel, Decision, PriorAction, Timestamp, Usage, Verdict};

const ALLOW: &str = "{id: all, match: {}, action: ALLOW}";

fn first_error(text: &str) -> String {
    let errors = PolicySet::compile(&[source(text)], &Settings::default()).err();
    errors.unwrap_or_else(|| panic!("loads: {text}")).iter().next().unwrap().to_string()
}

fn used(case: &mut Case, rule: &str, count: u64, sum_milli: u64) {
    case.usage = vec![Usage { meter: format!("test/{rule}").into(), count, sum_milli }];
}

#[test]
fn a_rate_lets_so_many_through_and_no_more() {
    let policy = set(&format!(
        "rules: [{ALLOW}, {{id: l, match: {{operation: send}}, constraints: {{rate: {{max: 3, window: 1h}}}}, action: DENY}}]"
    ));
    let mut case = Case::new("mail", "send", "{}");
    let meters = policy.meters(&case.call.action);
    assert_eq!((&*meters[0].name, meters[0].window_s), ("test/l", 3_600));
    for (count, verdict) in [(0, Verdict::Allow), (2, Verdict::Allow), (3, Verdict::Deny), (99, Verdict::Deny)] {
        used(&mut case, "l", count, 0);
        let decision = case.decide(&policy).0;
        assert_eq!(decision.verdict, verdict, "{count}");
        assert_eq!(decision.meters.len(), usize::from(verdict == Verdict::Allow), "what is refused uses nothing up");
    }
    assert!(policy.meters(&Case::new("mail", "read", "{}").call.action).is_empty());
}

#[test]
fn a_budget_adds_up_what_a_parameter_says() {
    let policy = set(&format!(
        "rules: [{ALLOW}, {{id: b, match: {{operation: pay}}, constraints: {{budget: {{sum: amount, max: 1000, window: 24h}}}}, action: STEP_UP}}]"
    ));
    for (amount, sum_milli, verdict) in [
        ("400", 600_000, Verdict::Allow),
        ("400.001", 600_000, Verdict::StepUp),
        ("-500", 600_000, Verdict::StepUp),
        ("\"400\"", 0, Verdict::Defer),
    ] {
        let mut case = Case::new("bank", "pay", &format!(r#"{{"amount":{amount}}}"#));
        used(&mut case, "b", 1, sum_milli);
        let decision = case.decide(&policy).0;
        assert_eq!(decision.verdict, verdict, "{amount}: {}", decision.reason);
        if verdict == Verdict::Allow {
            assert_eq!(decision.meters[0].amount_milli, 400_000);
        }
    }
}

#[test]
fn a_limit_counts_only_what_the_rule_is_about() {
    let policy = set(&format!(
        "rules: [{ALLOW}, {{id: l, match: {{parameters: {{to: {{external: true}}}}}}, constraints: {{rate: {{max: 1, window: 60}}}}, action: DENY}}]"
    ));
    let mut inside = Case::new("mail", "send", r#"{"to":"ann@corp.example"}"#);
    used(&mut inside, "l", 5, 0);
    let decision = inside.decide(&policy).0;
    assert_eq!((decision.verdict, decision.meters.len()), (Verdict::Allow, 0));
}

#[test]
fn hours_need_a_zone_and_mean_what_they_say() {
    let policy = set(&format!(
        "rules: [{ALLOW}, {{id: h, match: {{not: {{time: {{zone: Europe/Berlin, days: [mon, tue, wed, thu, fri], from: '08:00', to: '18:00'}}}}}}, action: DENY}}]"
    ));
    let mut case = Case::new("mail", "send", "{}");
    for (now, verdict) in [
        ("2026-01-07T07:00:00Z", Verdict::Allow),
        ("2026-01-07T17:00:00Z", Verdict::Deny),
        ("2026-01-10T12:00:00Z", Verdict::Deny),
    ] {
        case.context.now = Timestamp::parse(now).unwrap();
        assert_eq!(case.decide(&policy).0.verdict, verdict, "{now}");
    }
    assert!(
        first_error("rules: [{id: h, match: {time: {from: '08:00'}}, action: DENY}]").contains("`time` has no `zone`")
    );
    assert!(
        first_error("rules: [{id: h, match: {time: {zone: Mars}}, action: DENY}]").contains("`Mars` is no time zone")
    );
}

fn history(case: &mut Case, prior: &[(&str, u64, Option<DataLevel>)]) {
    let made = prior.iter().map(|(name, seconds_ago, level)| {
        let (tool, operation) = name.split_once('.').unwrap();
        std::sync::Arc::new(PriorAction {
            id: crate::model::ActionId::parse("act_prior").unwrap(),
            tool: tool.into(),
            operation: operation.into(),
            verdict: Verdict::Allow,
            forwarded: true,
            confirmed: false,
            at: Timestamp::from_secs(1_000 - seconds_ago),
            level: *level,
            success: Some(true),
        })
    });
    case.context.history = made.collect();
    case.context.action_count = u64::try_from(prior.len()).unwrap();
}

#[test]
fn a_sequence_is_found_in_its_order_and_in_its_time() {
    let policy = set(&format!(
        "rules: [{ALLOW}, {{id: s, match: {{operation: send, sequence: {{steps: [{{tool: db, operation: query, level: CONFIDENTIAL}}, files.archive], within: {{actions: 3, seconds: 60}}}}}}, action: DENY}}]"
    ));
    let mut case = Case::new("mail", "send", "{}");
    let confidential = Some(DataLevel::Confidential);
    for (prior, verdict) in [
        (vec![("db.query", 9, confidential), ("files.archive", 5, None)], Verdict::Deny),
        (vec![("db.query", 9, confidential), ("web.get", 7, None), ("files.archive", 5, None)], Verdict::Deny),
        (vec![("files.archive", 9, None), ("db.query", 5, confidential)], Verdict::Allow),
        (vec![("db.query", 9, Some(DataLevel::Public)), ("files.archive", 5, None)], Verdict::Allow),
        (vec![("db.query", 99, confidential), ("files.archive", 5, None)], Verdict::Allow),
        (
            vec![("db.query", 9, confidential), ("web.get", 8, None), ("web.get", 7, None), ("files.archive", 5, None)],
            Verdict::Allow,
        ),
        (vec![], Verdict::Allow),
    ] {
        history(&mut case, &prior);
        assert_eq!(case.decide(&policy).0.verdict, verdict, "{prior:?}");
    }
    // What was forgotten may have been part of it.
    case.context.action_count = 50;
    assert_eq!(case.decide(&policy).0.verdict, Verdict::Defer);
}

#[test]
fn rules_label_what_an_action_brings_in() {
    let policy = set(&format!(
        "rules: [{ALLOW}, {{id: t, match: {{parameters: {{table: [customers]}}}}, effect: {{set_context: {{data_classification: [PII, CONFIDENTIAL]}}}}}}]"
    ));
    let decision = Case::new("db", "query", r#"{"table":"customers"}"#).decide(&policy).0;
    assert_eq!((decision.verdict, decision.matched.len()), (Verdict::Allow, 1));
    assert_eq!((decision.effect.level, &*decision.effect.labels[0]), (Some(DataLevel::Confidential), "PII"));
    assert!(Case::new("db", "query", r#"{"table":"orders"}"#).decide(&policy).0.effect.is_empty());
    let unsure = Case::new("db", "query", "{}").decide(&policy).0;
    assert_eq!((unsure.verdict, unsure.effect.labels.len()), (Verdict::Allow, 1), "a label too many is safe");
}

#[test]
fn an_exception_takes_a_rule_out_for_a_while_and_leaves_its_name() {
    let text = "rules: [{id: all, match: {}, action: ALLOW}, {id: d, match: {operation: send}, action: DENY}]\nexceptions:\n  - {id: EX-1, rules: [d], match: {identity: {agent: helper}}, owner: maya, ticket: SEC-1, expires: 1970-01-01}\n";
    let mut case = Case::new("mail", "send", "{}");
    let policy = set(text);
    let decision = |case: &Case| -> Decision { case.decide(&policy).0 };
    let let_through = decision(&case);
    assert_eq!((let_through.verdict, let_through.exception.as_deref()), (Verdict::Allow, Some("EX-1")));
    assert!(let_through.matched.iter().any(|rule| &*rule.rule_id == "d" && rule.shadow), "and it is recorded");
    case.context.now = Timestamp::from_secs(86_400);
    let over = decision(&case);
    assert_eq!((over.verdict, over.exception), (Verdict::Deny, None), "over");
    case.context.now = Timestamp::from_secs(1_000);
    case.identity.agent = None;
    assert_eq!(decision(&case).verdict, Verdict::Deny, "an agent that nobody knows is not that one");
    for (exception, said) in [
        ("{id: x, rules: [d], match: {}, owner: a, ticket: b}", "an exception has no `expires`"),
        ("{id: x, rules: [d], match: {}, ticket: b, expires: 2030-01-01}", "an exception has no `owner`"),
        ("{id: x, rules: [f], match: {}, owner: a, ticket: b, expires: 2030-01-01}", "which is forbidden"),
        ("{id: x, rules: [all], match: {}, owner: a, ticket: b, expires: 2030-01-01}", "which allows"),
        ("{id: x, rules: [zz], match: {}, owner: a, ticket: b, expires: 2030-01-01}", "no rule `zz`"),
    ] {
        let text = format!(
            "rules: [{ALLOW}, {{id: d, match: {{}}, action: DENY}}, {{id: f, match: {{}}, action: DENY, classification: forbidden}}]\nexceptions: [{exception}]\n"
        );
        assert!(first_error(&text).contains(said), "{}", first_error(&text));
    }
}

#[test]
fn results_are_passed_redacted_or_withheld() {
    let policy = set(concat!(
        "rules:\n",
        "  - {id: ssn, phase: result, match: {server: crm}, action: MODIFY, modifications: {redact: ['\\d{3}-\\d{2}-\\d{4}']}}\n",
        "  - {id: orders, phase: result, match: {result: {instruction_like: true}}, action: DENY, reason: it gives orders}\n",
    ));
    let case = Case::new("crm", "read", "{}");
    let rule = |result: &ScenarioResult| result.facts(|facts| policy.decide_result(&case.input(), Some(facts)));
    let calm = ScenarioResult {
        texts: vec!["call 123-45-6789".into()],
        instruction_like: Some(false),
        ..ScenarioResult::default()
    };
    let ResultRuling::Redact(redaction) = rule(&calm) else { panic!() };
    let mut value = serde_json::json!({"a": ["123-45-6789", 1], "b": "no"});
    assert_eq!((redaction.apply_to(&mut value), value.to_string()), (1, r#"{"a":["[REDACTED]",1],"b":"no"}"#.into()));
    let orders = ScenarioResult { instruction_like: Some(true), ..calm.clone() };
    assert!(matches!(rule(&orders), ResultRuling::Withhold(withheld) if &*withheld.reason == "it gives orders"));
    let unknown = ScenarioResult { instruction_like: None, ..calm };
    assert!(matches!(rule(&unknown), ResultRuling::Withhold(_)), "not knowing withholds");
    assert!(matches!(policy.decide_result(&case.input(), None), ResultRuling::Withhold(_)), "so does being too large");
    assert!(policy.inspects_results(&case.call.action));
    assert!(first_error("rules: [{id: r, phase: result, match: {}, action: STEP_UP}]").contains("cannot wait"));
    assert!(first_error("rules: [{id: r, match: {result: {text: x}}, action: DENY}]").contains("cannot be known here"));
}

#[test]
fn tests_inside_a_file_run_at_load() {
    let text = |expect: &str| {
        format!(
            "rules: [{ALLOW}, {{id: d, match: {{parameters: {{to: {{external: true}}}}}}, action: DENY}}]\ntests:\n  - name: outside\n    internal_domains: [corp.example]\n    action: {{server: mail, operation: send, parameters: {{to: eve@evil.test}}}}\n    expect: {expect}\n    rule: d\n"
        )
    };
    let good = PolicySet::compile(&[source(&text("DENY"))], &Settings::default()).unwrap();
    assert_eq!(good.policies().next().unwrap().tests, 1);
    let error = first_error(&text("ALLOW"));
    assert!(error.starts_with("test.yaml:3: the test `outside` fails: DENY by `d`"), "{error}");
    let report = run_tests(&source(&text("DENY")), &Settings::default());
    assert_eq!((report.len(), report[0].failure.clone(), report[0].rule.as_deref()), (1, None, Some("d")));
}

#[test]
fn categories_are_the_operators_or_the_shipped_ones() {
    let text = format!("rules: [{ALLOW}, {{id: c, match: {{tool: {{category: destructive}}}}, action: DENY}}]");
    assert_eq!(Case::new("db", "delete_rows", "{}").decide(&set(&text)).0.verdict, Verdict::Deny);
    assert_eq!(Case::new("db", "undelete", "{}").decide(&set(&text)).0.verdict, Verdict::Allow);
    let own = Settings {
        categories: [("destructive".to_owned(), vec!["db.undelete".to_owned()])].into(),
        ..Settings::default()
    };
    let policy = PolicySet::compile(&[source(&text)], &own).unwrap();
    assert_eq!(Case::new("db", "undelete", "{}").decide(&policy).0.verdict, Verdict::Deny);
    assert_eq!(Case::new("db", "delete_rows", "{}").decide(&policy).0.verdict, Verdict::Allow);
}

#[test]
fn a_value_that_the_user_named_is_mentioned() {
    let text =
        format!("rules: [{ALLOW}, {{id: m, match: {{parameters: {{to: {{mentioned: false}}}}}}, action: STEP_UP}}]");
    let mut case = Case::new("mail", "send", r#"{"to":"Ann@corp.example"}"#);
    assert_eq!(case.decide(&set(&text)).0.verdict, Verdict::Defer, "no intent");
    for (words, verdict) in
        [("write to ann@corp.example, please", Verdict::Allow), ("write to joann@corp.example", Verdict::StepUp)]
    {
        case.context.intent =
            Some(crate::model::Intent { text: words.into(), source: crate::model::IntentSource::Host, class: None });
        assert_eq!(case.decide(&set(&text)).0.verdict, verdict, "{words}");
    }
}
