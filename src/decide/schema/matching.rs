//! The `match` of a rule: names, fields, and `any`, `all`, `not` around them.

use super::error::{Problems, advise};
use super::extent;
use super::operator::{self, Subject};
use super::section::{self, Section, flag, unknown_key};
use super::yaml::{Key, Node, Yaml};
use crate::decide::condition::{Condition, Reading};
use crate::decide::field::{self, Field, Kind, Sinks};
use crate::decide::names::{Names, Scope};
use crate::decide::path::Path;
use crate::model::Origin;

const KEYS: &[&str] = &[
    "server",
    "tool",
    "operation",
    "method",
    "category",
    "parameters",
    "context",
    "identity",
    "risk_signals",
    "facts",
    "result",
    "time",
    "sequence",
    "provenance",
    "any",
    "all",
    "not",
];

const LATER: &[(&str, &str)] = &[
    ("budget", "a limit is what must hold: write `constraints: {budget: {sum: amount, max: 1000, window: 24h}}`"),
    ("rate", "a limit is what must hold: write `constraints: {rate: {max: 10, window: 1h}}`"),
    ("sink", SINK),
    ("sink.type", SINK),
    ("when", "a condition in CEL stands beside `match`"),
];

const SINK: &str = "rules are about actions, and with `phase: result` about what tools return; what telemetry carries is \
                    redacted by the log itself";

/// A family of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    Context,
    Facts,
    Identity,
    Parameters,
    Provenance,
    /// AARM's `original_request`: the intent.
    Request,
    Result,
    Signals,
}

impl Namespace {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "context" => Self::Context,
            "facts" => Self::Facts,
            "original_request" => Self::Request,
            "result" => Self::Result,
            "identity" => Self::Identity,
            "parameters" | "params" | "arguments" => Self::Parameters,
            "provenance" => Self::Provenance,
            "risk_signals" | "signals" => Self::Signals,
            _ => return None,
        })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Facts => "facts",
            Self::Request => "original_request",
            Self::Result => "result",
            Self::Identity => "identity",
            Self::Parameters => "parameters",
            Self::Provenance => "provenance",
            Self::Signals => "risk_signals",
        }
    }
}

/// Reads a block of a `match`. The names it gives come back apart, because the index needs them.
pub(super) fn block(
    node: &Node,
    what: &'static str,
    reading: Reading,
    problems: &mut Problems<'_>,
) -> (Scope, Condition) {
    let (mut scope, mut condition) = (Scope::default(), Condition::always());
    let Some(mut section) = Section::open(node, what, problems) else { return (scope, condition) };
    for (key, value) in section.take_rest() {
        let part = match key.name.as_str() {
            "server" => named(&mut scope.server, value, "server", problems),
            "tool" => match category_of(value) {
                Some(value) => category(&mut scope.category, value, problems),
                None => named(&mut scope.tool, value, "tool", problems),
            },
            "category" => category(&mut scope.category, value, problems),
            "operation" => named(&mut scope.operation, value, "operation", problems),
            "method" => named(&mut scope.method, value, "method", problems),
            "all" => Condition::All(blocks(value, "all", reading, problems)),
            "any" => Condition::Any(blocks(value, "any", reading, problems)),
            "time" => extent::hours(value, problems),
            "sequence" => extent::sequence(value, problems),
            "rate" | "budget" if what == "constraints" => extent::limit(value, &key.name, problems),
            "not" => nested(value, "not", reading.turned(), problems).negate(),
            _ => family(key, value, what, reading, problems),
        };
        condition = condition.and(part);
    }
    (scope, condition)
}

