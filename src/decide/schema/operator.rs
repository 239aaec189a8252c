//! Operators: `{gt: 100}`, `[a, b]`, `{not: {external: true}}`.

use super::error::{Problems, advise};
use super::section::{self, Section};
use super::value::{fold, level, pattern, scalar, scalars, types};
use super::yaml::{Node, Yaml};
use crate::decide::condition::{Condition, Leaf, Quantifier, Reading, Scalar, Test};
use crate::decide::domain::DomainSet;
use crate::decide::field::{Field, Kind, Party, SignalField};
use crate::decide::names::Glob;
use crate::decide::number::Comparison;
use crate::model::DataLevel;

const KEYS: &[&str] = &[
    "eq",
    "ne",
    "in",
    "not_in",
    "gt",
    "gte",
    "lt",
    "lte",
    "contains",
    "not_contains",
    "matches",
    "glob",
    "starts_with",
    "ends_with",
    "domain_in",
    "external",
    "exists",
    "type",
    "length",
    "unknown_or_conflicting",
    "higher_than",
    "mentioned",
    "owned_by",
    "any",
    "all",
    "not",
];

/// Operators of AARM's pages that stand elsewhere here.
const LATER: &[(&str, &str)] = &[
    ("category", "write `tool: {category: ...}` or `category: ...` in `match`"),
    ("rate", "write `constraints: {rate: {max: 10, window: 1h}}`"),
];

/// What is tested.
pub(super) struct Subject<'l> {
    pub(super) field: Field,
    pub(super) kind: Kind,
    pub(super) label: &'l str,
}

impl Subject<'_> {
    fn leaf(&self, test: Test, quantifier: Quantifier) -> Condition {
        let (label, field) = (self.label.into(), self.field.clone());
        Condition::Is(Box::new(Leaf { label, field, test, quantifier, fold_case: self.kind == Kind::Words }))
    }

    /// A field whose values are a set: a condition on it asks whether a name is in it.
    const fn is_set(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::Classification)
    }
}

/// Everything that is said about one field. `None` after a problem was added.
pub(super) fn conditions(
    node: &Node,
    subject: &Subject<'_>,
    reading: Reading,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let Yaml::Map(entries) = &node.value else { return equal(node, subject, reading, problems) };
    if entries.is_empty() {
        problems.add(
            node.line,
            format!("`{}` has no operator", subject.label),
            "write `exists: true` if it only must be there",
        );
        return None;
    }
    let mut parts = Vec::new();
    for (key, value) in entries {
        let name = canonical(&key.name);
        if let Some((_, advice)) = LATER.iter().find(|(later, _)| *later == name) {
            problems.add(key.line, format!("operator `{name}` is not supported"), *advice);
        } else if KEYS.contains(&name) {
            parts.extend(operator(name, value, subject, reading, problems));
        } else {
            problems.add(key.line, format!("unknown operator `{name}` on `{}`", subject.label), advise(name, KEYS));
        }
    }
    Some(if parts.len() == 1 { parts.pop()? } else { Condition::All(parts) })
}

/// This product's name of an operator (aliases of AARM's pages, resolution G-15).
fn canonical(name: &str) -> &str {
    match name {
        "equals" => "eq",
        "not_equals" => "ne",
        "greater_than" => "gt",
        "greater_than_or_equal" => "gte",
        "less_than" => "lt",
        "less_than_or_equal" => "lte",
        "regex" => "matches",
        "domain_allowlist" => "domain_in",
        "contains_classification" => "contains",
        other => other,
    }
}

fn operator(
    name: &str,
    node: &Node,
    subject: &Subject<'_>,
    reading: Reading,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let quantifier = reading.quantifier();
    match name {
        "eq" | "in" => equal(node, subject, reading, problems),
        "ne" | "not_in" => Some(equal(node, subject, reading.turned(), problems)?.negate()),
        "not" => Some(conditions(node, subject, reading.turned(), problems)?.negate()),
        "contains" => contains(node, subject, reading, problems),
        "not_contains" => Some(contains(node, subject, reading.turned(), problems)?.negate()),
        "any" | "all" => {
            let parts =
                node.elements().iter().filter_map(|node| conditions(node, subject, reading, problems)).collect();
            Some(if name == "any" { Condition::Any(parts) } else { Condition::All(parts) })
        }
        "exists" | "unknown_or_conflicting" => {
            let wanted = section::flag(node, name, problems)? == (name == "exists");
            let reading = if wanted { reading } else { reading.turned() };
            let quantifier = if subject.is_set() { Quantifier::Any } else { reading.quantifier() };
            let leaf = subject.leaf(Test::Exists, quantifier);
            Some(if wanted { leaf } else { leaf.negate() })
        }
        "higher_than" => higher_than(node, subject, quantifier, problems),
        "mentioned" => mentioned(node, subject, reading, problems),
        "owned_by" => {
            if !matches!(subject.kind, Kind::Any | Kind::Text) {
                return misfit(name, node, subject, "use it on a fact or a parameter", problems);
            }
            let party = section::word(node, name, Party::WORDS, problems)?;
            Some(subject.leaf(Test::OwnedBy(party), quantifier))
        }
        "external" => external(node, subject, reading, problems),
        "gt" | "gte" | "lt" | "lte" => compare(name, node, subject, quantifier, problems),
        "length" => length(node, subject, quantifier, problems),
        _ => textual(name, node, subject, quantifier, problems),
    }
}

