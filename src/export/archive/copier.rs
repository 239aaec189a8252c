//! Copies what the log has gained, and keeps account of how far the copy is.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::super::cursor::{Cursor, Place};
use super::super::destination::{Limits, SendError};
use super::super::gap::removed;
use super::super::health::{Change, Health};
use super::super::monitor::{Meter, State};
use super::super::store::Store;
use super::super::{ExportError, ExporterConfig};
use super::ArchiveConfig;
use crate::model::{Digest, with_causes};
use crate::record::copy::{Piece, checkpoint_path, description, kept, pieces};
use crate::record::{Checkpoint, Log, Recorder, leaf_hash, open_envelope, redact};

/// Time that the last copy may take when the process ends. What it leaves is copied at the next start.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What all files of a copy are.
const CONTENT_TYPE: &str = "application/octet-stream";

/// What a copier is made of.
pub(in crate::export) struct Parts<'a> {
    pub(in crate::export) exporter: &'a ExporterConfig,
    pub(in crate::export) config: &'a ArchiveConfig,
    pub(in crate::export) recorder: Recorder,
    pub(in crate::export) data_dir: PathBuf,
    pub(in crate::export) meter: Arc<Meter>,
}

/// One archive's task.
pub(in crate::export) struct Copier {
    name: String,
    recorder: Recorder,
    log: Log,
    data_dir: PathBuf,
    store: Store,
    interval: Duration,
    cursor: Cursor,
    meter: Arc<Meter>,
    health: Health,
    /// The files that say whose log it is are there. They are sent once a run: each run has a key of its own.
    described: bool,
    /// The last entry that a signed entry says is not in the archive, and that entry.
    told: Option<(u64, u64)>,
    work: Option<Work>,
}

/// A copy on its way: what is left of it.
struct Work {
    checkpoint: Arc<Checkpoint>,
    left: VecDeque<Piece>,
    /// Below this entries are missing, if so.
    kept_from: Option<u64>,
}

impl Copier {
    /// # Errors
    /// [`ExportError`]: the place cannot be used, or the cursor does not fit the log.
    pub(in crate::export) fn open(parts: Parts<'_>) -> Result<Self, ExportError> {
        let Parts { exporter, config, recorder, data_dir, meter } = parts;
        let (name, log) = (exporter.name(), recorder.log().clone());
        let store = config.store(name, &data_dir)?.below(log.instance().instance_id.as_str());
        let place = format!("{}\n{}", config.destination, config.s3.endpoint.as_deref().unwrap_or_default());
        let (folder, configuration) = (data_dir.join("export"), Digest::of(place.as_bytes()));
        // Another place has nothing yet.
        Cursor::forget_unless(&folder, name, configuration)?;
        let cursor = Cursor::open(&folder, name, &log, configuration)?;
        let settings = exporter.delivery.settle(Limits::default());
        meter.change(|numbers| numbers.next = cursor.place.next);
        let health = Health::new(&settings);
        let (name, interval) = (name.to_owned(), config.interval());
        Ok(Self {
            name,
            recorder,
            log,
            data_dir,
            store,
            interval,
            cursor,
            meter,
            health,
            described: false,
            told: None,
            work: None,
        })
    }

