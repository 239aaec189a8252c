//! Facts about the world that are in neither the action nor its session: a maintenance window, who owns a resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Timestamp;

/// What resolvers found out, as it was when a decision was made (resolution G-14). Empty until a resolver fills it:
/// a rule that depends on a fact then suspends the action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<Arc<str>, Fact>);

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What is so; `null` where sources contradict each other.
    pub value: Value,
    /// The resolver that said so.
    pub source: Arc<str>,
    /// When it was found out.
    pub fetched: Timestamp,
    /// When it stops being known.
    pub expires: Timestamp,
}

impl Facts {
    /// Nothing is known.
    pub const NONE: &'static Self = &Self(BTreeMap::new());

    /// Adds or replaces a fact.
    pub fn put(&mut self, name: Arc<str>, fact: Fact) {
        self.0.insert(name, fact);
    }

    /// The value of a fact that has not expired; `None` is unknown.
    #[must_use]
    pub fn at(&self, name: &str, now: Timestamp) -> Option<&Value> {
        self.0.get(name).filter(|fact| now < fact.expires && !fact.value.is_null()).map(|fact| &fact.value)
    }

    /// Every fact, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Fact)> {
        self.0.iter()
    }
}
