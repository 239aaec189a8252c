//! Deliveries that somebody asked for: replays, repeated dead letters, tests. The cursor of the destination stays where
//! it is; events have the ids that they always have.

use std::sync::Arc;
use std::time::Duration;

use super::destination::{Batch, Confirmation, Destination, EventFailure, SendError};
use super::enrich::Enricher;
use super::item::Item;
use super::prepare::Route;
use super::{Config, DecodedEntry, ExportError, ExporterConfig, Filter, Formatter, events_of};
use crate::model::{Clock, Digest};
use crate::net::{Backoff, SystemClock, random_bytes};
use crate::record::{StoredEntry, redact};

/// Attempts at one batch before a person is told: they wait at a terminal.
const ATTEMPTS_MAX: u32 = 6;

/// Longest wait for a confirmation.
const CONFIRM_MAX: Duration = Duration::from_mins(2);

/// Time between questions about a batch.
const CONFIRM_INTERVAL: Duration = Duration::from_millis(250);

/// Pauses between attempts.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(10) };

/// The place that test events claim: beyond every log, and still a number that JSON readers keep exactly (RFC 8259 §6),
/// so that they never count among entries.
const NOWHERE: u64 = (1 << 53) - 1;

/// Renders and sends for one destination, outside the running exporter.
pub struct Pusher {
    destination: Box<dyn Destination>,
    route: Route,
}

/// What became of pushed events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Events that arrived.
    pub arrived: u64,
    /// Ids of events that the receiver rejected, and why.
    pub rejected: Vec<(String, String)>,
}

impl Pushed {
    /// What receivers say is printed, and may repeat what it should not.
    fn reject(&mut self, item: &Item, problem: &str) {
        self.rejected.push((item.id.clone(), redact::text(problem).text.into_owned()));
    }
}