    /// Copies until the process ends.
    pub(in crate::export) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let begun = Instant::now();
            tokio::select! {
                () = self.attempt() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            let next = self.health.not_before().unwrap_or(begun + self.interval);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.watch_age() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        let last = async {
            // What the last checkpoint does not cover is not copied.
            if self.log.checkpoint_now().await.is_ok() {
                self.attempt().await;
                self.attempt().await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, last).await.is_err() {
            tracing::warn!(archive = self.name, "the last entries are not archived yet; the next start does it");
        }
    }

    /// Keeps the age of the oldest entry that is not archived up to date; never ends.
    async fn watch_age(&self) {
        let mut size = self.log.watch_size();
        loop {
            if self.log.durable_size() > self.cursor.place.next {
                let (log, next) = (self.log.clone(), self.cursor.place.next);
                let oldest = tokio::task::spawn_blocking(move || time_of(&log, next)).await.ok().flatten();
                self.meter.change(|numbers| numbers.oldest = oldest);
                return std::future::pending().await;
            }
            if size.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn attempt(&mut self) {
        let begun = Instant::now();
        let before = self.cursor.place.next;
        let (change, problem) = match self.copy().await {
            Ok(()) if self.cursor.place.next == before => return,
            Ok(()) => {
                self.meter.took(begun.elapsed());
                (self.health.succeeded(), None)
            }
            Err(error) => {
                let problem = redact::text(&error.to_string()).text.into_owned();
                let change = match error {
                    SendError::Later { retry_after, .. } => self.health.failed(Instant::now(), retry_after),
                    _ => self.health.refused(Instant::now()),
                };
                tracing::warn!(archive = self.name, problem, "archive the log");
                (change, Some(problem))
            }
        };
        self.tell(change, problem);
    }

    fn tell(&mut self, change: Option<Change>, problem: Option<String>) {
        let (next, state, failed) = (self.cursor.place.next, self.health.state, problem.is_some());
        self.meter.change(|numbers| {
            (numbers.next, numbers.state) = (next, state);
            numbers.failures += u64::from(failed);
            numbers.problem.clone_from(&problem);
            if state == State::Healthy {
                numbers.oldest = None;
            }
        });
        if let Some(change) = change {
            change.record(&self.recorder, &self.name, self.health.failures, &problem.unwrap_or_default());
        }
    }

    /// Copies up to the newest checkpoint, or goes on with the copy that failed.
    async fn copy(&mut self) -> Result<(), SendError> {
        if self.work.is_none() {
            let Some(checkpoint) = self.log.watch_checkpoint().borrow().clone() else { return Ok(()) };
            if checkpoint.size <= self.cursor.place.next {
                return Ok(());
            }
            self.work = Some(self.plan(checkpoint).await?);
        }
        self.describe().await?;
        let Some(work) = &mut self.work else { return Ok(()) };
        while let Some(piece) = work.left.front().copied() {
            let log = self.log.clone();
            let load = move || match piece.load(log.tiles()) {
                Err(_) if piece.is_removed(log.tiles(), log.kept_from()) => Ok(None),
                other => other.map(Some).map_err(|error| SendError::later(with_causes(&error))),
            };
            let loaded = tokio::task::spawn_blocking(load).await;
            let Some(bytes) = loaded.map_err(|error| SendError::later(error.to_string()))?? else {
                // Retention did not wait for this archive. A new plan says so in the log.
                self.work = None;
                return Err(SendError::later("entries were removed before they were archived"));
            };
            self.store.create(&text(&piece.path()), bytes, CONTENT_TYPE).await?;
            work.left.pop_front();
        }
        let checkpoint = Arc::clone(&work.checkpoint);
        let note = checkpoint.note.as_bytes().to_vec();
        self.store.create(&text(&checkpoint_path(checkpoint.size)), note.clone(), CONTENT_TYPE).await?;
        if let Some((path, text)) = work.kept_from.map(kept) {
            self.store.show(&self::text(&path), text).await?;
        }
        // COMMIT POINT: the copy holds the log up to this size.
        self.store.show("log/checkpoint", note).await?;
        self.work = None;
        self.settle(checkpoint.size).await
    }

    /// What has to be copied up to a checkpoint. Where retention was faster than the archive, a signed entry says first
    /// what will not be in it; the copy then goes as far as that entry, so that whoever has only the archive can read why.
    async fn plan(&mut self, checkpoint: Arc<Checkpoint>) -> Result<Work, SendError> {
        let (from, log) = (self.cursor.place.next, self.log.clone());
        let size = checkpoint.size;
        let found = tokio::task::spawn_blocking(move || {
            let kept_from = log.kept_from();
            pieces(from, size).into_iter().partition(|piece| piece.is_removed(log.tiles(), kept_from))
        });
        let (gone, left): (Vec<Piece>, Vec<Piece>) =
            found.await.map_err(|error| SendError::later(error.to_string()))?;
        let bounds = gone.first().and_then(Piece::entries).zip(gone.last().and_then(Piece::entries));
        let Some((first, last)) = bounds else {
            return Ok(Work { checkpoint, left: left.into(), kept_from: None });
        };
        let kept_from = Some(last.end);
        let told_by = self.tell_missing(first.start.max(from), last.end - 1).await?;
        if size > told_by {
            return Ok(Work { checkpoint, left: left.into(), kept_from });
        }
        let checkpoint = self.checkpoint_over(told_by).await?;
        let left = pieces(from, checkpoint.size).into_iter().filter(|piece| !gone.contains(piece));
        Ok(Work { left: left.collect(), checkpoint, kept_from })
    }

    /// The entry that says that the entries from `from` to `to` are not in the archive, as far as retention removed them.
    async fn tell_missing(&mut self, from: u64, to: u64) -> Result<u64, SendError> {
        if let Some((_, told_by)) = self.told.filter(|(told, _)| *told == to) {
            return Ok(told_by);
        }
        // COMMIT POINT of a gap. Without it nothing is left out.
        let recorded = self.recorder.control_at(removed(&self.name, from, to)).await;
        let (_, told_by) = recorded.map_err(|error| SendError::later(with_causes(&error)))?;
        tracing::error!(archive = self.name, from, to, "entries were removed before they were archived");
        self.told = Some((to, told_by));
        Ok(told_by)
    }

    async fn checkpoint_over(&self, index: u64) -> Result<Arc<Checkpoint>, SendError> {
        let checkpoint = self.log.checkpoint_now().await.map_err(|error| SendError::later(with_causes(&error)))?;
        if checkpoint.size > index { Ok(checkpoint) } else { Err(SendError::later("no checkpoint covers the gap yet")) }
    }

    async fn describe(&mut self) -> Result<(), SendError> {
        if self.described {
            return Ok(());
        }
        let data_dir = self.data_dir.clone();
        let files = tokio::task::spawn_blocking(move || description(&data_dir)).await;
        let files = files.map_err(|error| SendError::later(error.to_string()))?;
        for (path, bytes) in files.map_err(|error| SendError::later(with_causes(&error)))? {
            self.store.create(&text(&path), bytes, CONTENT_TYPE).await?;
        }
        self.described = true;
        Ok(())
    }

    async fn settle(&mut self, size: u64) -> Result<(), SendError> {
        let (log, mut cursor) = (self.log.clone(), self.cursor.clone());
        let work = move || {
            let last = log.read(size.saturating_sub(1), 1, 1).ok();
            let last = last.and_then(|entries| entries.first().map(|entry| leaf_hash(&entry.bytes)));
            let place = Place { next: size, last, problem: None, ..cursor.place.clone() };
            cursor.save(place).map(|()| cursor).map_err(|error| SendError::later(with_causes(&error)))
        };
        let saved = tokio::task::spawn_blocking(work).await;
        self.cursor = saved.map_err(|error| SendError::later(error.to_string()))??;
        Ok(())
    }
}

/// A path below the archive as a name.
fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// When an entry was made.
fn time_of(log: &Log, index: u64) -> Option<crate::model::Timestamp> {
    let entry = log.read(index, 1, 1).ok()?.into_iter().next()?;
    let payload = open_envelope(&entry.bytes).ok()?.payload;
    let payload: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    crate::model::Timestamp::parse(payload.pointer("/predicate/time/wall")?.as_str()?)
}
