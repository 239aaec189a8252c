//! The index of the log: a SQLite file that answers "which entries" quickly.
//!
//! It is derived, rebuildable and never trusted: it is made again when it is missing, of another version or in
//! disagreement with the log, and every hit is made again from the log's own entry, with its proof, before anybody sees
//! it. A row that somebody took out hides an entry from a list, but from no proof: `session` shows gaps, `verify` does
//! not use the index. It is never written on the path of an action.

mod follow;
mod query;
mod row;
mod schema;
mod sessions;

use rusqlite::Connection;

use super::{Archive, Found, RecordError};
use schema::Gaps;

pub use follow::Follower;
pub use query::{Filter, Order, Wanted};
pub use row::Row;
pub use sessions::SessionSpan;

/// Entries that whoever looks takes in before the answer: some milliseconds, and people find what they just did.
const CAUGHT_UP_AT_ONCE: u64 = 512;

/// The index of one log, up to date with it or not far behind.
pub struct Index {
    connection: Connection,
    path: std::path::PathBuf,
    /// Whether the file had to be made again.
    rebuilt: bool,
    /// Entries under the checkpoint that are not in it.
    behind: u64,
}

/// An entry that a query found, as the log itself says it is.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The entry, proven.
    pub found: Found,
    /// What the index holds of it, made again from the entry.
    pub row: Row,
}

impl Index {
    /// Opens the index of a log, brings it up to date, and adds what lies behind the checkpoint for as long as this is
    /// open. Where the directory cannot be written, the index is made in memory.
    ///
    /// # Errors
    /// [`RecordError::Index`], or why the log cannot be read.
    pub fn open(archive: &mut Archive, progress: &dyn Fn(u64, u64)) -> Result<Self, RecordError> {
        let index = Self::open_committed(archive, Gaps::LookedFor, progress)?;
        index.load_tail(archive)?;
        Ok(index)
    }

    /// Opens the index of a log for somebody who looks while the log grows: brings it up to date where that takes no
    /// time, and otherwise takes it as it is; [`Self::behind`] says how far behind. Waits for who writes it two seconds at most. That
    /// rows may be missing between others is for a [`Follower`] to find out.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as_it_is(archive: &mut Archive) -> Result<Self, RecordError> {
        let mut index = Self::opened(archive, Gaps::Excluded)?;
        if (1..=CAUGHT_UP_AT_ONCE).contains(&index.behind) {
            match index.update_at_once(archive) {
                Ok(()) => index.behind = 0,
                Err(error) if error.is_busy() => index.behind = index.missing(archive)?,
                Err(error) => return Err(error),
            }
        }
        index.load_tail(archive)?;
        Ok(index)
    }

    /// Entries under the checkpoint that it does not hold yet: what it answers says nothing about them.
    #[must_use]
    pub const fn behind(&self) -> u64 {
        self.behind
    }

    /// Throws the index away and makes it again.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn rebuild(archive: &mut Archive, progress: &dyn Fn(u64, u64)) -> Result<Self, RecordError> {
        schema::remove(&archive.index_path());
        let mut index = Self::open(archive, progress)?;
        index.rebuilt = true;
        Ok(index)
    }

    /// Whether the file had to be made again.
    #[must_use]
    pub const fn is_rebuilt(&self) -> bool {
        self.rebuilt
    }

    fn open_committed(archive: &mut Archive, gaps: Gaps, progress: &dyn Fn(u64, u64)) -> Result<Self, RecordError> {
        let mut index = Self::opened(archive, gaps)?;
        index.update(archive, progress)?;
        index.behind = 0;
        Ok(index)
    }

    /// The file as it is.
    fn opened(archive: &mut Archive, gaps: Gaps) -> Result<Self, RecordError> {
        let path = archive.index_path();
        let (connection, rebuilt) = schema::open(archive, &path, gaps)?;
        let mut index = Self { connection, path, rebuilt, behind: 0 };
        index.behind = index.missing(archive)?;
        Ok(index)
    }

    fn failed(&self, source: rusqlite::Error) -> RecordError {
        schema::failed(&self.path, source)
    }
}

#[cfg(test)]
mod tests;
