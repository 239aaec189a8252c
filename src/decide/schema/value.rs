//! The values that operators take: plain values, patterns, types and levels.

use regex::{Regex, RegexBuilder};

use super::error::{Problems, advise};
use super::operator::Subject;
use super::yaml::{Node, Yaml};
use crate::decide::condition::{JsonType, Scalar};
use crate::decide::field::Kind;
use crate::decide::number::Number;
use crate::model::DataLevel;

/// Longest pattern, bytes; with the next two, a bound on what one rule can cost.
const PATTERN_BYTES_MAX: usize = 4_096;
/// Largest compiled pattern, bytes.
const PATTERN_SIZE_MAX: usize = 256 << 10;
/// Largest cache a pattern may build while it searches, bytes.
const PATTERN_CACHE_MAX: usize = 1 << 20;

pub(super) fn types(texts: &[&str], node: &Node, problems: &mut Problems<'_>) -> Vec<JsonType> {
    let mut types = Vec::new();
    for text in texts {
        match JsonType::parse(text) {
            Some(found) => types.push(found),
            None => problems.add(node.line, format!("`{text}` is not a type"), advise(text, JsonType::WORDS)),
        }
    }
    types
}

pub(super) fn pattern(text: &str, node: &Node, problems: &mut Problems<'_>) -> Option<Regex> {
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(PATTERN_SIZE_MAX).dfa_size_limit(PATTERN_CACHE_MAX);
    let compiled = if text.len() > PATTERN_BYTES_MAX { None } else { Some(builder.build()) };
    let problem = match compiled {
        Some(Ok(pattern)) => return Some(pattern),
        Some(Err(error)) => error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        None => format!("longer than {PATTERN_BYTES_MAX} bytes"),
    };
    let advice = "write a regular expression without look-around and back-references, and not too large";
    problems.add(node.line, format!("the pattern cannot be used: {problem}"), advice);
    None
}

pub(super) fn level(text: &str) -> Option<DataLevel> {
    [DataLevel::Public, DataLevel::Internal, DataLevel::Confidential, DataLevel::Restricted]
        .into_iter()
        .find(|level| level.as_str() == text)
}

pub(super) fn fold(text: &str, subject: &Subject<'_>) -> Box<str> {
    if subject.kind == Kind::Words { text.to_lowercase().into() } else { text.into() }
}

/// The values to compare with, checked against what the field can be.
pub(super) fn scalars(node: &Node, subject: &Subject<'_>, problems: &mut Problems<'_>) -> Option<Vec<Scalar>> {
    let mut values = Vec::new();
    for element in node.elements() {
        let fits = match (&element.value, subject.kind) {
            (Yaml::List(_) | Yaml::Map(_), _) => Err("compare with plain values"),
            (_, Kind::Any) | (Yaml::Flag(_), Kind::Flag) => Ok(()),
            (Yaml::Integer(_) | Yaml::Large(_) | Yaml::Float(_), Kind::Number) => Ok(()),
            (Yaml::Text(text), Kind::Word(words)) if !words.contains(&text.as_str()) => Err(""),
            (Yaml::Text(_), Kind::Destination | Kind::List | Kind::Text | Kind::Words | Kind::Word(_)) => Ok(()),
            (_, Kind::Flag) => Err("it is true or false"),
            (_, Kind::Number) => Err("it is a number"),
            _ => Err("it is a text"),
        };
        if let Err(advice) = fits {
            let shown = element.as_text().unwrap_or(element.value.kind());
            let advice = match subject.kind {
                Kind::Word(words) => advise(shown, words),
                _ => advice.to_owned(),
            };
            problems.add(element.line, format!("`{}` can never be `{shown}`", subject.label), advice);
            return None;
        }
        values.push(match scalar(element)? {
            Scalar::Text(text) => Scalar::Text(fold(&text, subject)),
            other => other,
        });
    }
    if values.is_empty() {
        problems.add(
            node.line,
            format!("`{}` is compared with an empty list", subject.label),
            "name at least one value",
        );
        return None;
    }
    Some(values)
}

pub(super) fn scalar(node: &Node) -> Option<Scalar> {
    Some(match &node.value {
        Yaml::Null => Scalar::Null,
        Yaml::Flag(flag) => Scalar::Flag(*flag),
        Yaml::Integer(number) => Scalar::Number(Number::Integer(i128::from(*number))),
        Yaml::Large(number) => Scalar::Number(Number::Integer(i128::from(*number))),
        Yaml::Float(number) => Scalar::Number(Number::Float(*number)),
        Yaml::Text(text) => Scalar::Text(text.as_str().into()),
        Yaml::List(_) | Yaml::Map(_) => return None,
    })
}
