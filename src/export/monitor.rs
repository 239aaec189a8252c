//! What is known about deliveries while they go on: for metrics, for readiness, for checkpoints.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cursor::Counts;
use super::enrich::Enricher;
use crate::model::{Clock, Timestamp};
use crate::record::Log;

/// Upper bounds of the latency histogram, milliseconds: from a local collector to the longest time limit.
const BUCKETS_MS: [u64; 9] = [5, 25, 100, 250, 500, 1_000, 2_500, 10_000, 30_000];

/// How a destination is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It takes what it gets.
    #[default]
    Healthy,
    /// It failed, not often enough for an alarm.
    Retrying,
    /// It failed more often in a row than is tolerated.
    Degraded,
    /// It refuses us: somebody has to change a credential or a setting.
    Parked,
    /// An entry of the log cannot be read.
    Stopped,
}

impl State {
    const ALL: [Self; 5] = [Self::Healthy, Self::Retrying, Self::Degraded, Self::Parked, Self::Stopped];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Retrying => "retrying",
            Self::Degraded => "degraded",
            Self::Parked => "parked",
            Self::Stopped => "stopped",
        }
    }
}

/// The numbers of one destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub(super) state: State,
    /// What the last failure was, while it lasts.
    pub(super) problem: Option<String>,
    /// Events that left and were taken, repeats included.
    pub(super) emitted: u64,
    /// Bytes of their texts, before compression.
    pub(super) bytes: u64,
    pub(super) failures: u64,
    pub(super) dead: u64,
    pub(super) skipped: u64,
    pub(super) next: u64,
    pub(super) counts: Counts,
    pub(super) oldest: Option<Timestamp>,
    /// Events in memory, and the bytes of their texts.
    pub(super) held: (u64, u64),
    /// Attempts by latency, the last for those beyond all bounds.
    latencies: [u64; BUCKETS_MS.len() + 1],
    latency_us: u64,
}

/// Shared by a destination's pipeline and whoever asks.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) name: String,
    /// Whether the destination must get everything.
    required: bool,
    /// It gets events, which can be counted; an archive gets the log.
    pub(super) counts: bool,
    numbers: Mutex<Numbers>,
}

impl Meter {
    /// `next`: where its cursor stands.
    pub(super) fn new(name: &str, required: bool, next: u64) -> Self {
        let numbers = Mutex::new(Numbers { next, ..Numbers::default() });
        Self { name: name.into(), required, counts: true, numbers }
    }

