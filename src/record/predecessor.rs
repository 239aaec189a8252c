//! The log that a new one continues: stated in the data directory before the first start, and from then on in `genesis`.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, parse_verifier_key};
use super::disk::{Disk, RealDisk};
use super::entry::PredecessorBlock;
use super::layout::Layout;
use super::publish::{Publisher, read_file};
use super::{Archive, RecordError};

/// `predecessor.json`, in the order of RFC 8785.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    checkpoint: String,
    log_vkey: String,
    origin: String,
}

/// States in a data directory that has no log yet that its log will continue `of`, up to the checkpoint of that one.
/// Verify `of` before.
///
/// # Errors
/// [`RecordError::Corrupt`]: there is a log already, or `of` has no checkpoint; [`RecordError::Disk`].
pub fn state_predecessor(data_dir: &Path, of: &Archive) -> Result<(), RecordError> {
    let layout = Layout::new(data_dir);
    let refuse = |path: &Path, reason| RecordError::Corrupt { path: path.to_owned(), offset: 0, reason };
    if read_file(&RealDisk, &layout.instance())?.is_some() {
        return Err(refuse(&layout.instance(), "is there already: only a new log can continue another"));
    }
    let checkpoint = of.checkpoint().ok_or_else(|| refuse(data_dir, "the log to continue has no checkpoint"))?;
    let stated = Stated {
        checkpoint: checkpoint.note.clone(),
        log_vkey: super::checkpoint::verifier_key(of.origin(), of.log_key()),
        origin: of.origin().to_owned(),
    };
    let text = serde_json::to_string(&stated).unwrap_or_default() + "\n";
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Publisher::new(disk, layout.root()).publish(&layout.predecessor(), text.as_bytes(), 0o444)
}

/// What was stated, its signature checked; `None` when nothing was.
///
/// # Errors
/// [`RecordError::Corrupt`]: a statement that was changed. A log never begins with a link that leads nowhere.
pub(super) fn stated(disk: &dyn Disk, layout: &Layout) -> Result<Option<PredecessorBlock<'static>>, RecordError> {
    let path = layout.predecessor();
    let Some(text) = read_file(disk, &path)? else { return Ok(None) };
    let read = || {
        let stated: Stated = serde_json::from_slice(&text).ok()?;
        let (name, key) = parse_verifier_key(&stated.log_vkey).ok()?;
        let checkpoint = Checkpoint::open(stated.checkpoint.as_bytes(), &stated.origin, &key).ok()?;
        (name == stated.origin).then_some(checkpoint)
    };
    let reason = "does not hold a checkpoint that the log it names has signed";
    let checkpoint = read().ok_or(RecordError::Corrupt { path, offset: 0, reason })?;
    Ok(Some(PredecessorBlock { origin: checkpoint.origin.into(), root: checkpoint.root, size: checkpoint.size }))
}
