//! Reading durable entries back: the newest from memory, the settled from bundles, what lies between from segments.
//!
//! Exporters follow the log, so almost every read is answered from memory without a copy of the entry.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::shared::Shared;
use super::tiles::{TILE_WIDTH, TileReader};
use super::{Gist, RecordError, Sealed};
use crate::model::Digest;

/// Bundles that readers of old entries keep in memory, in bytes of entries: several exporters may be behind at once.
const BUNDLES_BYTES_MAX: usize = 8 << 20;

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// Its place in the log, from 0.
    pub index: u64,
    /// The envelope.
    pub bytes: Bytes,
    /// Its leaf hash.
    pub leaf_hash: Digest,
    /// What it is, while it is still in memory as this process made it.
    pub gist: Option<Gist>,
}

impl StoredEntry {
    /// An entry and its place.
    #[must_use]
    pub fn new(index: u64, entry: impl Into<Sealed>) -> Self {
        let Sealed { bytes, leaf_hash, gist } = entry.into();
        Self { index, bytes, leaf_hash, gist }
    }
}

/// The newest entries.
pub(crate) struct Tail {
    first: u64,
    entries: VecDeque<Sealed>,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    pub(crate) const fn new(first: u64, bytes_max: usize) -> Self {
        Self { first, entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(crate) fn push(&mut self, entry: Sealed) {
        self.bytes += entry.bytes.len();
        self.entries.push_back(entry);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
            self.first += 1;
        }
    }

    /// The entries from `from` on; `None` when that one is not here any more.
    fn read(&self, from: u64, mut enough: impl FnMut(&Bytes) -> bool) -> Option<Vec<Sealed>> {
        let skip = usize::try_from(from.checked_sub(self.first)?).ok()?;
        let mut entries = Vec::new();
        for entry in self.entries.iter().skip(skip) {
            entries.push(entry.clone());
            if enough(&entry.bytes) {
                break;
            }
        }
        (!entries.is_empty()).then_some(entries)
    }
}

/// Full bundles on the disk, and a few of them in memory.
pub(crate) struct Bundles {
    tiles: TileReader,
    /// Entries below this are in full bundles that survive a power cut.
    settled: AtomicU64,
    /// Below this bundles may have been removed.
    kept_from: AtomicU64,
    cached: Mutex<VecDeque<(u64, Arc<Vec<Sealed>>)>>,
}

impl Bundles {
    pub(crate) const fn new(tiles: TileReader, settled: u64, kept_from: u64) -> Self {
        let (settled, kept_from) = (AtomicU64::new(settled), AtomicU64::new(kept_from));
        Self { tiles, settled, kept_from, cached: Mutex::new(VecDeque::new()) }
    }

    pub(crate) fn kept_from(&self) -> u64 {
        self.kept_from.load(Ordering::Acquire)
    }

    /// Bundles below `size` may be gone.
    pub(crate) fn keep_from(&self, size: u64) {
        self.kept_from.store(size, Ordering::Release);
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.retain(|(held, _)| held * TILE_WIDTH >= size);
    }

    pub(crate) const fn tiles(&self) -> &TileReader {
        &self.tiles
    }

    pub(crate) fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    pub(crate) fn settle(&self, size: u64) {
        self.settled.store(size, Ordering::Release);
    }

