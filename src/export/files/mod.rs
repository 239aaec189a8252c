//! Files for later analysis: Parquet of whole ranges of the log, to a directory or to S3.
//!
//! `batch_export` has typed columns and the whole event; `security_lake` has nested OCSF, a source for each class;
//! where Firehose makes its files, events leave as they come. Which
//! entries share a file depends on the log and the interval alone, and so do names and bytes: writing a range again, after
//! a crash or by hand, changes nothing.

mod backfill;
mod columns;
mod job;
mod lake_streams;
mod layout;
mod parquet;
mod range;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use super::cursor::Cursor;
use super::destination::Limits;
use super::health::Health;
use super::monitor::Meter;
use super::{Config, DeliveryConfig, ExportError};
use crate::model::{Clock, Digest};
use crate::record::Recorder;

pub use backfill::{Backfill, Backfilled};
pub(super) use job::Job;
pub use settings::SecurityLakeConfig;
pub(super) use settings::check;

/// Opens all kinds of files that are configured, each with a meter.
///
/// # Errors
/// [`ExportError`]: one of them cannot be used.
pub(super) fn open_all(
    config: &Config,
    recorder: &Recorder,
    data_dir: &Path,
    clock: &Arc<dyn Clock>,
    meters: &mut Vec<Arc<Meter>>,
) -> Result<Vec<Job>, ExportError> {
    let mut jobs = Vec::new();
    for wanted in settings::all(config).into_iter().filter(|_| config.enabled) {
        let (name, log) = (wanted.name().to_owned(), recorder.log().clone());
        let (store, layout, cut) = wanted.open(config, data_dir)?;
        let (folder, configuration) = (data_dir.join("export"), Digest::of(wanted.identity().as_bytes()));
        // Another place has nothing yet.
        Cursor::forget_unless(&folder, &name, configuration)?;
        let cursor = Cursor::open(&folder, &name, &log, configuration)?;
        // Files for analysis are complete: retention waits for them.
        let meter = Arc::new(Meter::new(&name, true, cursor.place.next));
        meter.change(|numbers| numbers.counts = cursor.place.counts);
        meters.push(Arc::clone(&meter));
        let (layout, searched) = (Arc::new(layout), (cursor.place.next, None));
        let health = Health::new(&DeliveryConfig::default().settle(Limits::default()));
        let (recorder, clock) = (recorder.clone(), Arc::clone(clock));
        jobs.push(Job { name, recorder, log, clock, store, layout, cut, cursor, meter, health, searched });
    }
    Ok(jobs)
}
