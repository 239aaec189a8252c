//! An expression that was accepted, and its evaluation.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::types::CelBool;
use cel::{Context, Env, ExecutionError, IdedExpr, Value};

use super::bind::{Bound, Sizes};
use super::check::{self, Cost};
use super::{Place, Said, WORK_MAX, Wrong};
use crate::decide::field::Field;
use crate::decide::input::Input;
use crate::decide::path::{Budget, Overrun};
use crate::decide::results::ResultFacts;
use crate::decide::settings::Settings;

/// Operators and functions: the standard ones, without time, chance or regular expressions.
static LANGUAGE: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A condition in CEL.
#[derive(Clone)]
pub(in crate::decide) struct When(Arc<Accepted>);

pub(super) struct Accepted {
    text: Box<str>,
    expression: IdedExpr,
    pub(super) uses: check::Uses,
    cost: Cost,
    restricts: bool,
}

/// What an expression is called where it is not one field that is at fault.
const ITSELF: &str = "when";

impl When {
    /// # Errors
    /// Everything that is wrong with the expression.
    pub(in crate::decide) fn compile(text: &str, place: Place) -> Result<Self, Vec<Wrong>> {
        let text = text.trim();
        let (expression, uses, cost) = check::read(text, place.phase)?;
        Ok(Self(Arc::new(Accepted { text: text.into(), expression, uses, cost, restricts: place.restricts })))
    }

    /// As the author wrote it.
    pub(in crate::decide) fn text(&self) -> &str {
        &self.0.text
    }

    /// Everything that it looks at beside names and parameters, with how the author calls it.
    pub(in crate::decide) fn fields(&self) -> &[(Box<str>, Field)] {
        &self.0.uses.fields
    }

    pub(in crate::decide) fn restricts(&self) -> bool {
        self.0.restricts
    }

    /// Evaluates it. `seen` takes the values that it was given.
    ///
    /// # Errors
    /// The work is more than the bound or than what is left of the budget, or arithmetic broke off.
    pub(in crate::decide) fn say(
        &self,
        input: &Input<'_>,
        result: Option<&ResultFacts<'_>>,
        settings: &Settings,
        budget: &mut Budget,
        seen: Option<&mut Vec<String>>,
    ) -> Result<Said<'_>, Overrun> {
        let accepted = &*self.0;
        let bound = Bound::of(&accepted.uses, input, result, settings, seen)?;
        let work = accepted.cost.work(&bound.sizes);
        if work > WORK_MAX {
            return Err(Overrun);
        }
        budget.0 = u32::try_from(work).ok().and_then(|work| budget.0.checked_sub(work)).ok_or(Overrun)?;
        let mut context = Context::with_env(Arc::clone(&LANGUAGE));
        for (name, value) in bound.variables {
            context.add_variable_as_val(name, value);
        }
        let unknown = bound.unknown.unwrap_or(ITSELF);
        match Value::resolve_val(&accepted.expression, &context) {
            Ok(value) => Ok(match value.downcast_ref::<CelBool>() {
                Some(flag) => Said::Holds(*flag.inner()),
                None => Said::Unknown(ITSELF),
            }),
            Err(error) if is_of_a_value(&error) => Ok(Said::Unknown(unknown)),
            Err(_) => Err(Overrun),
        }
    }
}

/// Whether a value is at fault, which is not there or not of the type that the expression takes it for.
fn is_of_a_value(error: &ExecutionError) -> bool {
    matches!(
        error,
        ExecutionError::NoSuchKey(_)
            | ExecutionError::NoSuchOverload(_)
            | ExecutionError::IndexOutOfBounds(_)
            | ExecutionError::UnexpectedType { .. }
            | ExecutionError::UnsupportedTargetType { .. }
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::UnsupportedKeyType(_)
            | ExecutionError::UnsupportedIndex(..)
            | ExecutionError::NotSupportedAsMethod { .. }
            | ExecutionError::ValuesNotComparable(..)
            | ExecutionError::FunctionError { .. }
    )
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("When").field(&self.0.text).finish()
    }
}

impl Cost {
    /// Steps, each with the weight of what it may look at.
    fn work(&self, sizes: &Sizes) -> u64 {
        let longest = sizes.longest.max(self.longest_list);
        let mut steps: u64 = 0;
        let mut rounds: u64 = 1;
        for nodes in self.nodes {
            steps = steps.saturating_add(nodes.saturating_mul(rounds));
            rounds = rounds.saturating_mul(longest);
        }
        let weight = 1 + sizes.bytes / 4_096 + sizes.values / 256;
        steps.saturating_mul(weight).saturating_add(sizes.values)
    }
}
