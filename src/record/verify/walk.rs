//! Reads the log from its first entry to its last, once, and lets everybody look at each.

use bytes::Bytes;

use super::VerifyOptions;
use super::assertion::Aspect;
use super::entry::Stored;
use super::files::{Fault, Files};
use super::findings::Findings;
use super::ledger::Ledger;
use super::outside::Outside;
use super::tail;
use super::tree::TreeCheck;
use crate::model::Digest;
use crate::record::tiles::TILE_WIDTH;
use crate::record::{Checkpoint, leaf_hash};

/// What is built up on the way.
pub(super) struct Walk<'a> {
    pub(super) files: &'a Files,
    pub(super) options: &'a VerifyOptions,
    pub(super) findings: &'a mut Findings,
    pub(super) outside: Outside,
    pub(super) ledger: Ledger,
    /// `None` once neither an entry nor its hash could be read.
    pub(super) tree: Option<TreeCheck>,
    /// Bundles that are not there: the end of each, and what there is to say if nobody signed for it.
    pub(super) missing: Vec<(u64, Fault)>,
}

impl Walk<'_> {
    /// Everything under the checkpoint.
    pub(super) fn tree(&mut self, checkpoint: &Checkpoint) {
        let size = checkpoint.size;
        for number in 0..size.div_ceil(TILE_WIDTH) {
            let first = number * TILE_WIDTH;
            self.bundle(number, (size - first).min(TILE_WIDTH));
            if let Some(progress) = &self.options.progress {
                progress((first + TILE_WIDTH).min(size), size);
            }
        }
        let path = self.files.layout.checkpoint();
        if let Some(tree) = &mut self.tree {
            tree.judge(self.files, checkpoint, &path, self.findings);
        }
    }

    fn bundle(&mut self, number: u64, width: u64) {
        let first = number * TILE_WIDTH;
        let (bundle, tile) = (self.files.bundle(number, width), self.files.tile(0, number, width));
        match (bundle, tile) {
            (Ok(bundle), Ok(tile)) => {
                for ((entry, recorded), index) in bundle.items.into_iter().zip(tile.items).zip(first..) {
                    self.entry(index, entry, Some(recorded), &tile.path);
                }
            }
            (Ok(bundle), Err(fault)) => {
                self.fault(&fault);
                for (entry, index) in bundle.items.into_iter().zip(first..) {
                    self.entry(index, entry, None, &fault.path);
                }
            }
            (Err(fault), Ok(tile)) => {
                // Whether an entry further on says that it was removed is not known yet.
                if fault.is_missing {
                    self.missing.push((first + width, fault))
                } else {
                    self.fault(&fault)
                }
                self.ledger.lost();
                self.ledger.actions.forget();
                for (leaf, index) in tile.items.into_iter().zip(first..) {
                    self.leaf(index, [leaf; 2], &tile.path);
                }
            }
            (Err(bundle), Err(tile)) => {
                self.fault(&bundle);
                self.fault(&tile);
                self.ledger.lost();
                self.tree = None;
            }
        }
    }

    fn entry(&mut self, index: u64, bytes: Bytes, recorded: Option<Digest>, path: &std::path::Path) {
        let leaf = leaf_hash(&bytes);
        let recorded = recorded.unwrap_or(leaf);
        self.ledger.take(&Stored { index, bytes, recorded }, self.files, self.findings);
        self.leaf(index, [leaf, recorded], path);
    }

    fn leaf(&mut self, index: u64, leaves: [Digest; 2], path: &std::path::Path) {
        self.outside.leaf(index, leaves, self.findings);
        if let Some(tree) = &mut self.tree {
            let [entry, recorded] = leaves;
            tree.push(self.files, entry, recorded, path);
            self.outside.grown(tree, self.findings);
        }
    }

    /// Everything behind the checkpoint of `size`. Returns how many entries that are.
    pub(super) fn tail(&mut self, origin: &str, size: u64) -> u64 {
        let files = self.files;
        let path = files.layout.wal();
        let (end, faults) = tail::read(files, origin, size, |index, bytes| self.entry(index, bytes, None, &path));
        faults.iter().for_each(|fault| self.findings.file(Aspect::Log, &fault.path, &fault.what));
        end.saturating_sub(size)
    }

    /// Says which of the missing bundles nobody has signed for. Returns how many entries retention removed.
    pub(super) fn judge_missing(&mut self) -> u64 {
        let removed_to = self.ledger.removed.map_or(0, |(_, to)| to);
        let (removed, missing): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.missing).into_iter().partition(|(end, _)| *end <= removed_to);
        missing.iter().for_each(|(_, fault)| self.fault(fault));
        removed.len() as u64 * TILE_WIDTH
    }

    fn fault(&mut self, fault: &Fault) {
        self.findings.file(Aspect::Integrity, &fault.path, &fault.what);
    }
}
