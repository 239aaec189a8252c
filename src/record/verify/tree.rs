//! Rebuilds the tree twice, from the entries and from the lowest tiles, and lets the signed root say which is right.
//!
//! One look at an entry and its hash in a tile shows that they differ, not which of the two was changed. The checkpoint
//! decides, but only once everything was read: until then differences are only noted.

use std::path::{Path, PathBuf};

use super::assertion::Aspect;
use super::files::Files;
use super::findings::Findings;
use crate::model::Digest;
use crate::record::Checkpoint;
use crate::record::tiles::{Edge, FullTile, TILE_WIDTH};

/// Differences that are kept. The rest is the same story.
const DIFFERENCES_MAX: usize = 1_000;

/// Both trees, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct TreeCheck {
    by_entries: Side,
    by_tiles: Side,
    /// Entries that differ from their hash in the tile of that path.
    differing: Vec<(u64, PathBuf)>,
}

/// One of the trees.
#[derive(Debug, Default)]
struct Side {
    edge: Edge,
    /// Tiles above the lowest that hold something else than this tree.
    wrong_tiles: Vec<PathBuf>,
}

impl TreeCheck {
    /// Takes in one leaf: what the entry hashes to, and what the tile says. Where one could not be read, the other
    /// stands for both.
    pub(super) fn push(&mut self, files: &Files, entry: Digest, tile: Digest, path: &Path) {
        if entry != tile && self.differing.len() < DIFFERENCES_MAX {
            self.differing.push((self.by_entries.edge.size(), path.to_owned()));
        }
        self.by_entries.push(files, entry);
        self.by_tiles.push(files, tile);
    }

    /// Whether either tree has this root now.
    pub(super) fn has_root(&self, root: Digest) -> bool {
        self.by_entries.edge.root() == root || self.by_tiles.edge.root() == root
    }

    /// The leaves that were taken in.
    pub(super) const fn size(&self) -> u64 {
        self.by_entries.edge.size()
    }

    /// Says what is wrong, now that everything under the checkpoint was read.
    pub(super) fn judge(&mut self, files: &Files, checkpoint: &Checkpoint, path: &Path, findings: &mut Findings) {
        let entries_right = self.by_entries.edge.root() == checkpoint.root;
        let tiles_right = self.by_tiles.edge.root() == checkpoint.root;
        for (index, tile) in std::mem::take(&mut self.differing) {
            match (entries_right, tiles_right) {
                (true, _) => findings.entry_in(Aspect::Integrity, index, &tile, "the tile holds another hash"),
                // Its signature has been found wrong already.
                (false, true) if findings.names(index) => {}
                (false, true) => {
                    findings.entry(Aspect::Integrity, index, "is not the entry that the checkpoint commits to");
                }
                (false, false) => {
                    findings.entry_in(
                        Aspect::Integrity,
                        index,
                        &tile,
                        "entry and tile differ, and neither gives the signed root",
                    );
                }
            }
        }
        if !entries_right && !tiles_right {
            findings.file(Aspect::Integrity, path, format!("{} entries do not give the signed root", checkpoint.size));
        }
        let side = if tiles_right && !entries_right { &mut self.by_tiles } else { &mut self.by_entries };
        side.check_partial(files);
        for tile in std::mem::take(&mut side.wrong_tiles) {
            findings.file(Aspect::Integrity, &tile, "does not hold the hashes of the tree");
        }
    }
}

impl Side {
    fn push(&mut self, files: &Files, leaf: Digest) {
        let mut full = Vec::new();
        self.edge.push(leaf, |tile| full.push(tile));
        for FullTile { level, number, hashes } in full {
            self.compare(files, level, number, &hashes);
        }
    }

    /// The tiles on the right edge: they are partial, so they were not seen on the way.
    fn check_partial(&mut self, files: &Files) {
        let partial: Vec<_> =
            self.edge.partial_tiles().map(|(level, number, held)| (level, number, held.to_vec())).collect();
        for (level, number, hashes) in partial {
            self.compare(files, level, number, &hashes);
        }
    }

    fn compare(&mut self, files: &Files, level: u32, number: u64, hashes: &[Digest]) {
        // The lowest tiles are compared hash by hash.
        if level == 0 || self.wrong_tiles.len() >= DIFFERENCES_MAX {
            return;
        }
        match files.tile(level, number, (hashes.len() as u64).min(TILE_WIDTH)) {
            Ok(read) if read.items == hashes => {}
            Ok(read) => self.wrong_tiles.push(read.path),
            Err(fault) => self.wrong_tiles.push(fault.path),
        }
    }
}
