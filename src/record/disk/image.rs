//! What [`super::FaultyDisk`] is made of: files as sectors, directories as lists of changes, and the dice of a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What a device writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// Which of the changes that were not synced a power cut leaves behind.
#[derive(Clone, Copy, Debug)]
pub enum Survivors {
    /// Every one.
    All,
    /// None.
    None,
    /// A part that depends on the seed alone.
    Some(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Remove(PathBuf),
    Rename(PathBuf, PathBuf, Node),
    Set(PathBuf, Node),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) dirty: BTreeSet<usize>,
    pub(super) mode: u32,
}

impl Change {
    pub(super) fn apply(&self, tree: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Remove(path) => {
                tree.retain(|held, _| !held.starts_with(path));
            }
            Self::Rename(from, to, node) => {
                tree.remove(from);
                tree.insert(to.clone(), *node);
            }
            Self::Set(path, node) => {
                tree.insert(path.clone(), *node);
            }
        }
    }
}

impl Inode {
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset.saturating_add(bytes.len());
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        if let Some(place) = self.live.get_mut(offset..end) {
            place.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    pub(super) fn flush(&mut self) {
        let sectors = std::mem::take(&mut self.dirty);
        self.durable.resize(self.live.len(), 0);
        sectors.into_iter().for_each(|sector| copy_sector(&self.live, &mut self.durable, sector));
    }

    pub(super) fn after_crash(&self, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.durable.clone();
        if self.live.len() != content.len() && dice.keeps() {
            content.resize(self.live.len(), 0);
        }
        for sector in self.dirty.iter().filter(|_| dice.keeps()) {
            copy_sector(&self.live, &mut content, *sector);
        }
        content
    }
}

fn copy_sector(from: &[u8], to: &mut [u8], sector: usize) {
    let start = sector.saturating_mul(SECTOR);
    let end = start.saturating_add(SECTOR).min(from.len()).min(to.len());
    if let (Some(from), Some(to)) = (from.get(start..end), to.get_mut(start..end)) {
        to.copy_from_slice(from);
    }
}

pub(super) struct Dice(Survivors);

impl Dice {
    pub(super) fn new(survivors: Survivors) -> Self {
        Self(match survivors {
            Survivors::Some(seed) => Survivors::Some(seed.wrapping_mul(2).wrapping_add(1)),
            other => other,
        })
    }

    pub(super) fn keeps(&mut self) -> bool {
        match &mut self.0 {
            Survivors::All => true,
            Survivors::None => false,
            Survivors::Some(seed) => {
                *seed ^= *seed << 13;
                *seed ^= *seed >> 7;
                *seed ^= *seed << 17;
                *seed >> 33 & 1 == 1
            }
        }
    }
}