/// Reports an operator on a field that it can never fit.
fn misfit(
    name: &str,
    node: &Node,
    subject: &Subject<'_>,
    advice: &str,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    problems.add(node.line, format!("`{name}` makes no sense for `{}`", subject.label), advice);
    None
}

fn equal(node: &Node, subject: &Subject<'_>, reading: Reading, problems: &mut Problems<'_>) -> Option<Condition> {
    match subject.kind {
        Kind::Classification => return classification(node, subject, reading, true, problems),
        Kind::Level => return misfit("eq", node, subject, "say which side is meant: gte, gt, lte or lt", problems),
        _ => {}
    }
    let scalars = scalars(node, subject, problems)?;
    let quantifier = if subject.is_set() { Quantifier::Any } else { reading.quantifier() };
    Some(subject.leaf(Test::OneOf(scalars), quantifier))
}

fn contains(node: &Node, subject: &Subject<'_>, reading: Reading, problems: &mut Problems<'_>) -> Option<Condition> {
    match subject.kind {
        Kind::Classification => classification(node, subject, reading, false, problems),
        Kind::List => Some(subject.leaf(Test::OneOf(scalars(node, subject, problems)?), Quantifier::Any)),
        Kind::Any | Kind::Text | Kind::Words => {
            Some(subject.leaf(Test::Contains(scalars(node, subject, problems)?), reading.quantifier()))
        }
        _ => misfit("contains", node, subject, "use eq or in", problems),
    }
}

/// Labels and levels in one list, as AARM writes them: `[PII, CONFIDENTIAL]`.
///
/// The session knows the highest level only. A rule that restricts reads a level as "this or higher", so that data of
/// a higher level never slips under it; a rule that permits reads it as "this or lower". `whole` asks a permitting
/// rule to name everything that was seen, not only one of it.
fn classification(
    node: &Node,
    subject: &Subject<'_>,
    reading: Reading,
    whole: bool,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let (mut labels, mut levels) = (Vec::new(), Vec::new());
    for text in section::texts(node, subject.label, problems) {
        match level(text) {
            Some(level) => levels.push(level),
            None => labels.push(Scalar::Text(text.into())),
        }
    }
    let on_level = |comparison, level| subject.leaf(Test::Level(comparison, level), Quantifier::Any);
    let narrow_whole = reading == Reading::Narrow && whole;
    if narrow_whole {
        let bound = levels.iter().copied().max().unwrap_or(DataLevel::Public);
        let labels = subject.leaf(Test::OneOf(labels), Quantifier::All);
        return Some(Condition::All(vec![on_level(Comparison::LessOrEqual, bound), labels]));
    }
    let mut parts = Vec::new();
    match (reading, levels.iter().copied().min()) {
        (Reading::Wide, Some(bound)) => parts.push(on_level(Comparison::GreaterOrEqual, bound)),
        (Reading::Narrow, _) => parts.extend(levels.iter().map(|level| on_level(Comparison::Equal, *level))),
        (Reading::Wide, None) => {}
    }
    if !labels.is_empty() {
        parts.push(subject.leaf(Test::OneOf(labels), Quantifier::Any));
    }
    Some(Condition::Any(parts))
}

fn external(node: &Node, subject: &Subject<'_>, reading: Reading, problems: &mut Problems<'_>) -> Option<Condition> {
    if !matches!(subject.kind, Kind::Any | Kind::Text | Kind::Destination) {
        return misfit("external", node, subject, "use it on a recipient, URL or host", problems);
    }
    let wanted = section::flag(node, "external", problems)?;
    let reading = if wanted { reading } else { reading.turned() };
    let leaf = subject.leaf(Test::External, reading.quantifier());
    Some(if wanted { leaf } else { leaf.negate() })
}

