//! What a copy of a log consists of: the files that were added between two sizes, and those that say whose log it is.
//!
//! A copy has the layout of a data directory without its private parts, so that whatever reads the one reads the other.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::RecordError;
use super::disk::RealDisk;
use super::layout::Layout;
use super::publish::{list_dir, read_file};
use super::tiles::{Row, TILE_WIDTH, TileReader, encode_bundle, encode_tile, tile_path};

/// A bundle or tile of a log of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    row: Row,
    number: u64,
    /// How many items it holds, 1 to 256.
    width: u64,
}

/// What a log of `to` entries has that one of `from` has not: bundles, then tiles from the lowest level up.
#[must_use]
pub fn pieces(from: u64, to: u64) -> Vec<Piece> {
    let mut found = Vec::new();
    added(Row::Entries, from, to, &mut found);
    for level in 0..8_u32 {
        // A tile holds 2^8 hashes.
        let (from, to) = (from >> (level * 8), to >> (level * 8));
        if to == 0 {
            break;
        }
        added(Row::Level(level), from, to, &mut found);
    }
    found
}

fn added(row: Row, from: u64, to: u64, found: &mut Vec<Piece>) {
    if from >= to {
        return;
    }
    let full = (from / TILE_WIDTH)..(to / TILE_WIDTH);
    found.extend(full.map(|number| Piece { row, number, width: TILE_WIDTH }));
    if !to.is_multiple_of(TILE_WIDTH) {
        found.push(Piece { row, number: to / TILE_WIDTH, width: to % TILE_WIDTH });
    }
}

impl Piece {
    /// Its file, relative to a data directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new("log").join(tile_path(self.row, self.number, self.width % TILE_WIDTH))
    }

    /// The file that holds it and more, once the log has grown; its own when it is full.
    #[must_use]
    pub fn full_path(&self) -> PathBuf {
        Path::new("log").join(tile_path(self.row, self.number, 0))
    }

    /// The entries in it; `None` for a tile of hashes, which nothing removes.
    #[must_use]
    pub fn entries(&self) -> Option<Range<u64>> {
        let first = self.number * TILE_WIDTH;
        (self.row == Row::Entries).then(|| first..first + self.width)
    }

    /// Whether retention removed it: a full bundle below `kept_from` that is not there. Reads the disk.
    #[must_use]
    pub fn is_removed(&self, tiles: &TileReader, kept_from: u64) -> bool {
        self.entries().is_some_and(|entries| entries.end <= kept_from) && !tiles.has_bundle(self.number)
    }

    /// Its content: of the width that was asked for, even where the log has a fuller one by now.
    ///
    /// # Errors
    /// As [`TileReader::bundle`].
    pub fn load(&self, tiles: &TileReader) -> Result<Vec<u8>, RecordError> {
        Ok(match self.row {
            Row::Entries => encode_bundle(&tiles.bundle(self.number, self.width)?),
            Row::Level(level) => encode_tile(&tiles.tile(level, self.number, self.width)?),
        })
    }
}

/// The files that say whose log it is, relative to the data directory: its description and its public keys.
///
/// # Errors
/// [`RecordError`] when one cannot be read.
pub fn description(data_dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, RecordError> {
    let layout = Layout::new(data_dir);
    let mut names = list_dir(&RealDisk, &layout.keys())?;
    names.sort_unstable();
    let public = names.iter().filter(|name| name.ends_with(".pem") || name.ends_with(".vkey"));
    let mut paths: Vec<PathBuf> = public.map(|name| Path::new("keys").join(name)).collect();
    // Last: a copy with a description has the keys too.
    paths.push("instance.json".into());
    let mut files = Vec::new();
    for path in paths {
        let missing = || RecordError::Corrupt { path: path.clone(), offset: 0, reason: "is missing" };
        let bytes = read_file(&RealDisk, &data_dir.join(&path))?.ok_or_else(missing)?;
        files.push((path, bytes));
    }
    Ok(files)
}

/// Where a copy keeps the checkpoint of a size, relative to its directory: under a name that is used once.
#[must_use]
pub fn checkpoint_path(size: u64) -> PathBuf {
    Path::new("cp.prev").join(size.to_string())
}

/// The file that tells readers of a copy that entries below `kept_from` may be missing, relative to its directory. The
/// verifier does not believe it.
#[must_use]
pub fn kept(kept_from: u64) -> (PathBuf, Vec<u8>) {
    (Layout::new(Path::new("")).kept(), format!("{kept_from}\n").into_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Whatever the steps, the copy holds each file that the verifier asks for at its size.
    #[test]
    fn every_size_has_all_its_files_whatever_the_steps_were() {
        for steps in [vec![1, 5, 255, 256, 257, 511, 70_000], vec![70_000], vec![256, 65_536, 65_537, 131_072]] {
            let (mut copied, mut from) = (BTreeSet::new(), 0);
            for to in steps {
                copied.extend(pieces(from, to).iter().map(Piece::path));
                for piece in pieces(0, to) {
                    assert!(copied.contains(&piece.path()), "{piece:?} at {to}, before {from}");
                }
                from = to;
            }
        }
        assert_eq!(pieces(7, 7), Vec::new());
        assert_eq!(pieces(0, 0), Vec::new());
        let paths: Vec<_> = pieces(0, 300).iter().map(|piece| piece.path().display().to_string()).collect();
        let wanted = ["entries/000", "entries/001.p/44", "0/000", "0/001.p/44", "1/000.p/1"];
        assert_eq!(paths, wanted.map(|path| format!("log/tile/{path}")));
    }
}
