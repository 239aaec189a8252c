//! The right side of a line of a mapping table: where a value comes from.
//!
//! ```text
//! action.tool                          a member of the entry, as it is written
//! $severity                            a fact about the event (see `fact`)
//! "Invoke"   99   true   []            a constant, in JSON
//! millis outcome.started               a function of one of these (see `function`)
//! $severity ? INFO=1 LOW=2 *=99        words turned into others; `*` stands for any other word
//! a | b | c                            the first that is not null
//! ```

use super::Scene;
use super::fact::Fact;
use super::function::Function;
use super::members::{Member, Members};
use super::value::Value;

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(super) struct Expression(Vec<Alternative>);

#[derive(Clone, Debug)]
struct Alternative {
    function: Option<Function>,
    source: Source,
    /// Words and what stands for them, in JSON. Empty: the value as it is.
    words: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum Source {
    Constant(String),
    Fact(Fact),
    Member(Member),
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// A sentence that names what is not known.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let alternatives = split(text, " | ").map(Alternative::parse);
        alternatives.collect::<Result<_, _>>().map(Self).map_err(|problem| format!("`{text}`: {problem}"))
    }

    /// The value in `scene`; null when no alternative has one.
    pub(super) fn value<'a>(&'a self, scene: &Scene<'a>) -> Value<'a> {
        let values = self.0.iter().map(|alternative| alternative.value(scene));
        let mut present = values.filter(|value| !matches!(value, Value::Null));
        present.next().unwrap_or(Value::Null)
    }

    /// Appends the value in `scene` as JSON; null, and false, when no alternative has one.
    pub(super) fn write(&self, scene: &Scene<'_>, out: &mut String) -> bool {
        let is_known = self.0.iter().any(|alternative| alternative.write(scene, out));
        if !is_known {
            out.push_str("null");
        }
        is_known
    }

    /// The members that an expression names.
    pub(super) fn paths(text: &str) -> impl Iterator<Item = &str> {
        split(text, " | ").filter_map(|alternative| {
            let (source, _) = split_once(alternative, " ? ");
            let (_, source) = Function::parse(source);
            is_path(source).then_some(source)
        })
    }
}

impl Alternative {
    fn parse(text: &str) -> Result<Self, String> {
        let (source, words) = split_once(text, " ? ");
        let (function, source) = Function::parse(source);
        let source = if let Some(name) = source.strip_prefix('$') {
            Source::Fact(Fact::parse(name).ok_or_else(|| format!("there is no fact `{name}`"))?)
        } else if is_path(source) {
            Source::Member(Members::all().find(source).ok_or_else(|| format!("there is no member `{source}`"))?)
        } else if serde_json::from_str::<serde::de::IgnoredAny>(source).is_ok() {
            Source::Constant(source.to_owned())
        } else {
            return Err(format!("`{source}` is no member, fact or constant"));
        };
        let words = split(words.unwrap_or_default(), " ").filter(|word| !word.is_empty());
        let words = words.map(|word| {
            let (word, instead) = word.split_once('=').ok_or_else(|| format!("`{word}` maps no word"))?;
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(instead).is_ok();
            Ok((word.to_owned(), if is_json { instead.to_owned() } else { format!("\"{instead}\"") }))
        });
        Ok(Self { function, source, words: words.collect::<Result<_, String>>()? })
    }

    fn value<'a>(&'a self, scene: &Scene<'a>) -> Value<'a> {
        let value = match &self.source {
            Source::Constant(json) => Value::Json(json),
            Source::Fact(fact) => fact.value(scene),
            Source::Member(member) => match (scene.entry.member(*member), &self.function) {
                (Some(view), Some(function)) => return self.mapped(function.of_view(view)),
                (Some(view), None) => Value::Json(view.text()),
                (None, _) => Value::Null,
            },
        };
        self.mapped(match &self.function {
            Some(function) => function.of(value),
            None => value,
        })
    }

    /// Appends the value unless it is null. Most values are members of the entry as they are written.
    fn write(&self, scene: &Scene<'_>, out: &mut String) -> bool {
        if let (Source::Member(member), None, true) = (&self.source, &self.function, self.words.is_empty()) {
            let view = scene.entry.member(*member);
            return view.map(|view| out.push_str(view.text())).is_some();
        }
        let value = self.value(scene);
        let is_known = !matches!(value, Value::Null);
        if is_known {
            value.write_json(out);
        }
        is_known
    }

    fn mapped<'a>(&'a self, value: Value<'a>) -> Value<'a> {
        if self.words.is_empty() || matches!(value, Value::Null) {
            return value;
        }
        let text = value.to_text();
        let found = self.words.iter().find(|(word, _)| *word == text || word == "*");
        found.map_or(Value::Null, |(_, json)| if json == "null" { Value::Null } else { Value::Json(json) })
    }
}

/// A dotted path, and no constant.
fn is_path(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))
        && !matches!(text, "true" | "false" | "null")
}

/// Splits outside quotes.
fn split<'a>(text: &'a str, separator: &'static str) -> impl Iterator<Item = &'a str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (part, behind) = split_once(rest?, separator);
        rest = behind;
        Some(part.trim())
    })
}

fn split_once<'a>(text: &'a str, separator: &str) -> (&'a str, Option<&'a str>) {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        quoted ^= character == '"';
        if !quoted && let Some(behind) = text.get(at..).and_then(|rest| rest.strip_prefix(separator)) {
            return (text.get(..at).unwrap_or_default(), Some(behind));
        }
    }
    (text, None)
}
