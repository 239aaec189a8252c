//! What can go wrong in the log, in the words of the operator who has to act on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::NoteError;
use super::disk::Operation;

/// The log refused to start, to take an entry or to read one. Cloned to every caller that waits.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecordError {
    /// An entry could not be put together.
    #[error("build an entry")]
    Build(#[source] Arc<serde_json::Error>),
    /// The log was closed, or is closing.
    #[error("the log is closed")]
    Closed,
    /// A field of the configuration has a value that cannot work.
    #[error("configuration of the log: {0}")]
    Config(String),
    /// A stored file is not what was written: evidence was changed, or the device is failing.
    #[error("`{path}` is corrupt at byte {offset}: {reason}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// An operation on a file failed.
    #[error("{operation} `{}`", path.display())]
    Disk {
        /// What was tried.
        operation: Operation,
        /// On which file or directory.
        path: Arc<Path>,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Evidence cannot be written there, or what is there is none.
    #[error("evidence in `{path}`: {reason}")]
    Evidence {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An entry is empty or longer than a tile of C2SP tlog-tiles can hold.
    #[error("an entry has 1 to 65535 bytes, this one has {0}")]
    EntrySize(usize),
    /// The active segment is full and there is no room on the disk for another. Taken back when there is.
    #[error("the disk has no room for another segment of the log")]
    Full,
    /// The index of the log, which is derived and may be deleted, cannot be used.
    #[error("the index `{}`; it is derived from the log: delete it and it is made again", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: Arc<rusqlite::Error>,
    },
    /// The data directory belongs to another instance than the configuration says.
    #[error("the data directory belongs to `{found}`, the configuration says `{wanted}`")]
    Instance {
        /// What the data directory says.
        found: String,
        /// What the configuration says.
        wanted: String,
    },
    /// A key file cannot be used.
    #[error("key file `{path}`: {reason}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another process has the data directory.
    #[error("`{path}` is held by another process ({holder})")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the other process wrote into it.
        holder: String,
    },
    /// The stored checkpoint is not a valid note of this log.
    #[error("the checkpoint `{path}`")]
    Note {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
    /// An outcome was told of an action that was not forwarded.
    #[error("an action that was refused has no outcome")]
    NotForwarded,
    /// A write or sync failed earlier. Nobody can know what is on the device, so nothing more is written by this
    /// process.
    #[error("the log takes no more entries in this process")]
    Poisoned(#[source] Arc<Self>),
    /// No slot is free right now.
    #[error("the queue of the log is full")]
    QueueFull,
    /// The operating system gave no random bytes.
    #[error("make a key")]
    Random(#[source] Arc<crate::net::RandomError>),
    /// The tree that the stored entries give is not the one that the checkpoint signs.
    #[error("the stored tree does not give the root of the checkpoint of size {size}")]
    Root {
        /// The size of the checkpoint.
        size: u64,
    },
    /// A thread of the log could not be started, or ended unexpectedly.
    #[error("thread `{0}` of the log")]
    Thread(&'static str, #[source] Option<Arc<io::Error>>),
    /// An entry is durable, and no checkpoint covers it yet.
    #[error("entry {index} lies behind the newest checkpoint; one is made every second while the instance runs")]
    Uncommitted {
        /// Its place in the log.
        index: u64,
    },
    /// An entry of an earlier run cannot be read, perhaps because a later version of this program wrote it.
    #[error("read entry {index} of an earlier run")]
    Unreadable {
        /// Its place in the log.
        index: u64,
        /// Why.
        #[source]
        reason: Arc<super::recorder::Unreadable>,
    },
    /// Entries that a durable checkpoint covers are gone.
    #[error("the log holds entries {first} to {end}, its checkpoint covers {size}: entries are missing")]
    Truncated {
        /// Index of the first entry found in the write-ahead log.
        first: u64,
        /// Index behind the last entry found.
        end: u64,
        /// The size of the checkpoint.
        size: u64,
    },
}

impl RecordError {
    /// The error of a file operation.
    pub(crate) fn disk(operation: Operation, path: &Path, source: io::Error) -> Self {
        Self::Disk { operation, path: path.into(), source: Arc::new(source) }
    }

    /// Makes the error of an operation on `path` out of what the operating system says.
    pub(crate) fn on(operation: Operation, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::disk(operation, path, source)
    }

    /// Whether the disk merely had no room, and said so before anything was promised. A sync that fails is never this:
    /// what it should have flushed is lost, whatever the reason.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        let Self::Disk { operation, source, .. } = self else { return false };
        let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        full && !matches!(operation, Operation::Sync | Operation::SyncDir)
    }

    /// Whether somebody else writes the index right now: it may be asked again.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let Self::Index { source, .. } = self else { return false };
        matches!(
            source.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
        )
    }
}
