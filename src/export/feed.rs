//! Reads the log for all destinations: what several of them need is opened once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::DecodedEntry;
use crate::model::with_causes;
use crate::record::{Log, StoredEntry};

/// The newest entries that are kept opened: what destinations that keep up read within a batch of each other. About
/// 10 KiB each.
const KEPT_MAX: usize = 2_048;

/// Entries read at once: enough to be worth a thread, few enough that a destination never waits long for them.
pub(super) const READ_ENTRIES_MAX: usize = 512;

/// Bytes of entries read at once.
pub(super) const READ_BYTES_MAX: usize = 4 << 20;

/// The log, as destinations read it.
pub(super) struct Feed {
    pub(super) log: Log,
    /// Consecutive entries, ascending.
    kept: Mutex<VecDeque<Arc<DecodedEntry>>>,
}

impl Feed {
    pub(super) const fn new(log: Log) -> Self {
        Self { log, kept: Mutex::new(VecDeque::new()) }
    }

    /// Durable entries from `from` on, at most so many.
    ///
    /// # Errors
    /// A sentence that names the entry that cannot be read: exporting stops there rather than leave it out.
    pub(super) fn read(
        &self,
        from: u64,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<Arc<DecodedEntry>>, String> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.front().map_or(0, |entry| entry.index);
        let end = kept.back().map_or(0, |entry| entry.index + 1);
        if from >= first && from < end {
            let skip = usize::try_from(from - first).unwrap_or(usize::MAX);
            return Ok(kept.iter().skip(skip).take(entries_max).cloned().collect());
        }
        if from < first {
            // A destination that catches up must not hold up the others while it reads the disk.
            drop(kept);
            return self.stored(from, entries_max, bytes_max)?.iter().map(open).collect();
        }
        // At the head of the log the others wait, and find it opened.
        let opened: Vec<_> = self.stored(from, entries_max, bytes_max)?.iter().map(open).collect::<Result<_, _>>()?;
        if from > end {
            kept.clear();
        }
        kept.extend(opened.iter().cloned());
        let excess = kept.len().saturating_sub(KEPT_MAX);
        kept.drain(..excess);
        Ok(opened)
    }

    /// Durable entries as they are stored.
    ///
    /// # Errors
    /// A sentence: the log cannot be read.
    pub(super) fn stored(&self, from: u64, entries_max: usize, bytes_max: usize) -> Result<Vec<StoredEntry>, String> {
        self.log.read(from, entries_max, bytes_max).map_err(|error| with_causes(&error))
    }

    /// One entry opened, from what is kept if it is there.
    ///
    /// # Errors
    /// A sentence that names the entry.
    pub(super) fn open(&self, entry: &StoredEntry) -> Result<Arc<DecodedEntry>, String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.front().map_or(0, |entry| entry.index);
        let place = entry.index.checked_sub(first).and_then(|offset| usize::try_from(offset).ok());
        let found = place.and_then(|place| kept.get(place)).cloned();
        drop(kept);
        found.map_or_else(|| open(entry), Ok)
    }
}

fn open(entry: &StoredEntry) -> Result<Arc<DecodedEntry>, String> {
    DecodedEntry::open(entry).map(Arc::new).map_err(|problem| format!("entry {}: {problem}", entry.index))
}
