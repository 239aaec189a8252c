//! Why a decision came out as it did: every rule, every test in it, the value it saw, and the answer (AARM ).

use serde::Serialize;

use super::condition::{Condition, JsonType, Scalar, Test};
use super::datum::Datum;
use super::evaluate::Evaluator;
use super::input::Input;
use super::limit::Reckoning;
use super::names::{ActionNames, Names, Scope};
use super::number::{Comparison, Number};
use super::path::Budget;
use super::set::{PolicySet, SetRule};
use super::truth::Truth;
use super::weigh::Weighing;
use crate::model::Decision;

/// A decision with everything that led to it.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Every rule of the set that is about this action by name, in the order of the files.
    pub rules: Vec<RuleExplanation>,
}

/// What one rule said.
#[derive(Clone, Debug, Serialize)]
pub struct RuleExplanation {
    /// Its file.
    pub file: String,
    /// Its line.
    pub line: u64,
    /// Its policy.
    pub policy: String,
    /// Its id.
    pub rule: String,
    /// What it asks for; null for a rule that only labels or weighs in.
    pub action: Option<&'static str>,
    /// `true`, `false`, `unknown`, or `not evaluated` when its bounds were passed.
    pub answer: &'static str,
    /// Whether it takes part: not in shadow, and no exception takes it out.
    pub counts: bool,
    /// The exception that takes it out.
    pub exception: Option<String>,
    /// Every test in it.
    pub tests: Vec<TestExplanation>,
}

/// What one test said.
#[derive(Clone, Debug, Serialize)]
pub struct TestExplanation {
    /// How deep it stands in `any`, `all` and `not`.
    pub depth: usize,
    /// The field, or the word that joins what stands below.
    pub field: String,
    /// The operator and what it compares with.
    pub test: String,
    /// The values that were seen; none for words that join.
    pub seen: Vec<String>,
    /// `true`, `false` or `unknown`.
    pub answer: &'static str,
}

/// Longest value in an explanation, characters.
const SEEN_CHARACTERS_MAX: usize = 200;
/// Most values of one test.
const SEEN_MAX: usize = 20;

impl PolicySet {
    /// Decides, and says of every rule that is about this action by name what it answered and why.
    #[must_use]
    pub fn explain(&self, input: &Input<'_>) -> Explanation {
        let decision = self.decide(input).0;
        let names = ActionNames::of(&input.call.action);
        let tools = names.tools();
        let weighing = Weighing { input, names: &names, tools: &tools, result: None };
        let rules = self.rules.iter().filter(|rule| rule.rule.scope.matches(&names, &tools));
        Explanation { decision, rules: rules.map(|rule| self.explain_rule(rule, weighing)).collect() }
    }

    fn explain_rule(&self, rule: &SetRule, weighing: Weighing<'_>) -> RuleExplanation {
        let answer = self.answer(rule, weighing, &mut { self.values_max });
        let mut tests = Vec::new();
        self.explain_condition(&rule.rule.condition, rule, weighing, 0, &mut tests);
        RuleExplanation {
            file: self.file_of(rule).to_owned(),
            line: rule.rule.line,
            policy: rule.reference.policy_id.to_string(),
            rule: rule.rule.id.to_string(),
            action: rule.rule.decides.then(|| rule.rule.action.as_str()),
            answer: answer.as_ref().map_or("not evaluated", |answer| word(answer.truth)),
            counts: answer.as_ref().is_ok_and(super::combine::Answer::counts),
            exception: answer.ok().and_then(|answer| answer.exception.map(|exception| exception.id.to_string())),
            tests,
        }
    }

    fn explain_condition(
        &self,
        condition: &Condition,
        rule: &SetRule,
        weighing: Weighing<'_>,
        depth: usize,
        out: &mut Vec<TestExplanation>,
    ) {
        let mut evaluator = Evaluator {
            input: weighing.input,
            names: weighing.names,
            tools: weighing.tools,
            internal: &self.internal,
            settings: &self.settings,
            reckoning: Reckoning::Usage(rule.meter.as_ref().map_or("", |meter| &meter.name)),
            result: None,
            budget: Budget(self.values_max),
            exhaustive: true,
            unknown: None,
            seen: Some(Vec::new()),
        };
        let answer = evaluator.condition(condition).map_or("not evaluated", word);
        let seen = evaluator.seen.take().unwrap_or_default();
        let (field, test, seen, inner): (String, String, Vec<String>, &[Condition]) = match condition {
            Condition::All(parts) => ("all".into(), String::new(), Vec::new(), parts),
            Condition::Any(parts) => ("any".into(), String::new(), Vec::new(), parts),
            Condition::Hours(hours) => {
                let zone = hours.zone.iana_name().unwrap_or("the offset");
                let test = format!(
                    "{:02}:{:02} to {:02}:{:02} in {zone}",
                    hours.from / 60,
                    hours.from % 60,
                    hours.to / 60,
                    hours.to % 60
                );
                ("time".into(), test, vec![weighing.input.context.now.to_string()], &[])
            }
            Condition::Is(leaf) => (leaf.label.to_string(), test(&leaf.test), seen, &[]),
            Condition::Named(scope) => ("names".into(), scope_text(scope), Vec::new(), &[]),
            Condition::Not(inner) => ("not".into(), String::new(), Vec::new(), std::slice::from_ref(&**inner)),
            Condition::Sequence(sequence) => {
                let steps: Vec<String> = sequence.steps.iter().map(|step| scope_text(&step.scope)).collect();
                let prior = weighing.input.context.history.iter().filter(|prior| prior.forwarded);
                let seen =
                    prior.rev().take(SEEN_MAX).map(|prior| format!("{}.{}", prior.tool, prior.operation)).collect();
                ("sequence".into(), steps.join(", then "), seen, &[])
            }
            Condition::When(when) => ("when".into(), when.text().to_owned(), seen, &[]),
        };
        // A rule's own list of conditions needs no line of its own.
        let own = depth == 0 && matches!(condition, Condition::All(_));
        if !own {
            out.push(TestExplanation { depth, field, test, seen, answer });
        }
        for part in inner {
            self.explain_condition(part, rule, weighing, depth + usize::from(!own), out);
        }
    }
}

