//! The offline verifier: reads a data directory, or a copy of one, and says what it proves and what it does not.
//!
//! ```text
//! root key ─► key entry ─► receipt key ─► entry ─► leaf ─► tree ─► checkpoint ◄─ log key ◄─ key entry ◄─ root key
//! ```
//!
//! It needs no private key, writes nothing, and works while the instance runs: kept checkpoints are listed first, then
//! the checkpoint is read, then everything under it, then what lies behind it. Whoever copies a directory that is in use
//! copies `log/checkpoint` and `cp.prev` first. A directory alone can never show that its end was not cut off: without
//! something from outside the report says so.

mod actions;
mod assertion;
mod chains;
mod clock;
mod compose;
mod entry;
pub(in crate::record) mod files;
pub(in crate::record) mod findings;
mod keys;
mod ledger;
mod outside;
mod report;
mod sentences;
pub(in crate::record) mod tail;
mod tree;
pub(in crate::record) mod trust;
mod walk;

use std::path::Path;

pub use assertion::{Aspect, Assertion, Standing};
pub use report::{Continued, Incomplete, Problem, Report, Verdict};

use Aspect::{Integrity, Log};
use files::Files;
use findings::Findings;
use ledger::Ledger;
use outside::Outside;
use tree::TreeCheck;
use trust::Claimed;
use walk::Walk;

use super::merkle;
use super::{Checkpoint, PublicKey, RecordError, TileReader};
use crate::model::Digest;

/// What clocks may go back by before it is a fault, microseconds. Entries of concurrent sessions are out of order by
/// milliseconds, time servers step by less; who hides an action needs more.
pub const CLOCK_TOLERANCE_US: u64 = 5_000_000;

/// Told how far verifying has come: entries read, entries in all.
pub type Progress = Box<dyn Fn(u64, u64) + Send + Sync>;

/// What is known besides the directory.
#[derive(Default)]
pub struct VerifyOptions {
    /// The root key, from somewhere else than the directory. Without it a log that was written anew by somebody else
    /// under the same name passes.
    pub root_key: Option<PublicKey>,
    /// Checkpoints held elsewhere: size and root.
    pub remembered: Vec<(u64, Digest)>,
    /// Entries that a SIEM was sent: index and leaf hash.
    pub siem: Option<Vec<(u64, Digest)>>,
    /// Told how far it has come, once a bundle.
    pub progress: Option<Progress>,
    /// Whether the report holds every payload. For small logs and tests.
    pub keep_payloads: bool,
}

/// Verifies the log in a data directory. Memory grows with the sessions of one run and with actions without outcome, not
/// with the log.
///
/// # Errors
/// [`RecordError`] when there is no log to verify. Whatever is wrong with a log is in the report.
pub fn verify_directory(data_dir: &Path, options: &VerifyOptions) -> Result<Report, RecordError> {
    let files = Files::new(data_dir);
    let mut findings = Findings::default();
    let mut claimed = Claimed::read(&files, &mut findings)?;
    // Before the checkpoint is read: then none of them is newer, unless the checkpoint was set back.
    let kept = files.numbers(&files.layout.previous_checkpoints()).unwrap_or_else(|fault| {
        findings.file(Log, &fault.path, fault.what);
        Vec::new()
    });
    let closed_with = closed_with(&files);
    let checkpoint = claimed.checkpoint(&files, &kept, &mut findings);
    let siem = options.siem.as_deref().unwrap_or_default();
    let outside = Outside::gather(&files, &claimed, &kept, &options.remembered, siem, &mut findings);
    let ledger = Ledger::new(&claimed, options);
    let tree = Some(TreeCheck::default());
    let missing = Vec::new();
    let mut walk = Walk { files: &files, options, findings: &mut findings, outside, ledger, tree, missing };
    if let Some(checkpoint) = &checkpoint {
        walk.tree(checkpoint);
    }
    let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let tail = walk.tail(&claimed.origin, size);
    let removed = walk.judge_missing();
    let Walk { mut outside, ledger, .. } = walk;
    outside.finish(size + tail, &mut findings);
    // A mark that was there all the time: nobody wrote meanwhile.
    let mark = closed_with.filter(|mark| self::closed_with(&files).as_ref() == Some(mark));
    check_end(&files, &ledger, mark, (size, tail), &mut findings);
    Ok(compose::report(claimed.origin, checkpoint, (tail, removed), ledger, &outside, options, findings))
}

/// Reads a checkpoint of the log in a data directory that was kept somewhere else: its size and root.
///
/// # Errors
/// A sentence: there is no log, or this is no checkpoint that its key signed.
pub fn remembered(data_dir: &Path, note: &[u8]) -> Result<(u64, Digest), String> {
    let claimed = Claimed::read(&Files::new(data_dir), &mut Findings::default()).map_err(|error| error.to_string())?;
    let checkpoint = Checkpoint::open(note, &claimed.origin, &claimed.log).map_err(|error| error.to_string())?;
    Ok((checkpoint.size, checkpoint.root))
}

/// What the mark of an orderly close says; `None` while the log is open.
fn closed_with(files: &Files) -> Option<String> {
    let text = files.read(&files.layout.clean()).ok().flatten()?;
    Some(String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// What can be checked only at the end: the mark of an orderly close, the key of checkpoints, anchors.
fn check_end(files: &Files, ledger: &Ledger, mark: Option<String>, (size, tail): (u64, u64), findings: &mut Findings) {
    if mark.is_some_and(|mark| mark != (size + tail).to_string()) {
        let what = format!("was closed with another number of entries than the {} here", size + tail);
        findings.file(Log, &files.layout.clean(), what);
    }
    // Where entries could not be read, that is what is wrong.
    if size + tail > 0 && !ledger.keys.log_certified && !findings.breaks(Integrity) {
        findings.log(Integrity, "no entry certifies the key that signs the checkpoints");
    }
    let tiles = TileReader::new(std::sync::Arc::new(super::disk::RealDisk), &files.layout.log());
    for (index, anchored, root) in ledger.anchors.iter().filter(|(_, anchored, _)| *anchored <= size) {
        if merkle::root(&tiles.tree(size), *anchored).is_ok_and(|found| found != *root) {
            findings.entry(Log, *index, "an outsider vouched for another tree than this one: a fork");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
