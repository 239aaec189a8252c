//! Room on the disk: the active segment, the spare behind it, and the slots that callers get for it.
//!
//! A slot stands for room for the longest entry. There are never more slots about than such entries fit into the active
//! segment and the spare, so an entry that has a slot is never refused for want of room; who finds no slot waits, or is
//! refused when no spare can be made. The spare is zero-filled ahead of use by a thread of its own: that it fails is the
//! early alarm, while a whole segment is still free. Some slots are kept back for the entries that close a log.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use super::frame::FRAME_BYTES_MAX;
use super::segment::{HEADER_BYTES, make_zeros};
use crate::record::RecordError;
use crate::record::disk::{Disk, DiskFile, Operation};
use crate::record::layout::Layout;
use crate::record::publish::Publisher;

/// After a failure the next spare is tried this much later.
const RETRY: Duration = Duration::from_secs(1);

/// An action takes two places before it is decided: for its decision and for its outcome.
const ACTION_ENTRIES: usize = 2;

/// A whole segment of zeros, named `spare.seg`, on the device.
pub(crate) struct Spare {
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) bytes: u64,
}

/// How many slots of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SlotCount {
    pub(crate) ordinary: usize,
    pub(crate) reserved: usize,
}

/// Counts slots against room. Owned by the log; the writer reports to it.
pub(crate) struct Room {
    pub(crate) ordinary: Arc<Semaphore>,
    pub(crate) reserved: Arc<Semaphore>,
    limit: SlotCount,
    state: Mutex<State>,
    wake: Condvar,
    has_spare: watch::Sender<bool>,
    healthy: watch::Sender<bool>,
}

struct State {
    active_bytes_left: u64,
    spare: Option<Spare>,
    failed: bool,
    full: bool,
    closing: bool,
    /// The writer is giving the spare another name. Until then the name is not free for the next.
    rolling: bool,
    /// Slots that are free, held, or taken by an entry that is not written yet.
    about: SlotCount,
}

impl Room {
    pub(crate) fn new(limit: SlotCount, active_bytes_left: u64, spare: Option<Spare>) -> Self {
        let has_spare = watch::Sender::new(spare.is_some());
        let about = SlotCount::default();
        let state =
            State { active_bytes_left, spare, failed: false, full: false, closing: false, rolling: false, about };
        let room = Self {
            ordinary: Arc::new(Semaphore::new(0)),
            reserved: Arc::new(Semaphore::new(0)),
            limit,
            state: Mutex::new(state),
            wake: Condvar::new(),
            has_spare,
            healthy: watch::Sender::new(true),
        };
        room.hand_out(&mut room.state());
        room
    }

    /// Whether a spare segment is ready; false for long is the early alarm of a full disk.
    pub(crate) fn watch_spare(&self) -> watch::Receiver<bool> {
        self.has_spare.subscribe()
    }

    /// Whether entries are refused because the disk has no room.
    pub(crate) fn is_full(&self) -> bool {
        self.state().full
    }

    /// Whether entries are taken: neither full nor closed.
    pub(crate) fn watch_health(&self) -> watch::Receiver<bool> {
        self.healthy.subscribe()
    }

    /// The writer has written the entries of so many slots and has so much left.
    pub(crate) fn written(&self, slots: SlotCount, active_bytes_left: u64) {
        let mut state = self.state();
        state.about.ordinary = state.about.ordinary.saturating_sub(slots.ordinary);
        state.about.reserved = state.about.reserved.saturating_sub(slots.reserved);
        state.active_bytes_left = active_bytes_left;
        self.hand_out(&mut state);
    }

    /// The spare, for the writer to make it the active segment. There is one: its slots were counted. The next is not
    /// begun before [`Self::rolled`]: it would take the name of this one from under the writer.
    pub(crate) fn take_spare(&self) -> Option<Spare> {
        let mut state = self.state();
        let spare = state.spare.take()?;
        state.active_bytes_left = spare.bytes.saturating_sub(HEADER_BYTES as u64);
        state.rolling = true;
        self.has_spare.send_replace(false);
        Some(spare)
    }

