//! The files of C2SP tlog-tiles: entry bundles, tiles of hashes, their paths, and the right edge of a growing tree.
//!
//! ```text
//! bundle   256 × ( u16 length, big endian ‖ entry )          tile/entries/<N>[.p/<W>]
//! tile     256 × 32 bytes of hashes                          tile/<L>/<N>[.p/<W>]
//! ```
//!
//! Pure, but for [`TileReader`], which reads. A full file is written once and never again; a partial one exists for the
//! size of every checkpoint until the full one does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::RecordError;
use super::disk::Disk;
use super::merkle::{Nodes, empty_root, node_hash, perfect_root};
use super::publish::read_file;
use crate::model::Digest;

/// Entries of a bundle, and hashes of a tile.
pub const TILE_WIDTH: u64 = 256;

/// The longest entry, in bytes: the length before it has two bytes.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Levels of the tree in one tile: 256 is 2^8.
const TILE_HEIGHT: u32 = 8;

const HASH_BYTES: usize = 32;

/// Which row of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Entry bundles.
    Entries,
    /// Tiles of hashes at this level; level 0 holds the hashes of leaves.
    Level(u32),
}

/// The path of a bundle or tile, relative to the log. `width` 0 means a full one, else a partial one of that many.
#[must_use]
pub fn tile_path(row: Row, number: u64, width: u64) -> PathBuf {
    let mut groups = vec![format!("{:03}", number % 1_000)];
    let mut rest = number / 1_000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1_000));
        rest /= 1_000;
    }
    groups.reverse();
    let row = match row {
        Row::Entries => "entries".to_owned(),
        Row::Level(level) => level.to_string(),
    };
    let suffix = if width == 0 { String::new() } else { format!(".p/{width}") };
    PathBuf::from(format!("tile/{row}/{}{suffix}", groups.join("/")))
}

/// The entries of a bundle, one after another with their lengths.
pub(crate) fn encode_bundle(entries: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.iter().map(|entry| entry.len() + 2).sum());
    for entry in entries {
        // The writer has refused longer entries.
        let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(entry);
    }
    out
}

/// The entries of a bundle; `None` when the lengths do not add up. They share the memory of `bundle`.
#[must_use]
pub fn decode_bundle(bundle: &Bytes) -> Option<Vec<Bytes>> {
    let mut rest = bundle.clone();
    let mut entries = Vec::new();
    while let Some(length) = rest.first_chunk::<2>().copied() {
        let length = usize::from(u16::from_be_bytes(length));
        if length == 0 || rest.len() < 2 + length {
            return None;
        }
        let mut entry = rest.split_to(2 + length);
        entries.push(entry.split_off(2));
    }
    rest.is_empty().then_some(entries)
}

pub(crate) fn encode_tile(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile; `None` when it is not a whole number of hashes.
#[must_use]
pub fn decode_tile(tile: &[u8]) -> Option<Vec<Digest>> {
    let hashes = tile.chunks(HASH_BYTES).map(|hash| Some(Digest(hash.try_into().ok()?)));
    hashes.collect()
}

/// The tiles that a tree of some size has not filled yet: all that is needed to extend it and to know its root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    size: u64,
    levels: Vec<Vec<Digest>>,
}

/// A tile that has become full.
#[derive(Debug)]
pub(crate) struct FullTile {
    pub(crate) level: u32,
    pub(crate) number: u64,
    pub(crate) hashes: Vec<Digest>,
}

impl Edge {
    /// Reads the edge of the tree of `size` entries.
    pub(crate) fn read(tiles: &TileReader, size: u64) -> Result<Self, RecordError> {
        let mut levels = Vec::new();
        for level in 0..u64::BITS / TILE_HEIGHT {
            let hashes = size >> (level * TILE_HEIGHT);
            if hashes == 0 {
                break;
            }
            let (number, width) = (hashes / TILE_WIDTH, hashes % TILE_WIDTH);
            levels.push(if width == 0 { Vec::new() } else { tiles.tile(level, number, width)? });
        }
        Ok(Self { size, levels })
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf; hands out the tiles that it fills.
    pub(crate) fn push(&mut self, leaf: Digest, mut full: impl FnMut(FullTile)) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0..u64::BITS / TILE_HEIGHT {
            let at = usize::try_from(level).unwrap_or(usize::MAX);
            if self.levels.len() <= at {
                self.levels.push(Vec::new());
            }
            let Some(tile) = self.levels.get_mut(at) else { return };
            tile.push(hash);
            if (tile.len() as u64) < TILE_WIDTH {
                return;
            }
            let hashes = std::mem::take(tile);
            hash = perfect_root(&hashes);
            let number = (self.size >> ((level + 1) * TILE_HEIGHT).min(63)) - 1;
            full(FullTile { level, number, hashes });
        }
    }

