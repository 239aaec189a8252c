//! When a destination may be tried again, and when its failures are worth an alarm.

use std::time::Duration;

use tokio::time::Instant;

use super::monitor::State;
use super::settings::{DeliverySettings, RETRY_AFTER_MAX};
use crate::model::with_causes;
use crate::net::Backoff;
use crate::record::entry::{ControlBlock, ScopeBlock};
use crate::record::{ControlFact, Recorder};

/// Events in a row that a receiver may reject one by one before it is taken for misconfigured rather than the events for
/// bad: past that, one a probe.
const REJECTIONS_TOLERATED: u32 = 32;

/// What changed, if it is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Degraded,
    Recovered,
}

impl Change {
    /// Writes an entry about it: the other destinations get it as an event.
    pub(super) fn record(self, recorder: &Recorder, destination: &str, failures: u32, problem: &str) {
        let event = match self {
            Self::Degraded => "export_degraded",
            Self::Recovered => "export_recovered",
        };
        let fact = ControlFact::control(ControlBlock {
            count: Some(u64::from(failures)).filter(|failures| *failures > 0),
            event: event.into(),
            reason: Some(problem.chars().take(512).collect::<String>().into()),
            scope: Some(ScopeBlock { kind: "destination".into(), value: Some(destination.to_owned().into()) }),
            ..ControlBlock::default()
        });
        let (recorder, destination) = (recorder.clone(), destination.to_owned());
        // Not awaited: a log that is slow must not hold up deliveries from it.
        tokio::spawn(async move {
            if let Err(error) = recorder.control(fact).await {
                tracing::error!(destination, error = with_causes(&error), "record that delivery {event}");
            }
        });
    }
}

pub(super) struct Health {
    backoff: Backoff,
    probe_interval: Duration,
    tolerated: u32,
    pub(super) failures: u32,
    pub(super) state: State,
    /// What the last failure was.
    pub(super) problem: Option<String>,
    not_before: Option<Instant>,
    rejections: u32,
    alarmed: bool,
}

impl Health {
    pub(super) const fn new(settings: &DeliverySettings) -> Self {
        Self {
            backoff: settings.backoff,
            probe_interval: settings.probe_interval,
            tolerated: settings.failures_tolerated,
            failures: 0,
            state: State::Healthy,
            problem: None,
            not_before: None,
            rejections: 0,
            alarmed: false,
        }
    }

    /// When the next attempt may be made; `None`: at once.
    pub(super) const fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    pub(super) fn allows(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// Something arrived.
    pub(super) fn succeeded(&mut self) -> Option<Change> {
        self.failures = 0;
        self.rejections = 0;
        self.not_before = None;
        self.problem = None;
        self.state = State::Healthy;
        std::mem::take(&mut self.alarmed).then_some(Change::Recovered)
    }

    /// An attempt failed that may succeed later.
    pub(super) fn failed(&mut self, now: Instant, retry_after: Option<Duration>) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        // The receiver's word wins over ours, both ways (RFC 9110 §10.2.3).
        let pause = retry_after.map_or_else(|| self.backoff.wait(self.failures), |asked| asked.min(RETRY_AFTER_MAX));
        self.not_before = Some(now + pause);
        let degraded = self.failures > self.tolerated;
        self.state = if degraded { State::Degraded } else { State::Retrying };
        (degraded && !std::mem::replace(&mut self.alarmed, true)).then_some(Change::Degraded)
    }

    /// The receiver does not take us: try once in a while. An alarm at once: time does not heal it.
    pub(super) fn refused(&mut self, now: Instant) -> Option<Change> {
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + self.probe_interval);
        self.state = State::Parked;
        (!std::mem::replace(&mut self.alarmed, true)).then_some(Change::Degraded)
    }

    /// One event was rejected for good. True when so many were in a row that the receiver is to blame: then it is parked.
    pub(super) const fn is_suspicious(&mut self) -> bool {
        self.rejections = self.rejections.saturating_add(1);
        self.rejections > REJECTIONS_TOLERATED
    }
}
