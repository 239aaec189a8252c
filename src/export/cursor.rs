//! Where a destination stands in the log.
//!
//! Everything before `next` is settled: delivered, a dead letter, filtered, or named in a gap entry. What was sent out of
//! turn stands in `ahead`. The file is written whole or not at all; one that does not fit the log is never used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ExportError;
use super::schema::MAPPING_VERSION;
use crate::model::{Digest, with_causes};
use crate::record::Log;

/// What became of events. Counts speak about entries before `next` only, so that they can be compared with what a
/// receiver holds from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counts {
    /// Delivered.
    pub delivered: u64,
    /// In the dead-letter file.
    pub dead: u64,
    /// Not wanted.
    pub filtered: u64,
    /// Passed over, each named by a gap entry.
    pub skipped: u64,
}

impl Counts {
    pub(super) const fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.dead += other.dead;
        self.filtered += other.filtered;
        self.skipped += other.skipped;
    }
}

/// The place of a destination in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Place {
    /// The next entry to deliver.
    pub next: u64,
    /// Leaf hash of the entry before `next`, so that a cursor is never used with another log.
    pub last: Option<Digest>,
    /// The log it belongs to.
    pub origin: Option<String>,
    /// Entries behind `next` that are settled already: first and last of each run.
    pub ahead: Vec<(u64, u64)>,
    /// Of these, the ones with dead letters, and how many.
    pub ahead_dead: BTreeMap<u64, u64>,
    /// What became of the events before `next`.
    pub counts: Counts,
    /// Digest of the destination's configuration when it was last used.
    pub configuration: Option<Digest>,
    /// The version of the mappings that events were rendered with.
    pub mapping_version: u32,
    /// Why the destination gets nothing at the moment, if so.
    pub problem: Option<String>,
}

/// The file of one destination.
#[derive(Clone, Debug)]
pub struct Cursor {
    path: PathBuf,
    /// What stands in the file.
    pub place: Place,
}

/// The name of a destination's files in the folder `export` of the data directory.
pub(super) fn file_name(name: &str, suffix: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    // Two names must never share a file.
    if plain == name { format!("{plain}.{suffix}") } else { format!("{plain}-{}.{suffix}", short_hash(name)) }
}

fn short_hash(name: &str) -> String {
    Digest::of(name.as_bytes()).to_hex().chars().take(8).collect()
}

impl Cursor {
    /// Removes the cursor of a destination that is another one now.
    ///
    /// # Errors
    /// [`ExportError::Cursor`] when it cannot be read or removed.
    pub(super) fn forget_unless(folder: &Path, name: &str, configuration: Digest) -> Result<(), ExportError> {
        let Self { path, place } = Self::read(folder, name)?;
        if place.configuration.is_none_or(|before| before == configuration) {
            return Ok(());
        }
        tracing::warn!(destination = name, "the destination is another one now: it begins with the first entry");
        fs::remove_file(&path).map_err(|source| ExportError::Cursor { path, source })
    }

    /// Reads the cursor of `name` in `folder`; a missing one stands at the beginning of the log.
    ///
    /// # Errors
    /// [`ExportError::Cursor`] when it cannot be read.
    pub fn read(folder: &Path, name: &str) -> Result<Self, ExportError> {
        let path = folder.join(file_name(name, "cursor"));
        let failed = |source| ExportError::Cursor { path: path.clone(), source };
        let place = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Place::default(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, place })
    }

    /// Reads the cursor and checks it against the log: its origin, its length, and the entry before it.
    ///
    /// # Errors
    /// [`ExportError::Cursor`], [`ExportError::CursorAhead`] or [`ExportError::CursorElsewhere`].
    pub fn open(folder: &Path, name: &str, log: &Log, configuration: Digest) -> Result<Self, ExportError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| ExportError::Cursor { path: folder.to_owned(), source })?;
        let mut cursor = Self::read(folder, name)?;
        let (size, origin) = (log.durable_size(), log.instance().origin.to_string());
        let place = &mut cursor.place;
        if place.next > size || place.ahead.iter().any(|(_, last)| *last >= size) {
            return Err(ExportError::CursorAhead { path: cursor.path, sequence: place.next, size });
        }
        if place.origin.as_ref().is_some_and(|other| *other != origin) || !stands_on(log, place) {
            return Err(ExportError::CursorElsewhere { path: cursor.path, sequence: place.next });
        }
        if place.configuration.is_some_and(|before| before != configuration) {
            tracing::warn!(
                destination = name,
                entry = place.next,
                "the destination's configuration changed; delivery goes on where it stood (`countersign export replay`)"
            );
        }
        place.origin = Some(origin);
        place.configuration = Some(configuration);
        place.mapping_version = MAPPING_VERSION;
        Ok(cursor)
    }

    /// COMMIT POINT of deliveries. A crash before this repeats what was settled since the last one; event ids let the
    /// receiver drop the repeats.
    ///
    /// # Errors
    /// [`ExportError::Cursor`] when it cannot be written; the file then holds what it held.
    pub fn save(&mut self, place: Place) -> Result<(), ExportError> {
        let failed = |source| ExportError::Cursor { path: self.path.clone(), source };
        let text = serde_json::to_vec(&place).map_err(|error| failed(error.into()))?;
        let staged = self.path.with_extension("cursor.new");
        let options = File::options().write(true).create(true).truncate(true).mode(0o600).open(&staged);
        let mut file = options.map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_data()).map_err(failed)?;
        fs::rename(&staged, &self.path).map_err(failed)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        self.place = place;
        Ok(())
    }
}

/// Whether the entry before the cursor is the one that it was. An entry that cannot be read is not.
fn stands_on(log: &Log, place: &Place) -> bool {
    let (Some(before), Some(last)) = (place.next.checked_sub(1), place.last) else { return true };
    match log.leaf_hash(before) {
        Ok(leaf) => leaf == last,
        Err(error) => {
            tracing::error!(entry = before, error = with_causes(&error), "read the entry before the cursor");
            false
        }
    }
}
