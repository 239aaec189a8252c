//! Whether a condition holds for an action, in three values.
//!
//! Pure and total: no I/O, no clock, no lock. The one error is a spent budget, and that refuses the action.
//!
//! What is unknown, and what is not:
//!
//! - A session field, an identity part or a signal that nobody filled in is unknown. So is an identity part that only
//!   the caller asserts.
//! - A value of a type that the operator cannot compare is unknown, never false: `{gt: 100}` on `"5000"` must not let
//!   a restricting rule pass, and must not satisfy `not` in a permitting one.
//! - A parameter that is not there is known to be absent if the tool's own schema declares it: it is then its declared
//!   default, or nothing. If no schema declares it, the rule may well mean a parameter by a wrong name: unknown. A
//!   parameter that is null is known to be nothing.
//! - Unless something else settles it, a rule that is unknown defers, and only where its match would change the
//!   outcome: see [`super::combine`].

use serde_json::Value;

use super::apply;
use super::condition::{Condition, Leaf, Quantifier, Test};
use super::datum::{self, Datum};
use super::domain::DomainSet;
use super::explain;
use super::field::Field;
use super::input::Input;
use super::limit::{self, Reckoning};
use super::names::ActionNames;
use super::path::{self, Budget, Overrun, Path, Place};
use super::results::ResultFacts;
use super::settings::Settings;
use super::truth::Truth;
use super::when::{Said, When};

/// Values one decision may look at: a hundred rules over a document of a thousand values, many times over.
pub(super) const VALUES_MAX: u32 = 1_000_000;

/// Answers conditions about one action. `'a`: the action; `'s`: the policy set.
pub(super) struct Evaluator<'a, 's> {
    pub(super) input: &'a Input<'a>,
    pub(super) names: &'a ActionNames<'a>,
    /// [`ActionNames::tools`], computed once.
    pub(super) tools: &'a [&'a str],
    pub(super) internal: &'a DomainSet,
    pub(super) settings: &'a Settings,
    /// How the limit of the rule is looked at.
    pub(super) reckoning: Reckoning<'s>,
    /// What the tool returned, for rules about results.
    pub(super) result: Option<&'a ResultFacts<'a>>,
    pub(super) budget: Budget,
    /// Whether every test is answered even where the result is settled, so that nothing unknown stays unseen.
    pub(super) exhaustive: bool,
    /// The last field that was unknown.
    pub(super) unknown: Option<&'s str>,
    /// The values that were seen, for explanations only.
    pub(super) seen: Option<Vec<String>>,
}

impl<'a, 's> Evaluator<'a, 's> {
    pub(super) fn condition(&mut self, condition: &'s Condition) -> Result<Truth, Overrun> {
        match condition {
            Condition::All(parts) => self.fold(parts, Truth::True, Truth::False, Truth::and),
            Condition::Any(parts) => self.fold(parts, Truth::False, Truth::True, Truth::or),
            Condition::Is(leaf) => {
                let truth = self.leaf(leaf)?;
                if truth == Truth::Unknown {
                    self.unknown = Some(&leaf.label);
                }
                Ok(truth)
            }
            Condition::Hours(hours) => Ok(hours.include(self.input.context.now).into()),
            Condition::Named(scope) => Ok(scope.matches(self.names, self.tools).into()),
            Condition::Not(inner) => self.condition(inner).map(Truth::not),
            Condition::Sequence(sequence) => {
                let truth = sequence.holds(self.input.context);
                if truth == Truth::Unknown {
                    self.unknown = Some("sequence");
                }
                Ok(truth)
            }
            Condition::When(when) => self.when(when),
        }
    }

