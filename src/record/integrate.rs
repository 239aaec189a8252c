//! The integrator: turns durable entries into bundles, tiles and checkpoints, behind the writer.
//!
//! Order, and nothing else, keeps a crash harmless:
//!
//! 1. entries are durable in the write-ahead log (the writer's commit point);
//! 2. full bundles and tiles, later the partial ones of this size, are durable;
//! 3. the checkpoint that covers them is durable, and only then shown to anybody;
//! 4. segments whose entries all lie in full bundles below that checkpoint are unlinked.
//!
//! So the stored checkpoint never promises what is not there, and two signed checkpoints are always of one tree. Want of
//! room is waited out; any other error poisons the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use super::RecordError;
use super::checkpoint::Checkpoint;
use super::disk::Operation;
use super::publish::Publisher;
use super::read::StoredEntry;
use super::shared::{CheckpointReply, Shared};
use super::tiles::{Edge, Row, TILE_WIDTH, encode_bundle, encode_tile, tile_path};

/// So many new entries wake the integrator before its timer: four bundles share the cost of a journal commit.
const WAKE_ENTRIES: u64 = 4 * TILE_WIDTH;

/// Entries taken at once, so that a checkpoint that is due waits for one step only.
const STEP_ENTRIES_MAX: u64 = 16 * TILE_WIDTH;

/// Entries taken at once, in bytes: what is held in memory until it is on the disk.
const STEP_BYTES_MAX: usize = 8 << 20;

/// What the integrator is asked to do.
#[derive(Default)]
pub(crate) struct Signal {
    asked: Mutex<Asked>,
    wake: Condvar,
    /// The size at which it wants to be woken.
    wake_at: AtomicU64,
}

#[derive(Default)]
struct Asked {
    ending: Option<Ending>,
    ended: bool,
    woken: bool,
    replies: Vec<CheckpointReply>,
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As a crash does, but with the queue written: the handle was dropped without `close`.
    Abandoned,
    /// With a last checkpoint.
    Closed,
}

impl Signal {
    /// The writer says how many entries are durable.
    pub(crate) fn grown(&self, size: u64) {
        if size >= self.wake_at.load(Ordering::SeqCst) {
            self.wake_at.store(u64::MAX, Ordering::SeqCst);
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        self.asked().woken = true;
        self.wake.notify_all();
    }

    /// The writer has ended: nothing grows any more.
    pub(crate) fn end(&self, how: Ending) {
        self.asked().ending = Some(how);
        self.wake.notify_all();
    }

    /// Asks for a checkpoint. Dropped unanswered when the integrator has ended.
    pub(crate) fn ask(&self, reply: CheckpointReply) {
        let mut asked = self.asked();
        if !asked.ended {
            asked.replies.push(reply);
            self.wake.notify_all();
        }
    }

    /// Waits until something is asked for, `size` says that the log has grown to `wake_at`, or the time is over.
    fn wait(&self, wake_at: u64, size: impl Fn() -> u64, at_most: Duration) -> (Option<Ending>, Vec<CheckpointReply>) {
        self.wake_at.store(wake_at, Ordering::SeqCst);
        let mut asked = self.asked();
        let idle = asked.ending.is_none() && asked.replies.is_empty() && !asked.woken;
        if idle && size() < wake_at {
            asked = self.wake.wait_timeout(asked, at_most).unwrap_or_else(PoisonError::into_inner).0;
        }
        asked.woken = false;
        (asked.ending, std::mem::take(&mut asked.replies))
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often, and how much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) checkpoint_interval_ms: u64,
    pub(crate) checkpoints_kept: usize,
}

/// The integrator's own state, on its thread alone.
pub(crate) struct Integrator {
    shared: Arc<Shared>,
    pace: Pace,
    publisher: Publisher,
    edge: Edge,
    /// The entries of the bundle that is not full yet.
    bundle: Vec<Bytes>,
    /// Full files that are not on the disk yet: row, number, content.
    pending: Vec<(Row, u64, Vec<u8>)>,
    /// Full files whose partial ones may go once a checkpoint covers them.
    completed: Vec<(Row, u64)>,
    /// Sizes of the kept checkpoints, ascending.
    kept: VecDeque<u64>,
    checkpoint_at_ns: u64,
    /// The disk has no room: growth does not wake it, only the timer.
    failing: bool,
}

impl Integrator {
    /// Goes on with a tree whose right edge and last, partial bundle are given.
    pub(crate) fn new(shared: Arc<Shared>, pace: Pace, edge: Edge, bundle: Vec<Bytes>, kept: VecDeque<u64>) -> Self {
        let publisher = Publisher::new(Arc::clone(&shared.disk), shared.layout.root());
        let checkpoint_at_ns = shared.clock.monotonic_ns();
        let (pending, completed) = (Vec::new(), Vec::new());
        Self { shared, pace, publisher, edge, bundle, pending, completed, kept, checkpoint_at_ns, failing: false }
    }

