//! Where everything lies under the data directory (`receipts.md` §7.1 of the format), and nothing else.

use std::path::{Path, PathBuf};

/// The paths of one data directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("LOCK")
    }

    pub(crate) fn instance(&self) -> PathBuf {
        self.root.join("instance.json")
    }

    /// The log that this one will continue, until its first entry says so.
    pub(crate) fn predecessor(&self) -> PathBuf {
        self.root.join("predecessor.json")
    }

    /// There exactly while the log is closed: says with which size it was closed.
    pub(crate) fn clean(&self) -> PathBuf {
        self.root.join("CLEAN")
    }

    /// There once retention has removed entries: says which is the first that was kept.
    pub(crate) fn kept(&self) -> PathBuf {
        self.root.join("KEPT")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }

    pub(crate) fn segment(&self, first_index: u64) -> PathBuf {
        self.wal().join(format!("{first_index:020}.seg"))
    }

    /// A whole segment of zeros that waits for its turn.
    pub(crate) fn spare(&self) -> PathBuf {
        self.wal().join("spare.seg")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.log().join("checkpoint")
    }

    pub(crate) fn previous_checkpoints(&self) -> PathBuf {
        self.root.join("cp.prev")
    }

    /// Public keys only.
    pub(crate) fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Private keys, unless the configuration names another place.
    pub(crate) fn private(&self) -> PathBuf {
        self.root.join("private")
    }
}