impl Pusher {
    /// Opens a destination of a configuration. `origin` is the name of the log.
    ///
    /// # Errors
    /// [`ExportError`]: it cannot be opened.
    pub fn open(
        config: &Config,
        exporter: &ExporterConfig,
        data_dir: &std::path::Path,
        origin: &str,
    ) -> Result<Self, ExportError> {
        let name = exporter.name();
        let formatter = Formatter::new(&config.schema_of(exporter), data_dir);
        let formatter = formatter.map_err(|source| ExportError::Schema { name: name.to_owned(), source })?;
        let formatter = formatter.tagging(config.tagging()?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let enricher = Enricher::new(config, &clock)?;
        let destination = exporter.open(config, data_dir)?;
        let event_bytes_max = destination.limits().event_bytes_max;
        let filter = Filter::new(exporter.filters.as_ref().unwrap_or(&config.filters));
        Ok(Self { destination, route: Route { filter, formatter, enricher, event_bytes_max, origin: origin.into() } })
    }

    /// The destination.
    #[must_use]
    pub fn destination(&self) -> &dyn Destination {
        &*self.destination
    }

    /// The events of an entry, as the destination gets them.
    ///
    /// # Errors
    /// A sentence: it is not an entry.
    pub fn items(&self, entry: &StoredEntry) -> Result<Vec<Arc<Item>>, String> {
        let entry = DecodedEntry::open(entry).map_err(|problem| format!("entry {}: {problem}", entry.index))?;
        self.route.gather([&entry].into_iter());
        Ok(self.route.prepare(&Arc::new(entry)).items)
    }

    /// An event that says that it is a test, and nothing else.
    ///
    /// # Errors
    /// A sentence: the operating system has no random bytes for its id.
    pub fn test_event(&self, clock: &dyn Clock) -> Result<Vec<Arc<Item>>, String> {
        let id: [u8; 16] = random_bytes().map_err(|error| error.to_string())?;
        let payload = serde_json::json!({ "predicate": {
            "kind": "control",
            "time": { "wall": clock.now() },
            "control": {
                "event": "export_test",
                "reason": "TEST: `countersign export test` sent this event; nothing happened",
            },
        } });
        let entry = Arc::new(DecodedEntry::of(payload.to_string(), NOWHERE, Digest::of(&id))?);
        // Whatever the destination's filters say: somebody asked for it.
        Ok(self.route.render(&events_of(&entry)))
    }

    /// Sends events and waits until they have arrived. `told` hears how many are done.
    ///
    /// # Errors
    /// [`SendError`]: the destination does not take anything now, or refuses us.
    pub async fn push(&self, items: Vec<Arc<Item>>, mut told: impl FnMut(u64)) -> Result<Pushed, SendError> {
        let mut pushed = Pushed::default();
        let mut groups = self.batches(items, &mut pushed);
        while let Some(group) = groups.pop() {
            let batch = Batch { items: group };
            match self.attempt(&batch, &mut pushed).await {
                Ok(()) => told(pushed.arrived),
                Err(SendError::Rejected { problem, .. } | SendError::TooLarge(problem)) => match batch.items.as_slice()
                {
                    [item] => pushed.reject(item, &problem),
                    items => {
                        let (left, right) = items.split_at(items.len() / 2);
                        groups.push(right.to_vec());
                        groups.push(left.to_vec());
                    }
                },
                Err(error) => return Err(error),
            }
        }
        Ok(pushed)
    }

    /// Batches within the destination's limits, last first.
    fn batches(&self, items: Vec<Arc<Item>>, pushed: &mut Pushed) -> Vec<Vec<Arc<Item>>> {
        let limits = self.destination.limits();
        let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
        for item in items {
            if let Some(problem) = &item.unfit {
                pushed.reject(&item, problem);
                continue;
            }
            let weight = item.rendered.len() + limits.overhead;
            if !batch.is_empty() && (batch.len() >= limits.events_max || bytes + weight > limits.bytes_max) {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes += weight;
            batch.push(item);
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches.reverse();
        batches
    }

    async fn attempt(&self, batch: &Batch, pushed: &mut Pushed) -> Result<(), SendError> {
        let mut batch = batch.clone();
        for attempt in 1..=ATTEMPTS_MAX {
            let delivery = match self.destination.send(&batch).await {
                Ok(delivery) => delivery,
                Err(SendError::Later { retry_after, problem }) if attempt < ATTEMPTS_MAX => {
                    tracing::warn!(problem, attempt, "delivery failed");
                    tokio::time::sleep(retry_after.unwrap_or_else(|| BACKOFF.wait(attempt)).min(BACKOFF.cap)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut again = Vec::new();
            for (position, item) in batch.items.iter().enumerate() {
                match delivery.failed.iter().find(|failed| failed.position == position).map(|failed| &failed.failure) {
                    None => pushed.arrived += 1,
                    Some(EventFailure::Later(_)) => again.push(Arc::clone(item)),
                    Some(EventFailure::Rejected(problem)) => pushed.reject(item, problem),
                }
            }
            if let Some(ticket) = delivery.ticket {
                self.confirmed(ticket).await?;
            }
            if again.is_empty() {
                return Ok(());
            }
            batch.items = again;
            tokio::time::sleep(BACKOFF.wait(attempt)).await;
        }
        Err(SendError::later("some events were put off again and again"))
    }

    async fn confirmed(&self, ticket: u64) -> Result<(), SendError> {
        let asking = async {
            loop {
                match self.destination.confirm(&[ticket]).await?.pop() {
                    Some(Confirmation::Arrived) => return Ok(()),
                    Some(Confirmation::Lost(problem)) => return Err(SendError::later(problem)),
                    Some(Confirmation::Pending) | None => tokio::time::sleep(CONFIRM_INTERVAL).await,
                }
            }
        };
        let late = || Err(SendError::later("the receiver took the events and never confirmed them"));
        tokio::time::timeout(CONFIRM_MAX, asking).await.unwrap_or_else(|_| late())
    }
}