/// A level, or AARM's `original_request_scope`: higher than what the request needs.
fn higher_than(
    node: &Node,
    subject: &Subject<'_>,
    quantifier: Quantifier,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    if node.as_text() == Some("original_request_scope") && matches!(subject.kind, Kind::Level | Kind::Classification) {
        let escalation = Subject {
            field: Field::Signal(SignalField::ClassificationEscalation),
            kind: Kind::Flag,
            label: "risk_signals.classification_escalation",
        };
        return Some(escalation.leaf(Test::OneOf(vec![Scalar::Flag(true)]), quantifier));
    }
    compare("gt", node, subject, quantifier, problems)
}

fn mentioned(node: &Node, subject: &Subject<'_>, reading: Reading, problems: &mut Problems<'_>) -> Option<Condition> {
    if !matches!(subject.kind, Kind::Any | Kind::Text) {
        return misfit("mentioned", node, subject, "use it on a parameter or a fact", problems);
    }
    let wanted = section::flag(node, "mentioned", problems)?;
    let reading = if wanted { reading } else { reading.turned() };
    let leaf = subject.leaf(Test::Mentioned, reading.quantifier());
    Some(if wanted { leaf } else { leaf.negate() })
}

fn compare(
    name: &str,
    node: &Node,
    subject: &Subject<'_>,
    quantifier: Quantifier,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let comparison = comparison(name)?;
    if matches!(subject.kind, Kind::Level | Kind::Classification) {
        let Some(level) = node.as_text().and_then(level) else {
            return misfit(name, node, subject, "compare with PUBLIC, INTERNAL, CONFIDENTIAL or RESTRICTED", problems);
        };
        return Some(subject.leaf(Test::Level(comparison, level), Quantifier::Any));
    }
    if !matches!(subject.kind, Kind::Any | Kind::Number) {
        return misfit(name, node, subject, "it has no order; use eq or in", problems);
    }
    match scalar(node) {
        Some(Scalar::Number(number)) => Some(subject.leaf(Test::Compare(comparison, number), quantifier)),
        _ => misfit(name, node, subject, "compare with a number", problems),
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        "eq" => Comparison::Equal,
        "gt" => Comparison::Greater,
        "gte" => Comparison::GreaterOrEqual,
        "lt" => Comparison::Less,
        "lte" => Comparison::LessOrEqual,
        _ => return None,
    })
}

fn length(
    node: &Node,
    subject: &Subject<'_>,
    quantifier: Quantifier,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    if !matches!(subject.kind, Kind::Any | Kind::Text | Kind::Words) {
        return misfit("length", node, subject, "use it on a text or a list", problems);
    }
    if let Some(Scalar::Number(number)) = scalar(node) {
        return Some(subject.leaf(Test::Length(Comparison::Equal, number), quantifier));
    }
    let mut section = Section::open(node, "length", problems)?;
    let mut parts = Vec::new();
    for (key, value) in section.take_rest() {
        match (comparison(canonical(&key.name)), scalar(value)) {
            (Some(comparison), Some(Scalar::Number(number))) => {
                parts.push(subject.leaf(Test::Length(comparison, number), quantifier));
            }
            _ => problems.add(
                key.line,
                format!("`length` cannot be tested with `{}`", key.name),
                "write eq, gt, gte, lt or lte with a number",
            ),
        }
    }
    Some(Condition::All(parts))
}

/// Operators that take a text or several.
fn textual(
    name: &str,
    node: &Node,
    subject: &Subject<'_>,
    quantifier: Quantifier,
    problems: &mut Problems<'_>,
) -> Option<Condition> {
    let fits = match name {
        "type" => subject.kind == Kind::Any,
        "domain_in" => matches!(subject.kind, Kind::Any | Kind::Text | Kind::Destination),
        "glob" => !matches!(subject.kind, Kind::Flag | Kind::Level | Kind::Number | Kind::Classification),
        _ => matches!(subject.kind, Kind::Any | Kind::Text | Kind::Words),
    };
    if !fits {
        return misfit(name, node, subject, "use eq, in or exists", problems);
    }
    let texts = section::texts(node, name, problems);
    let quantifier = if subject.is_set() { Quantifier::Any } else { quantifier };
    let folded = || texts.iter().map(|text| fold(text, subject)).collect::<Vec<Box<str>>>();
    let test = match name {
        "domain_in" => match DomainSet::new(texts.iter().copied()) {
            Ok(set) => Test::DomainIn(set),
            Err(text) => {
                problems.add(node.line, format!("`{text}` is not a domain"), "write a domain like `corp.example`");
                return None;
            }
        },
        "ends_with" => Test::EndsWith(folded()),
        "glob" => Test::Glob(folded().iter().map(|text| Glob::new(text)).collect()),
        "starts_with" => Test::StartsWith(folded()),
        "type" => Test::Type(types(&texts, node, problems)),
        _ => Test::Matches(texts.iter().filter_map(|text| pattern(text, node, problems)).collect()),
    };
    Some(subject.leaf(test, quantifier))
}