    /// The root of the tree (RFC 6962 §2.1): the perfect subtrees on the edge, folded from the right.
    pub(crate) fn root(&self) -> Digest {
        let mut root: Option<Digest> = None;
        for tile in &self.levels {
            let mut rest: &[Digest] = tile;
            for bit in 0..TILE_HEIGHT {
                let width = 1_usize << bit;
                if tile.len() & width == 0 {
                    continue;
                }
                let (left, subtree) = rest.split_at(rest.len().saturating_sub(width));
                rest = left;
                let hash = perfect_root(subtree);
                root = Some(root.map_or(hash, |right| node_hash(hash, right)));
            }
        }
        root.unwrap_or_else(empty_root)
    }

    /// The tiles on the edge that hold something: level, number, hashes.
    pub(crate) fn partial_tiles(&self) -> impl Iterator<Item = (u32, u64, &[Digest])> {
        let held = (0..).zip(&self.levels).filter(|(_, tile)| !tile.is_empty());
        held.map(|(level, tile)| (level, self.size >> ((level + 1) * TILE_HEIGHT).min(63), tile.as_slice()))
    }

    /// The hashes of the leaves on the edge.
    pub(crate) fn leaves(&self) -> &[Digest] {
        self.levels.first().map_or(&[], Vec::as_slice)
    }
}

/// Reads the tiles and bundles of a log directory, of this process or of anybody's copy. It believes nothing: check
/// what it gives against a checkpoint.
#[derive(Clone)]
pub struct TileReader {
    disk: Arc<dyn Disk>,
    log: PathBuf,
}

impl TileReader {
    /// Reads below `log`, the directory that holds `checkpoint` and `tile/`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, log: &Path) -> Self {
        Self { disk, log: log.to_owned() }
    }

    /// The first `width` (1 to 256) hashes of a tile, from the partial file or from the full one.
    ///
    /// # Errors
    /// [`RecordError::Corrupt`] when neither is there or one has another size, [`RecordError::Disk`] when reading fails.
    pub fn tile(&self, level: u32, number: u64, width: u64) -> Result<Vec<Digest>, RecordError> {
        let (path, bytes) = self.file(Row::Level(level), number, width)?;
        let hashes = decode_tile(&bytes).filter(|hashes| hashes.len() as u64 >= width);
        let mut hashes = hashes.ok_or(RecordError::Corrupt { path, offset: 0, reason: "not a tile of this width" })?;
        hashes.truncate(usize::try_from(width).unwrap_or(usize::MAX));
        Ok(hashes)
    }

    /// The first `width` (1 to 256) entries of a bundle, from the partial file or from the full one.
    ///
    /// # Errors
    /// [`RecordError::Corrupt`] when neither is there or one has another size, [`RecordError::Disk`] when reading fails.
    pub fn bundle(&self, number: u64, width: u64) -> Result<Vec<Bytes>, RecordError> {
        let (path, bytes) = self.file(Row::Entries, number, width)?;
        let entries = decode_bundle(&Bytes::from(bytes)).filter(|entries| entries.len() as u64 >= width);
        let corrupt = RecordError::Corrupt { path, offset: 0, reason: "not a bundle of this many entries" };
        let mut entries = entries.ok_or(corrupt)?;
        entries.truncate(usize::try_from(width).unwrap_or(usize::MAX));
        Ok(entries)
    }

    /// Whether a full bundle is there.
    pub(crate) fn has_bundle(&self, number: u64) -> bool {
        self.disk.stat(&self.log.join(tile_path(Row::Entries, number, 0))).is_ok()
    }

    /// The tree of the first `size` entries, for roots and proofs.
    #[must_use]
    pub const fn tree(&self, size: u64) -> Tree<'_> {
        Tree { tiles: self, size }
    }

    fn file(&self, row: Row, number: u64, width: u64) -> Result<(PathBuf, Vec<u8>), RecordError> {
        // A partial file may be gone as soon as the full one is there.
        for width in [width % TILE_WIDTH, 0] {
            let path = self.log.join(tile_path(row, number, width));
            if let Some(bytes) = read_file(&*self.disk, &path)? {
                return Ok((path, bytes));
            }
        }
        let path = self.log.join(tile_path(row, number, 0));
        Err(RecordError::Corrupt { path, offset: 0, reason: "a tile or bundle is missing" })
    }
}

/// The tree of some size, out of its tiles.
pub struct Tree<'a> {
    tiles: &'a TileReader,
    size: u64,
}

impl Nodes for Tree<'_> {
    type Error = RecordError;

    fn node(&self, level: u32, index: u64) -> Result<Digest, RecordError> {
        let (tile_level, inside) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let first = index << inside;
        let number = first / TILE_WIDTH;
        let hashes = self.size >> (tile_level * TILE_HEIGHT);
        let width = hashes.saturating_sub(number * TILE_WIDTH).min(TILE_WIDTH);
        let tile = self.tiles.tile(tile_level, number, width)?;
        let start = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let subtree = tile.get(start..start.saturating_add(1 << inside));
        subtree.map(perfect_root).ok_or_else(|| RecordError::Corrupt {
            path: self.tiles.log.join(tile_path(Row::Level(tile_level), number, width % TILE_WIDTH)),
            offset: start as u64,
            reason: "the tile does not hold this hash",
        })
    }
}
