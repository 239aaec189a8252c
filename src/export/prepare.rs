//! From entries to what one destination gets of them. Runs on threads that may block: opening and rendering take
//! milliseconds for a full batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cursor::Counts;
use super::enrich::Enricher;
use super::feed::{Feed, READ_BYTES_MAX, READ_ENTRIES_MAX, each};
use super::item::{Item, Prepared};
use super::{DecodedEntry, Event, Filter, Formatter, events_of};
use crate::model::{Digest, EventType, Severity};

/// What a destination wants, and how.
pub(super) struct Route {
    pub(super) filter: Filter,
    pub(super) formatter: Formatter,
    pub(super) enricher: Option<Arc<Enricher>>,
    pub(super) event_bytes_max: usize,
    pub(super) origin: Arc<str>,
}

impl Route {
    /// Waits, for a bounded time, for what entries are to be completed with.
    pub(super) fn gather<'a>(&self, entries: impl Iterator<Item = &'a DecodedEntry>) {
        if let Some(enricher) = &self.enricher {
            enricher.gather(entries);
        }
    }

    /// What an entry means for the destination.
    pub(super) fn prepare(&self, entry: &Arc<DecodedEntry>) -> Prepared {
        let mut events = events_of(entry);
        if let Some(enricher) = self.enricher.as_ref().filter(|_| !events.is_empty()) {
            let added = enricher.added(entry);
            events.iter_mut().for_each(|event| event.added.clone_from(&added));
        }
        let wanted = events.iter().zip(0..).filter(|(event, _)| self.filter.passes(event));
        let items: Vec<_> = wanted.map(|(event, ordinal)| self.item(event, ordinal)).collect();
        let filtered = (events.len() - items.len()) as u64;
        // Events about the counts of the others are not among them.
        let counted = events.iter().all(|event| event.event_type != EventType::Checkpoint);
        Prepared { index: entry.index, leaf: entry.leaf_hash, items, filtered, counted }
    }
}

impl Route {
    /// Events as they leave, whether they are wanted or not.
    pub(super) fn render(&self, events: &[Event]) -> Vec<Arc<Item>> {
        events.iter().zip(0..).map(|(event, ordinal)| self.item(event, ordinal)).collect()
    }

    fn item(&self, event: &Event, ordinal: usize) -> Arc<Item> {
        Arc::new(Item::render(event, ordinal, &self.formatter, &self.origin, self.event_bytes_max))
    }
}

/// The next entries from `from` on, at most so many, or fewer once they have so many bytes.
///
/// # Errors
/// A sentence that names the entry that cannot be read.
pub(super) fn prepare(
    feed: &Feed,
    route: &Route,
    from: u64,
    entries_max: usize,
    bytes_max: usize,
) -> Result<Vec<Prepared>, String> {
    let mut prepared = if route.enricher.is_some() {
        let entries = feed.read(from, entries_max, bytes_max)?;
        route.gather(entries.iter().map(|entry| &**entry));
        each(&entries, |entry| route.prepare(entry))
    } else {
        feed.pass(from, entries_max, bytes_max, |entry| route.prepare(entry))?
    };
    let mut bytes = 0;
    let enough = prepared.iter().take_while(|next| {
        let before = bytes;
        bytes += next.items.iter().map(|item| item.rendered.len()).sum::<usize>();
        before < bytes_max
    });
    let enough = enough.count();
    prepared.truncate(enough);
    Ok(prepared)
}

/// Urgent entries from `from` on, and up to where the log was searched for them.
///
/// # Errors
/// A sentence that names the entry that cannot be read.
pub(super) fn scout(feed: &Feed, route: &Route, from: u64) -> Result<(u64, Vec<Prepared>), String> {
    let (mut searched, mut found) = (from, Vec::new());
    for entry in feed.stored(from, READ_ENTRIES_MAX, READ_BYTES_MAX)? {
        searched = entry.index + 1;
        if DecodedEntry::may_be_urgent(&entry) {
            let entry = feed.open(&entry)?;
            let urgent = events_of(&entry).iter().any(|event| event.severity >= Severity::High);
            let prepared = urgent.then(|| {
                route.gather([&*entry].into_iter());
                route.prepare(&entry)
            });
            found.extend(prepared.filter(Prepared::is_urgent));
        }
    }
    Ok((searched, found))
}

/// What becomes of the events of entries `from..to` when they are passed over, those of `settled` entries excepted.
///
/// # Errors
/// A sentence that names the entry that cannot be read.
pub(super) fn tally(
    feed: &Feed,
    route: &Route,
    from: u64,
    to: u64,
    settled: &BTreeSet<u64>,
) -> Result<(Counts, Option<Digest>), String> {
    let (mut at, mut counts, mut last) = (from, Counts::default(), None);
    while at < to {
        let room = usize::try_from(to - at).unwrap_or(usize::MAX).min(READ_ENTRIES_MAX);
        let entries = feed.read(at, room, READ_BYTES_MAX)?;
        let Some(end) = entries.last() else { break };
        (at, last) = (end.index + 1, Some(end.leaf_hash));
        for prepared in entries.iter().map(|entry| route.prepare(entry)).filter(|prepared| prepared.counted) {
            let events = prepared.items.len() as u64;
            counts.filtered += prepared.filtered;
            if settled.contains(&prepared.index) { counts.delivered += events } else { counts.skipped += events }
        }
    }
    Ok((counts, last))
}
