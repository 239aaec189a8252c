//! The one writer of the log: it alone numbers entries and writes segments.
//!
//! Whatever has queued up while the last write was flushed becomes the next write: the busier, the larger the batch,
//! without a timer. One write, one sync, then word to everybody whose entry was in it. After any error it writes nothing
//! more: what is on the device is unknown, and a second sync would lie.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::RecordError;
use super::disk::Operation;
use super::publish::Publisher;
use super::queue::Queued;
use super::shared::Shared;
use super::wal::frame::{encode, frame_bytes};
use super::wal::segment::{HEADER_BYTES, Header, Segment};
use super::wal::spare::SlotCount;

/// A write ends at this many bytes: larger ones make the first of a batch wait for the last without a gain.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// A write has at most this many entries, so that the place of each fits its field.
const WRITE_ENTRIES_MAX: u16 = 4_096;

/// The writer's own state, on its thread alone.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    active: Arc<Segment>,
    offset: u64,
    next_index: u64,
    buffer: Vec<u8>,
}

impl Writer {
    /// Goes on at `offset` of `active`, with the entry `next_index`.
    pub(crate) fn new(shared: Arc<Shared>, active: Arc<Segment>, offset: u64, next_index: u64) -> Self {
        Self { shared, active, offset, next_index, buffer: Vec::new() }
    }

    /// Writes until the queue is closed and empty, or a write fails.
    pub(crate) fn run(mut self) {
        let mut batch = VecDeque::new();
        while self.shared.queue.take(&mut batch) {
            while !batch.is_empty() {
                if let Err(error) = self.write(&mut batch) {
                    self.shared.poison(error);
                }
                if let Some(error) = self.shared.health.poisoned() {
                    batch.drain(..).for_each(|queued| queued.finish(Err(error.clone())));
                }
            }
        }
    }

    /// One write: as many entries as fit the limits and the active segment.
    fn write(&mut self, batch: &mut VecDeque<Queued>) -> Result<(), RecordError> {
        if let Some(error) = self.shared.health.poisoned() {
            return Err(error);
        }
        let place = usize::try_from(self.active.bytes.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        self.buffer.clear();
        let mut count = 0;
        for (queued, index) in batch.iter().zip(self.next_index..) {
            let end = self.buffer.len() + frame_bytes(queued.entry.bytes.len());
            let too_long = count > 0 && end > WRITE_BYTES_MAX;
            if end > place || too_long || count == WRITE_ENTRIES_MAX {
                break;
            }
            encode(&mut self.buffer, self.active.header.number, index, count, &queued.entry.bytes);
            count += 1;
        }
        if count == 0 {
            return self.roll();
        }
        self.active.mark(self.next_index, self.offset);
        let Segment { file, path, .. } = &*self.active;
        self.shared.vault_keys.write();
        file.write_at(&self.buffer, self.offset).map_err(RecordError::on(Operation::Write, path))?;
        file.sync().map_err(RecordError::on(Operation::Sync, path))?;
        // COMMIT POINT: these entries survive a power cut, and nobody has been told yet.
        self.offset += self.buffer.len() as u64;
        self.tell(batch, usize::from(count));
        Ok(())
    }

    /// Lets readers see what was written, then tells who waits: whoever acts on an entry can read it.
    fn tell(&mut self, batch: &mut VecDeque<Queued>, count: usize) {
        let (first, end) = (self.next_index, self.next_index + count as u64);
        self.next_index = end;
        let written = || batch.iter().take(count);
        {
            let mut tail = self.shared.tail();
            written().for_each(|queued| tail.push(queued.entry.clone()));
        }
        self.shared.durable.store(end, Ordering::Release);
        self.shared.size.send_replace(end);
        self.shared.signal.grown(end);
        let reserved = written().filter(|queued| queued.reserved).count();
        let slots = SlotCount { ordinary: count - reserved, reserved };
        self.shared.room.written(slots, self.active.bytes.saturating_sub(self.offset));
        for (queued, index) in batch.drain(..count).zip(first..) {
            queued.finish(Ok(index));
        }
    }

    /// Makes the spare the active segment. Everything in the old one is durable: every write is synced.
    fn roll(&mut self) -> Result<(), RecordError> {
        // An entry that has a slot has room (see `Room`), so there is a spare.
        let spare = self.shared.room.take_spare().ok_or(RecordError::Full)?;
        let header = Header {
            first_index: self.next_index,
            number: self.active.header.number + 1,
            created_unix_ns: self.shared.clock.now().as_micros().saturating_mul(1_000),
            ..self.active.header
        };
        let (from, path) = (self.shared.layout.spare(), self.shared.layout.segment(self.next_index));
        spare.file.write_at(&header.encode(), 0).map_err(RecordError::on(Operation::Write, &from))?;
        spare.file.sync().map_err(RecordError::on(Operation::Sync, &from))?;
        self.shared.disk.rename(&from, &path).map_err(RecordError::on(Operation::Rename, &path))?;
        Publisher::new(Arc::clone(&self.shared.disk), self.shared.layout.root()).sync_dir_of(&path)?;
        // COMMIT POINT: the segment has its name and its header. Only now may it hold entries.
        self.shared.room.rolled();
        self.active = Arc::new(Segment::new(header, path, spare.file, spare.bytes));
        self.offset = HEADER_BYTES as u64;
        self.shared.segments().push(Arc::clone(&self.active));
        Ok(())
    }
}
