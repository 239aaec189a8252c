//! What the threads of a log and its handles share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{oneshot, watch};

use super::RecordError;
use super::checkpoint::Checkpoint;
use super::disk::Disk;
use super::instance::Instance;
use super::integrate::Signal;
use super::keys::SigningKeys;
use super::layout::Layout;
use super::queue::Queue;
use super::read::{Bundles, Tail};
use super::vault::Keys;
use super::wal::segment::Segment;
use super::wal::spare::Room;
use crate::model::Clock;

/// One open log.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) layout: Layout,
    pub(crate) keys: SigningKeys,
    pub(crate) instance: Instance,
    pub(crate) queue: Queue,
    pub(crate) room: Room,
    pub(crate) signal: Signal,
    pub(crate) health: Health,
    /// Entries whose sync has returned. Only the writer moves it.
    pub(crate) durable: AtomicU64,
    pub(crate) size: watch::Sender<u64>,
    pub(crate) tail: Mutex<Tail>,
    /// Ascending; the last is the active one. The writer adds, the integrator removes.
    pub(crate) segments: Mutex<Vec<Arc<Segment>>>,
    pub(crate) bundles: Bundles,
    pub(crate) checkpoint: watch::Sender<Option<Arc<Checkpoint>>>,
    pub(crate) finished: watch::Sender<Option<Result<(), RecordError>>>,
    /// What opens the digests of entries: written before they are durable.
    pub(crate) vault_keys: Arc<Keys>,
    /// How long entries have to be kept; `None`: for ever.
    pub(crate) retention_s: Option<u64>,
}

/// An answer to a wish for a checkpoint.
pub(crate) type CheckpointReply = oneshot::Sender<Result<Arc<Checkpoint>, RecordError>>;

impl Shared {
    /// Ends all writing for the life of the process. The first cause stays.
    pub(crate) fn poison(&self, cause: RecordError) {
        let cause = Arc::new(cause);
        if self.health.poisoned.set(Arc::clone(&cause)).is_ok() {
            let source = std::error::Error::source(&*cause).map(ToString::to_string).unwrap_or_default();
            tracing::error!(error = %cause, source, "the log is poisoned: no entry is taken until a restart");
        }
        self.stop();
    }

    /// Takes no more entries.
    pub(crate) fn stop(&self) {
        self.room.close();
        self.queue.close();
        self.signal.wake();
    }

    /// Why no slot can be had now or soon; `None` when waiting helps.
    pub(crate) fn refusal(&self) -> Option<RecordError> {
        let closed = self.room.ordinary.is_closed();
        let full = self.room.is_full().then_some(RecordError::Full);
        self.health.poisoned().or(closed.then_some(RecordError::Closed)).or(full)
    }

    pub(crate) fn durable_size(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    pub(crate) fn segments(&self) -> MutexGuard<'_, Vec<Arc<Segment>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing more is written, once that is so.
#[derive(Default)]
pub(crate) struct Health {
    poisoned: OnceLock<Arc<RecordError>>,
}

impl Health {
    pub(crate) fn poisoned(&self) -> Option<RecordError> {
        self.poisoned.get().map(|cause| RecordError::Poisoned(Arc::clone(cause)))
    }
}