    /// Of an archive.
    pub(super) fn of_archive(name: &str, required: bool) -> Self {
        Self { counts: false, ..Self::new(name, required, 0) }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Numbers)) {
        change(&mut self.numbers.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn numbers(&self) -> Numbers {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn took(&self, latency: Duration) {
        let bucket = BUCKETS_MS.partition_point(|bound| u128::from(*bound) < latency.as_millis());
        self.change(|numbers| {
            numbers.latencies.iter_mut().skip(bucket).take(1).for_each(|count| *count += 1);
            numbers.latency_us += u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        });
    }
}

/// All destinations, for whoever asks how they are.
#[derive(Clone)]
pub struct Monitor {
    pub(super) meters: Vec<Arc<Meter>>,
    pub(super) enricher: Option<Arc<Enricher>>,
    pub(super) log: Log,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) seed_names: bool,
}

/// One metric of a destination.
type Metric = (&'static str, &'static str, &'static str, fn(&Numbers, u64, Timestamp) -> u64);

/// Names by the conventions of Prometheus.
const METRICS: [Metric; 10] = [
    ("aarm_telemetry_bytes_total", "counter", "Bytes of the events delivered, before compression", |n, _, _| n.bytes),
    ("aarm_telemetry_events_emitted_total", "counter", "Events delivered, repeats included", |n, _, _| n.emitted),
    ("aarm_telemetry_export_failures_total", "counter", "Failed attempts to deliver", |n, _, _| n.failures),
    ("aarm_telemetry_dropped_events_total", "counter", "Events in dead letters or named gaps", |n, _, _| {
        n.dead + n.skipped
    }),
    ("aarm_telemetry_deadletter_total", "counter", "Events that became dead letters", |n, _, _| n.dead),
    ("aarm_telemetry_buffer_size", "gauge", "Durable entries not yet settled", |n, size, _| {
        size.saturating_sub(n.next)
    }),
    ("aarm_telemetry_cursor_seq", "gauge", "The next entry to settle", |n, _, _| n.next),
    ("aarm_telemetry_window_events", "gauge", "Events in memory", |n, _, _| n.held.0),
    ("aarm_telemetry_window_bytes", "gauge", "Bytes of the events in memory", |n, _, _| n.held.1),
    ("aarm_telemetry_oldest_unacked_age_seconds", "gauge", "Age of the oldest unsettled event", |n, _, now| {
        n.oldest.map_or(0, |oldest| now.micros_since(oldest) / 1_000_000)
    }),
];

/// The names that the AARM telemetry page prints beside `aarm_telemetry_buffer_size`, for dashboards that were made from it. Lint tools object to them.
const SEED_METRICS: [Metric; 4] = [
    ("aarm_telemetry_events_emitted", "counter", "Total events sent", |n, _, _| n.emitted),
    ("aarm_telemetry_export_latency_ms", "gauge", "Mean time to send events", |n, _, _| {
        n.latency_us / 1_000 / n.latencies.iter().sum::<u64>().max(1)
    }),
    ("aarm_telemetry_export_failures", "counter", "Failed export attempts", |n, _, _| n.failures),
    ("aarm_telemetry_dropped_events", "counter", "Events lost due to failures", |n, _, _| n.dead + n.skipped),
];

impl Monitor {
    /// Names and states of destinations that are not healthy.
    #[must_use]
    pub fn troubled(&self) -> Vec<(String, State)> {
        let states = self.meters.iter().map(|meter| (meter.name.clone(), meter.numbers().state));
        states.filter(|(_, state)| *state != State::Healthy).collect()
    }

    /// The first entry that a destination has yet to settle.
    #[must_use]
    pub fn needed_from(&self) -> u64 {
        let places = self.meters.iter().map(|meter| meter.numbers().next);
        places.min().unwrap_or_else(|| self.log.durable_size())
    }

    /// The first entry that a required destination has yet to settle: retention must keep it and all after it.
    #[must_use]
    pub fn required_from(&self) -> u64 {
        let places = self.meters.iter().filter(|meter| meter.required).map(|meter| meter.numbers().next);
        places.min().unwrap_or_else(|| self.log.durable_size())
    }

    /// Everything in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        let (size, now) = (self.log.durable_size(), self.clock.now());
        let all: Vec<_> = self.meters.iter().map(|meter| (label(&meter.name), meter.numbers())).collect();
        let mut out = String::new();
        if all.is_empty() {
            return out;
        }
        let seed = if self.seed_names { SEED_METRICS.as_slice() } else { &[] };
        for (name, kind, help, value) in METRICS.iter().chain(seed) {
            head(&mut out, name, kind, help);
            for (label, numbers) in &all {
                line(&mut out, name, &format!("destination=\"{label}\""), value(numbers, size, now));
            }
        }
        head(&mut out, "aarm_telemetry_destination_state", "gauge", "1 for the state a destination is in");
        for (label, numbers) in &all {
            for state in State::ALL {
                let labels = format!("destination=\"{label}\",state=\"{}\"", state.as_str());
                line(&mut out, "aarm_telemetry_destination_state", &labels, u64::from(numbers.state == state));
            }
        }
        latencies(&mut out, &all);
        if let Some(enricher) = &self.enricher {
            enricher.render(&mut out);
        }
        out
    }
}

fn latencies(out: &mut String, all: &[(String, Numbers)]) {
    const NAME: &str = "aarm_telemetry_export_latency_seconds";
    head(out, NAME, "histogram", "Time of one attempt to deliver");
    for (label, numbers) in all {
        let mut count = 0;
        let bounds = BUCKETS_MS.iter().map(|ms| seconds(u128::from(*ms) * 1_000)).chain(["+Inf".into()]);
        for (bound, attempts) in bounds.zip(numbers.latencies) {
            count += attempts;
            line(out, &format!("{NAME}_bucket"), &format!("destination=\"{label}\",le=\"{bound}\""), count);
        }
        let sum = seconds(u128::from(numbers.latency_us));
        out.push_str(&format!("{NAME}_sum{{destination=\"{label}\"}} {sum}\n"));
        line(out, &format!("{NAME}_count"), &format!("destination=\"{label}\""), count);
    }
}

fn seconds(us: u128) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line(out: &mut String, name: &str, labels: &str, value: u64) {
    // Writing to a string does not fail.
    let _written = writeln!(out, "{name}{{{labels}}} {value}");
}

fn label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
