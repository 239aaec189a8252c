//! What others know about the log: checkpoints they hold, leaf hashes they were sent. Nothing in a directory can show
//! that its end was not cut off; this can.

use std::path::PathBuf;

use super::assertion::Aspect;
use super::files::Files;
use super::findings::Findings;
use super::tree::TreeCheck;
use super::trust::{Claimed, short};
use crate::model::Digest;

/// A checkpoint that is known besides the one under test.
#[derive(Debug)]
struct Known {
    size: u64,
    root: Digest,
    /// The file it was kept in; `None` when it was given from outside.
    path: Option<PathBuf>,
}

/// Everything that is known besides the directory, or besides its checkpoint.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// Ascending by size; those behind `next` are still to be met.
    known: Vec<Known>,
    next: usize,
    /// Ascending by index.
    siem: Vec<(u64, Digest)>,
    siem_next: usize,
    /// Sizes and leaf hashes that were met and agree.
    pub(super) checkpoints_met: u64,
    pub(super) leaves_met: u64,
}

impl Outside {
    /// Gathers what is known. Kept checkpoints that cannot be believed are faults of their files.
    pub(super) fn gather(
        files: &Files,
        claimed: &Claimed,
        kept: &[u64],
        remembered: &[(u64, Digest)],
        siem: &[(u64, Digest)],
        findings: &mut Findings,
    ) -> Self {
        let mut known: Vec<Known> =
            remembered.iter().map(|(size, root)| Known { size: *size, root: *root, path: None }).collect();
        let folder = files.layout.previous_checkpoints();
        for size in kept {
            let path = folder.join(size.to_string());
            match claimed.earlier(files, *size) {
                Ok(checkpoint) => known.push(Known { size: *size, root: checkpoint.root, path: Some(path) }),
                // The log is being written, and its writer has let an old one go since the folder was read. One that
                // was gone before would not have been listed: nothing less is found.
                Err(_) if files.numbers(&folder).is_ok_and(|now| !now.contains(size)) => {}
                Err(what) => findings.file(Aspect::Log, &path, what),
            }
        }
        known.sort_by_key(|known| known.size);
        let mut siem = siem.to_vec();
        siem.sort_unstable_by_key(|(index, _)| *index);
        Self { known, siem, ..Self::default() }
    }

    /// One entry, with the hash of its bytes and the one in its tile.
    pub(super) fn leaf(&mut self, index: u64, hashes: [Digest; 2], findings: &mut Findings) {
        while let Some((known, leaf)) = self.siem.get(self.siem_next).filter(|(known, _)| *known <= index) {
            if *known == index && hashes.contains(leaf) {
                self.leaves_met += 1;
            } else {
                let what = format!("another entry than the one that was exported with leaf hash {}", short(*leaf));
                findings.entry(Aspect::Log, *known, what);
            }
            self.siem_next += 1;
        }
    }

    /// The tree has grown by an entry.
    pub(super) fn grown(&mut self, tree: &TreeCheck, findings: &mut Findings) {
        while let Some(known) = self.known.get(self.next).filter(|known| known.size <= tree.size()) {
            let agrees = known.size == tree.size() && tree.has_root(known.root);
            match (agrees, &known.path) {
                (true, None) => self.checkpoints_met += 1,
                (true, Some(_)) => {}
                (false, None) => {
                    let what =
                        format!("the checkpoint of {} entries that was given is of another log: a fork", known.size);
                    findings.log(Aspect::Log, what);
                }
                (false, Some(path)) => findings.file(Aspect::Log, path, "signs another tree: a fork"),
            }
            self.next += 1;
        }
    }

    /// Everything was read: what is known of later entries shows that they are gone. `end` is behind the last entry.
    pub(super) fn finish(&mut self, end: u64, findings: &mut Findings) {
        for known in self.known.get(self.next..).unwrap_or_default() {
            let what = format!("{} entries were signed, only {end} are here", known.size);
            match &known.path {
                Some(path) => findings.file(Aspect::Log, path, what),
                None => findings.log(Aspect::Log, format!("a checkpoint from outside says that {what}")),
            }
        }
        let lost = self.siem.get(self.siem_next..).unwrap_or_default();
        if let Some((first, _)) = lost.first() {
            let what = format!("is missing, with {} more that were exported", lost.len() - 1);
            findings.entry(Aspect::Log, *first, what);
        }
    }
}
