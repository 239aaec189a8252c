//! Whether one value passes one test.

use std::borrow::Cow;

use serde_json::Value;

use super::condition::{JsonType, Leaf, Quantifier, Scalar, Test};
use super::datum::Datum;
use super::domain::{DomainSet, domains};
use super::field::Party;
use super::input::Input;
use super::number::{Comparison, Number};
use super::truth::Truth;
use crate::model::{Claim, DataLevel, Destination, PriorAction};

/// Whether the test says something about null other than that nothing is there.
pub(super) fn takes_null(test: &Test) -> bool {
    match test {
        Test::OneOf(scalars) => scalars.contains(&Scalar::Null),
        Test::Type(types) => types.contains(&JsonType::Null),
        _ => false,
    }
}

/// What a test may look at beside the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) internal: &'a DomainSet,
    pub(super) input: &'a Input<'a>,
}

pub(super) fn passes(leaf: &Leaf, datum: Datum<'_>, view: View<'_>) -> Truth {
    match datum {
        Datum::Absent => Truth::False,
        // That nobody knows a value is itself known.
        Datum::Unknown if matches!(leaf.test, Test::Exists) => Truth::False,
        Datum::Unknown => Truth::Unknown,
        Datum::Destination(destination) => to(leaf, destination),
        Datum::Flag(flag) => scalar(&leaf.test, |value| match value {
            Scalar::Flag(wanted) => Some(*wanted == flag),
            _ => None,
        }),
        Datum::Json(value) => json(leaf, value, view),
        Datum::Level(level) => of_level(&leaf.test, level),
        Datum::Number(number) => numeric(&leaf.test, number),
        Datum::Prior(prior) => earlier(&leaf.test, prior),
        Datum::Text(text) => textual(leaf, text, view),
    }
}

fn json(leaf: &Leaf, value: &Value, view: View<'_>) -> Truth {
    if let Test::Type(types) = &leaf.test {
        return types.iter().any(|wanted| wanted.is(value)).into();
    }
    match value {
        Value::Bool(_) | Value::Number(_) if leaf.test.takes_letters() => textual(leaf, &value.to_string(), view),
        Value::Null => scalar(&leaf.test, |wanted| Some(*wanted == Scalar::Null)),
        Value::Bool(flag) => passes(leaf, Datum::Flag(*flag), view),
        Value::Number(number) => match Number::of(number) {
            Some(number) => numeric(&leaf.test, number),
            None => Truth::Unknown,
        },
        Value::String(text) => textual(leaf, text, view),
        Value::Array(elements) if leaf.test.takes_lists() => list(&leaf.test, elements),
        Value::Array(elements) => {
            let each = elements.iter().map(|element| json(leaf, element, view));
            quantify(leaf.quantifier, each)
        }
        Value::Object(members) => match &leaf.test {
            Test::Exists => Truth::True,
            Test::Length(comparison, bound) => size(members.len(), *comparison, *bound),
            _ => Truth::Unknown,
        },
    }
}

fn quantify(quantifier: Quantifier, mut each: impl Iterator<Item = Truth>) -> Truth {
    match quantifier {
        Quantifier::All => {
            each.try_fold(Truth::True, |all, one| (all != Truth::False).then(|| all.and(one))).unwrap_or(Truth::False)
        }
        Quantifier::Any => {
            each.try_fold(Truth::False, |any, one| (any != Truth::True).then(|| any.or(one))).unwrap_or(Truth::True)
        }
    }
}

fn list(test: &Test, elements: &[Value]) -> Truth {
    match test {
        Test::Exists => Truth::True,
        Test::Length(comparison, bound) => size(elements.len(), *comparison, *bound),
        Test::Contains(wanted) => {
            let each = elements.iter().map(|element| match element {
                Value::Array(_) | Value::Object(_) => Truth::Unknown,
                plain => wanted.iter().any(|wanted| same(wanted, plain) == Some(true)).into(),
            });
            quantify(Quantifier::Any, each)
        }
        _ => Truth::Unknown,
    }
}

/// `None` when the two cannot be compared.
fn same(wanted: &Scalar, value: &Value) -> Option<bool> {
    match (wanted, value) {
        (Scalar::Flag(wanted), Value::Bool(flag)) => Some(wanted == flag),
        (Scalar::Null, _) | (_, Value::Null) => Some(*wanted == Scalar::Null && value.is_null()),
        (Scalar::Number(wanted), Value::Number(number)) => {
            Some(Number::of(number)?.compare(*wanted)? == std::cmp::Ordering::Equal)
        }
        (Scalar::Text(wanted), Value::String(text)) => Some(**wanted == **text),
        _ => None,
    }
}

/// A test of a value that has no other operators than equality. `compare` gives `None` for another type.
fn scalar(test: &Test, compare: impl Fn(&Scalar) -> Option<bool>) -> Truth {
    match test {
        Test::Exists => Truth::True,
        Test::OneOf(wanted) => {
            let answers: Vec<bool> = wanted.iter().filter_map(compare).collect();
            match answers.contains(&true) {
                true => Truth::True,
                false if answers.is_empty() && !wanted.is_empty() => Truth::Unknown,
                false => Truth::False,
            }
        }
        _ => Truth::Unknown,
    }
}

fn numeric(test: &Test, number: Number) -> Truth {
    match test {
        Test::Compare(comparison, bound) => {
            number.compare(*bound).map_or(Truth::Unknown, |ordering| comparison.holds(ordering).into())
        }
        _ => scalar(test, |wanted| match wanted {
            Scalar::Number(wanted) => Some(number.compare(*wanted)? == std::cmp::Ordering::Equal),
            _ => None,
        }),
    }
}