    /// The spare that was taken has its own name now, on the device.
    pub(crate) fn rolled(&self) {
        self.state().rolling = false;
        self.wake.notify_all();
    }

    /// No more slots, no more spares.
    pub(crate) fn close(&self) {
        self.ordinary.close();
        self.reserved.close();
        let mut state = self.state();
        state.closing = true;
        self.hand_out(&mut state);
        // Told even when a full disk had been told before: who waits for the end must hear of it.
        self.healthy.send_modify(|healthy| *healthy = false);
        self.wake.notify_all();
    }

    /// Makes spares until the log closes; the body of the thread.
    ///
    /// # Errors
    /// A sync that failed for another reason than want of room: the device cannot be trusted any more.
    pub(crate) fn keep(&self, disk: &Arc<dyn Disk>, layout: &Layout, bytes: u64) -> Result<(), RecordError> {
        while self.wait_until_wanted() {
            let made = make_spare(disk, layout, bytes, || !self.state().closing);
            let mut state = self.state();
            match made {
                Ok(spare) if !state.closing => {
                    state.spare = Some(spare);
                    state.failed = false;
                }
                Ok(_) => return Ok(()),
                Err(error) if is_fatal(&error) => return Err(error),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                    tracing::warn!(%error, cause, "no spare segment: the log will refuse entries when the active one is full");
                    state.failed = true;
                }
            }
            self.hand_out(&mut state);
        }
        Ok(())
    }

    fn wait_until_wanted(&self) -> bool {
        let mut state = self.state();
        if state.failed && !state.closing {
            let waited = self.wake.wait_timeout(state, RETRY);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        while (state.spare.is_some() || state.rolling) && !state.closing {
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.closing
    }

    /// INVARIANT: `about` never exceeds what fits. Writing n entries lowers what fits by at most n, and `about` by n.
    fn hand_out(&self, state: &mut State) {
        let spare_bytes = state.spare.as_ref().map_or(0, |spare| spare.bytes.saturating_sub(HEADER_BYTES as u64));
        let fits = longest_entries(state.active_bytes_left) + longest_entries(spare_bytes);
        let reserved = self.limit.reserved.min(fits);
        let ordinary = self.limit.ordinary.min(fits - reserved);
        let more = reserved.saturating_sub(state.about.reserved);
        self.reserved.add_permits(more);
        state.about.reserved += more;
        let more = ordinary.saturating_sub(state.about.ordinary);
        self.ordinary.add_permits(more);
        state.about.ordinary += more;
        let spare = state.spare.is_some();
        self.has_spare.send_if_modified(|was| std::mem::replace(was, spare) != spare);
        // One place is no room for an action: who holds it would wait for the other for ever.
        state.full = state.failed && ordinary < ACTION_ENTRIES;
        let healthy = !state.full && !state.closing;
        self.healthy.send_if_modified(|was| std::mem::replace(was, healthy) != healthy);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of the longest entries certainly fit.
fn longest_entries(bytes: u64) -> usize {
    usize::try_from(bytes / FRAME_BYTES_MAX as u64).unwrap_or(usize::MAX)
}

fn is_fatal(error: &RecordError) -> bool {
    let RecordError::Disk { operation: Operation::Sync | Operation::SyncDir, source, .. } = error else {
        return false;
    };
    // Nothing that anybody relies on was in the file, so want of room found late is still want of room.
    !matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

fn make_spare(
    disk: &Arc<dyn Disk>,
    layout: &Layout,
    bytes: u64,
    go_on: impl FnMut() -> bool,
) -> Result<Spare, RecordError> {
    let path = layout.spare();
    let temporary = path.with_extension("tmp");
    let made = make_zeros(&**disk, &temporary, bytes, go_on).and_then(|file| {
        let renamed = disk.rename(&temporary, &path);
        renamed.map_err(RecordError::on(Operation::Rename, &path))?;
        let mut publisher = Publisher::new(Arc::clone(disk), layout.root());
        publisher.sync_dir_of(&path)?;
        Ok(Spare { file, bytes })
    });
    if made.is_err() {
        // Half a spare would hold the last room on the disk.
        drop(disk.remove_file(&temporary));
    }
    made
}