/// A name in a map that has only names.
pub(super) fn place(scope: &mut Scope, key: &Key, value: &Node, what: &str, problems: &mut Problems<'_>) {
    match key.name.as_str() {
        "server" => drop(named(&mut scope.server, value, "server", problems)),
        "tool" => match category_of(value) {
            Some(value) => drop(category(&mut scope.category, value, problems)),
            None => drop(named(&mut scope.tool, value, "tool", problems)),
        },
        "operation" => drop(named(&mut scope.operation, value, "operation", problems)),
        "category" => drop(category(&mut scope.category, value, problems)),
        _ => unknown_key(key, what, &["server", "tool", "operation", "category", "level"], &[], problems),
    }
}

/// A block inside another one: its names are part of the condition.
pub(super) fn nested(node: &Node, what: &'static str, reading: Reading, problems: &mut Problems<'_>) -> Condition {
    let (scope, condition) = block(node, what, reading, problems);
    if scope == Scope::default() { condition } else { condition.and(Condition::Named(Box::new(scope))) }
}

/// A map of the fields of one family.
pub(super) fn fields(node: &Node, namespace: Namespace, reading: Reading, problems: &mut Problems<'_>) -> Condition {
    let Some(mut section) = Section::open(node, namespace.as_str(), problems) else { return Condition::always() };
    let entries = section.take_rest();
    Condition::All(
        entries.iter().filter_map(|(key, node)| one(namespace, key, &key.name, node, reading, problems)).collect(),
    )
}

/// AARM's `trigger`: signals and session fields by their bare names.
pub(super) fn trigger(node: &Node, reading: Reading, problems: &mut Problems<'_>) -> Condition {
    let Some(mut section) = Section::open(node, "trigger", problems) else { return Condition::always() };
    let mut parts = Vec::new();
    for (key, node) in section.take_rest() {
        let signal = field::lookup(field::SIGNALS, &key.name).is_some();
        let namespace = if signal { Namespace::Signals } else { Namespace::Context };
        // This page's word for what the session has read.
        let name = if key.name == "data_classification_accessed" { "data_accessed" } else { &key.name };
        parts.extend(one(namespace, key, name, node, reading, problems));
    }
    Condition::All(parts)
}

/// `parameters: {...}`, `parameters.to: {...}` and the like of the other families.
fn family(key: &Key, node: &Node, what: &str, reading: Reading, problems: &mut Problems<'_>) -> Condition {
    if let Some(namespace) = Namespace::of(&key.name) {
        return fields(node, namespace, reading, problems);
    }
    let dotted = key.name.split_once('.').and_then(|(family, name)| Some((Namespace::of(family)?, name)));
    let Some((namespace, name)) = dotted else {
        unknown_key(key, what, KEYS, LATER, problems);
        return Condition::always();
    };
    one(namespace, key, name, node, reading, problems).unwrap_or_else(Condition::always)
}

/// The conditions on one field.
fn one(
    namespace: Namespace,
    key: &Key,
    name: &str,
    node: &Node,
    reading: Reading,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let found: Result<(Field, Kind), String> = match namespace {
        Namespace::Parameters | Namespace::Provenance => match Path::parse(name) {
            Ok(path) if namespace == Namespace::Provenance => {
                return origin(key, (name, path), node, reading, problems);
            }
            Ok(path) => Ok((Field::Parameter(path), Kind::Any)),
            Err(problem) => {
                problems.add(key.line, problem, "write `name`, `outer.inner`, `list[*].name` or `/json/pointer`");
                return None;
            }
        },
        Namespace::Context if field::FACTS.contains(&name) => Ok((Field::Fact(name.into()), Kind::Any)),
        Namespace::Context => known(field::CONTEXT, name).map(|(field, kind)| (Field::Context(field), kind)),
        Namespace::Facts => Ok((Field::Fact(name.into()), Kind::Any)),
        Namespace::Request => {
            let name = match name {
                "text" => "intent",
                "source" => "intent_source",
                other => other,
            };
            known(field::CONTEXT, name).map(|(field, kind)| (Field::Context(field), kind))
        }
        Namespace::Result => known(field::RESULTS, name).map(|(field, kind)| (Field::Result(field), kind)),
        Namespace::Identity => known(field::IDENTITY, name).map(|(field, kind)| (Field::Identity(field), kind)),
        Namespace::Signals if field::FACT_SIGNALS.contains(&name) => Ok((Field::Fact(name.into()), Kind::Any)),
        Namespace::Signals => known(field::SIGNALS, name).map(|(field, kind)| (Field::Signal(field), kind)),
    };
    match found {
        Ok((field, kind)) => {
            let label = format!("{}.{name}", namespace.as_str());
            operator::conditions(node, &Subject { field, kind, label: &label }, reading, problems)
        }
        Err(advice) => {
            let what = format!("`{}.{name}` is never filled in, so the rule could never decide", namespace.as_str());
            problems.add(key.line, what, advice);
            None
        }
    }
}

