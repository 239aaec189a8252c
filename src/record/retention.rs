//! Removing what need not be kept any longer: whole bundles of entries, oldest first.
//!
//! The hashes stay. The tree, its root and every proof are what they were, also for entries whose words are gone. Nothing
//! is removed before a signed `redaction` entry says so: without one the verifier takes a missing bundle for damage.
//! Bundles that certify keys stay, because later entries are verified by them.

use super::disk::{Disk, Operation};
use super::entry::{Kind, Outline};
use super::layout::Layout;
use super::publish::{Publisher, read_file};
use super::shared::Shared;
use super::tiles::{Row, TILE_WIDTH, tile_path};
use super::{Log, RecordError, StoredEntry, leaf_hash, open_envelope};
use crate::model::{Digest, Timestamp};

/// Bundles that one `redaction` entry may remove: a quarter of a million entries.
const BUNDLES_MAX: u64 = 1_024;

/// The shortest retention, seconds: a day. What waits for a person must not lose its decision.
pub(super) const RETENTION_MIN_S: u64 = 86_400;

/// The first entry that was kept, as the data directory says. A hint for readers; the verifier believes entries alone.
pub(super) fn read_kept(layout: &Layout, disk: &dyn Disk) -> Result<u64, RecordError> {
    let text = read_file(disk, &layout.kept())?.and_then(|text| String::from_utf8(text).ok());
    Ok(text.and_then(|text| text.trim_end().parse().ok()).unwrap_or(0))
}

impl Log {
    /// The first entry that is kept. Below it only bundles are left that certify keys.
    #[must_use]
    pub fn kept_from(&self) -> u64 {
        self.shared().bundles.kept_from()
    }

    /// How long entries have to be kept, seconds; `None`: for ever.
    #[must_use]
    pub fn retention_s(&self) -> Option<u64> {
        self.shared().retention_s
    }

    /// The leaf hash of a durable entry, also of one that was removed.
    ///
    /// # Errors
    /// [`RecordError::Corrupt`] when there is no such entry, or it cannot be read.
    pub fn leaf_hash(&self, index: u64) -> Result<Digest, RecordError> {
        if index < self.kept_from() {
            let hashes = self.tiles().tile(0, index / TILE_WIDTH, TILE_WIDTH)?;
            let within = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
            return hashes.get(within).copied().ok_or_else(|| missing(self.shared()));
        }
        let entry = self.read(index, 1, 1)?.into_iter().next().filter(|entry| entry.index == index);
        entry.map(|entry| leaf_hash(&entry.bytes)).ok_or_else(|| missing(self.shared()))
    }

    /// Where the stretch ends whose entries are all older than `before` and below `limit`: what [`Self::forget`] may
    /// remove. It begins at [`Self::kept_from`] and is no longer than one `redaction` entry removes. Reads the disk.
    ///
    /// # Errors
    /// [`RecordError`]: an entry cannot be read.
    pub fn expired(&self, before: Timestamp, limit: u64) -> Result<u64, RecordError> {
        let limit = limit.min(self.removable());
        let mut end = self.kept_from();
        let most = end.saturating_add(BUNDLES_MAX * TILE_WIDTH).min(limit);
        while end + TILE_WIDTH <= most {
            // Entries of one log come in the order of their times, but for moments.
            let last = self.read(end + TILE_WIDTH - 1, 1, 1)?.into_iter().next();
            if last.as_ref().and_then(outline).is_none_or(|outline| outline.predicate.time.wall >= before) {
                break;
            }
            end += TILE_WIDTH;
        }
        Ok(end)
    }

    /// Removes the entries below `to` for good, but for bundles that certify keys or cannot be read. The caller has
    /// recorded it. Blocks on the disk. Returns how many entries went.
    ///
    /// # Errors
    /// [`RecordError`]: the disk; what was not removed goes with the next call.
    pub fn forget(&self, to: u64) -> Result<u64, RecordError> {
        let (shared, from) = (self.shared(), self.kept_from());
        let to = to.min(self.removable()) / TILE_WIDTH * TILE_WIDTH;
        if to <= from {
            return Ok(0);
        }
        let mut publisher = Publisher::new(std::sync::Arc::clone(&shared.disk), shared.layout.root());
        publisher.publish(&shared.layout.kept(), format!("{to}\n").as_bytes(), 0o644)?;
        // Readers expect holes from here on.
        shared.bundles.keep_from(to);
        let mut removed = 0;
        // What a crash left of the last stretch goes with this one.
        for number in (from / TILE_WIDTH).saturating_sub(BUNDLES_MAX)..to / TILE_WIDTH {
            let Ok(entries) = self.tiles().bundle(number, TILE_WIDTH) else { continue };
            let entries = (number * TILE_WIDTH..).zip(entries).map(|(index, entry)| StoredEntry::new(index, entry));
            let mut kinds = entries.map(|entry| outline(&entry).map(|outline| outline.predicate.kind));
            if kinds.any(|kind| {
                kind.is_none_or(|kind| matches!(Kind::parse(&kind), None | Some(Kind::Genesis | Kind::Key)))
            }) {
                continue;
            }
            let path = shared.layout.log().join(tile_path(Row::Entries, number, 0));
            shared.disk.remove_file(&path).map_err(RecordError::on(Operation::Remove, &path))?;
            removed += TILE_WIDTH;
        }
        Ok(removed)
    }

    /// Entries below this are in full bundles under a durable checkpoint: nothing that a start needs.
    fn removable(&self) -> u64 {
        let shared = self.shared();
        let checkpointed = shared.checkpoint.borrow().as_ref().map_or(0, |checkpoint| checkpoint.size);
        shared.bundles.settled().min(checkpointed)
    }
}

fn outline(entry: &StoredEntry) -> Option<Outline> {
    Outline::read(&open_envelope(&entry.bytes).ok()?.payload).ok()
}

fn missing(shared: &Shared) -> RecordError {
    RecordError::Corrupt { path: shared.layout.log(), offset: 0, reason: "there is no such entry" }
}
