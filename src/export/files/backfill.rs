//! The files of a past range, made again: the same names and bytes as the task that runs makes.

use std::path::Path;
use std::sync::Arc;

use super::job::open;
use super::layout::{File, Layout};
use super::range::{Cut, ENTRIES_MAX, written};
use super::settings;
use crate::export::destination::SendError;
use crate::export::store::Store;
use crate::export::{Config, DecodedEntry, ExportError};
use crate::model::{Timestamp, with_causes};
use crate::record::{Archive, StoredEntry};

/// Makes files by hand. No cursor moves.
pub struct Backfill {
    store: Store,
    layout: Layout,
    cut: Cut,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backfilled {
    /// Files that are there now; some may have been there before.
    pub files: u64,
    /// Events in them.
    pub events: u64,
    /// The entries that they come from.
    pub entries: u64,
}

impl Backfill {
    /// Opens `batch_export`, or a destination that takes files (`security_lake`).
    ///
    /// # Errors
    /// [`ExportError`]: there is none of that name, or it cannot be used.
    pub fn open(config: &Config, name: &str, data_dir: &Path) -> Result<Self, ExportError> {
        let found = settings::all(config).into_iter().find(|settings| settings.name() == name);
        let settings = found.ok_or_else(|| {
            ExportError::setting(name, "is neither `batch_export` nor a `security_lake` whose files are written here")
        })?;
        let (store, layout, cut) = settings.open(config, data_dir)?;
        Ok(Self { store, layout, cut })
    }

    /// Writes every range of entries that touches the time from `from` to `to` and is complete. A range whose beginning
    /// retention removed is none: under another name its events would be in two files.
    ///
    /// # Errors
    /// [`SendError`]: the log cannot be read, or the place does not take files.
    pub async fn write(
        &self,
        log: &mut Archive,
        (from, to): (Timestamp, Timestamp),
        now: Timestamp,
        tell: &dyn Fn(u64, u64),
    ) -> Result<Backfilled, SendError> {
        let (end, mut done) = (log.end(), Backfilled::default());
        let mut next = self.begin(log, from)?;
        while let Some((entries, complete)) = self.range(log, next, end, to)? {
            let last = entries.last().filter(|last| complete || self.cut.is_over(written(last), now));
            let Some(last) = last.map(|last| last.index) else { break };
            let (files, counts) = self.layout.files(&entries, log.origin()).map_err(SendError::later)?;
            for File { name, bytes } in files {
                self.store.create(&name, bytes, "application/vnd.apache.parquet").await?;
                done.files += 1;
            }
            done.events += counts.delivered;
            done.entries += entries.len() as u64;
            next = last + 1;
            tell(next, end);
        }
        Ok(done)
    }

    /// The first entry of the range that `from` lies in.
    fn begin(&self, log: &mut Archive, from: Timestamp) -> Result<u64, SendError> {
        let kept_from = log.kept_from();
        let (mut low, mut high) = (kept_from, log.end());
        while low < high {
            let middle = low + (high - low) / 2;
            let opened = entry(log, middle)?;
            if written(&opened) < from { low = middle + 1 } else { high = middle }
        }
        if low == 0 || low == log.end() {
            return Ok(low);
        }
        let at = low;
        // Back to where a range begins: not further than a round number.
        let opened = entry(log, low)?;
        let mut time = written(&opened);
        while !low.is_multiple_of(ENTRIES_MAX) {
            if low == kept_from {
                return self.next_range(log, at);
            }
            let opened = entry(log, low - 1)?;
            let before = written(&opened);
            if self.cut.between(before, low, time) {
                break;
            }
            (low, time) = (low - 1, before);
        }
        Ok(low)
    }

    /// Where the range after the one of an entry begins; the end of the log where there is none yet.
    fn next_range(&self, log: &mut Archive, index: u64) -> Result<u64, SendError> {
        let opened = entry(log, index)?;
        let mut before = written(&opened);
        for next in index + 1..log.end() {
            let opened = entry(log, next)?;
            let time = written(&opened);
            if self.cut.between(before, next, time) {
                return Ok(next);
            }
            before = time;
        }
        Ok(log.end())
    }

    /// The entries of the range that begins at `first`, and whether its end is known; `None` behind `to` and at the end.
    fn range(&self, log: &mut Archive, first: u64, end: u64, to: Timestamp) -> Result<Option<Ranged>, SendError> {
        let mut entries: Vec<Arc<DecodedEntry>> = Vec::new();
        for index in first..end {
            let next = entry(log, index)?;
            match entries.last() {
                None if written(&next) > to => return Ok(None),
                Some(before) if self.cut.between(written(before), index, written(&next)) => {
                    return Ok(Some((entries, true)));
                }
                _ => entries.push(next),
            }
        }
        Ok(Some((entries, false)).filter(|(entries, _)| !entries.is_empty()))
    }
}

/// Entries that belong into the same files, and whether the next range is known to begin behind them.
type Ranged = (Vec<Arc<DecodedEntry>>, bool);

fn entry(log: &mut Archive, index: u64) -> Result<Arc<DecodedEntry>, SendError> {
    let bytes = log.entry(index).map_err(|error| SendError::later(with_causes(&error)))?;
    let bytes = bytes.ok_or_else(|| SendError::later(format!("entry {index} is missing")))?;
    open(&StoredEntry::new(index, bytes)).map_err(SendError::later)
}