/// `to: {origin: [intent, trusted]}`, and with `sink: true` of those values alone that say where the effect goes.
fn origin(
    key: &Key,
    (name, path): (&str, Path),
    node: &Node,
    reading: Reading,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let label = format!("provenance.{name}.origin");
    let mut section = Section::open(node, "provenance", problems)?;
    let wanted = section.take("origin");
    let sinks = match section.take("sink").and_then(|node| flag(node, "sink", problems)) {
        None => Sinks::All,
        Some(true) => Sinks::Only,
        Some(false) => Sinks::Without,
    };
    section.close(&["origin", "sink"], &[], problems);
    let field = Field::Provenance(path, sinks);
    let Some(wanted) = wanted else {
        let advice = format!("write `{name}: {{origin: [intent, trusted]}}`");
        problems.add(key.line, format!("`provenance.{name}` says no `origin`"), advice);
        return None;
    };
    let kind = Kind::Word(Origin::WORDS);
    operator::conditions(wanted, &Subject { field, kind, label: &label }, reading, problems)
}

fn known<F: Copy>(table: &'static [(&'static str, F, Kind)], name: &str) -> Result<(F, Kind), String> {
    field::lookup(table, name).ok_or_else(|| advise(name, &field::names(table)))
}

fn blocks(node: &Node, what: &'static str, reading: Reading, problems: &mut Problems<'_>) -> Vec<Condition> {
    if !matches!(&node.value, Yaml::List(elements) if !elements.is_empty()) {
        problems.add(
            node.line,
            format!("`{what}` is {}", node.value.kind()),
            "write a list of at least one match block",
        );
        return Vec::new();
    }
    node.elements().iter().map(|element| nested(element, what, reading, problems)).collect()
}

/// `tool: {category: x}`.
fn category_of(node: &Node) -> Option<&Node> {
    match &node.value {
        Yaml::Map(entries) => match entries.as_slice() {
            [(key, value)] if key.name == "category" => Some(value),
            _ => None,
        },
        _ => None,
    }
}

fn category(names: &mut Names, node: &Node, problems: &mut Problems<'_>) -> Condition {
    for text in section::texts(node, "category", problems) {
        match problems.category(text) {
            Some(patterns) => patterns.iter().for_each(|pattern| names.add(pattern)),
            None => {
                let advice = advise(text, &problems.categories());
                let what = format!("no category `{text}` is defined");
                problems.add(node.line, what, format!("define it under `policy.categories`; {advice}"));
            }
        }
    }
    Condition::always()
}

fn named(names: &mut Names, node: &Node, what: &str, problems: &mut Problems<'_>) -> Condition {
    if let Yaml::Map(entries) = &node.value {
        let key = entries.first().map_or("a map", |(key, _)| key.name.as_str());
        let what = format!("`{what}` cannot be tested with `{key}`");
        problems.add(
            node.line,
            what,
            "write a name, a name with `*` or `?`, or a list of these; turn it round with `not:`",
        );
        return Condition::always();
    }
    for text in section::texts(node, what, problems) {
        names.add(text);
    }
    Condition::always()
}
