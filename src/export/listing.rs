//! Destinations, for people who look.

use serde::Serialize;

use super::monitor::{Meter, Monitor};
use crate::model::Timestamp;

/// How one destination is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DestinationStatus {
    /// Its name.
    pub name: String,
    /// `healthy`, `retrying`, `degraded`, `parked` or `stopped`.
    pub state: &'static str,
    /// What the last failure was, while it lasts; without secrets.
    pub problem: Option<String>,
    /// Durable entries that it has yet to settle.
    pub lag: u64,
    /// The next entry to settle.
    pub next: u64,
    /// The time of the oldest event that it has not taken.
    pub oldest: Option<Timestamp>,
    /// Events that it took since the start, repeats included.
    pub delivered: u64,
    /// Failed attempts since the start.
    pub failures: u64,
    /// Events that it rejected for good.
    pub dead_letters: u64,
    /// Events in named gaps.
    pub skipped: u64,
}

impl Monitor {
    /// Every destination, in the order of the configuration.
    #[must_use]
    pub fn destinations(&self) -> Vec<DestinationStatus> {
        let size = self.log.durable_size();
        self.meters.iter().map(|meter| DestinationStatus::of(meter, size)).collect()
    }
}

impl DestinationStatus {
    fn of(meter: &Meter, size: u64) -> Self {
        let numbers = meter.numbers();
        Self {
            name: meter.name.clone(),
            state: numbers.state.as_str(),
            problem: numbers.problem,
            lag: size.saturating_sub(numbers.next),
            next: numbers.next,
            oldest: numbers.oldest,
            delivered: numbers.emitted,
            failures: numbers.failures,
            dead_letters: numbers.dead,
            skipped: numbers.skipped,
        }
    }
}
