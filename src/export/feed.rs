//! Reads the log for all destinations: what several of them need is opened once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::DecodedEntry;
use crate::model::with_causes;
use crate::record::Log;

/// The newest entries that are kept opened: what destinations that keep up read within a batch of each other. About
/// 10 KiB each.
const KEPT_MAX: usize = 2_048;

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
        let stored = self.log.read(from, entries_max, bytes_max).map_err(|error| with_causes(&error))?;
        let mut opened = Vec::with_capacity(stored.len());
        for entry in &stored {
            let decoded = DecodedEntry::open(entry).map_err(|problem| format!("entry {}: {problem}", entry.index))?;
            opened.push(Arc::new(decoded));
        }
        // Only the head of the log is worth keeping: a destination that catches up would push it out.
        if from >= end {
            if from > end {
                kept.clear();
            }
            kept.extend(opened.iter().cloned());
            let excess = kept.len().saturating_sub(KEPT_MAX);
            kept.drain(..excess);
        }
        Ok(opened)
    }
}
