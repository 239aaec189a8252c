//! `tests` of a policy file, and the actions that `policy explain` is asked about: an action with everything around it.

use std::sync::Arc;

use serde_json::Value;

use super::error::Problems;
use super::modification;
use super::section::{Section, flag, text, texts, word};
use super::signal;
use super::surroundings::{EXPECTATIONS, context, data_level, identity, number};
use super::yaml::{Node, Yaml};
use crate::decide::scenario::{Scenario, ScenarioResult};
use crate::model::{Fact, Usage, Verdict};

/// Most tests in one file: they run at every load.
const TESTS_MAX: usize = 1_000;

/// One test.
#[derive(Debug)]
pub(in crate::decide) struct Test {
    pub(in crate::decide) name: String,
    pub(in crate::decide) line: u64,
    pub(in crate::decide) scenario: Scenario,
    pub(in crate::decide) expectation: Expectation,
    /// Domains of the organisation in this test.
    pub(in crate::decide) internal_domains: Vec<String>,
}

/// What a test expects.
#[derive(Debug, Default)]
pub(in crate::decide) struct Expectation {
    pub(in crate::decide) verdict: Option<Verdict>,
    /// For results: `PASS`, `REDACT`, `WITHHOLD`.
    pub(in crate::decide) result: Option<&'static str>,
    /// The rule that decides; an empty text for the default.
    pub(in crate::decide) rule: Option<String>,
    pub(in crate::decide) reason_code: Option<String>,
}

const RESULTS: &[(&str, &str)] = &[("PASS", "PASS"), ("REDACT", "REDACT"), ("WITHHOLD", "WITHHOLD")];

/// Reads `tests`.
pub(super) fn tests(node: &Node, problems: &mut Problems<'_>) -> Vec<Test> {
    if node.elements().len() > TESTS_MAX {
        problems.add(node.line, "too many tests", format!("at most {TESTS_MAX} in one file: they run at every load"));
        return Vec::new();
    }
    node.elements().iter().filter_map(|node| test(node, problems)).collect()
}

fn test(node: &Node, problems: &mut Problems<'_>) -> Option<Test> {
    let mut section = Section::open(node, "test", problems)?;
    let name = section.take("name").and_then(|node| text(node, "test.name", problems));
    let expect = section.take("expect");
    let rule = section.take("rule").and_then(|node| text(node, "test.rule", problems));
    let code = section.take("reason_code").and_then(|node| text(node, "test.reason_code", problems));
    let domains = section.take("internal_domains");
    let domains = domains.map(|node| texts(node, "internal_domains", problems)).unwrap_or_default();
    let scenario = scenario(&mut section, node, problems);
    section.close(KEYS, &[], problems);
    let mut expectation =
        Expectation { rule: rule.map(str::to_owned), reason_code: code.map(str::to_owned), ..Expectation::default() };
    match expect {
        Some(node) if scenario.as_ref().is_some_and(|scenario| scenario.result.is_some()) => {
            expectation.result = word(node, "expect", RESULTS, problems);
        }
        Some(node) => expectation.verdict = word(node, "expect", EXPECTATIONS, problems),
        None => problems.add(
            node.line,
            "a test expects nothing",
            "write `expect: DENY`, and `rule:` with the rule that decides",
        ),
    }
    Some(Test {
        name: name.unwrap_or("unnamed").to_owned(),
        line: node.line,
        scenario: scenario?,
        expectation,
        internal_domains: domains.into_iter().map(str::to_owned).collect(),
    })
}

/// Reads one action with what is around it.
pub(super) fn one(node: &Node, problems: &mut Problems<'_>) -> Option<Scenario> {
    let mut section = Section::open(node, "the action", problems)?;
    let scenario = scenario(&mut section, node, problems);
    section.close(KEYS, &[], problems);
    scenario
}

const KEYS: &[&str] = &[
    "name",
    "expect",
    "rule",
    "reason_code",
    "internal_domains",
    "action",
    "identity",
    "context",
    "signals",
    "risk_signals",
    "provenance",
    "usage",
    "facts",
    "result",
    "schema",
];

