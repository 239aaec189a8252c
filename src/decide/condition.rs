//! What a rule asks, after it was read and before it is answered.

use regex::Regex;

use super::clock::Hours;
use super::domain::DomainSet;
use super::field::{Field, Party};
use super::names::{Glob, Scope};
use super::number::{Comparison, Number};
use super::sequence::Sequence;
use super::when::When;
use crate::model::DataLevel;

/// A condition. Evaluated in three values: see [`super::truth::Truth`].
#[derive(Clone, Debug)]
pub(super) enum Condition {
    /// All of them.
    All(Vec<Self>),
    /// Any of them.
    Any(Vec<Self>),
    /// It is such a time.
    Hours(Box<Hours>),
    /// A test of a field.
    Is(Box<Leaf>),
    /// Where the action goes by name, inside `any`, `all` and `not`; a rule's own names are its [`Scope`].
    Named(Box<Scope>),
    /// Not this.
    Not(Box<Self>),
    /// These actions came before, in this order.
    Sequence(Box<Sequence>),
    /// An expression in CEL holds. Only beside a rule's other conditions, never under `not`.
    When(When),
}

impl Condition {
    /// Holds for everything.
    pub(super) const fn always() -> Self {
        Self::All(Vec::new())
    }

    /// All of two, without needless nesting.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(mut left), Self::All(right)) => {
                left.extend(right);
                Self::All(left)
            }
            (Self::All(mut left), other) => {
                left.push(other);
                Self::All(left)
            }
            (left, right) => Self::All(vec![left, right]),
        }
    }

    /// Turned round.
    pub(super) fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Every test in it.
    pub(super) fn leaves(&self) -> Vec<&Leaf> {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().flat_map(Self::leaves).collect(),
            Self::Is(leaf) => vec![leaf],
            Self::Hours(_) | Self::Named(_) | Self::Sequence(_) | Self::When(_) => Vec::new(),
            Self::Not(inner) => inner.leaves(),
        }
    }

    /// Every field that it looks at, with what the author calls it. Not the parameters of an expression in CEL.
    pub(super) fn fields(&self) -> Vec<(&str, &Field)> {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().flat_map(Self::fields).collect(),
            Self::Is(leaf) => vec![(&leaf.label, &leaf.field)],
            Self::Hours(_) | Self::Named(_) | Self::Sequence(_) => Vec::new(),
            Self::Not(inner) => inner.fields(),
            Self::When(when) => when.fields().iter().map(|(label, field)| (&**label, field)).collect(),
        }
    }

    /// Whether it looks at the context and not at the action alone (AARM ).
    pub(super) fn is_by_context(&self) -> bool {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().any(Self::is_by_context),
            Self::Hours(_) | Self::Sequence(_) => true,
            Self::Is(leaf) => leaf.field.is_context(),
            Self::Named(_) => false,
            Self::Not(inner) => inner.is_by_context(),
            Self::When(when) => when.fields().iter().any(|(_, field)| field.is_context()),
        }
    }

    /// Whether it looks at this field.
    pub(super) fn looks_at(&self, field: &Field) -> bool {
        self.fields().iter().any(|(_, seen)| *seen == field)
    }

    /// Whether it looks at a sequence of actions.
    pub(super) fn is_by_sequence(&self) -> bool {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().any(Self::is_by_sequence),
            Self::Not(inner) => inner.is_by_sequence(),
            Self::Sequence(_) => true,
            Self::Hours(_) | Self::Is(_) | Self::Named(_) | Self::When(_) => false,
        }
    }
}

/// One test of one field.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The field as the author wrote it, for reasons and explanations.
    pub(super) label: Box<str>,
    pub(super) field: Field,
    pub(super) test: Test,
    pub(super) quantifier: Quantifier,
    /// Whether letters are compared without regard to case: texts that people wrote freely.
    pub(super) fold_case: bool,
}

/// What a field with several values needs to pass.
///
/// Follows from what the rule does. One that restricts is read widely: any recipient outside is enough. One that
/// permits is read narrowly: all recipients must be inside. Under `not` it is the other way round. So neither a
/// restriction nor a permission can be slipped past by adding a second value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    Any,
}

/// How a rule's condition is read; see [`Quantifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The rule permits.
    Narrow,
    /// The rule restricts.
    Wide,
}

impl Reading {
    pub(super) const fn turned(self) -> Self {
        match self {
            Self::Narrow => Self::Wide,
            Self::Wide => Self::Narrow,
        }
    }

    pub(super) const fn quantifier(self) -> Quantifier {
        match self {
            Self::Narrow => Quantifier::All,
            Self::Wide => Quantifier::Any,
        }
    }
}

/// The operators that are left when aliases and negations are resolved. Lists mean any of.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// `gt`, `gte`, `lt`, `lte`
    Compare(Comparison, Number),
    /// `contains`: a piece of a text, or an element of a list
    Contains(Vec<Scalar>),
    /// `domain_in`
    DomainIn(DomainSet),
    /// `ends_with`
    EndsWith(Vec<Box<str>>),
    /// `exists`: present and not null
    Exists,
    /// `external`: a domain that is not of the organisation
    External,
    /// `glob`
    Glob(Vec<Glob>),
    /// `length`
    Length(Comparison, Number),
    /// A comparison of data levels
    Level(Comparison, DataLevel),
    /// `matches`
    Matches(Vec<Regex>),
    /// `mentioned`: the value stands in the user's words
    Mentioned,
    /// `eq`, `in`
    OneOf(Vec<Scalar>),
    /// `owned_by`: the value is who acts
    OwnedBy(Party),
    /// `starts_with`
    StartsWith(Vec<Box<str>>),
    /// `type`
    Type(Vec<JsonType>),
}

impl Test {
    /// Whether the test is about a list as a whole and not about its elements.
    pub(super) const fn takes_lists(&self) -> bool {
        matches!(self, Self::Contains(_) | Self::Exists | Self::Length(..) | Self::Type(_))
    }

    /// Whether the test is about letters. It then sees numbers and truth values as the text that JSON writes for
    /// them, which is what a server that expects a text would make of them.
    pub(super) const fn takes_letters(&self) -> bool {
        matches!(
            self,
            Self::Contains(_)
                | Self::EndsWith(_)
                | Self::Glob(_)
                | Self::Matches(_)
                | Self::Mentioned
                | Self::StartsWith(_)
        )
    }
}

/// A value in a rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Flag(bool),
    Null,
    Number(Number),
    Text(Box<str>),
}

/// The types of JSON, with JSON Schema's `integer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonType {
    Array,
    Boolean,
    Integer,
    Null,
    Number,
    Object,
    String,
}

impl JsonType {
    pub(super) const WORDS: &'static [&'static str] =
        &["array", "boolean", "integer", "null", "number", "object", "string"];

    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "array" => Self::Array,
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "null" => Self::Null,
            "number" => Self::Number,
            "object" => Self::Object,
            "string" => Self::String,
            _ => return None,
        })
    }

    pub(super) fn is(self, value: &serde_json::Value) -> bool {
        match self {
            Self::Array => value.is_array(),
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
            Self::Null => value.is_null(),
            Self::Number => value.is_number(),
            Self::Object => value.is_object(),
            Self::String => value.is_string(),
        }
    }
}