    /// Works until the log ends; the body of the thread.
    ///
    /// # Errors
    /// Why the log did not end with a last checkpoint.
    pub(crate) fn run(mut self) -> Result<(), RecordError> {
        let result = self.work();
        let mut asked = self.shared.signal.asked();
        asked.ended = true;
        asked.replies.clear();
        result
    }

    fn work(&mut self) -> Result<(), RecordError> {
        loop {
            let wake_at = if self.failing { u64::MAX } else { self.edge.size().saturating_add(WAKE_ENTRIES) };
            let (ending, replies) = self.shared.signal.wait(wake_at, || self.shared.durable_size(), self.time_left());
            if let Some(error) = self.shared.health.poisoned() {
                replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
                return Err(error);
            }
            if ending == Some(Ending::Abandoned) {
                return Ok(());
            }
            // Who asks gets everything that is durable now; the timer takes what one step reaches.
            let asked = ending.is_some() || !replies.is_empty();
            let step = if asked { u64::MAX } else { self.edge.size().saturating_add(STEP_ENTRIES_MAX) };
            let done = self.advance(step.min(self.shared.durable_size())).and_then(|()| {
                let due = asked || self.time_left().is_zero();
                if due { self.checkpoint().map(Some) } else { Ok(None) }
            });
            self.failing = done.is_err();
            if let Err(error) = &done {
                self.publisher.abandon();
                self.checkpoint_at_ns = self.shared.clock.monotonic_ns();
                if error.is_out_of_space() {
                    tracing::warn!(%error, "no room for the tree of the log: the write-ahead log keeps the entries");
                } else {
                    self.shared.poison(error.clone());
                }
            }
            let answer = done.clone().and_then(|checkpoint| checkpoint.ok_or(RecordError::Closed));
            replies.into_iter().for_each(|reply| drop(reply.send(answer.clone())));
            if ending.is_some() {
                return done.and_then(|_| self.mark_clean());
            }
            done.map(drop).or_else(|error| if error.is_out_of_space() { Ok(()) } else { Err(error) })?;
        }
    }

    /// Until the next checkpoint is due; a whole interval when nothing has grown.
    fn time_left(&self) -> Duration {
        let interval = Duration::from_millis(self.pace.checkpoint_interval_ms);
        if self.shared.durable_size() == self.checkpointed() {
            return interval;
        }
        let since = self.shared.clock.monotonic_ns().saturating_sub(self.checkpoint_at_ns);
        interval.saturating_sub(Duration::from_nanos(since))
    }

    fn checkpointed(&self) -> u64 {
        self.shared.checkpoint.borrow().as_ref().map_or(0, |checkpoint| checkpoint.size)
    }

    /// Takes in the entries below `size`; full bundles and tiles are on the disk on return.
    fn advance(&mut self, size: u64) -> Result<(), RecordError> {
        self.publish_pending()?;
        while self.edge.size() < size {
            let step = (size - self.edge.size()).min(STEP_ENTRIES_MAX);
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            for entry in self.shared.read(self.edge.size(), step, STEP_BYTES_MAX)? {
                self.take_in(entry);
            }
            self.publish_pending()?;
        }
        Ok(())
    }

    fn take_in(&mut self, entry: StoredEntry) {
        let pending = &mut self.pending;
        self.bundle.push(entry.bytes);
        self.edge.push(entry.leaf_hash, |full| {
            pending.push((Row::Level(full.level), full.number, encode_tile(&full.hashes)));
        });
        if self.edge.size().is_multiple_of(TILE_WIDTH) {
            let number = self.edge.size() / TILE_WIDTH - 1;
            pending.push((Row::Entries, number, encode_bundle(&self.bundle)));
            self.bundle.clear();
        }
    }