fn scenario(section: &mut Section<'_>, node: &Node, problems: &mut Problems<'_>) -> Option<Scenario> {
    let Some(action) = section.take("action") else {
        problems.add(
            node.line,
            "no `action`",
            "write `action: {server: mail, operation: send_email, parameters: {...}}`",
        );
        return None;
    };
    let mut scenario = self::action(action, problems)?;
    if let Some(node) = section.take("identity") {
        identity(node, &mut scenario, problems);
    }
    if let Some(node) = section.take("context") {
        context(node, &mut scenario, problems);
    }
    if let Some(node) = section.take_one(&["signals", "risk_signals"], problems) {
        signal::read(node, &mut scenario.context.signals, problems);
    }
    if let Some(node) = section.take("provenance") {
        signal::provenance(node, &mut scenario.context.signals, problems);
    }
    if let Some(node) = section.take("usage") {
        usage(node, &mut scenario, problems);
    }
    if let Some(node) = section.take("facts")
        && let Some(mut section) = Section::open(node, "facts", problems)
    {
        for (key, node) in section.take_rest() {
            let (fetched, value) = (scenario.context.now, json(node, problems).unwrap_or(Value::Null));
            let expires = fetched.plus_micros(1_000_000);
            scenario.facts.put(key.name.as_str().into(), Fact { value, source: "test".into(), fetched, expires });
        }
    }
    if let Some(schema) = section.take("schema").and_then(|node| json(node, problems)) {
        scenario.with_schema(schema);
    }
    if let Some(node) = section.take("result") {
        scenario.result = result(node, problems);
    }
    Some(scenario)
}

fn action(node: &Node, problems: &mut Problems<'_>) -> Option<Scenario> {
    let mut section = Section::open(node, "action", problems)?;
    let mut name = |key: &str| section.take(key).and_then(|node| text(node, key, problems));
    let (server, tool, operation, method) = (name("server"), name("tool"), name("operation"), name("method"));
    let arguments = section.take_one(&["parameters", "arguments"], problems);
    let arguments =
        arguments.map_or_else(|| Some(Value::Object(serde_json::Map::new())), |node| json(node, problems))?;
    section.close(&["server", "tool", "operation", "method", "parameters", "arguments"], &[], problems);
    let (Some(server), Some(operation)) = (server.or(tool), operation) else {
        problems.add(node.line, "an action has a `server` and an `operation`", "name both; `tool` stands for `server`");
        return None;
    };
    let mut scenario = Scenario::new(server, operation, &arguments);
    if let Some(tool) = tool {
        scenario.call.action.tool = tool.into();
    }
    if let Some(method) = method {
        scenario.call.action.method = method.into();
    }
    Some(scenario)
}

/// `usage: {rule: 10}` or `usage: {rule: {count: 10, sum: 950.5}}`.
fn usage(node: &Node, scenario: &mut Scenario, problems: &mut Problems<'_>) {
    let Some(mut section) = Section::open(node, "usage", problems) else { return };
    for (key, node) in section.take_rest() {
        let mut sum = 0.0;
        let count = match &node.value {
            Yaml::Map(_) => {
                let Some(mut inner) = Section::open(node, "usage", problems) else { continue };
                let count = inner.take("count").and_then(|node| number(node, "count", problems));
                sum = inner.take("sum").map_or(0.0, |node| match node.value {
                    #[expect(clippy::cast_precision_loss, reason = "an amount in a test")]
                    Yaml::Integer(number) => number as f64,
                    Yaml::Float(number) => number,
                    _ => 0.0,
                });
                inner.close(&["count", "sum"], &[], problems);
                count.unwrap_or(0)
            }
            _ => number(node, &key.name, problems).unwrap_or(0),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an amount in a test")]
        let sum_milli = (sum.max(0.0) * 1e3).round() as u64;
        scenario.usage.push(Usage { meter: key.name.as_str().into(), count, sum_milli });
    }
}

fn result(node: &Node, problems: &mut Problems<'_>) -> Option<ScenarioResult> {
    let mut section = Section::open(node, "result", problems)?;
    let found = ScenarioResult {
        texts: section
            .take("text")
            .map(|node| texts(node, "text", problems))
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        level: section.take("level").and_then(|node| data_level(node, problems)),
        labels: section.take("labels").map(|node| texts(node, "labels", problems).into_iter().map(Arc::from).collect()),
        instruction_like: section.take("instruction_like").and_then(|node| flag(node, "instruction_like", problems)),
        is_error: section.take("is_error").and_then(|node| flag(node, "is_error", problems)).unwrap_or(false),
    };
    section.close(&["text", "level", "labels", "instruction_like", "is_error"], &[], problems);
    Some(found)
}

fn json(node: &Node, problems: &mut Problems<'_>) -> Option<Value> {
    let mut text = String::new();
    let value = modification::write(&mut text, node).and_then(|()| serde_json::from_str(&text).ok());
    if value.is_none() {
        problems.add(node.line, "not a value that JSON can write", "write plain values, lists and maps");
    }
    value
}
