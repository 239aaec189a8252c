//! Reads the log for all destinations: what several of them need is opened once.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use super::DecodedEntry;
use crate::model::with_causes;
use crate::record::{Log, StoredEntry};

/// The newest entries that are kept opened where there are several destinations: what those that keep up read within a
/// batch of each other. About 10 KiB each.
const KEPT_MAX: usize = 1_024;

/// Entries read at once: enough to be worth a thread, few enough that a destination never waits long for them.
pub(super) const READ_ENTRIES_MAX: usize = 512;

/// Bytes of entries read at once.
pub(super) const READ_BYTES_MAX: usize = 4 << 20;

/// Threads that open and render a backlog together.
const THREADS_MAX: usize = 4;

/// Entries that a thread takes at a time.
const PART: usize = 32;

/// What `work` makes of each, in order. Much of it, as when a destination returns, is shared among a few threads, each of
/// which takes the next part when it has done one: other work slows some of them.
pub(super) fn each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let parts: Vec<&[T]> = all.chunks(PART).collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS_MAX).min(parts.len());
    let taken = AtomicUsize::new(0);
    let do_parts = || {
        let next = || {
            let number = taken.fetch_add(1, Ordering::Relaxed);
            parts.get(number).map(|part| (number, *part))
        };
        let made = std::iter::from_fn(next).map(|(number, part)| (number, part.iter().map(&work).collect::<Vec<R>>()));
        made.collect::<Vec<_>>()
    };
    let mut made = std::thread::scope(|scope| {
        // One that does not start is missed by nobody: the others take its parts.
        let started = (1..threads).filter_map(|_| Builder::new().spawn_scoped(scope, do_parts).ok());
        let started: Vec<_> = started.collect();
        let mut made = do_parts();
        for thread in started {
            made.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        made
    });
    made.sort_unstable_by_key(|(number, _)| *number);
    made.into_iter().flat_map(|(_, part)| part).collect()
}

/// The log, as destinations read it.
pub(super) struct Feed {
    pub(super) log: Log,
    /// Consecutive entries, ascending.
    kept: Mutex<VecDeque<Arc<DecodedEntry>>>,
    kept_max: usize,
}

impl Feed {
    pub(super) const fn new(log: Log, destinations: usize) -> Self {
        let kept_max = if destinations > 1 { KEPT_MAX } else { 0 };
        Self { log, kept: Mutex::new(VecDeque::new()), kept_max }
    }

    /// What `work` makes of the durable entries from `from` on, at most so many. Of a backlog no entry stays opened longer
    /// than that takes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn pass<R: Send>(
        &self,
        from: u64,
        entries_max: usize,
        bytes_max: usize,
        work: impl Fn(&Arc<DecodedEntry>) -> R + Sync,
    ) -> Result<Vec<R>, String> {
        let is_backlog = from.saturating_add(self.kept_max as u64) < self.log.durable_size();
        if is_backlog {
            let work = |entry: &StoredEntry| open(entry).map(|entry| work(&entry));
            return each(&self.stored(from, entries_max, bytes_max)?, work).into_iter().collect();
        }
        Ok(each(&self.read(from, entries_max, bytes_max)?, work))
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
            return each(&self.stored(from, entries_max, bytes_max)?, open).into_iter().collect();
        }
        // At the head of the log the others wait, and find it opened.
        let opened = each(&self.stored(from, entries_max, bytes_max)?, open);
        let opened: Vec<_> = opened.into_iter().collect::<Result<_, _>>()?;
        if opened.first().is_some_and(|first| first.index > end) {
            kept.clear();
        }
        kept.extend(opened.iter().cloned());
        let excess = kept.len().saturating_sub(self.kept_max);
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
