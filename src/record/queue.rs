//! The way of an entry to the writer: a slot, a place in the queue, and word when it is durable.
//!
//! The order in which entries are appended is the order in the log. Appending never blocks and never fails for want of
//! room: the slot, taken before, is the room.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{RecordError, Sealed};

/// Room for one entry of any length. Dropped unused, it goes to the next who waits.
#[derive(Debug)]
pub struct Slot {
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) reserved: bool,
}

impl Slot {
    pub(crate) const fn ordinary(permit: OwnedSemaphorePermit) -> Self {
        Self { permit, reserved: false }
    }
}

/// An entry on its way. Dropping this does not take the entry back.
#[derive(Debug)]
pub struct Appended(State);

#[derive(Debug)]
enum State {
    Refused(RecordError),
    Waiting(oneshot::Receiver<Result<u64, RecordError>>),
}

impl Appended {
    pub(crate) const fn refused(error: RecordError) -> Self {
        Self(State::Refused(error))
    }

    /// Waits until the entry survives a power cut; returns its index.
    ///
    /// # Errors
    /// Why it does not. The entry is then not in the log as far as anybody can promise: do not act on it. After a failed
    /// write it may turn up at the next start, as every entry that was not confirmed may.
    pub async fn durable(self) -> Result<u64, RecordError> {
        match self.0 {
            State::Refused(error) => Err(error),
            State::Waiting(receiver) => receiver.await.unwrap_or(Err(RecordError::Thread("writer", None))),
        }
    }

    /// As [`Self::durable`], for threads that are not of an asynchronous runtime.
    ///
    /// # Errors
    /// As [`Self::durable`].
    ///
    /// # Panics
    /// On a thread of an asynchronous runtime, which it would block.
    pub fn durable_blocking(self) -> Result<u64, RecordError> {
        match self.0 {
            State::Refused(error) => Err(error),
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or(Err(RecordError::Thread("writer", None))),
        }
    }
}

/// An entry that waits for the writer.
pub(crate) struct Queued {
    pub(crate) entry: Sealed,
    pub(crate) reserved: bool,
    done: oneshot::Sender<Result<u64, RecordError>>,
}

impl Queued {
    /// Tells who waits, once.
    pub(crate) fn finish(self, result: Result<u64, RecordError>) {
        // Nobody has to wait.
        drop(self.done.send(result));
    }
}

/// The queue. Its length is bounded by the slots.
#[derive(Default)]
pub(crate) struct Queue {
    inside: Mutex<Inside>,
    wake: Condvar,
}

#[derive(Default)]
struct Inside {
    entries: VecDeque<Queued>,
    closed: bool,
    writer_sleeps: bool,
}

impl Queue {
    /// Puts an entry at the end. Refused once the queue is closed.
    pub(crate) fn push(&self, slot: Slot, entry: Sealed) -> Appended {
        let (done, receiver) = oneshot::channel();
        let queued = Queued { entry, reserved: slot.reserved, done };
        let mut inside = self.inside();
        if inside.closed {
            return Appended::refused(RecordError::Closed);
        }
        inside.entries.push_back(queued);
        let wake = std::mem::take(&mut inside.writer_sleeps);
        drop(inside);
        // The writer gives the room back when the entry is written.
        slot.permit.forget();
        if wake {
            self.wake.notify_one();
        }
        Appended(State::Waiting(receiver))
    }

    /// Waits for entries and takes all of them into `batch`, which is empty. False when the queue is closed and empty.
    pub(crate) fn take(&self, batch: &mut VecDeque<Queued>) -> bool {
        let mut inside = self.inside();
        while inside.entries.is_empty() && !inside.closed {
            inside.writer_sleeps = true;
            inside = self.wake.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        inside.writer_sleeps = false;
        std::mem::swap(&mut inside.entries, batch);
        !batch.is_empty()
    }

    /// Takes no more entries; what is inside stays for the writer.
    pub(crate) fn close(&self) {
        self.inside().closed = true;
        self.wake.notify_one();
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