    /// On error everything stays pending: the next attempt writes it again, the same bytes.
    fn publish_pending(&mut self) -> Result<(), RecordError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        for (row, number, bytes) in &self.pending {
            let path = self.shared.layout.log().join(tile_path(*row, *number, 0));
            self.publisher.stage(&path, bytes, 0o644)?;
        }
        self.publisher.commit()?;
        // COMMIT POINT: full bundles and tiles survive a power cut. Readers may use them.
        self.shared.bundles.settle(self.edge.size() / TILE_WIDTH * TILE_WIDTH);
        self.completed.extend(self.pending.drain(..).map(|(row, number, _)| (row, number)));
        Ok(())
    }

    /// Publishes the partial tiles of the present size and a checkpoint over them, unless there is one.
    fn checkpoint(&mut self) -> Result<Arc<Checkpoint>, RecordError> {
        let size = self.edge.size();
        if let Some(latest) = self.shared.checkpoint.borrow().as_ref().filter(|latest| latest.size == size) {
            return Ok(Arc::clone(latest));
        }
        let log = self.shared.layout.log();
        if !self.bundle.is_empty() {
            let path = log.join(tile_path(Row::Entries, size / TILE_WIDTH, self.bundle.len() as u64));
            self.publisher.stage(&path, &encode_bundle(&self.bundle), 0o644)?;
        }
        for (level, number, hashes) in self.edge.partial_tiles() {
            let path = log.join(tile_path(Row::Level(level), number, hashes.len() as u64));
            self.publisher.stage(&path, &encode_tile(hashes), 0o644)?;
        }
        self.publisher.commit()?;
        // COMMIT POINT: the whole tree of this size survives a power cut.
        let (origin, key) = (&self.shared.instance.origin, &self.shared.keys.log);
        let checkpoint = Arc::new(Checkpoint::sign(origin, size, self.edge.root(), key));
        self.publisher.publish(&self.shared.layout.checkpoint(), checkpoint.note.as_bytes(), 0o644)?;
        // COMMIT POINT: from here on a restart with fewer entries, or others, is refused.
        self.checkpoint_at_ns = self.shared.clock.monotonic_ns();
        self.keep(&checkpoint)?;
        self.shared.checkpoint.send_replace(Some(Arc::clone(&checkpoint)));
        self.clean_up(size)?;
        Ok(checkpoint)
    }

    /// Keeps the checkpoint among the last ones, for consistency checks.
    fn keep(&mut self, checkpoint: &Checkpoint) -> Result<(), RecordError> {
        let directory = self.shared.layout.previous_checkpoints();
        let path = directory.join(checkpoint.size.to_string());
        self.publisher.publish(&path, checkpoint.note.as_bytes(), 0o644)?;
        self.kept.push_back(checkpoint.size);
        while self.kept.len() > self.pace.checkpoints_kept {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.remove(&directory.join(oldest.to_string()), false)?;
        }
        Ok(())
    }

    /// Removes what a durable checkpoint of `size` makes superfluous. What a crash leaves behind does no harm.
    fn clean_up(&mut self, size: u64) -> Result<(), RecordError> {
        for (row, number) in std::mem::take(&mut self.completed) {
            let partial = self.shared.layout.log().join(tile_path(row, number, 0)).with_extension("p");
            self.remove(&partial, true)?;
            self.publisher.forget_dir(&partial);
        }
        let settled = size / TILE_WIDTH * TILE_WIDTH;
        let superfluous: Vec<_> = {
            let mut segments = self.shared.segments();
            let later = segments.iter().skip(1).take_while(|next| next.header.first_index <= settled).count();
            segments.drain(..later).collect()
        };
        superfluous.iter().try_for_each(|segment| self.remove(&segment.path, false))
    }

    fn remove(&self, path: &std::path::Path, directory: bool) -> Result<(), RecordError> {
        let disk = &self.shared.disk;
        match if directory { disk.remove_dir(path) } else { disk.remove_file(path) } {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(RecordError::disk(Operation::Remove, path, error))
            }
            _ => Ok(()),
        }
    }

    /// Says that the log ended in order, and how long it was.
    fn mark_clean(&mut self) -> Result<(), RecordError> {
        let text = format!("{}\n", self.edge.size());
        self.publisher.publish(&self.shared.layout.clean(), text.as_bytes(), 0o444)
    }
}