pub(super) const fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::False => "false",
        Truth::True => "true",
        Truth::Unknown => "unknown",
    }
}

/// A value, short enough to be read.
pub(super) fn shown(datum: &Datum<'_>) -> String {
    let text = match datum {
        Datum::Absent => "(nothing)".to_owned(),
        Datum::Destination(destination) => format!("{} ({})", destination.name(), destination.class()),
        Datum::Flag(flag) => flag.to_string(),
        Datum::Json(value) => value.to_string(),
        Datum::Level(level) => level.map_or("(no data)", |level| level.as_str()).to_owned(),
        Datum::Number(number) => number_text(*number),
        Datum::Prior(prior) => format!("{}.{}", prior.tool, prior.operation),
        Datum::Text(text) => format!("{text:?}"),
        Datum::Unknown => "(unknown)".to_owned(),
    };
    if text.chars().count() > SEEN_CHARACTERS_MAX {
        return text.chars().take(SEEN_CHARACTERS_MAX).chain(['…']).collect();
    }
    text
}

/// Adds a value to what was seen, up to the bound.
pub(super) fn saw(seen: &mut Vec<String>, datum: &Datum<'_>) {
    if seen.len() < SEEN_MAX {
        seen.push(shown(datum));
    }
}

fn number_text(number: Number) -> String {
    match number {
        Number::Integer(integer) => integer.to_string(),
        Number::Float(float) => float.to_string(),
    }
}

const fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "==",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
    }
}

fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Flag(flag) => flag.to_string(),
        Scalar::Null => "null".into(),
        Scalar::Number(number) => number_text(*number),
        Scalar::Text(text) => format!("{text:?}"),
    }
}

fn list<T>(values: &[T], one: impl Fn(&T) -> String) -> String {
    values.iter().map(one).collect::<Vec<_>>().join(" or ")
}

fn test(test: &Test) -> String {
    match test {
        Test::Compare(comparison, bound) => format!("{} {}", sign(*comparison), number_text(*bound)),
        Test::Contains(values) => format!("contains {}", list(values, scalar)),
        Test::DomainIn(_) => "is in these domains".into(),
        Test::EndsWith(ends) => format!("ends with {}", list(ends, |end| format!("{end:?}"))),
        Test::Exists => "is there".into(),
        Test::External => "is external".into(),
        Test::Glob(globs) => format!("is like {}", list(globs, |glob| glob.as_str().to_owned())),
        Test::Length(comparison, bound) => format!("has a length {} {}", sign(*comparison), number_text(*bound)),
        Test::Level(comparison, level) => format!("{} {}", sign(*comparison), level.as_str()),
        Test::Matches(patterns) => format!("matches {}", list(patterns, |pattern| pattern.as_str().to_owned())),
        Test::Mentioned => "stands in the user's words".into(),
        Test::OneOf(values) => format!("is {}", list(values, scalar)),
        Test::OwnedBy(party) => format!("is {party:?}").to_lowercase(),
        Test::StartsWith(starts) => format!("starts with {}", list(starts, |start| format!("{start:?}"))),
        Test::Type(types) => {
            format!("is of the type {}", list(types, |kind: &JsonType| format!("{kind:?}").to_lowercase()))
        }
    }
}

fn scope_text(scope: &Scope) -> String {
    let parts = [
        ("server", &scope.server),
        ("tool", &scope.tool),
        ("operation", &scope.operation),
        ("method", &scope.method),
        ("category", &scope.category),
    ];
    let given = parts.iter().filter(|(_, names)| names.given);
    let given: Vec<String> = given.map(|(what, names)| format!("{what} {}", names_text(names))).collect();
    if given.is_empty() { "anything".into() } else { given.join(", ") }
}

fn names_text(names: &Names) -> String {
    let globs = names.globs.iter().map(|glob| glob.as_str());
    names.exact.iter().map(|name| &**name).chain(globs).collect::<Vec<_>>().join("|")
}
