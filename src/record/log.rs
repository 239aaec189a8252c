//! The handle of an open log.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot, watch};

use super::checkpoint::Checkpoint;
use super::disk::{Disk, DiskFile};
use super::entry::PredecessorBlock;
use super::instance::Instance;
use super::integrate::Ending;
use super::keys::{EpochKey, SigningKeys, receipt_keys};
use super::open::{Store, open};
use super::queue::{Appended, Slot};
use super::read::StoredEntry;
use super::shared::Shared;
use super::tiles::{ENTRY_BYTES_MAX, TileReader};
use super::{Config, Opened, RecordError, Sealed, predecessor};
use crate::model::Clock;

/// An open log. Clones share it; the last one dropped without [`Log::close`] ends it as a crash would, with what was
/// appended written.
#[derive(Clone)]
pub struct Log {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    ending: Arc<Mutex<Ending>>,
    held: Mutex<Option<Held>>,
}

/// What the first end of the log takes.
type Held = (Vec<JoinHandle<()>>, Box<dyn DiskFile>);

impl Log {
    pub(super) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// Opens the log of a data directory, or makes a new one. Blocks on the disk; no runtime is needed.
    ///
    /// # Errors
    /// [`RecordError`]: the directory is in use, was changed, lost entries, or cannot be read or written.
    pub fn open(config: &Config, disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<(Self, Opened), RecordError> {
        let Store { shared, threads, ending, lock, opened } = open(config, disk, clock)?;
        let handle = Handle { shared, ending, held: Mutex::new(Some((threads, lock))) };
        Ok((Self { handle: Arc::new(handle) }, opened))
    }

    /// Waits for room for one entry.
    ///
    /// # Errors
    /// At once, when the log is closed, poisoned or full.
    pub async fn reserve(&self) -> Result<Slot, RecordError> {
        self.wait_for_slots(1).await.map(Slot::ordinary)
    }

    /// Waits for room for an action: for its decision and its outcome, both at once. Whoever held one place and waited
    /// for the other could keep everybody waiting for ever.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_pair(&self) -> Result<(Slot, Slot), RecordError> {
        let mut both = self.wait_for_slots(2).await?;
        let one = both.split(1).ok_or(RecordError::QueueFull)?;
        Ok((Slot::ordinary(one), Slot::ordinary(both)))
    }

    async fn wait_for_slots(&self, count: u32) -> Result<OwnedSemaphorePermit, RecordError> {
        let shared = &self.handle.shared;
        loop {
            match self.try_slots(&shared.room.ordinary, count) {
                Err(RecordError::QueueFull) => {}
                other => return other,
            }
            let mut health = shared.room.watch_health();
            tokio::select! {
                permit = Arc::clone(&shared.room.ordinary).acquire_many_owned(count) => {
                    let refusal = || shared.refusal().unwrap_or(RecordError::Closed);
                    return permit.map_err(|_| refusal());
                }
                _ = health.changed() => {}
            }
        }
    }

    /// Takes room for one entry if there is some now.
    ///
    /// # Errors
    /// [`RecordError::QueueFull`] when waiting would help, else why the log takes nothing.
    pub fn try_reserve(&self) -> Result<Slot, RecordError> {
        self.try_slots(&self.handle.shared.room.ordinary, 1).map(Slot::ordinary)
    }

    /// Takes some of the room that is kept back for the entries that close a log or name a gap in it.
    ///
    /// # Errors
    /// As [`Self::try_reserve`], but never [`RecordError::Full`] before the reserve is used up.
    pub fn try_reserve_last(&self) -> Result<Slot, RecordError> {
        self.try_slots(&self.handle.shared.room.reserved, 1).map(|permit| Slot { permit, reserved: true })
    }

