//! Where a destination stands in the log.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ExportError;
use crate::model::Digest;

/// The place of one destination in the log: written after delivery, whole or not at all.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    place: Place,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// The next entry to deliver.
    next: u64,
    /// Digest of the last delivered entry, so that a cursor is never used with another log.
    last: Option<Digest>,
}

impl Cursor {
    /// Reads the cursor of `name` in `folder`, or begins at the start of the log.
    ///
    /// # Errors
    /// [`ExportError::Cursor`] when it cannot be read, [`ExportError::CursorAhead`] when it is past the log's end.
    pub fn open(folder: &Path, name: &str, log_size: u64) -> Result<Self, ExportError> {
        let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let path = folder.join(format!("{plain}.cursor"));
        let failed = |source| ExportError::Cursor { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let place: Place = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Place::default(),
            Err(error) => return Err(failed(error)),
        };
        if place.next > log_size {
            return Err(ExportError::CursorAhead { path, sequence: place.next, size: log_size });
        }
        Ok(Self { path, place })
    }

    /// The next entry to deliver.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.place.next
    }

    /// COMMIT POINT of a delivery: everything before `next` has arrived. A crash before this repeats at most the last
    /// batch; event ids let the receiver drop the repeats.
    ///
    /// # Errors
    /// [`ExportError::Cursor`] when it cannot be written; the cursor then stays where it was.
    pub fn advance(&mut self, next: u64, last: Digest) -> Result<(), ExportError> {
        let failed = |source| ExportError::Cursor { path: self.path.clone(), source };
        let place = Place { next, last: Some(last) };
        let text = serde_json::to_vec(&place).map_err(|error| failed(error.into()))?;
        let staged = self.path.with_extension("cursor.new");
        let mut file = File::create(&staged).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(failed)?;
        fs::rename(&staged, &self.path).map_err(failed)?;
        self.place = place;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_where_it_was_left() {
        let folder = std::env::temp_dir().join(format!("countersign-cursor-{}", std::process::id()));
        let mut cursor = Cursor::open(&folder, "a b/c", 10).unwrap();
        assert_eq!(cursor.next(), 0);
        cursor.advance(7, Digest::of(b"x")).unwrap();
        assert_eq!(Cursor::open(&folder, "a b/c", 10).unwrap().next(), 7);
        assert!(matches!(Cursor::open(&folder, "a b/c", 6), Err(ExportError::CursorAhead { .. })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
