//! What every shipped policy decides over a fixed grid of actions and contexts, against files that are checked in: a
//! change of a policy shows as a change of these.
//!
//! `BLESS=1 cargo test --lib matrix` writes them anew; what changed is then looked at like any other change.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use crate::decide::{NOON, PolicySet, Scenario, Settings, run_tests, shipped};
use crate::model::{
    DataLevel, Effect, Intent, IntentSource, LevelSource, Origin, PriorAction, Signals, Timestamp, Usage, Verdict,
};

const POLICIES: &[&str] =
    &["baseline", "credentials", "demo", "destructive", "drift", "exfiltration", "off-hours", "payments"];

fn actions() -> Vec<(&'static str, &'static str, serde_json::Value)> {
    vec![
        ("mail", "read_inbox", json!({})),
        ("mail", "send_email", json!({"to": "ann@corp.example", "body": "hi"})),
        ("mail", "send_email", json!({"to": "eve@other.test", "body": "hi"})),
        ("mail", "send_email", json!({"to": "eve@other.test", "attachments": ["plan.pdf"]})),
        ("mail", "delete_messages", json!({"ids": "*"})),
        ("mail", "delete_messages", json!({"ids": [4]})),
        ("files", "read_file", json!({"path": "/shared/notes.txt"})),
        ("files", "read_file", json!({"path": "/home/ann/.ssh/id_ed25519"})),
        ("files", "write_file", json!({"path": "/shared/x", "text": "AKIAABCDEFGHIJKLMNOP"})),
        ("database", "query", json!({"sql": "select 1", "limit": 10})),
        ("database", "query", json!({"sql": "select 1", "limit": 100_000})),
        ("database", "query", json!({"sql": "drop table users", "limit": 1})),
        ("database", "delete_rows", json!({"table": "orders", "environment": "production"})),
        ("payments", "list_payments", json!({})),
        ("payments", "transfer", json!({"to": "acme", "amount": 500})),
        ("payments", "transfer", json!({"to": "acme", "amount": 9_999})),
        ("payments", "transfer", json!({"to": "acme", "amount": 50_000})),
        ("payments", "transfer", json!({"to": "acme", "amount": "500"})),
        ("payments", "transfer", json!({"to": "evil", "amount": 6_000})),
        ("iam", "grant_role", json!({"user": "bob", "role": "admin"})),
        ("vault", "rotate_credentials", json!({})),
        ("shell", "run_command", json!({"cmd": "rm -rf /"})),
        ("web", "fetch", json!({"url": "http://169.254.169.254/"})),
        ("web", "post", json!({"url": "https://webhook.site/x"})),
        ("other", "file:///shared/x", json!({})),
        ("other", "frobnicate", json!({})),
    ]
}

