//! Reads the files of a log and says which one is at fault. It believes nothing and never writes.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::model::Digest;
use crate::record::RecordError;
use crate::record::disk::RealDisk;
use crate::record::layout::Layout;
use crate::record::publish::{list_dir, read_file};
use crate::record::tiles::{Row, TILE_WIDTH, decode_bundle, decode_tile, tile_path};

/// A file that is not what it should be.
#[derive(Debug)]
pub(in crate::record) struct Fault {
    pub(in crate::record) path: PathBuf,
    pub(in crate::record) what: String,
    /// There is no such file.
    pub(in crate::record) is_missing: bool,
}

impl Fault {
    pub(in crate::record) fn new(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into(), is_missing: false }
    }
}

/// The files of one data directory.
#[derive(Debug)]
pub(in crate::record) struct Files {
    pub(in crate::record) layout: Layout,
}

/// A bundle or tile, and the file it came from.
pub(in crate::record) struct Read<T> {
    pub(in crate::record) path: PathBuf,
    pub(in crate::record) items: Vec<T>,
}

impl Files {
    pub(in crate::record) fn new(data_dir: &Path) -> Self {
        Self { layout: Layout::new(data_dir) }
    }

    /// The first `width` entries of a bundle.
    pub(in crate::record) fn bundle(&self, number: u64, width: u64) -> Result<Read<Bytes>, Fault> {
        self.items(Row::Entries, number, width, |bytes| decode_bundle(&Bytes::from(bytes)))
    }

    /// The first `width` hashes of a tile.
    pub(in crate::record) fn tile(&self, level: u32, number: u64, width: u64) -> Result<Read<Digest>, Fault> {
        self.items(Row::Level(level), number, width, |bytes| decode_tile(&bytes))
    }

    fn items<T>(
        &self,
        row: Row,
        number: u64,
        width: u64,
        decode: impl Fn(Vec<u8>) -> Option<Vec<T>>,
    ) -> Result<Read<T>, Fault> {
        // A partial file may be gone as soon as the full one is there, so it is looked for first.
        let widths = if width.is_multiple_of(TILE_WIDTH) { vec![0] } else { vec![width, 0] };
        for partial in widths {
            let path = self.layout.log().join(tile_path(row, number, partial));
            let Some(bytes) = self.read(&path)? else { continue };
            let wanted = if partial == 0 { TILE_WIDTH } else { width };
            let items = decode(bytes).filter(|items| items.len() as u64 == wanted);
            let mut items = items.ok_or_else(|| Fault::new(&path, format!("does not hold {wanted} items")))?;
            items.truncate(usize::try_from(width).unwrap_or(usize::MAX));
            return Ok(Read { path, items });
        }
        let path = self.layout.log().join(tile_path(row, number, width % TILE_WIDTH));
        Err(Fault { is_missing: true, ..Fault::new(&path, "is missing") })
    }

    /// A file, whole; `None` when there is none.
    pub(in crate::record) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        read_file(&RealDisk, path).map_err(|error| Fault::new(path, reason(&error)))
    }

    /// The numbers that name files of a directory, ascending.
    pub(in crate::record) fn numbers(&self, directory: &Path) -> Result<Vec<u64>, Fault> {
        let names = list_dir(&RealDisk, directory).map_err(|error| Fault::new(directory, reason(&error)))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// What went wrong, without the path, which the fault names anyway.
pub(in crate::record) fn reason(error: &RecordError) -> String {
    match error {
        RecordError::Corrupt { reason, .. } => (*reason).to_owned(),
        RecordError::Disk { source, .. } => format!("cannot be read: {source}"),
        other => other.to_string(),
    }
}