    /// The entries of a full bundle. Their leaf hashes stand in the tree, which saves hashing them again; nobody who reads
    /// the log of this process takes them for a proof.
    fn bundle(&self, number: u64) -> Result<Arc<Vec<Sealed>>, RecordError> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = cached.iter().position(|(held, _)| *held == number)
            && let Some(hit) = cached.remove(position)
        {
            let bundle = Arc::clone(&hit.1);
            cached.push_front(hit);
            return Ok(bundle);
        }
        drop(cached);
        let entries = self.tiles.bundle(number, TILE_WIDTH)?;
        let bundle = Arc::new(match self.tiles.tile(0, number, TILE_WIDTH) {
            Ok(hashes) => {
                let sealed = |(bytes, leaf_hash)| Sealed { bytes, leaf_hash, gist: None };
                entries.into_iter().zip(hashes).map(sealed).collect()
            }
            // Whoever misses the tile hashes the entries.
            Err(_) => entries.into_iter().map(Sealed::from).collect::<Vec<_>>(),
        });
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        cached.push_front((number, Arc::clone(&bundle)));
        let mut bytes = 0;
        cached.retain(|(held, entries)| {
            bytes += entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
            *held == number || bytes <= BUNDLES_BYTES_MAX
        });
        Ok(bundle)
    }

    /// The first entry from `from` on that was not removed. It need not be in a bundle yet.
    fn step_over(&self, from: u64) -> u64 {
        let (kept_from, mut number) = (self.kept_from(), from / TILE_WIDTH);
        while number * TILE_WIDTH < kept_from && !self.tiles.has_bundle(number) {
            number += 1;
        }
        from.max(number * TILE_WIDTH)
    }

    /// The entries from `from` on, or from the first behind it that was not removed, and which that is.
    fn read(&self, from: u64, mut enough: impl FnMut(&Bytes) -> bool) -> Result<(u64, Vec<Sealed>), RecordError> {
        let from = self.step_over(from);
        let bundle = self.bundle(from / TILE_WIDTH)?;
        let skip = usize::try_from(from % TILE_WIDTH).unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        for entry in bundle.iter().skip(skip) {
            entries.push(entry.clone());
            if enough(&entry.bytes) {
                break;
            }
        }
        Ok((from, entries))
    }
}

impl Shared {
    /// Durable entries from `from` on: at least one when there is one, else up to the limits or fewer, where a bundle or
    /// segment ends. What retention removed is left out.
    pub(crate) fn read(
        &self,
        from: u64,
        entries_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<StoredEntry>, RecordError> {
        let end = self.durable_size();
        if from >= end || entries_max == 0 {
            return Ok(Vec::new());
        }
        let (mut count, mut bytes) = (0, 0_usize);
        let enough = |entry: &Bytes| {
            count += 1;
            bytes = bytes.saturating_add(entry.len());
            count >= entries_max || bytes >= bytes_max
        };
        let (from, entries) = self.find(from, end, enough)?;
        Ok((from..end).zip(entries).map(|(index, entry)| StoredEntry::new(index, entry)).collect())
    }

    fn find(
        &self,
        from: u64,
        end: u64,
        mut enough: impl FnMut(&Bytes) -> bool,
    ) -> Result<(u64, Vec<Sealed>), RecordError> {
        let from = self.bundles.step_over(from);
        if let Some(entries) = self.tail().read(from, &mut enough) {
            return Ok((from, entries));
        }
        self.find_on_disk(from, end, enough)
    }

    fn find_on_disk(
        &self,
        from: u64,
        end: u64,
        enough: impl FnMut(&Bytes) -> bool,
    ) -> Result<(u64, Vec<Sealed>), RecordError> {
        if from < self.bundles.settled() {
            return self.bundles.read(from, enough);
        }
        // A segment whose file is unlinked meanwhile stays readable through its handle.
        let found = {
            let segments = self.segments();
            let behind = segments.partition_point(|segment| segment.header.first_index <= from);
            let next = segments.get(behind).map_or(end, |next| next.header.first_index);
            behind.checked_sub(1).and_then(|at| segments.get(at).cloned()).map(|segment| (segment, next.min(end)))
        };
        match found {
            Some((segment, end)) => {
                let entries = segment.read(from, end, enough)?;
                Ok((from, entries.into_iter().map(Sealed::from).collect()))
            }
            // Between the look at the bundles and this one the integrator has settled the entry.
            None => self.bundles.read(from, enough),
        }
    }
}
