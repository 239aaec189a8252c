//! Which events a destination gets.
//!
//! A map is a conjunction: all of its conditions hold. A list of maps is a disjunction: one of them holds. A condition
//! that names several values holds for any of them. What an event does not say matches no condition that asks for it.
//! `aarm.checkpoint` and `aarm.gap` pass every filter: they speak about the stream itself, and without them nobody could
//! tell what is missing from it. Nothing is lost here: what is left out is counted, and the log has it.

mod conditions;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Event;
use crate::model::EventType;

pub use conditions::Conditions;

/// `filters`, as configured: a map or a list of maps. None, and an empty list, let everything pass.
#[derive(Clone, Debug, PartialEq, Eq)]
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

// By hand, so that an error names the key that is wrong and not the enum.
impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapOrList;

        impl<'de> Visitor<'de> for MapOrList {
            type Value = Filters;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of conditions or a list of such maps")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Filters, A::Error> {
                Conditions::deserialize(MapAccessDeserializer::new(map)).map(|all| Filters::All(Box::new(all)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Filters, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Filters::Any)
            }
        }

        deserializer.deserialize_any(MapOrList)
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
