//! One destination's task: read from the cursor, format, deliver, move the cursor.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::destination::{Batch, Destination, SendError};
use super::feed::Feed;
use super::{Cursor, Event, Formatter, events_of};
use crate::metrics::{Counter, add, count};
use crate::model::{Clock, Digest, with_causes};
use crate::net::Backoff;

/// Entries read at once: a batch, and the most that a crash repeats.
const ENTRIES_MAX: usize = 2_000;

/// How long entries gather before a batch leaves. Well within the 200 ms in which HIGH must have left, and long enough
/// that a busy log costs twenty deliveries a second and not thousands.
const GATHER: Duration = Duration::from_millis(50);

/// Bytes of entries read at once.
const BYTES_MAX: usize = 4 << 20;

/// Time that events may still take to leave when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Waits between attempts: soon at first, and at least once in half a minute, so that a destination that returns is
/// noticed.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(30) };

pub(super) struct Pipeline {
    pub(super) destination: Box<dyn Destination>,
    pub(super) formatter: Arc<Formatter>,
    pub(super) cursor: Cursor,
    pub(super) feed: Arc<Feed>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What is ready to leave.
struct Ready {
    batch: Batch,
    next: u64,
    last: Digest,
}

impl Pipeline {
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut size = self.feed.log.watch_size();
        let mut failures = 0;
        loop {
            let stopping = *stop.borrow();
            match self.read().await {
                Err(problem) => {
                    tracing::error!(destination = self.destination.name(), problem, "exporting stopped at an entry");
                    return;
                }
                Ok(None) if stopping => return,
                Ok(None) => {
                    tokio::select! {
                        changed = size.changed() => if changed.is_err() { return },
                        _ = stop.changed() => continue,
                    }
                    tokio::select! {
                        () = tokio::time::sleep(GATHER) => {}
                        _ = stop.changed() => {}
                    }
                }
                Ok(Some(ready)) => {
                    let sending = self.destination.send(&ready.batch);
                    let sent = if stopping {
                        tokio::time::timeout(LAST_WORDS, sending)
                            .await
                            .unwrap_or(Err(SendError::Later("stopping".into())))
                    } else {
                        sending.await
                    };
                    match sent {
                        Ok(()) => {
                            failures = 0;
                            self.delivered(&ready);
                        }
                        Err(_) if stopping => return,
                        Err(error) => {
                            failures += 1;
                            self.wait(failures, &error, &mut stop).await;
                        }
                    }
                }
            }
        }
    }

    /// Opening and formatting take milliseconds for a full batch: not on the threads that move bytes.
    async fn read(&self) -> Result<Option<Ready>, String> {
        let (feed, from, formatter) = (Arc::clone(&self.feed), self.cursor.next(), Arc::clone(&self.formatter));
        let work = tokio::task::spawn_blocking(move || prepare(&feed, from, &formatter));
        work.await.map_err(|error| error.to_string())?
    }

    fn delivered(&mut self, ready: &Ready) {
        add(Counter::EventsExported, u64::try_from(ready.batch.events.len()).unwrap_or(u64::MAX));
        if let Err(error) = self.cursor.advance(ready.next, ready.last) {
            // The events have arrived; without the cursor they will arrive again, which ids make harmless.
            tracing::error!(destination = self.destination.name(), error = with_causes(&error), "keep the cursor");
        }
    }

    async fn wait(&self, failures: u32, error: &SendError, stop: &mut watch::Receiver<bool>) {
        count(Counter::ExportFailures);
        let pause = BACKOFF.wait(failures);
        tracing::warn!(
            destination = self.destination.name(), error = with_causes(error), failures, ?pause,
            now = %self.clock.now(), "delivery failed; the log keeps the events"
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}

fn prepare(feed: &Feed, from: u64, formatter: &Formatter) -> Result<Option<Ready>, String> {
    let entries = feed.read(from, ENTRIES_MAX, BYTES_MAX)?;
    let Some(last) = entries.last() else { return Ok(None) };
    let (next, last) = (last.index + 1, last.leaf_hash);
    let events: Vec<Event> = entries.iter().flat_map(events_of).collect();
    let origin = &feed.log.instance().origin;
    let rendered: Result<_, _> = events.iter().map(|event| formatter.render(event, origin)).collect();
    let rendered = rendered.map_err(|error| error.to_string())?;
    Ok(Some(Ready { batch: Batch { events, rendered }, next, last }))
}
