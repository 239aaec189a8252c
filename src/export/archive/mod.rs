//! The off-host copy of the log: its tiles, bundles and checkpoints, copied while it grows to a directory or to S3.
//!
//! From the copy alone the log verifies up to the last checkpoint that was copied, and every entry under it can be read.
//! What a lost host takes with it is what was written since: at most `interval` and the time that the copy takes.
//!
//! ```text
//! <destination>/<instance id>/   instance.json  keys/   cp.prev/<size>   log/tile/...   (in a directory: log/checkpoint)
//! ```
//!
//! Files appear in this order: description and keys, bundles, tiles, checkpoint. So a checkpoint that is there never
//! promises what is not. Names are used once.

mod copier;
mod fetch;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::destination::bucket::S3Options;
use super::destination::{Destination, Limits, Opening, Settings};
use super::monitor::Meter;
use super::store::Store;
use super::{Config, ExportError, Span};
use crate::record::Recorder;

use copier::{Copier, Parts};
pub use fetch::{ArchiveError, Archived, Place};

/// Time between copies unless configured: a few objects a minute, whatever the load.
const INTERVAL: Duration = Duration::from_mins(1);

/// Where the copy goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveConfig {
    /// `s3://bucket/prefix/`, or a directory; a relative one is below the data directory.
    pub destination: String,
    /// Time between copies while the log grows: `60s`.
    pub interval: Option<Span>,
    /// How the bucket is reached, and how long objects are locked.
    #[serde(default)]
    pub s3: S3Options,
}

impl ArchiveConfig {
    fn interval(&self) -> Duration {
        self.interval.map_or(INTERVAL, |interval| interval.0)
    }

    /// The place; the folder of the instance is not in it yet.
    ///
    /// # Errors
    /// [`ExportError`]: it cannot be used.
    pub(super) fn store(&self, name: &str, data_dir: &Path) -> Result<Store, ExportError> {
        if self.interval().is_zero() {
            return Err(ExportError::setting(name, "`interval: 0` is no time; write `60s`"));
        }
        Store::open(name, &self.destination, data_dir, &self.s3)
    }
}

/// Opens every archive of a configuration, each with a meter.
///
/// # Errors
/// [`ExportError`]: one of them cannot be used.
pub(super) fn open_all(
    config: &Config,
    recorder: &Recorder,
    data_dir: &Path,
    meters: &mut Vec<Arc<Meter>>,
) -> Result<Vec<Copier>, ExportError> {
    let mut copiers = Vec::new();
    for exporter in config.exporters.iter().filter(|_| config.enabled) {
        let Some(archive) = exporter.destination.archive() else { continue };
        let required = exporter.delivery.settle(Limits::default()).required;
        let meter = Arc::new(Meter::of_archive(exporter.name(), required));
        meters.push(Arc::clone(&meter));
        let (recorder, data_dir) = (recorder.clone(), data_dir.to_owned());
        copiers.push(Copier::open(Parts { exporter, config: archive, recorder, data_dir, meter })?);
    }
    Ok(copiers)
}

impl Settings for ArchiveConfig {
    /// It takes files of the log, not events: there is nothing to send it by hand.
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        self.store(opening.name, opening.data_dir)?;
        let problem = "an archive holds the log itself, not events: see `countersign export status` and \
                       `countersign receipts verify --archive`";
        Err(ExportError::setting(opening.name, problem))
    }
}
