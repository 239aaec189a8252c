//! What an agent has used of its limits: rates and budgets (resolution G-16).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A limit that a rule counts with: one for each rule that has one, each agent by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// `policy/rule`.
    pub name: Arc<str>,
    /// How far back it counts, seconds.
    pub window_s: u32,
}

/// What stood on a meter when a decision was made. A meter without usage in the input is unknown, never zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The meter's name.
    pub meter: Arc<str>,
    /// Actions within the window, this one not counted.
    pub count: u64,
    /// Sum of their amounts, thousandths.
    pub sum_milli: u64,
}

/// What one action puts on one meter when it runs, or waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metered {
    /// Its amount, thousandths, rounded up; 0 where only actions are counted.
    pub amount_milli: u64,
    /// The meter's name.
    pub meter: Arc<str>,
}
