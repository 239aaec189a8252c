//! Which events a destination gets.
//!
//! A map is a conjunction: all of its conditions hold. A list of maps is a disjunction: one of them holds. A condition
//! that names several values holds for any of them. What an event does not say matches no condition that asks for it.
//! `aarm.checkpoint` and `aarm.gap` pass every filter: they speak about the stream itself, and without them nobody could
//! tell what is missing from it. Nothing is lost here: what is left out is counted, and the log has it.

mod conditions;
#[cfg(test)]
mod tests;

use serde::Deserialize;

use super::Event;
use crate::model::EventType;

pub use conditions::Conditions;

/// `filters`, as configured: a map or a list of maps. None, and an empty list, let everything pass.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Filters {
    /// All of these.
    All(Box<Conditions>),
    /// Any of these.
    Any(Vec<Conditions>),
}

impl Default for Filters {
    fn default() -> Self {
        Self::Any(Vec::new())
    }
}

/// What a destination wants.
#[derive(Clone, Debug, Default)]
pub struct Filter(Vec<Conditions>);

impl Filter {
    /// The filter of a configuration.
    #[must_use]
    pub fn new(filters: &Filters) -> Self {
        Self(match filters {
            Filters::All(conditions) => vec![Conditions::clone(conditions)],
            Filters::Any(conditions) => conditions.clone(),
        })
    }

    /// Whether the destination wants the event.
    #[must_use]
    pub fn passes(&self, event: &Event) -> bool {
        self.0.is_empty()
            || matches!(event.event_type, EventType::Checkpoint | EventType::Gap)
            || self.0.iter().any(|conditions| conditions.hold(event))
    }
}