/// A name, and how the scenario differs.
type Change = (&'static str, fn(&mut Scenario));

/// What a session knows when nothing that the agent read speaks in the action.
fn quiet(scenario: &mut Scenario) {
    let text = "please".into();
    scenario.context.intent = Some(Intent { text, source: IntentSource::Host, class: None });
    let operation = &*scenario.call.action.operation;
    let known: &[(&str, Effect)] = &[
        ("read", Effect::Read),
        ("list", Effect::Read),
        ("query", Effect::Read),
        ("fetch", Effect::Read),
        ("send", Effect::Communicate),
        ("post", Effect::Communicate),
        ("delete", Effect::Delete),
        ("transfer", Effect::Pay),
        ("grant", Effect::Access),
        ("rotate", Effect::Credential),
        ("run", Effect::Execute),
    ];
    let effect =
        known.iter().find(|(verb, _)| operation.starts_with(verb)).map_or(Effect::Other, |(_, effect)| *effect);
    let no = Some(false);
    scenario.context.signals = Signals {
        effect: Some(effect),
        scope_expansion: no,
        credential_use: no,
        sink_origin: Some(Origin::Intent),
        sink_prose_only: no,
        sink_synthesised: no,
        commanded_by_content: no,
        effect_ordered_by_content: no,
        instruction_like: no,
        session_instruction_like: no,
        link_fetch: Some(operation == "fetch"),
        link_same_host: no,
        delegated_intent: no,
        drift_detected: no,
        ..Signals::default()
    };
}

/// A quiet session with one thing in it.
fn noisy(scenario: &mut Scenario, change: fn(&mut Signals)) {
    quiet(scenario);
    change(&mut scenario.context.signals);
}

/// What `drift` looks at.
fn requests() -> Vec<Change> {
    const YES: Option<bool> = Some(true);
    vec![
        ("plain", |_| {}),
        ("asked", quiet),
        ("scope", |scenario| noisy(scenario, |signals| signals.scope_expansion = YES)),
        ("credential", |scenario| noisy(scenario, |signals| signals.credential_use = YES)),
        ("ordered", |scenario| noisy(scenario, |signals| signals.commanded_by_content = YES)),
        ("to machines", |scenario| {
            noisy(scenario, |signals| (signals.commanded_by_content, signals.instruction_like) = (YES, YES));
        }),
        ("delegated", |scenario| {
            noisy(scenario, |signals| {
                (signals.commanded_by_content, signals.instruction_like) = (YES, YES);
                signals.delegated_intent = YES;
            });
        }),
        ("elsewhere", |scenario| {
            noisy(scenario, |signals| {
                (signals.scope_expansion, signals.session_instruction_like) = (YES, YES);
                signals.effect_ordered_by_content = YES;
            });
        }),
        ("prose", |scenario| {
            noisy(scenario, |signals| (signals.sink_prose_only, signals.sink_origin) = (YES, Some(Origin::Prose)));
        }),
        ("made up", |scenario| {
            noisy(scenario, |signals| {
                (signals.sink_synthesised, signals.effect_ordered_by_content) = (YES, YES);
                signals.sink_origin = Some(Origin::Synthesised);
            });
        }),
        ("known host", |scenario| {
            noisy(scenario, |signals| (signals.link_same_host, signals.sink_origin) = (YES, Some(Origin::Prose)));
        }),
        ("far", |scenario| noisy(scenario, |signals| signals.drift_detected = YES)),
        ("unknown", |scenario| noisy(scenario, |signals| *signals = Signals::default())),
        ("inferred", |scenario| {
            quiet(scenario);
            let text = "please".into();
            scenario.context.intent = Some(Intent { text, source: IntentSource::Inferred, class: None });
        }),
    ]
}

fn contexts(policy: &str) -> Vec<Change> {
    if policy == "drift" {
        return requests();
    }
    vec![
        ("plain", |_| {}),
        ("intent", |scenario| {
            let text = "pay acme and write to ann@corp.example".into();
            scenario.context.intent = Some(Intent { text, source: IntentSource::SignedToken, class: None });
        }),
        ("pii", |scenario| scenario.context.labels = ["PII".into()].into()),
        ("unlabelled", |scenario| scenario.context.level = Some((DataLevel::Restricted, LevelSource::Default))),
        ("confidential", |scenario| scenario.context.level = Some((DataLevel::Confidential, LevelSource::Label))),
        ("night", |scenario| scenario.context.now = Timestamp::parse("2026-01-10T03:00:00Z").unwrap()),
        ("after", |scenario| {
            let prior = |operation: &str| {
                std::sync::Arc::new(PriorAction {
                    id: crate::model::ActionId::mint(NOON, [1; 10]),
                    tool: "files".into(),
                    operation: operation.into(),
                    verdict: Verdict::Allow,
                    forwarded: true,
                    confirmed: false,
                    at: NOON,
                    level: None,
                    success: Some(true),
                })
            };
            scenario.context.history = [prior("read_file"), prior("make_zip"), prior("add_payee")].into();
            scenario.context.action_count = 3;
        }),
        ("used", |scenario| {
            scenario.usage.iter_mut().for_each(|usage| (usage.count, usage.sum_milli) = (10_000, 1_000_000_000))
        }),
        ("admin", |scenario| scenario.identity.scope = vec!["admin".into()]),
        ("window", |scenario| {
            let fact = crate::model::Fact {
                value: false.into(),
                source: "calendar".into(),
                fetched: NOON,
                expires: NOON.plus_micros(1),
            };
            scenario.facts.put("maintenance_window".into(), fact);
        }),
    ]
}

/// The table, and every rule that some row names.
fn table(set: &PolicySet, contexts: &[Change]) -> (String, BTreeSet<String>) {
    let (mut out, mut seen) = (String::new(), BTreeSet::new());
    for (server, operation, arguments) in actions() {
        let mut last = String::new();
        for (name, change) in contexts {
            let mut scenario = Scenario::new(server, operation, &arguments);
            scenario.usage =
                set.all_meters().map(|meter| Usage { meter: meter.name.clone(), count: 0, sum_milli: 0 }).collect();
            if operation.starts_with("file:") {
                scenario.call.action.method = "resources/read".into();
            }
            change(&mut scenario);
            let decision = scenario.decide(set);
            let rule = decision.policy.rule_id.as_deref().unwrap_or("-");
            seen.extend(decision.matched.iter().map(|rule| rule.rule_id.to_string()));
            let decided = format!("{} {rule}", decision.verdict.as_str());
            // Only where the context makes a difference.
            if *name == "plain" {
                writeln!(out, "{server}.{operation} {arguments}").unwrap();
                writeln!(out, "    {name:<12} {decided}").unwrap();
                last.clone_from(&decided);
            } else if decided != last {
                writeln!(out, "    {name:<12} {decided}").unwrap();
            }
        }
    }
    (out, seen)
}

#[test]
fn every_shipped_policy_decides_as_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decide/tests/matrix");
    for name in POLICIES {
        let settings = Settings { internal_domains: vec!["corp.example".into()], ..Settings::default() };
        let set = PolicySet::compile(&[shipped(name).unwrap()], &settings).unwrap_or_else(|errors| panic!("{errors}"));
        let (found, mut seen) = table(&set, &contexts(name));
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
            assert_eq!(found, expected, "{}:{}", path.display(), number + 1);
        }
        assert_eq!(found.lines().count(), expected.lines().count(), "{}", path.display());
        // A rule that no row and no test reaches is one that nobody has seen at work.
        seen.extend(run_tests(&shipped(name).unwrap(), &settings).into_iter().filter_map(|report| report.rule));
        let unseen: Vec<_> =
            set.rules.iter().filter(|rule| !seen.contains(&*rule.rule.id)).map(|rule| &rule.rule.id).collect();
        assert!(unseen.is_empty(), "{name}: no row and no test reaches {unseen:?}");
    }
}

#[test]
fn nothing_that_ships_is_certainly_a_mistake() {
    for name in POLICIES {
        let set = PolicySet::compile(&[shipped(name).unwrap()], &Settings::default()).unwrap();
        let mistakes: Vec<_> = set.findings().into_iter().filter(|finding| finding.mistake).collect();
        assert!(mistakes.is_empty(), "{mistakes:?}");
    }
}
