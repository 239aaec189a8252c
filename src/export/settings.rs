//! How events are delivered: batches, windows, retries, lag.

use std::time::Duration;

use serde::Deserialize;

use super::destination::Limits;
use crate::net::Backoff;

/// Events that wait in memory for one destination, unless configured: enough that receivers which confirm late still
/// drain a backlog quickly.
const WINDOW_EVENTS: usize = 10_000;

/// Bytes of rendered events that wait in memory for one destination, unless configured.
const WINDOW_BYTES: usize = 8 << 20;

/// Failures in a row after which a destination is reported as degraded: more than three (AARM telemetry exporter).
const FAILURES_TOLERATED: u32 = 3;

/// Waits between attempts: soon at first, and at least once a minute, so that a destination that returns is noticed.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_mins(1) };

/// How long a receiver may ask to be left alone. One that asks for longer is tried earlier.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_mins(15);

/// Time between looks at a receiver that refuses us.
const PROBE_INTERVAL: Duration = Duration::from_mins(1);

/// Time until the first question about a batch that the receiver has yet to confirm.
pub(super) const CONFIRM_FIRST: Duration = Duration::from_millis(50);

/// Time between such questions while nothing is confirmed: it doubles from the first up to this.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(1);

/// Time after which an unconfirmed batch is sent again. Splunk can take two minutes for the last small batch.
const CONFIRM_TIMEOUT: Duration = Duration::from_mins(5);

/// How events are delivered to one destination. What is left out has the destination's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    /// Events of a batch.
    pub batch_events: Option<usize>,
    /// Bytes of a batch, before compression.
    pub batch_bytes: Option<usize>,
    /// Milliseconds that events below HIGH may gather.
    pub linger_ms: Option<u64>,
    /// Events that wait in memory.
    pub window_events: Option<usize>,
    /// Bytes of rendered events that wait in memory.
    pub window_bytes: Option<usize>,
    /// Requests under way at once. More than one gives up the order of the log.
    pub concurrency: Option<usize>,
    /// Failures in a row that are not yet worth an alarm.
    pub failures_tolerated: Option<u32>,
    /// Milliseconds that the first pause after a failure has at most; it doubles with each further one.
    pub retry_base_ms: Option<u64>,
    /// Milliseconds that any pause has at most.
    pub retry_cap_ms: Option<u64>,
    /// Milliseconds between attempts while the receiver refuses us.
    pub probe_interval_ms: Option<u64>,
    /// Milliseconds between questions about batches that are yet to be confirmed.
    pub confirm_interval_ms: Option<u64>,
    /// Milliseconds until an unconfirmed batch is sent again.
    pub confirm_timeout_ms: Option<u64>,
    /// Whether the destination must get everything. One that need not is moved on, with a signed gap entry, when it lags
    /// by more than `lag_entries_max` or `lag_s_max`; a required one raises an alarm instead.
    pub required: Option<bool>,
    /// Entries that the destination may lag behind the log.
    pub lag_entries_max: Option<u64>,
    /// Age in seconds that the oldest undelivered entry may have.
    pub lag_s_max: Option<u64>,
}

/// [`DeliveryConfig`] with every question answered.
#[derive(Clone, Debug)]
pub(super) struct DeliverySettings {
    pub(super) limits: Limits,
    pub(super) window_events: usize,
    pub(super) window_bytes: usize,
    pub(super) concurrency: usize,
    pub(super) failures_tolerated: u32,
    pub(super) backoff: Backoff,
    pub(super) probe_interval: Duration,
    pub(super) confirm_interval: Duration,
    pub(super) confirm_timeout: Duration,
    pub(super) required: bool,
    pub(super) lag_entries_max: Option<u64>,
    pub(super) lag_max: Option<Duration>,
}

impl DeliveryConfig {
    /// These settings, completed with others where they say nothing.
    #[must_use]
    pub(super) fn or(&self, others: &Self) -> Self {
        Self {
            batch_events: self.batch_events.or(others.batch_events),
            batch_bytes: self.batch_bytes.or(others.batch_bytes),
            linger_ms: self.linger_ms.or(others.linger_ms),
            window_events: self.window_events.or(others.window_events),
            window_bytes: self.window_bytes.or(others.window_bytes),
            concurrency: self.concurrency.or(others.concurrency),
            failures_tolerated: self.failures_tolerated.or(others.failures_tolerated),
            retry_base_ms: self.retry_base_ms.or(others.retry_base_ms),
            retry_cap_ms: self.retry_cap_ms.or(others.retry_cap_ms),
            probe_interval_ms: self.probe_interval_ms.or(others.probe_interval_ms),
            confirm_interval_ms: self.confirm_interval_ms.or(others.confirm_interval_ms),
            confirm_timeout_ms: self.confirm_timeout_ms.or(others.confirm_timeout_ms),
            required: self.required.or(others.required),
            lag_entries_max: self.lag_entries_max.or(others.lag_entries_max),
            lag_s_max: self.lag_s_max.or(others.lag_s_max),
        }
    }

    /// What holds for a destination that takes `limits`. A destination's own limits are never exceeded.
    pub(super) fn settle(&self, limits: Limits) -> DeliverySettings {
        let events_max = self.batch_events.map_or(limits.events_max, |events| events.clamp(1, limits.events_max));
        let bytes_max = self.batch_bytes.map_or(limits.bytes_max, |bytes| bytes.clamp(1, limits.bytes_max));
        let millis = |given: Option<u64>, default| given.map_or(default, Duration::from_millis);
        let linger = millis(self.linger_ms, limits.linger);
        DeliverySettings {
            limits: Limits { events_max, bytes_max, linger, ..limits },
            window_events: self.window_events.unwrap_or(WINDOW_EVENTS).max(events_max),
            window_bytes: self.window_bytes.unwrap_or(WINDOW_BYTES).max(bytes_max),
            concurrency: self.concurrency.unwrap_or(1).max(1),
            failures_tolerated: self.failures_tolerated.unwrap_or(FAILURES_TOLERATED),
            backoff: Backoff {
                base: millis(self.retry_base_ms, BACKOFF.base),
                cap: millis(self.retry_cap_ms, BACKOFF.cap),
            },
            probe_interval: millis(self.probe_interval_ms, PROBE_INTERVAL),
            confirm_interval: millis(self.confirm_interval_ms, CONFIRM_INTERVAL),
            confirm_timeout: millis(self.confirm_timeout_ms, CONFIRM_TIMEOUT),
            required: self.required.unwrap_or(true),
            lag_entries_max: self.lag_entries_max,
            lag_max: self.lag_s_max.map(Duration::from_secs),
        }
    }
}