fn textual(leaf: &Leaf, text: &str, view: View<'_>) -> Truth {
    let text = if leaf.fold_case { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) };
    match &leaf.test {
        Test::Contains(wanted) => {
            let mut pieces = wanted.iter().filter_map(as_text).peekable();
            if pieces.peek().is_none() { Truth::Unknown } else { pieces.any(|piece| text.contains(piece)).into() }
        }
        Test::DomainIn(set) => places(&text, leaf.quantifier, |domain| set.contains(domain)),
        Test::EndsWith(ends) => ends.iter().any(|end| text.ends_with(&**end)).into(),
        Test::External => places(&text, leaf.quantifier, |domain| !view.internal.contains(domain)),
        Test::Glob(globs) => globs.iter().any(|glob| glob.matches(&text)).into(),
        Test::Length(comparison, bound) => size(text.chars().count(), *comparison, *bound),
        Test::Matches(patterns) => patterns.iter().any(|pattern| pattern.is_match(&text)).into(),
        Test::Mentioned => match &view.input.context.intent {
            Some(intent) => mentions(&intent.text, &text).into(),
            None => Truth::Unknown,
        },
        Test::OwnedBy(party) => match owner(*party, view.input) {
            Some(owner) => (owner == text).into(),
            None => Truth::Unknown,
        },
        Test::StartsWith(starts) => starts.iter().any(|start| text.starts_with(&**start)).into(),
        test => scalar(test, |wanted| as_text(wanted).map(|wanted| wanted == text)),
    }
}

/// Whether a value stands in the user's words, as a word of its own and without regard to case. A value without any
/// letter or digit is mentioned nowhere.
fn mentions(words: &str, value: &str) -> bool {
    let (words, value) = (words.to_lowercase(), value.trim().to_lowercase());
    if !value.contains(char::is_alphanumeric) {
        return false;
    }
    words.match_indices(&value).any(|(at, _)| {
        let before = words.get(..at).and_then(|text| text.chars().next_back());
        let after = words.get(at + value.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(char::is_alphanumeric) && !after.is_some_and(char::is_alphanumeric)
    })
}

/// Who acts, as far as somebody vouches for it.
fn owner<'a>(party: Party, input: &Input<'a>) -> Option<&'a str> {
    let claim =
        |claim: Option<&'a Claim>| claim.filter(|claim| claim.verification.is_verified()).map(|claim| &*claim.value);
    let identity = input.identity;
    match party {
        Party::Agent => claim(identity.agent.as_ref().map(|agent| &agent.id)),
        Party::Human => claim(identity.human.as_ref()),
        Party::Team => identity.team.as_deref(),
        Party::Tenant => identity.tenant.as_deref(),
    }
}

fn as_text(scalar: &Scalar) -> Option<&str> {
    match scalar {
        Scalar::Text(text) => Some(text),
        _ => None,
    }
}

/// Every recipient in a text counts; one that cannot be read is unknown.
fn places(text: &str, quantifier: Quantifier, test: impl Fn(&str) -> bool) -> Truth {
    let mut parts = domains(text).peekable();
    if parts.peek().is_none() {
        return Truth::Unknown;
    }
    quantify(quantifier, parts.map(|domain| domain.map_or(Truth::Unknown, |domain| test(&domain).into())))
}

fn size(length: usize, comparison: Comparison, bound: Number) -> Truth {
    let length = i128::try_from(length).map(Number::Integer);
    let ordering = length.ok().and_then(|length| length.compare(bound));
    ordering.map_or(Truth::Unknown, |ordering| comparison.holds(ordering).into())
}

fn of_level(test: &Test, level: Option<DataLevel>) -> Truth {
    match (test, level) {
        (Test::Exists, level) => level.is_some().into(),
        (Test::Level(comparison, bound), Some(level)) => comparison.holds(level.cmp(bound)).into(),
        (Test::Level(comparison, _), None) => matches!(comparison, Comparison::Less | Comparison::LessOrEqual).into(),
        _ => Truth::Unknown,
    }
}

fn to(leaf: &Leaf, destination: &Destination) -> Truth {
    match &leaf.test {
        Test::External => matches!(destination, Destination::External(_)).into(),
        Test::DomainIn(set) => set.contains(destination.name()).into(),
        Test::Glob(globs) => globs.iter().any(|glob| glob.matches(destination.name())).into(),
        test => scalar(test, |wanted| as_text(wanted).map(|wanted| wanted == destination.name())),
    }
}

/// An earlier action goes by its tool, its operation, or both with a dot.
fn earlier(test: &Test, prior: &PriorAction) -> Truth {
    let dotted = |name: &str| {
        let rest = name.strip_prefix(&*prior.tool).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| rest == &*prior.operation)
    };
    match test {
        Test::Exists => Truth::True,
        Test::OneOf(wanted) => {
            let mut names = wanted.iter().filter_map(as_text);
            names.any(|name| *name == *prior.tool || *name == *prior.operation || dotted(name)).into()
        }
        Test::Glob(globs) => {
            let both = format!("{}.{}", prior.tool, prior.operation);
            let names = [&*prior.tool, &*prior.operation, &both];
            globs.iter().any(|glob| names.iter().any(|name| glob.matches(name))).into()
        }
        _ => Truth::Unknown,
    }
}
