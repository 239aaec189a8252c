//! The task behind files: waits until a range of the log is complete, writes its files, moves its cursor.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::layout::{File, Layout};
use super::range::{Cut, written};
use crate::export::cursor::{Cursor, Place};
use crate::export::destination::SendError;
use crate::export::gap::removed;
use crate::export::health::{Change, Health};
use crate::export::monitor::Meter;
use crate::export::store::Store;
use crate::export::{Counts, DecodedEntry};
use crate::model::{Clock, Timestamp, with_causes};
use crate::record::{Log, Recorder, StoredEntry, redact};

/// Time between looks at the log: files are for later.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Entries and bytes that are read at once while looking for the end of a range.
const READ_MAX: (usize, usize) = (512, 4 << 20);

const CONTENT_TYPE: &str = "application/vnd.apache.parquet";

/// One kind of files.
pub(in crate::export) struct Job {
    pub(super) name: String,
    pub(super) recorder: Recorder,
    pub(super) log: Log,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Store,
    pub(super) layout: Arc<Layout>,
    pub(super) cut: Cut,
    pub(super) cursor: Cursor,
    pub(super) meter: Arc<Meter>,
    pub(super) health: Health,
    /// How far the log was searched for the end of the range, and when the entry before was written.
    pub(super) searched: (u64, Option<Timestamp>),
}

impl Job {
    /// Writes files until the process ends. What is not complete then is written by the next.
    pub(in crate::export) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = tokio::select! {
                pause = self.step() => pause,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Writes the next range if it is complete. Returns how long to wait.
    async fn step(&mut self) -> Duration {
        let begun = Instant::now();
        let (change, problem) = match self.write_next().await {
            Ok(false) => return LOOK_INTERVAL,
            Ok(true) => {
                self.meter.took(begun.elapsed());
                (self.health.succeeded(), String::new())
            }
            Err(error) => {
                let problem = redact::text(&error.to_string()).text.into_owned();
                tracing::warn!(destination = self.name, problem, "write files of events; the log keeps them");
                let change = match error {
                    SendError::Later { retry_after, .. } => self.health.failed(Instant::now(), retry_after),
                    _ => self.health.refused(Instant::now()),
                };
                (change, problem)
            }
        };
        self.tell(change, &problem);
        self.health.not_before().map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    fn tell(&self, change: Option<Change>, problem: &str) {
        let (place, state) = (&self.cursor.place, self.health.state);
        self.meter.change(|numbers| {
            (numbers.next, numbers.counts, numbers.state) = (place.next, place.counts, state);
            numbers.failures += u64::from(!problem.is_empty());
            numbers.problem = Some(problem.to_owned()).filter(|problem| !problem.is_empty());
        });
        if let Some(change) = change {
            change.record(&self.recorder, &self.name, self.health.failures, problem);
        }
    }

    async fn write_next(&mut self) -> Result<bool, SendError> {
        self.move_past_removed().await?;
        let (log, cut, now, from) = (self.log.clone(), self.cut, self.clock.now(), self.cursor.place.next);
        let searched = self.searched;
        let (searched, end) = offload(move || search(&log, cut, searched, now)).await?;
        self.searched = searched;
        let Some(end) = end else { return Ok(false) };
        let (log, layout) = (self.log.clone(), Arc::clone(&self.layout));
        let (files, counts, last) = offload(move || {
            let entries = read(&log, from, end)?;
            let origin = log.instance().origin.to_string();
            let (files, counts) = layout.files(&entries, &origin)?;
            Ok((files, counts, entries.last().map(|entry| entry.leaf_hash)))
        })
        .await?;
        for File { name, bytes } in files {
            self.store.create(&name, bytes, CONTENT_TYPE).await?;
        }
        // COMMIT POINT: the files are there, whatever becomes of the cursor.
        self.meter.change(|numbers| numbers.emitted += counts.delivered);
        let mut place = Place { next: end, last, ..self.cursor.place.clone() };
        place.counts = sum(place.counts, counts);
        let mut cursor = self.cursor.clone();
        self.cursor = offload(move || cursor.save(place).map(|()| cursor).map_err(|error| with_causes(&error))).await?;
        // The entry that ended the range is the first of the next.
        self.searched = (end, None);
        Ok(true)
    }
}

impl Job {
    /// Files that begin on a log whose first entries were removed: a signed entry says what is in none of them.
    async fn move_past_removed(&mut self) -> Result<(), SendError> {
        let (from, to) = (self.cursor.place.next, self.log.kept_from());
        if from >= to {
            return Ok(());
        }
        // COMMIT POINT of a gap. Without it nothing is left out.
        let recorded = self.recorder.control(removed(&self.name, from, to - 1)).await;
        recorded.map_err(|error| SendError::later(with_causes(&error)))?;
        tracing::error!(destination = self.name, from, to, "entries were removed before they were in files");
        let (log, mut cursor) = (self.log.clone(), self.cursor.clone());
        self.cursor = offload(move || {
            let last = log.leaf_hash(to - 1).map_err(|error| with_causes(&error))?;
            let place = Place { next: to, last: Some(last), ..cursor.place.clone() };
            cursor.save(place).map(|()| cursor).map_err(|error| with_causes(&error))
        })
        .await?;
        self.searched = (to, None);
        Ok(())
    }
}

fn sum(before: Counts, more: Counts) -> Counts {
    let mut counts = before;
    counts.add(&more);
    counts
}

/// How far the log was searched, and when the entry before was written.
type Searched = (u64, Option<Timestamp>);

/// Looks on for the end of the range.
fn search(
    log: &Log,
    cut: Cut,
    (mut next, mut before): Searched,
    now: Timestamp,
) -> Result<(Searched, Option<u64>), String> {
    loop {
        let entries = log.read(next, READ_MAX.0, READ_MAX.1).map_err(|error| with_causes(&error))?;
        if entries.is_empty() {
            let over = before.is_some_and(|before| cut.is_over(before, now));
            return Ok(((next, before), Some(next).filter(|_| over)));
        }
        for entry in entries {
            let opened = open(&entry)?;
            let time = written(&opened);
            if before.is_some_and(|before| cut.between(before, entry.index, time)) {
                return Ok(((entry.index, None), Some(entry.index)));
            }
            (next, before) = (entry.index + 1, Some(time));
        }
    }
}

fn read(log: &Log, from: u64, end: u64) -> Result<Vec<Arc<DecodedEntry>>, String> {
    let mut found = Vec::new();
    let mut next = from;
    while next < end {
        let room = usize::try_from(end - next).unwrap_or(usize::MAX).min(READ_MAX.0);
        let entries = log.read(next, room, READ_MAX.1).map_err(|error| with_causes(&error))?;
        for entry in &entries {
            found.push(open(entry)?);
        }
        next = entries.last().ok_or("an entry is missing")?.index + 1;
    }
    Ok(found)
}

/// Opens an entry whole: those that yield no event have a time all the same.
pub(super) fn open(entry: &StoredEntry) -> Result<Arc<DecodedEntry>, String> {
    let entry = StoredEntry::new(entry.index, entry.bytes.clone());
    DecodedEntry::open(&entry).map(Arc::new).map_err(|problem| format!("entry {}: {problem}", entry.index))
}

/// Runs what takes long on a thread that may block.
async fn offload<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, SendError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| SendError::later(error.to_string()))?;
    done.map_err(SendError::later)
}