    fn try_slots(&self, from: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, RecordError> {
        let refusal = || self.handle.shared.refusal();
        Arc::clone(from).try_acquire_many_owned(count).map_err(|error| match error {
            TryAcquireError::Closed => refusal().unwrap_or(RecordError::Closed),
            TryAcquireError::NoPermits => refusal().unwrap_or(RecordError::QueueFull),
        })
    }

    /// Puts an entry at the end of the log. Never blocks; the order of the calls is the order in the log.
    ///
    /// An entry without bytes or with more than 65,535, and one that comes after the log was closed, is refused through
    /// the returned handle.
    #[must_use = "an entry counts only when it is durable"]
    pub fn append(&self, slot: Slot, entry: impl Into<Sealed>) -> Appended {
        let entry = entry.into();
        if entry.bytes.is_empty() || entry.bytes.len() > ENTRY_BYTES_MAX {
            return Appended::refused(RecordError::EntrySize(entry.bytes.len()));
        }
        if let Some(error) = self.handle.shared.health.poisoned() {
            return Appended::refused(error);
        }
        self.handle.shared.queue.push(slot, entry)
    }

    /// Entries that survive a power cut.
    #[must_use]
    pub fn durable_size(&self) -> u64 {
        self.handle.shared.durable_size()
    }

    /// Follows [`Self::durable_size`].
    #[must_use]
    pub fn watch_size(&self) -> watch::Receiver<u64> {
        self.handle.shared.size.subscribe()
    }

    /// Follows the newest published checkpoint; `None` before the first.
    #[must_use]
    pub fn watch_checkpoint(&self) -> watch::Receiver<Option<Arc<Checkpoint>>> {
        self.handle.shared.checkpoint.subscribe()
    }

    /// Durable entries from `from` on: none when there are none, else at least one and at most `entries_max` or as many
    /// as reach `bytes_max`. It may give fewer than there are; ask again behind the last. May read the disk.
    ///
    /// # Errors
    /// [`RecordError::Disk`] or [`RecordError::Corrupt`] when old entries cannot be read back.
    pub fn read(&self, from: u64, entries_max: usize, bytes_max: usize) -> Result<Vec<StoredEntry>, RecordError> {
        self.handle.shared.read(from, entries_max, bytes_max)
    }

    /// Whether the log takes entries: not closed, not poisoned, not full.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.handle.shared.refusal().is_none()
    }

    /// Follows [`Self::is_healthy`].
    #[must_use]
    pub fn watch_health(&self) -> watch::Receiver<bool> {
        self.handle.shared.room.watch_health()
    }

    /// Why the log is poisoned, if it is: the process must end and start again.
    #[must_use]
    pub fn poisoned(&self) -> Option<RecordError> {
        self.handle.shared.health.poisoned()
    }

    /// Follows whether a spare segment is ready. False for more than a moment is the early alarm of a full disk: a whole
    /// segment may still be free.
    #[must_use]
    pub fn watch_spare(&self) -> watch::Receiver<bool> {
        self.handle.shared.room.watch_spare()
    }

    /// Publishes a checkpoint over everything that is durable now, or returns the one that is there.
    ///
    /// # Errors
    /// Why none can be published.
    pub async fn checkpoint_now(&self) -> Result<Arc<Checkpoint>, RecordError> {
        let (reply, answer) = oneshot::channel();
        self.handle.shared.signal.ask(reply);
        let gone = |_| Err(self.handle.shared.health.poisoned().unwrap_or(RecordError::Closed));
        answer.await.unwrap_or_else(gone)
    }

    /// Ends the log: writes the queue, takes everything into the tree, publishes the last checkpoint, ends the threads,
    /// gives the directory free. Every handle refuses entries from now on. May be called again.
    ///
    /// # Errors
    /// Why the log did not end in order; the next start recovers.
    pub async fn close(&self) -> Result<(), RecordError> {
        self.handle.begin_end(Ending::Closed);
        let mut finished = self.handle.shared.finished.subscribe();
        let result = match finished.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Err(RecordError::Thread("integrator", None)),
        };
        // The threads have done their work: this does not wait for the disk.
        self.handle.join();
        result
    }

    /// The keys of this run.
    #[must_use]
    pub fn signing_key(&self) -> &SigningKeys {
        &self.handle.shared.keys
    }

    /// The public receipt keys of every run, this one last. They come from the data directory, so they are a hint: the
    /// log itself says which of them the root has certified. Reads the disk.
    ///
    /// # Errors
    /// [`RecordError::Disk`] or [`RecordError::Key`] when one cannot be read.
    pub fn receipt_keys(&self) -> Result<Vec<EpochKey>, RecordError> {
        receipt_keys(&*self.handle.shared.disk, &self.handle.shared.layout)
    }

    /// Whose log this is.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.handle.shared.instance
    }

    /// The log that was stated to be continued by this one, before it had entries.
    pub(super) fn predecessor(&self) -> Result<Option<PredecessorBlock<'static>>, RecordError> {
        predecessor::stated(&*self.handle.shared.disk, &self.handle.shared.layout)
    }

    /// The published tree, for proofs.
    #[must_use]
    pub fn tiles(&self) -> &TileReader {
        self.handle.shared.bundles.tiles()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("origin", &self.instance().origin).field("size", &self.durable_size()).finish()
    }
}

impl Handle {
    fn begin_end(&self, how: Ending) {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = how;
        self.shared.stop();
    }

    fn join(&self) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((threads, lock)) = held else { return };
        // A panic of a thread has been told by `guarded`.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        drop(lock);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.held.get_mut().is_ok_and(|held| held.is_none()) {
            return;
        }
        self.begin_end(Ending::Abandoned);
        self.join();
    }
}
