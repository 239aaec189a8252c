//! Every rule that can be about an action, answered and weighed.

use super::combine::{Answer, combine};
use super::confidence;
use super::evaluate::Evaluator;
use super::exception::Exception;
use super::input::Input;
use super::limit::{self, Reckoning};
use super::names::ActionNames;
use super::path::{Budget, Overrun};
use super::results::ResultFacts;
use super::ruling::Ruling;
use super::set::{PolicySet, SetRule};
use super::settings::DefaultPosture;
use super::truth::Truth;
use crate::model::{Classification, Metered, Verdict};

/// What an action is weighed with: its input, and the names that it goes by.
#[derive(Clone, Copy)]
pub(super) struct Weighing<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) names: &'a ActionNames<'a>,
    /// [`ActionNames::tools`], computed once.
    pub(super) tools: &'a [&'a str],
    /// What the tool returned, for rules about results.
    pub(super) result: Option<&'a ResultFacts<'a>>,
}

impl PolicySet {
    /// Evaluates the candidates and combines what they say.
    pub(super) fn weigh<'s>(&'s self, candidates: &[u32], weighing: Weighing<'_>) -> Ruling<'s> {
        let strict = self.settings.strict_defer;
        let mut answers = Vec::with_capacity(8);
        let mut meters = Vec::new();
        // Rules in shadow have a budget of their own: nothing that they do may reach the others.
        let (mut budget, mut shadow_budget) = (self.values_max, self.values_max);
        let numbers = candidates.iter().filter_map(|number| usize::try_from(*number).ok());
        for rule in numbers.filter_map(|number| self.rules.get(number)) {
            if !rule.rule.scope.matches(weighing.names, weighing.tools) {
                continue;
            }
            let purse = if rule.shadow { &mut shadow_budget } else { &mut budget };
            match self.answer(rule, weighing, purse) {
                Ok(answer) if answer.truth != Truth::False || (strict && answer.unknown.is_some()) => {
                    answers.push(answer);
                }
                Ok(_) => {}
                Err(Overrun) if rule.shadow => {}
                Err(Overrun) => return Ruling::failed(rule, &answers),
            }
            match self.metered(rule, weighing, purse) {
                Ok(part) => meters.extend(part),
                Err(Overrun) if rule.shadow => {}
                Err(Overrun) => return Ruling::failed(rule, &answers),
            }
        }
        let (default, posture) = match self.settings.default {
            DefaultPosture::Allow => (Verdict::Allow, DefaultPosture::Allow),
            DefaultPosture::Deny => (Verdict::Deny, DefaultPosture::Deny),
        };
        let outcome = combine(&answers, default, strict, self.settings.rho);
        let mut ruling = Ruling::of_outcome(outcome, &answers, weighing.input.context, posture, self.hash());
        // What is refused uses nothing up; what waits for a person holds its place.
        if ruling.verdict != Verdict::Deny {
            ruling.meters = meters;
        }
        ruling
    }

    /// What one rule says.
    ///
    /// # Errors
    /// The budget is spent.
    pub(super) fn answer<'s>(
        &'s self,
        rule: &'s SetRule,
        weighing: Weighing<'_>,
        budget: &mut u32,
    ) -> Result<Answer<'s>, Overrun> {
        let reckoning = Reckoning::Usage(rule.meter.as_ref().map_or("", |meter| &meter.name));
        let (truth, unknown) = self.evaluate(&rule.rule.condition, reckoning, weighing, budget)?;
        let context = weighing.input.context;
        let threshold = rule.rule.threshold.unwrap_or(self.settings.confidence_min);
        let doubtful = truth == Truth::True
            && threshold.0 > 0
            && rule.rule.classification != Classification::Forbidden
            && confidence::of(&rule.rule.condition, context) < threshold;
        let exception = if truth == Truth::False { None } else { self.exception_for(rule, weighing, budget)? };
        Ok(Answer { rule, truth, unknown, doubtful, exception })
    }

    fn evaluate<'s>(
        &'s self,
        condition: &'s super::condition::Condition,
        reckoning: Reckoning<'s>,
        weighing: Weighing<'_>,
        budget: &mut u32,
    ) -> Result<(Truth, Option<&'s str>), Overrun> {
        let mut evaluator = Evaluator {
            input: weighing.input,
            names: weighing.names,
            tools: weighing.tools,
            internal: &self.internal,
            settings: &self.settings,
            reckoning,
            result: weighing.result,
            budget: Budget(*budget),
            exhaustive: self.settings.strict_defer,
            unknown: None,
            seen: None,
        };
        let truth = evaluator.condition(condition);
        *budget = evaluator.budget.0;
        let unknown = evaluator.unknown;
        truth.map(|truth| (truth, unknown))
    }

    /// The exception that takes the rule out: in its time, about this action, and nothing about that unknown.
    fn exception_for(
        &self,
        rule: &SetRule,
        weighing: Weighing<'_>,
        budget: &mut u32,
    ) -> Result<Option<&Exception>, Overrun> {
        for exception in rule.exceptions.iter().filter_map(|at| self.exceptions.get(*at)) {
            let in_time = weighing.input.context.now < exception.expires;
            if !in_time || !exception.scope.matches(weighing.names, weighing.tools) {
                continue;
            }
            let (truth, _) = self.evaluate(&exception.condition, Reckoning::Passed, weighing, budget)?;
            if truth == Truth::True {
                return Ok(Some(exception));
            }
        }
        Ok(None)
    }

    /// What the action puts on the rule's meter: something, if it is one that the limit counts, or might be.
    fn metered(&self, rule: &SetRule, weighing: Weighing<'_>, budget: &mut u32) -> Result<Option<Metered>, Overrun> {
        let (Some(meter), Some(limit)) = (&rule.meter, &rule.rule.limit) else { return Ok(None) };
        let (truth, _) = self.evaluate(&rule.rule.condition, Reckoning::Passed, weighing, budget)?;
        let amount = limit.amount.as_ref().map_or(Some(0), |path| limit::milli(path, weighing.input));
        let counted = truth != Truth::False;
        Ok(counted.then(|| Metered { amount_milli: amount.unwrap_or(0), meter: std::sync::Arc::clone(&meter.name) }))
    }
}