    /// What cannot be answered never widens access: it lets a rule that restricts match, and no other one.
    fn when(&mut self, when: &'s When) -> Result<Truth, Overrun> {
        let seen = self.seen.as_mut();
        match when.say(self.input, self.result, self.settings, &mut self.budget, seen)? {
            Said::Holds(holds) => Ok(holds.into()),
            Said::Unknown(what) => {
                self.unknown = Some(what);
                Ok(if when.restricts() { Truth::True } else { Truth::Unknown })
            }
        }
    }

    fn fold(
        &mut self,
        parts: &'s [Condition],
        start: Truth,
        settled: Truth,
        join: fn(Truth, Truth) -> Truth,
    ) -> Result<Truth, Overrun> {
        let mut truth = start;
        for part in parts {
            truth = join(truth, self.condition(part)?);
            if truth == settled && !self.exhaustive {
                break;
            }
        }
        Ok(truth)
    }

    fn leaf(&mut self, leaf: &'s Leaf) -> Result<Truth, Overrun> {
        let (start, join): (Truth, fn(Truth, Truth) -> Truth) = match leaf.quantifier {
            Quantifier::All => (Truth::True, Truth::and),
            Quantifier::Any => (Truth::False, Truth::or),
        };
        let mut truth = start;
        let input = self.input;
        let internal = self.internal;
        let view = apply::View { internal, input };
        let seen = &mut self.seen;
        let mut visit = |datum: Datum<'a>| {
            if let Some(seen) = seen {
                explain::saw(seen, &datum);
            }
            truth = join(truth, apply::passes(leaf, datum, view));
        };
        match &leaf.field {
            Field::Context(field) => datum::context(*field, &leaf.test, input, &mut visit),
            Field::Identity(field) => datum::identity(*field, input.identity, self.settings, &mut visit),
            Field::Fact(name) => {
                visit(input.facts.at(name, input.context.now).map_or(Datum::Unknown, Datum::Json));
            }
            Field::Meter(limit) => visit(limit::datum(limit, &self.reckoning, input)),
            Field::Result(field) => match self.result {
                Some(facts) => datum::result(*field, facts, &mut visit),
                None => visit(Datum::Unknown),
            },
            Field::Parameter(path) => {
                let arguments: &'a Value = &input.call.action.arguments.value;
                let budget = &mut self.budget;
                let plain_only = path.is_everything() && !leaf.test.takes_lists();
                let mut elements = 0;
                path::walk(arguments, &path.steps, budget, &mut |place| {
                    let datum = match place {
                        Place::Value(Value::Array(_) | Value::Object(_)) if plain_only => return Ok(()),
                        Place::Value(Value::Null) if !apply::takes_null(&leaf.test) => Datum::Absent,
                        Place::Value(value) => {
                            elements += value.as_array().map_or(0, Vec::len);
                            Datum::Json(value)
                        }
                        Place::Absent => absent(path, leaf, input),
                        Place::Misshapen => Datum::Unknown,
                    };
                    visit(datum);
                    Ok(())
                })?;
                // Elements of lists were looked at as well.
                for _ in 0..elements {
                    self.budget.spend()?;
                }
            }
            Field::Provenance(path, sinks) => {
                let arguments: &'a Value = &input.call.action.arguments.value;
                path::pointers(arguments, &path.steps, &mut self.budget, &mut |place| match place {
                    Some(pointer) => datum::provenance(pointer, *sinks, &input.context.signals, &mut visit),
                    None => visit(Datum::Absent),
                })?;
            }
            Field::Signal(field) => visit(datum::signal(*field, &input.context.signals)),
        }
        Ok(truth)
    }
}

/// What a parameter that is not there counts as.
fn absent<'a>(path: &Path, leaf: &Leaf, input: &'a Input<'a>) -> Datum<'a> {
    if matches!(leaf.test, Test::Exists) {
        return Datum::Absent;
    }
    let schema = input.tool.and_then(|tool| path.declared(&tool.definition().input_schema));
    match schema {
        Some(schema) => schema.get("default").map_or(Datum::Absent, Datum::Json),
        None => Datum::Unknown,
    }
}
